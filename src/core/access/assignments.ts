import type { Actor } from '../../actor.js';
import { isUniqueViolation } from '../../db/client.js';
import {
  type AssignmentSource,
  explain,
  factOf,
  makesSuperadmin,
  notHeld,
  type Place,
  planAssign,
  planUnassign,
  refused,
  unchanged,
} from './assignment-plans.js';
import { mayAssign, outranks } from './delegation.js';
import { countingOrg, hasOneOwner, LAST_OWNER, ownerAdded, ownerRemoved, userStays } from './org-owners.js';
import { asConflict, freshChain, type RoleCore, standingAt } from './role-core.js';
import { parseScope } from './scope-name.js';
import { SuperadminGuard } from './superadmins.js';
import { mayGiveTeamRoles, mayTakeTeamRoles } from './team-rights.js';

export type { AssignmentSource } from './assignment-plans.js';

export interface RoleAssignment {
  userId: string;
  role: string;
  scope: string;
  assignedById: string | null;
  assignedAt: Date;
  expiresAt: Date | null;
}

type Row = { userId: string; roleId: string; scope: string };

/** {@link RoleManager.assign} */
export async function assign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string; expiresAt?: Date | null },
  actor: Actor,
  from?: AssignmentSource,
): Promise<void> {
  const { place, change, refusalOf } = await planAssign(core, assignment, actor, from);
  try {
    await core.ledger.commit(change);
  } catch (error) {
    if (!isUniqueViolation(error)) throw await refusalOf(error);
    const row = { userId: place.userId, roleId: place.role.id, scope: place.scope };
    await changeEnd(core, row, assignment.expiresAt ?? null, place);
  }
}

/** Assigning again changes only when an assignment ends. To let it end earlier is to take it away. */
async function changeEnd(core: RoleCore, row: Row, expiresAt: Date | null, place: Place): Promise<void> {
  const where = { userId_roleId_scope: row };
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [existing, user] = await Promise.all([
    core.db.roleAssignment.findUnique({ where }),
    core.db.user.findUnique({ where: { id: row.userId } }),
  ]);
  if (existing === null || user === null) throw notHeld(place);
  if (existing.expiresAt?.getTime() === expiresAt?.getTime()) return;
  const endsEarlier = expiresAt !== null && expiresAt.getTime() < (existing.expiresAt?.getTime() ?? Infinity);
  if (endsEarlier && place.actor.userId !== row.userId) {
    const standing = await standingAt(core, place.actor, await freshChain(core, row.scope));
    const target = await core.access.standingOf(row.userId);
    const may =
      standing === null ||
      (outranks(standing, target) && (await mayTakeTeamRoles(core, standing.actor, row.scope, target)));
    if (!may) throw await refused(core, 'role.assigned', place);
  }
  const [was, is] = [makesSuperadmin(place, existing.expiresAt), makesSuperadmin(place, expiresAt)];
  const [owned, owns] = await Promise.all([
    countingOrg(core.db, { ...place, expiresAt: existing.expiresAt }),
    countingOrg(core.db, { ...place, expiresAt }),
  ]);
  await core.ledger
    .commit({
      writes: [
        ...(owns === null ? [] : [userStays(core.db, row.userId)]),
        core.db.roleAssignment.update({
          where: { ...where, expiresAt: existing.expiresAt },
          data: { expiresAt },
        }),
        ...(was && !is ? superadmins.removed(user, seen) : []),
        ...(is && !was ? superadmins.added(user, seen) : []),
        ...unchanged(core, place),
        ...(owned !== null && owns === null ? [ownerRemoved(core.db, owned)] : []),
        ...(owns !== null && owned === null ? [ownerAdded(core.db, owns)] : []),
      ],
      facts: [factOf('role.assigned', place, { expiresAt })],
      invalidates: [`user:${row.userId}`],
    })
    .catch(async (error: unknown) => {
      const isLastOwner = owned !== null && owns === null && (await hasOneOwner(core.db, row.scope));
      throw isLastOwner ? asConflict(error, LAST_OWNER) : await explain(core, error, place);
    });
}

/** {@link RoleManager.unassign} */
export async function unassign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string },
  actor: Actor,
  from?: AssignmentSource,
): Promise<void> {
  const { change, refusalOf } = await planUnassign(core, assignment, actor, from);
  await core.ledger.commit(change).catch(async (error: unknown) => {
    throw await refusalOf(error);
  });
}

/** {@link RoleManager.assignmentsOf} */
export async function assignmentsOf({ db, now }: RoleCore, userId: string): Promise<RoleAssignment[]> {
  const rows = await db.roleAssignment.findMany({
    where: { userId, OR: [{ expiresAt: null }, { expiresAt: { gt: now() } }] },
    include: { role: { select: { name: true } } },
    orderBy: [{ scope: 'asc' }, { assignedAt: 'asc' }],
  });
  return rows.map(({ roleId: _id, source: _source, role, ...row }) => ({ ...row, role: role.name }));
}

/** {@link RoleManager.assignableBy} */
export async function assignableBy(core: RoleCore, actor: Actor, scope: string): Promise<string[]> {
  const chain = await freshChain(core, scope);
  const catalog = await core.roleStore.current();
  const standing = await standingAt(core, actor, chain);
  const type = parseScope(scope)?.type ?? '';
  if (standing !== null && !(await mayGiveTeamRoles(core, standing.actor, scope))) return [];
  return (
    catalog
      .visibleAt(chain.scopes)
      .filter((role) => role.at.length === 0 || role.at.includes(type))
      // Of several roles of one name, `assign` takes the nearest.
      .filter((role) => catalog.find(role.name, chain.scopes) === role)
      .filter((role) => standing === null || mayAssign(standing, role))
      .map((role) => role.name)
      .sort()
  );
}
