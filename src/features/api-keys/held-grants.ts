import { notEnded } from '../../core/access/lists.js';
import { scopeOfTeam, teamOf } from '../../core/access/team-holdings.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { AuthTunaError } from '../../errors.js';

/** A role at a scope, as people name it. */
export interface NamedGrant {
  role: string;
  scope: string;
}

/** What a grant rests on: the owner's own assignment, or a membership and what the team holds. */
interface Support extends NamedGrant {
  userId: string;
  roleId: string;
  /** Null for the owner's own. */
  team: { memberRoleId: string; teamId: string } | null;
}

/**
 * The writes that give a key these roles, each bound to everything by which its owner holds it right now. Ownership of a scope cannot be granted.
 *
 * @throws AuthTunaError `forbidden`, the same for a role that is not held exactly there and for one that does not exist
 */
export async function grantWrites(
  core: Core,
  key: { id: string; userId: string },
  grants: readonly NamedGrant[],
): Promise<Write[]> {
  if (grants.length === 0) return [];
  const held = await supportsOf(
    core,
    key.userId,
    grants.map(({ scope }) => scope),
  );
  const wanted = new Set(grants.map(placeOf));
  const found = new Set(held.map(placeOf));
  const missing = grants.find((grant) => !found.has(placeOf(grant)));
  if (missing !== undefined)
    throw new AuthTunaError('forbidden', {
      message: `The owner of the key does not hold ${missing.role} at ${missing.scope}.`,
    });
  const granted = held.filter((support) => wanted.has(placeOf(support)));
  const own = granted.filter(({ team }) => team === null);
  const throughTeams = granted.flatMap(({ userId, roleId, scope, team }) =>
    team === null
      ? []
      : [{ apiKeyId: key.id, userId, roleId, scope, ...team, teamScope: scopeOfTeam(team.teamId) }],
  );
  return [
    ...(own.length === 0
      ? []
      : [
          core.db.apiKeyGrant.createMany({
            data: own.map(({ userId, roleId, scope }) => ({ apiKeyId: key.id, userId, roleId, scope })),
          }),
        ]),
    ...(throughTeams.length === 0 ? [] : [core.db.apiKeyTeamGrant.createMany({ data: throughTeams })]),
  ];
}

/** What a key of the user can be granted, by scope. */
export async function grantableOf(core: Core, userId: string): Promise<NamedGrant[]> {
  const held = await supportsOf(core, userId);
  const byPlace = new Map(held.map((support) => [placeOf(support), support]));
  return [...byPlace.values()]
    .map(({ role, scope }) => ({ role, scope }))
    .sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

/** Everything by which a user holds a role: exactly at one of these scopes, or anywhere. */
async function supportsOf(core: Core, userId: string, scopes?: readonly string[]): Promise<Support[]> {
  const { db } = core;
  const name = { role: { select: { name: true } } };
  const isThere = (scope: string) => scopes === undefined || scopes.includes(scope);
  const assignments = await db.roleAssignment.findMany({
    where: { userId, ...notEnded(core) },
    include: name,
  });
  const own = assignments
    .filter(({ scope }) => isThere(scope))
    .map(({ roleId, scope, role }) => ({ userId, roleId, scope, role: role.name, team: null }));
  const memberships = assignments.flatMap(({ roleId, scope }) => {
    const teamId = teamOf(scope);
    return teamId === null ? [] : [{ memberRoleId: roleId, teamId }];
  });
  if (memberships.length === 0) return own;
  const held = await db.teamAssignment.findMany({
    where: {
      teamId: { in: memberships.map(({ teamId }) => teamId) },
      ...(scopes !== undefined && { scope: { in: [...scopes] } }),
      ...notEnded(core),
    },
    include: name,
  });
  const throughTeams = held.flatMap(({ teamId, roleId, scope, role }) =>
    memberships
      .filter((member) => member.teamId === teamId)
      .map((team) => ({ userId, roleId, scope, role: role.name, team })),
  );
  return [...own, ...throughTeams];
}

function placeOf({ role, scope }: NamedGrant): string {
  return `${scope} ${role}`;
}
