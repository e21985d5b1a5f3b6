import type { Actor } from '../../actor.js';
import { mayAssign, outranks, Standing } from './delegation.js';
import type { Grants } from './grants.js';
import { notEnded } from './lists.js';
import type { CompiledRole } from './role-catalog.js';
import { freshChain, grantsOfActor, type RoleCore } from './role-core.js';
import { scopeOfTeam, teamOf } from './team-holdings.js';

/** A role that a team holds somewhere. */
interface TeamRole {
  role: CompiledRole;
  scope: string;
}

/** What the team of a scope holds now; nothing for a scope that is no team. */
export async function rolesOfTeam(core: RoleCore, scope: string): Promise<TeamRole[]> {
  const teamId = teamOf(scope);
  if (teamId === null) return [];
  const [rows, catalog] = await Promise.all([
    core.db.teamAssignment.findMany({ where: { teamId, ...notEnded(core) } }),
    core.roleStore.current(),
  ]);
  return rows.flatMap((row) => {
    const role = catalog.byId(row.roleId);
    return role === null ? [] : [{ role, scope: row.scope }];
  });
}

/**
 * Whether the actor may let a person in at a scope, as far as it is a team: to put somebody into a team is to give them everything that the
 * team holds, each role at its own scope.
 */
export async function mayGiveTeamRoles(core: RoleCore, actor: Grants, scope: string): Promise<boolean> {
  for (const held of await rolesOfTeam(core, scope)) {
    if (!mayAssign(new Standing(actor, await freshChain(core, held.scope)), held.role)) return false;
  }
  return true;
}

/** Whether the actor may take a person out at a scope, as far as it is a team: they lose what the team holds, wherever that is. */
export async function mayTakeTeamRoles(
  core: RoleCore,
  actor: Grants,
  scope: string,
  target: Grants,
): Promise<boolean> {
  for (const held of await rolesOfTeam(core, scope)) {
    if (!outranks(new Standing(actor, await freshChain(core, held.scope)), target)) return false;
  }
  return true;
}

/**
 * Whether everybody else in a team ranks below the actor at the scope of a chain: what a team loses there, each of them loses.
 *
 * Owners of scopes on the chain are asked about one by one; a chain has at most 16.
 */
export async function outranksTeam(core: RoleCore, standing: Standing, teamId: string): Promise<boolean> {
  const { actor, chain } = standing;
  if (standing.rank === -1) return false;
  const inTeam = { assignments: { some: { scope: scopeOfTeam(teamId), ...notEnded(core) } } };
  for (const owner of new Set(chain.owners)) {
    if (owner === null || owner === actor.userId) continue;
    const isMember = (await core.db.user.count({ where: { id: owner, ...inTeam } })) > 0;
    if (isMember && !outranks(standing, await core.access.standingOf(owner))) return false;
  }
  const above = await holdersNotBelow(core, standing, chain.scopes);
  const found = await core.db.user.findFirst({
    where: { id: { not: actor.userId }, deletedAt: null, AND: [inTeam, above] },
    select: { id: true },
  });
  return found === null;
}

/** The condition of users who hold, at one of these scopes, a role that is not below the actor: themselves or through a team. */
export async function holdersNotBelow(core: RoleCore, standing: Standing, scopes: readonly string[]) {
  const roles = [...standing.actor.catalog.all()];
  const notBelow = roles.filter((role) => !standing.isAbove(role)).map(({ id }) => id);
  const teams = await teamsHolding(core, { scope: { in: [...scopes] }, roleId: { in: notBelow } });
  const counts = notEnded(core);
  return {
    OR: [
      { assignments: { some: { scope: { in: [...scopes] }, roleId: { in: notBelow }, ...counts } } },
      { assignments: { some: { scope: { in: teams }, ...counts } } },
    ],
  };
}

/** The scopes of the teams that hold such a role. */
export async function teamsHolding(core: Pick<RoleCore, 'db' | 'now'>, where: object): Promise<string[]> {
  const rows = await core.db.teamAssignment.findMany({
    where: { AND: [where, notEnded(core)] },
    distinct: ['teamId'],
    select: { teamId: true },
  });
  return rows.map(({ teamId }) => scopeOfTeam(teamId));
}

/** What the teams among these scopes hold at other scopes, each checked against the actor's rank there. */
export async function mayEndTeams(core: RoleCore, actor: Actor, scopes: readonly string[]): Promise<boolean> {
  const teamIds = scopes.flatMap((scope) => teamOf(scope) ?? []);
  if (teamIds.length === 0) return true;
  const rows = await core.db.teamAssignment.findMany({
    where: { teamId: { in: teamIds }, scope: { notIn: [...scopes] }, ...notEnded(core) },
    select: { teamId: true, scope: true },
  });
  if (rows.length === 0) return true;
  const grants = await grantsOfActor(core, actor);
  for (const { teamId, scope } of rows) {
    const standing = new Standing(grants, await freshChain(core, scope));
    if (!(await outranksTeam(core, standing, teamId))) return false;
  }
  return true;
}
