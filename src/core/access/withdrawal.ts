import { type Actor, isSystem } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import type { Write } from '../changes/ledger.js';
import { chunks } from './chunks.js';
import { outranks, Standing } from './delegation.js';
import type { Grants } from './grants.js';
import { countingOrg, hasOneOwner, LAST_OWNER, ownerAssignments, ownerRemoved } from './org-owners.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { asConflict, freshChain, grantsOfActor, type RoleCore } from './role-core.js';
import { teamOf } from './team-holdings.js';
import { mayTakeTeamRoles } from './team-rights.js';
import { scopesChanged } from './versions.js';

/** What a person holds at a scope and below it. */
interface Holding {
  assignments: { roleId: string; scope: string; expiresAt: Date | null }[];
  /** Registered scopes that they own. */
  owned: string[];
}

/**
 * Takes from a person everything that they hold at a scope and below it: roles, and the ownership of registered scopes, which have no owner
 * then. Scopes that only `resolveScope` knows are found by the roles held there.
 *
 * @param more what else happens in the same batch
 * @throws AuthTunaError `not_found` when nothing is held there; `forbidden` for an actor who does not outrank all of it, unless it is the
 * person's own; `conflict` for the last owner of an organization
 */
// Long: one batch, whose conditions are read and written in one place.
export async function withdraw(
  core: RoleCore,
  { userId, scope }: { userId: string; scope: string },
  actor: Actor,
  type: EventType,
  more: readonly Write[] = [],
): Promise<void> {
  const { db } = core;
  const chain = await freshChain(core, scope);
  const [target, holding] = await Promise.all([
    core.access.standingOf(userId),
    holdingBelow(core, userId, scope),
  ]);
  if (holding.assignments.length === 0 && holding.owned.length === 0) throw new AuthTunaError('not_found');
  if (!isSystem(actor) && actor.userId !== userId) {
    const standing = new Standing(await grantsOfActor(core, actor), chain);
    const teams = [...new Set(holding.assignments.map((row) => row.scope))].filter(
      (at) => teamOf(at) !== null,
    );
    let may = mayTakeAll(standing, target, holding);
    for (const team of teams) may &&= await mayTakeTeamRoles(core, standing.actor, team, target);
    if (!may) {
      await core.audit.record({
        type,
        actor,
        outcome: 'denied',
        target: { type: 'user', id: userId },
        scope,
      });
      throw new AuthTunaError('forbidden');
    }
  }
  const { catalog } = target;
  const counted = await countingOrgs(core, catalog, holding);
  const ownerships = holding.assignments.filter((_row, index) => counted[index] !== null);
  try {
    await core.ledger.commit({
      writes: [
        ...ownerships.map(({ roleId, scope: at, expiresAt }) =>
          db.roleAssignment.delete({
            where: { userId_roleId_scope: { userId, roleId, scope: at }, expiresAt },
          }),
        ),
        // By role, so that one that is given at this moment, which the actor may not outrank, stays. An owner's is taken with its count only.
        ...[...byRole(holding)].flatMap(([roleId, scopes]) =>
          chunks(scopes).map((some) =>
            db.roleAssignment.deleteMany({
              where: { userId, roleId, scope: { in: some }, NOT: ownerAssignments(catalog) },
            }),
          ),
        ),
        ...(holding.owned.length === 0
          ? []
          : [
              ...chunks(holding.owned).map((some) =>
                db.scopeNode.updateMany({
                  where: { id: { in: some }, ownerId: userId },
                  data: { ownerId: null },
                }),
              ),
              scopesChanged(db),
            ]),
        ...more,
        ...counted.flatMap((orgId) => (orgId === null ? [] : [ownerRemoved(db, orgId)])),
      ],
      facts: [
        {
          type,
          actor,
          target: { type: 'user', id: userId },
          scope,
          data: {
            roles: holding.assignments.slice(0, 50).map((row) => ({
              role: catalog.byId(row.roleId)?.name ?? row.roleId,
              scope: row.scope,
            })),
            owned: holding.owned.slice(0, 50),
          },
        },
      ],
      invalidates: [`user:${userId}`, ...holding.owned.slice(0, 1).map((owned) => `scope:${owned}` as const)],
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
    const lone = await Promise.all(ownerships.map((row) => hasOneOwner(db, row.scope)));
    throw asConflict(error, lone.includes(true) ? LAST_OWNER : undefined);
  }
}

/** Whether a person may leave a scope: there is something of their own to give up there, and no organization would lose its last owner. */
export async function mayLeave(core: RoleCore, userId: string, scope: string): Promise<boolean> {
  const [{ catalog }, holding] = await Promise.all([
    core.access.standingOf(userId),
    holdingBelow(core, userId, scope),
  ]);
  if (holding.assignments.length === 0 && holding.owned.length === 0) return false;
  const orgs = await countingOrgs(core, catalog, holding);
  const lone = await Promise.all(orgs.map((id) => id !== null && hasOneOwner(core.db, `org:${id}`)));
  return !lone.includes(true);
}

/** For each assignment the organization that counts it among its owners, or null. */
function countingOrgs(
  { db }: RoleCore,
  catalog: RoleCatalog,
  { assignments }: Holding,
): Promise<(string | null)[]> {
  return Promise.all(
    assignments.map(async (row) => {
      const role = catalog.byId(row.roleId);
      return role === null ? null : countingOrg(db, { ...row, role });
    }),
  );
}

/** Found from the person's side: people hold few things, and the tree below may be large or only the host's. */
async function holdingBelow(core: RoleCore, userId: string, scope: string): Promise<Holding> {
  const [assignments, nodes] = await Promise.all([
    core.db.roleAssignment.findMany({
      where: { userId },
      select: { roleId: true, scope: true, expiresAt: true },
    }),
    core.db.scopeNode.findMany({ where: { ownerId: userId }, select: { id: true } }),
  ]);
  const scopes = [...new Set([...assignments.map((row) => row.scope), ...nodes.map(({ id }) => id)])];
  const isBelow = new Map(
    await Promise.all(
      scopes.map(async (each) => {
        const chain = await core.scopeTree.chainOf(each, { fresh: true });
        return [each, each === scope || chain?.scopes.includes(scope) === true] as const;
      }),
    ),
  );
  return {
    assignments: assignments.filter((row) => isBelow.get(row.scope)),
    owned: nodes.map(({ id }) => id).filter((id) => isBelow.get(id)),
  };
}

/** Whether the actor's rank at the scope is above the person's there, and above every role that would be taken below. */
function mayTakeAll(standing: Standing, target: Grants, holding: Holding): boolean {
  const below = holding.assignments.flatMap(({ roleId }): CompiledRole[] => {
    const role = target.catalog.byId(roleId);
    return role === null ? [] : [role];
  });
  return outranks(standing, target) && below.every((role) => standing.isAbove(role));
}

/** The scopes at which each role is held. */
function byRole({ assignments }: Holding): Map<string, string[]> {
  const scopes = new Map<string, string[]>();
  for (const { roleId, scope } of assignments) {
    const known = scopes.get(roleId);
    if (known === undefined) scopes.set(roleId, [scope]);
    else known.push(scope);
  }
  return scopes;
}
