import { type Actor, isSystem } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import type { Change, Write } from '../changes/ledger.js';
import type { Topic } from '../invalidation.js';
import { chunks } from './chunks.js';
import type { RoleCore } from './role-core.js';
import type { ScopeDependent } from './scope-dependent.js';
import { decided, nodesBelow, requireChain } from './scope-nodes.js';
import { requireMayRemove } from './scope-rights.js';
import { teamOf } from './team-holdings.js';
import { teamsHolding } from './team-rights.js';
import { movesChangedSince, rolesChanged, scopesChanged, teamsChanged } from './versions.js';

/** {@link ScopeManager.remove} */
export async function removeNode(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
  actor: Actor,
): Promise<void> {
  const { db } = core;
  await decided(core, async (seen) => {
    const row = await core.scopeTree.rowOf(id);
    if (row === null) throw new AuthTunaError('not_found');
    if (!isSystem(actor)) await requireMayRemove(core, actor, await requireChain(core, id));
    const dependent = await Promise.all(dependents.map((each) => each.removeAt([id])));
    const affected = await holdersAt(core, [id]);
    await core.ledger.commit({
      writes: [
        movesChangedSince(db, seen.moves),
        db.scopeNode.delete({ where: { id, parentId: row.parent } }),
        ...dependent.flat(),
        ...heldAtRemoved(core, [id]),
        db.scopeNode.updateMany({ where: { parentId: id }, data: { parentId: row.parent } }),
        // The versions last, here as everywhere: a batch that holds one waits for nothing else.
        rolesChanged(db),
        scopesChanged(db),
        teamsChanged(db),
      ],
      facts: [{ type: 'scope.removed', actor, target: { type: 'scope', id }, scope: id }],
      invalidates: [`scope:${id}`, 'roles', ...affected],
    });
  });
}

/**
 * Removes a node and all registered nodes below it, with every assignment made there, every role they defined for themselves, and everything
 * that features keep about them.
 *
 * @param change what else happens in the same batch
 * @throws AuthTunaError `not_found`; `forbidden` where somebody else of the same or a higher rank holds something there
 */
export async function removeTree(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
  actor: Actor,
  change: Change,
): Promise<void> {
  const { db } = core;
  await decided(core, async (seen) => {
    const row = await core.scopeTree.rowOf(id);
    if (row === null) throw new AuthTunaError('not_found');
    const scopes = [id, ...(await nodesBelow(core, id))];
    if (!isSystem(actor)) await requireMayRemove(core, actor, await requireChain(core, id), scopes);
    const dependent = await Promise.all(dependents.map((each) => each.removeAt(scopes)));
    const affected = await holdersAt(core, scopes);
    await core.ledger.commit({
      ...change,
      writes: [
        // No node comes or goes below while this is decided: registrations below rows ask for the same version.
        movesChangedSince(db, seen.moves),
        db.scopeNode.delete({ where: { id, parentId: row.parent } }),
        ...chunks(scopes).map((some) => db.scopeNode.deleteMany({ where: { id: { in: some } } })),
        ...change.writes,
        ...dependent.flat(),
        ...heldAtRemoved(core, scopes),
        ...chunks(scopes).map((some) => removalsRecorded(core, some, actor)),
        rolesChanged(db),
        scopesChanged(db),
        teamsChanged(db),
      ],
      invalidates: [`scope:${id}`, 'roles', ...affected, ...(change.invalidates ?? [])],
    });
  });
}

/** What was given at these scopes. It stands behind the nodes: an assignment that was under way waits for them, and is seen here or misses. */
function heldAtRemoved({ db }: RoleCore, scopes: readonly string[]): Write[] {
  return chunks(scopes).flatMap((some) => [
    db.roleAssignment.deleteMany({ where: { scope: { in: some } } }),
    // Or what was given of them below would count again, should the scope ever come back.
    db.role.deleteMany({ where: { ownedBy: { in: some } } }),
    db.teamAssignment.deleteMany({
      where: {
        OR: [{ scope: { in: some } }, { teamId: { in: some.flatMap((scope) => teamOf(scope) ?? []) } }],
      },
    }),
  ]);
}

/** The topics of the people who hold something at these scopes. */
async function holdersAt(core: RoleCore, removed: readonly string[]): Promise<Topic[]> {
  const { db } = core;
  const teams = await Promise.all(chunks(removed).map((some) => teamsHolding(core, { scope: { in: some } })));
  const scopes = [...new Set([...removed, ...teams.flat()])];
  const rows = await Promise.all(
    chunks(scopes).map((some) =>
      db.roleAssignment.findMany({
        where: { scope: { in: some } },
        distinct: ['userId'],
        select: { userId: true },
      }),
    ),
  );
  return [...new Set(rows.flat().map(({ userId }) => `user:${userId}` as const))];
}

/** One entry for each removed scope, by which its name is never given out again. */
function removalsRecorded({ db, config, now }: RoleCore, scopes: readonly string[], actor: Actor): Write {
  return db.auditEntry.createMany({
    data: scopes.map((scope) => ({
      id: newId(config.random),
      at: now(),
      type: 'scope.removed',
      outcome: 'success',
      actorId: actor.userId,
      targetType: 'scope',
      targetId: scope,
      scope,
    })),
  });
}
