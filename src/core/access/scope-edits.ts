import { type Actor, isSystem } from '../../actor.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import type { Chain } from './grants.js';
import { childrenOf } from './lists.js';
import { asConflict, type RoleCore } from './role-core.js';
import { isScope, parseScope } from './scope-name.js';
import { requireMayMove, requireMayRemove } from './scope-rights.js';
import { MAX_DEPTH, type ScopeNode, toNode } from './scope-tree.js';
import {
  movesChangedSince,
  movesUnchanged,
  readVersions,
  rolesChanged,
  scopesChanged,
  scopesChangedSince,
} from './versions.js';

/** A feature that keeps something about a scope. */
export interface ScopeDependent {
  /** Whether anything is stored about the scope. If so, another user may not register its name. */
  isUsing(scope: string): Promise<boolean>;
  /** The writes that remove all of it, for the batch that removes the scope. */
  removeAt(scope: string): Promise<Write[]>;
}

export interface ScopeInput {
  id: string;
  parent?: string | null;
  ownerId?: string | null;
  name?: string | null;
}

const ATTEMPTS = 5; // changes of the tree that meet are decided anew, one after the other

/** {@link ScopeManager.register} */
export async function registerScope(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  node: ScopeInput,
  actor: Actor,
): Promise<ScopeNode> {
  const { type } = requireNode(node.id, 'id');
  const parent = node.parent ?? null;
  if (parent !== null && !isScope(parent)) throw notAScope('parent');
  if (!isSystem(actor)) {
    await core.access.require(actor, `${type}:create`, parent ?? 'global');
    if (node.ownerId != null && node.ownerId !== actor.userId) throw new AuthTunaError('forbidden');
  }
  const row = {
    id: node.id,
    parentId: parent === 'global' ? null : parent,
    ownerId: node.ownerId ?? null,
    name: node.name ?? null,
  };
  await decided(async () => {
    const seen = await readVersions(core.db);
    if (!isSystem(actor) && (await isInUse(core, dependents, node.id)))
      throw new AuthTunaError('conflict', { message: `The scope ${node.id} is in use.` });
    const above = await requireRoom(core, node.id, parent);
    await core.ledger.commit({
      writes: [
        // Below rows alone no other registration can close a circle with this one; below a name that is no row yet, one could.
        (await isRegistered(core, above))
          ? movesUnchanged(core.db, seen.moves)
          : movesChangedSince(core.db, seen.moves),
        core.db.scopeNode.create({
          data: { ...row, registeredById: isSystem(actor) ? null : actor.userId, createdAt: core.now() },
        }),
        scopesChanged(core.db),
      ],
      facts: [
        {
          type: 'scope.registered',
          actor,
          target: { type: 'scope', id: node.id },
          scope: node.id,
          data: { parent, ownerId: row.ownerId },
        },
      ],
      invalidates: [`scope:${node.id}`],
    });
  }).catch((error: unknown) => {
    throw isUniqueViolation(error)
      ? new AuthTunaError('conflict', { message: `The scope ${node.id} is registered already.` })
      : error;
  });
  return toNode(row);
}

/** {@link ScopeManager.move} */
export async function moveScope(
  core: RoleCore,
  id: string,
  parent: string | null,
  actor: Actor,
): Promise<void> {
  const { type } = requireNode(id, 'id');
  if (parent !== null && !isScope(parent)) throw notAScope('parent');
  if (!isSystem(actor)) {
    await core.access.require(actor, `${type}:manage`, id);
    await core.access.require(actor, `${type}:manage`, parent ?? 'global');
  }
  const parentId = parent === 'global' ? null : parent;
  await decided(async () => {
    const seen = await readVersions(core.db);
    const before = await core.scopeTree.rowOf(id);
    if (before === null) throw new AuthTunaError('not_found');
    const above = await requireRoom(core, id, parent);
    // A node in a circle has no chain; a script takes it out of there by moving it.
    if (!isSystem(actor)) await requireMayMove(core, actor, await requireChain(core, id), above);
    await core.ledger.commit({
      writes: [
        // Moves that are each harmless can close a circle together, so a move waits for every other change of the tree.
        movesChangedSince(core.db, seen.moves),
        core.db.scopeNode.update({ where: { id, parentId: before.parent }, data: { parentId } }),
        scopesChangedSince(core.db, seen.scopes),
      ],
      facts: [
        {
          type: 'scope.moved',
          actor,
          target: { type: 'scope', id },
          scope: id,
          data: { from: before.parent, to: parentId },
        },
      ],
      invalidates: [`scope:${id}`],
    });
  });
}

/** {@link ScopeManager.remove} */
export async function removeScope(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
  actor: Actor,
): Promise<void> {
  const { type } = requireNode(id, 'id');
  const { db } = core;
  if (!isSystem(actor)) await core.access.require(actor, `${type}:delete`, id);
  await decided(async () => {
    const seen = await readVersions(db);
    const row = await core.scopeTree.rowOf(id);
    if (row === null) throw new AuthTunaError('not_found');
    if (!isSystem(actor)) await requireMayRemove(core, actor, await requireChain(core, id));
    const affected = await db.roleAssignment.findMany({ where: { scope: id }, select: { userId: true } });
    const dependent = (await Promise.all(dependents.map((each) => each.removeAt(id)))).flat();
    await core.ledger.commit({
      writes: [
        movesChangedSince(db, seen.moves),
        ...dependent,
        db.scopeNode.delete({ where: { id, parentId: row.parent } }),
        // After the node: an assignment that was under way then waits for it, and is seen here or misses.
        db.roleAssignment.deleteMany({ where: { scope: id } }),
        // Or what was given of them below would count again, should the scope ever come back.
        db.role.deleteMany({ where: { ownedBy: id } }),
        db.scopeNode.updateMany({ where: { parentId: id }, data: { parentId: row.parent } }),
        // The versions last, here as everywhere: a batch that holds one waits for nothing else.
        rolesChanged(db),
        scopesChanged(db),
      ],
      facts: [{ type: 'scope.removed', actor, target: { type: 'scope', id }, scope: id }],
      invalidates: [`scope:${id}`, 'roles', ...affected.map(({ userId }) => `user:${userId}` as const)],
    });
  });
}

/** Decides and commits; decides anew where the tree changed in between. @throws AuthTunaError `conflict` when it never stopped changing */
async function decided(attempt: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
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

/** Whether every scope of a chain is a row. */
async function isRegistered({ scopeTree }: RoleCore, { scopes }: Chain): Promise<boolean> {
  const rows = await Promise.all(
    scopes.filter((scope) => scope !== 'global').map((scope) => scopeTree.rowOf(scope)),
  );
  return rows.every((row) => row !== null);
}

/** Whether anything was ever said of a scope that is no row: given at it, hung below it, kept about it, known to the host, or removed. */
async function isInUse(
  { db, scopeTree }: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
): Promise<boolean> {
  const [assignment, child, role, removal, known, ...uses] = await Promise.all([
    db.roleAssignment.findFirst({ where: { scope: id }, select: { scope: true } }),
    db.scopeNode.findFirst({ where: { parentId: id }, select: { id: true } }),
    db.role.findFirst({ where: { ownedBy: id }, select: { id: true } }),
    // Names are not given out twice: what the host keeps under the old one would belong to the new one's people.
    db.auditEntry.findFirst({ where: { targetId: id, type: 'scope.removed' }, select: { id: true } }),
    scopeTree.resolve(id),
    ...dependents.map((dependent) => dependent.isUsing(id)),
  ]);
  return [assignment, child, role, removal, known].some((found) => found !== null) || uses.includes(true);
}

export function requireNode(scope: string, field: string): { type: string; id: string } {
  const parsed = scope === 'global' ? null : parseScope(scope);
  if (parsed === null) throw notAScope(field);
  return parsed;
}

export function notAScope(field: string): AuthTunaError {
  return new AuthTunaError('invalid_input', {
    errors: [{ field, rule: 'invalid_scope', message: 'must be a scope such as project:42' }],
  });
}
