import type { Actor } from '../../actor.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Fact } from '../changes/audit.js';
import type { Write } from '../changes/ledger.js';
import type { Topic } from '../invalidation.js';
import { invalid } from '../refusals.js';
import { isRegistered, requireFits } from './assignment-plans.js';
import { mayAssign, type Standing } from './delegation.js';
import { notEnded } from './lists.js';
import type { CompiledRole } from './role-catalog.js';
import { asConflict, freshChain, locateRoleAt, type RoleCore, standingAt } from './role-core.js';
import { superadminRoles } from './superadmins.js';
import { scopeOfTeam } from './team-holdings.js';
import { outranksTeam } from './team-rights.js';
import { scopeStays, teamsChanged } from './versions.js';

/** A role that everybody in a team holds. */
export interface TeamAssignment {
  team: string;
  role: string;
  scope: string;
  assignedById: string | null;
  assignedAt: Date;
  expiresAt: Date | null;
}

type TeamInput = { team: string; role: string; scope: string };

/** {@link RoleManager.assign} for a team */
export async function assignToTeam(
  core: RoleCore,
  assignment: TeamInput & { expiresAt?: Date | null },
  actor: Actor,
): Promise<void> {
  const { team, scope, expiresAt = null } = assignment;
  const { db } = core;
  const isRow = await isRegistered(core, scope);
  await requireTeam(core, team);
  const { catalog, role, chain } = await locateRoleAt(core, assignment.role, scope);
  requireFits(core, { role, scope }, expiresAt);
  // The last superadmin is counted by person.
  if (scope === 'global' && superadminRoles(catalog).has(role.id))
    throw invalid('role', 'not_used', 'superadmin is for people, one by one');
  const standing = await standingAt(core, actor, chain);
  if (standing !== null && !mayAssign(standing, role))
    throw await refused(core, factOf('role.assigned', assignment, actor));
  const row = { teamId: team, roleId: role.id, scope };
  const writes: Write[] = [
    db.teamAssignment.create({
      data: { ...row, assignedById: actor.userId, assignedAt: core.now(), expiresAt },
    }),
    ...(isRow ? [scopeStays(db, scope)] : []),
  ];
  await commit(core, team, writes, factOf('role.assigned', assignment, actor)).catch(
    async (error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      await changeEnd(core, row, role, expiresAt, standing, actor);
    },
  );
}

/** Assigning again changes only when the assignment ends. To let it end earlier is to take it away. */
async function changeEnd(
  core: RoleCore,
  row: { teamId: string; roleId: string; scope: string },
  role: CompiledRole,
  expiresAt: Date | null,
  standing: Standing | null,
  actor: Actor,
): Promise<void> {
  const { db } = core;
  const where = { teamId_roleId_scope: row };
  const existing = await db.teamAssignment.findUnique({ where });
  const input = { team: row.teamId, role: role.name, scope: row.scope };
  if (existing === null) throw notHeld(input);
  if (existing.expiresAt?.getTime() === expiresAt?.getTime()) return;
  const endsEarlier = expiresAt !== null && expiresAt.getTime() < (existing.expiresAt?.getTime() ?? Infinity);
  if (endsEarlier && standing !== null && !(await outranksTeam(core, standing, row.teamId)))
    throw await refused(core, factOf('role.assigned', input, actor));
  const write = db.teamAssignment.update({
    where: { ...where, expiresAt: existing.expiresAt },
    data: { expiresAt },
  });
  await commit(core, row.teamId, [write], factOf('role.assigned', { ...input, expiresAt }, actor));
}

/** {@link RoleManager.unassign} for a team */
export async function unassignFromTeam(core: RoleCore, assignment: TeamInput, actor: Actor): Promise<void> {
  const { team, scope } = assignment;
  const { role, chain } = await locateRoleAt(core, assignment.role, scope);
  const standing = await standingAt(core, actor, chain);
  const may = standing === null || (mayAssign(standing, role) && (await outranksTeam(core, standing, team)));
  if (!may) throw await refused(core, factOf('role.unassigned', assignment, actor));
  const where = { teamId_roleId_scope: { teamId: team, roleId: role.id, scope } };
  const existing = await core.db.teamAssignment.findUnique({ where });
  if (existing === null) throw notHeld(assignment);
  const write = core.db.teamAssignment.delete({ where });
  await commit(core, team, [write], factOf('role.unassigned', assignment, actor));
}

/** {@link RoleManager.assignmentsOfTeam} */
export async function assignmentsOfTeam(core: RoleCore, team: string): Promise<TeamAssignment[]> {
  const rows = await core.db.teamAssignment.findMany({
    where: { teamId: team, ...notEnded(core) },
    include: { role: { select: { name: true } } },
    orderBy: [{ scope: 'asc' }, { assignedAt: 'asc' }],
  });
  return rows.map(({ teamId, roleId: _id, role, ...row }) => ({ team: teamId, ...row, role: role.name }));
}

async function commit(core: RoleCore, team: string, writes: readonly Write[], fact: Fact): Promise<void> {
  const { db } = core;
  // Members who come while this is under way are read with the new version.
  const topics = await membersOf(core, team);
  await core.ledger
    .commit({
      writes: [
        ...writes,
        ...((await isRegistered(core, scopeOfTeam(team))) ? [scopeStays(db, scopeOfTeam(team))] : []),
        teamsChanged(db),
      ],
      facts: [fact],
      invalidates: topics,
    })
    .catch((error: unknown) => {
      throw isUniqueViolation(error) ? error : asConflict(error);
    });
}

async function membersOf(core: RoleCore, team: string): Promise<Topic[]> {
  const rows = await core.db.roleAssignment.findMany({
    where: { scope: scopeOfTeam(team) },
    distinct: ['userId'],
    select: { userId: true },
  });
  return rows.map(({ userId }) => `user:${userId}` as const);
}

/** @throws AuthTunaError `invalid_input`; `not_found` for a team that is neither registered nor known to the host */
async function requireTeam(core: RoleCore, team: string): Promise<void> {
  const scope = scopeOfTeam(team);
  await freshChain(core, scope);
  const isKnown =
    (await core.scopeTree.rowOf(scope)) !== null || (await core.scopeTree.resolve(scope)) !== null;
  if (!isKnown) throw new AuthTunaError('not_found', { message: `There is no team ${team}.` });
}

function notHeld({ team, role, scope }: TeamInput): AuthTunaError {
  return new AuthTunaError('not_found', { message: `The team ${team} does not hold ${role} at ${scope}.` });
}

function factOf(
  type: 'role.assigned' | 'role.unassigned',
  { team, role, scope, expiresAt }: TeamInput & { expiresAt?: Date | null },
  actor: Actor,
): Fact {
  const data = { role, ...(expiresAt !== undefined && { expiresAt }) };
  return { type, actor, target: { type: 'team', id: team }, scope, data };
}

async function refused(core: RoleCore, fact: Fact): Promise<AuthTunaError> {
  await core.audit.record({ ...fact, outcome: 'denied' });
  return new AuthTunaError('forbidden');
}
