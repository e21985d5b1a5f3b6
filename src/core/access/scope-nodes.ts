import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Change } from '../changes/ledger.js';
import type { Chain } from './grants.js';
import { childrenOf } from './lists.js';
import { asConflict, type RoleCore } from './role-core.js';
import { MAX_DEPTH } from './scope-tree.js';
import {
  movesChangedSince,
  movesUnchanged,
  readVersions,
  scopesChanged,
  scopesChangedSince,
  type Versions,
} from './versions.js';

/** A node as it is stored; a parent of null hangs directly below `global`. */
export interface NodeInput {
  id: string;
  parentId: string | null;
  ownerId: string | null;
  name: string | null;
  /** The user who names the scope; null for scripts, and for ids that this library makes. */
  registeredById: string | null;
}

const ATTEMPTS = 5; // changes of the tree that meet are decided anew, one after the other

/**
 * Stores a node together with what it stands for.
 *
 * @param decide checks what may have changed since, and gives what is stored with the node
 * @throws AuthTunaError `conflict` for a name that is taken, a circle and too many levels
 */
export async function addNode(
  core: RoleCore,
  node: NodeInput,
  decide: () => Promise<Change> | Change,
): Promise<void> {
  await decided(core, async (seen) => {
    const { writes, invalidates = [], ...change } = await decide();
    const above = await requireRoom(core, node.id, node.parentId);
    await core.ledger.commit({
      ...change,
      writes: [
        // Below rows alone no other registration can close a circle with this one; below a name that is no row yet, one could.
        (await isRegistered(core, above))
          ? movesUnchanged(core.db, seen.moves)
          : movesChangedSince(core.db, seen.moves),
        core.db.scopeNode.create({ data: { ...node, createdAt: core.now() } }),
        ...writes,
        scopesChanged(core.db),
      ],
      invalidates: [`scope:${node.id}`, ...invalidates],
    });
  }).catch(async (error: unknown) => {
    const isTaken = isUniqueViolation(error) && (await core.scopeTree.rowOf(node.id)) !== null;
    throw isTaken
      ? new AuthTunaError('conflict', { message: `The scope ${node.id} is registered already.` })
      : error;
  });
}

/**
 * Hangs a node elsewhere, together with what that changes.
 *
 * @param decide is given the chains of the node and of its new parent, and the present parent; the first is null for a node in a circle
 * @throws AuthTunaError `not_found`; `conflict` for a circle and too many levels
 */
export async function moveNode(
  core: RoleCore,
  id: string,
  parentId: string | null,
  decide: (from: { parent: string | null; above: Chain }) => Promise<Change>,
): Promise<void> {
  await decided(core, async (seen) => {
    const before = await core.scopeTree.rowOf(id);
    if (before === null) throw new AuthTunaError('not_found');
    const above = await requireRoom(core, id, parentId);
    const { writes, invalidates = [], ...change } = await decide({ parent: before.parent, above });
    await core.ledger.commit({
      ...change,
      writes: [
        // Moves that are each harmless can close a circle together, so a move waits for every other change of the tree.
        movesChangedSince(core.db, seen.moves),
        core.db.scopeNode.update({ where: { id, parentId: before.parent }, data: { parentId } }),
        ...writes,
        scopesChangedSince(core.db, seen.scopes),
      ],
      invalidates: [`scope:${id}`, ...invalidates],
    });
  });
}

/** Decides and commits; decides anew where the tree changed in between. @throws AuthTunaError `conflict` when it never stopped changing */
export async function decided(core: RoleCore, attempt: (seen: Versions) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(await readVersions(core.db));
    } catch (error) {
      if (!isMissing(error) || tries === ATTEMPTS)
        throw asConflict(error, 'The tree of scopes changed at the same moment. Try again.');
    }
  }
}

/** The chain of the new parent, below which the scope and all below it have room. @throws AuthTunaError `conflict` */
async function requireRoom(core: RoleCore, id: string, parent: string | null): Promise<Chain> {
  const above = await requireChain(core, parent ?? 'global');
  if (above.scopes.includes(id))
    throw new AuthTunaError('conflict', { message: `${id} cannot hang below itself.` });
  let depth = above.scopes.length; // `global` counts for nothing, the scope itself for one
  let level = [id];
  for (; level.length > 0 && depth <= MAX_DEPTH; depth += 1) {
    level = (await childrenOf(core, level)).map((child) => child.id).filter((child) => child !== id);
  }
  if (level.length > 0)
    throw new AuthTunaError('conflict', {
      message: `The tree of scopes is at most ${MAX_DEPTH} levels deep.`,
    });
  return above;
}

/** @throws AuthTunaError `conflict` for a circle, and for a tree that is too deep */
export async function requireChain({ scopeTree }: RoleCore, scope: string): Promise<Chain> {
  const chain = await scopeTree.chainOf(scope, { fresh: true });
  if (chain === null)
    throw new AuthTunaError('conflict', {
      message: `The scopes above ${scope} form a circle or are too deep.`,
    });
  return chain;
}

/**
 * Refuses a scope that does not exist: it is not registered, the host's tables do not know it, and no role is held there.
 *
 * @throws AuthTunaError `not_found`
 */
export async function requireKnown(
  { db, scopeTree }: Pick<RoleCore, 'db' | 'scopeTree'>,
  scope: string,
): Promise<void> {
  if ((await scopeTree.rowOf(scope)) !== null || (await scopeTree.resolve(scope)) !== null) return;
  const held = await db.roleAssignment.findFirst({ where: { scope }, select: { scope: true } });
  if (held === null) throw new AuthTunaError('not_found');
}

/** Whether every scope of a chain is a row. */
async function isRegistered({ scopeTree }: RoleCore, { scopes }: Chain): Promise<boolean> {
  const rows = await Promise.all(
    scopes.filter((scope) => scope !== 'global').map((scope) => scopeTree.rowOf(scope)),
  );
  return rows.every((row) => row !== null);
}

/** The registered scopes below one, at any depth. */
export async function nodesBelow(core: Pick<RoleCore, 'db'>, id: string): Promise<string[]> {
  const seen = new Set([id]);
  for (let level = [id]; level.length > 0; ) {
    level = (await childrenOf(core, level)).map((child) => child.id).filter((child) => !seen.has(child));
    for (const child of level) seen.add(child);
  }
  seen.delete(id);
  return [...seen];
}
