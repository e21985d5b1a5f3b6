import fc from 'fast-check';
import type { Chain } from '../../src/core/access/grants.js';
import type { AssignmentRow, RoleRow } from '../../src/core/access/role-catalog.js';

/** Roles, a tree of scopes and who holds what: small enough that a naive reader can work everything out anew for every question. */
export interface World {
  now: number;
  roles: RoleRow[];
  /** Every scope there is, with its parent (null: directly below `global`). */
  parents: Map<string, string | null>;
  owners: Map<string, string>;
  assignments: (AssignmentRow & { userId: string })[];
  /** What teams hold. */
  teams: (AssignmentRow & { teamId: string })[];
}

export const NOW = Date.parse('2030-01-01T00:00:00.000Z');
export const USERS = ['ada', 'bob', 'cleo', 'dan'];
export const SCOPES = ['org:1', 'org:10', 'team:1', 'team:11', 'project:4', 'project:42', 'project:420'];
export const RIGHTS = [
  'doc:read',
  'doc:edit',
  'doc:page:edit',
  'roles:assign',
  'roles:manage',
  'project:manage',
];
const ENTRIES = [
  ...RIGHTS,
  'project:create',
  'project:delete',
  'team:manage',
  'team:create',
  'doc:*',
  'doc:page:*',
  'roles:*',
  '*',
];
const TYPES = ['global', 'org', 'team', 'project'];

/** An element of a list picked by any number. */
export function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length] as T;
}

const nat = fc.nat(9_999);

const roleParts = fc.record({
  level: fc.option(fc.nat(9), { nil: null, freq: 8 }),
  entries: fc.array(nat, { maxLength: 4 }),
  includes: fc.array(nat, { maxLength: 2 }),
  mayAssign: fc.array(nat, { maxLength: 2 }),
  at: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(15)),
  ownedBy: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, nat),
});

const assignmentParts = fc.record({
  user: nat,
  role: nat,
  scope: nat,
  expires: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, fc.integer({ min: -2, max: 2 })),
});

/** `*` only where `withStar`: a world in which somebody holds everything has little left to take. */
export function worlds(options: { withStar: boolean; withTeams?: boolean }): fc.Arbitrary<World> {
  const entries = options.withStar ? ENTRIES : ENTRIES.filter((entry) => entry !== '*');
  return fc
    .record({
      roles: fc.array(roleParts, { minLength: 3, maxLength: 7 }),
      parents: fc.array(fc.option(nat, { nil: null, freq: 4 }), {
        minLength: SCOPES.length,
        maxLength: SCOPES.length,
      }),
      owners: fc.array(fc.option(nat, { nil: null, freq: 1 }), { maxLength: SCOPES.length }),
      assignments: fc.array(assignmentParts, { maxLength: 10 }),
      teams: fc.array(assignmentParts, { maxLength: options.withTeams === true ? 5 : 0 }),
      // Somebody who can do much somewhere, or most changes would be refused.
      boss: fc.option(fc.record({ scope: nat, entries: fc.array(nat, { maxLength: 3 }) }), { freq: 5 }),
    })
    .map((parts): World => {
      const ids = parts.roles.map((_, index) => `r${index}`);
      const roles = parts.roles.map((role, index): RoleRow => {
        const others = (numbers: readonly number[]) => [
          ...new Set(numbers.map((number) => pick(ids, number))),
        ];
        return {
          id: `r${index}`,
          name: index === 0 ? 'owner' : `role${index}`,
          ownedBy: index === 0 || role.ownedBy === null ? '' : pick(SCOPES, role.ownedBy),
          description: null,
          level: index === 0 ? null : role.level,
          at: index === 0 ? '' : TYPES.filter((_type, bit) => (role.at >> bit) & 1).join(' '),
          origin: 'database',
          permissions: [...new Set(role.entries.map((number) => pick(entries, number)))].map(
            (permission) => ({
              permission,
            }),
          ),
          includes: others(role.includes).map((includedId) => ({ includedId })),
          mayAssign: others(role.mayAssign).map((assignableId) => ({ assignableId })),
        };
      });
      // A parent always stands before its children in the list, so there is no circle.
      const parents = new Map(
        SCOPES.map((scope, index) => {
          const parent = parts.parents[index] ?? null;
          return [scope, parent === null || index === 0 ? null : pick(SCOPES.slice(0, index), parent)];
        }),
      );
      const owners = new Map(
        parts.owners.flatMap((owner, index) =>
          owner === null ? [] : [[SCOPES[index] as string, pick(USERS, owner)] as const],
        ),
      );
      const assignments = new Map(
        parts.assignments.map((entry) => {
          const row = {
            userId: pick(USERS, entry.user),
            roleId: pick(ids, entry.role),
            scope: pick(['global', ...SCOPES], entry.scope),
            expiresAt: entry.expires === null ? null : new Date(NOW + entry.expires * 1000),
          };
          return [`${row.userId} ${row.roleId} ${row.scope}`, row] as const;
        }),
      );
      const teams = new Map(
        parts.teams.map((entry) => {
          const row = {
            teamId: pick(['1', '11'], entry.user),
            roleId: pick(ids, entry.role),
            scope: pick(['global', ...SCOPES], entry.scope),
            expiresAt: entry.expires === null ? null : new Date(NOW + entry.expires * 1000),
          };
          return [`${row.teamId} ${row.roleId} ${row.scope}`, row] as const;
        }),
      );
      const { boss } = parts;
      if (boss !== null) {
        const role = roles[1] as RoleRow;
        role.level = 9;
        role.ownedBy = '';
        role.permissions = [
          ...new Set([
            'roles:*',
            'project:*',
            'team:*',
            ...boss.entries.map((number) => pick(entries, number)),
          ]),
        ].map((permission) => ({ permission }));
        const row = {
          userId: 'ada',
          roleId: role.id,
          scope: pick(['global', ...SCOPES], boss.scope),
          expiresAt: null,
        };
        assignments.set(`${row.userId} ${row.roleId} ${row.scope}`, row);
      }
      return {
        now: NOW,
        roles,
        parents,
        owners,
        assignments: [...assignments.values()],
        teams: [...teams.values()],
      };
    });
}

/** The chain of a scope, worked out from the parents alone. */
export function chainIn(world: Pick<World, 'parents' | 'owners'>, scope: string): Chain {
  const scopes: string[] = [];
  for (
    let next: string | null = scope;
    next !== null && next !== 'global';
    next = world.parents.get(next) ?? null
  )
    scopes.push(next);
  return {
    scopes: [...scopes, 'global'],
    owners: [...scopes.map((each) => world.owners.get(each) ?? null), null],
  };
}

/** A role and everything it includes, at any depth; a scope's own roles, and what only they include, as far as `above` has the scope. */
export function closureIn(
  world: Pick<World, 'roles'>,
  id: string,
  above: readonly string[] = SCOPES,
  seen: readonly string[] = [],
): RoleRow[] {
  const role = world.roles.find((row) => row.id === id);
  if (role === undefined || seen.includes(id)) return [];
  if (role.ownedBy !== '' && !above.includes(role.ownedBy)) return [];
  const included = role.includes.flatMap(({ includedId }) =>
    closureIn(world, includedId, above, [...seen, id]),
  );
  return [...new Set([role, ...included])];
}

/** Whether an entry of a role covers a permission, read aloud: by name, by `*`, or by a pattern of whole segments. */
function covers(entry: string, permission: string): boolean {
  if (entry === '*' || entry === permission) return true;
  const words = entry.split(':');
  const asked = permission.split(':');
  return (
    words.at(-1) === '*' &&
    asked.length >= words.length &&
    words.slice(0, -1).every((word, index) => word === asked[index])
  );
}

/** The roles held at exactly one scope: assigned and not over, held by a team that the person is in, or by owning. */
export function heldAt(world: World, userId: string, scope: string): string[] {
  const counts = (row: AssignmentRow) => row.expiresAt === null || row.expiresAt.getTime() > world.now;
  const own = world.assignments.filter((row) => row.userId === userId && counts(row));
  const isIn = (teamId: string) => own.some((row) => row.scope === `team:${teamId}`);
  const assigned = [...own, ...world.teams.filter((row) => counts(row) && isIn(row.teamId))]
    .filter((row) => row.scope === scope)
    .map((row) => row.roleId);
  return world.owners.get(scope) === userId ? [...assigned, 'r0'] : assigned;
}

/** The roles that count for somebody at a scope: held there or above, with all that they include. */
export function rolesAlong(world: World, userId: string, scope: string): RoleRow[] {
  return chainIn(world, scope).scopes.flatMap((each) => {
    const above = chainIn(world, each).scopes;
    return heldAt(world, userId, each).flatMap((roleId) => closureIn(world, roleId, above));
  });
}

/** The rank to act with at a scope, as access.md words it: the highest level held there or above, included roles counted. */
export function rankIn(world: World, userId: string, scope: string): number {
  return Math.max(-1, ...rolesAlong(world, userId, scope).map(({ level }) => level ?? -1));
}

/** The decision as access.md words it. */
export function oracle(world: World, userId: string, permission: string, scope: string): boolean {
  return rolesAlong(world, userId, scope).some((role) =>
    role.permissions.some((entry) => covers(entry.permission, permission)),
  );
}
