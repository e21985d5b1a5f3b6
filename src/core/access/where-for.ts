import { misconfigured } from '../../errors.js';
import { requireKnownFields } from '../refusals.js';
import type { Grants } from './grants.js';
import { idReaders } from './host-ids.js';
import { childrenOf, grantedScopes, type ListCore, notEnded } from './lists.js';
import { holds } from './role-catalog.js';
import { isPermissionName, parseScope } from './scope-name.js';
import { teamOf } from './team-holdings.js';

/**
 * The column of a host's table that holds the id of a scope.
 *
 * With `through`, the relation that leads from a row to the rows of a view over the assignments, by way of other relations where it has dots:
 * then the database finds the scopes at which something was given, and the filter has the same size for one of them as for a hundred thousand.
 */
export type ScopeColumn = string | { readonly column: string; readonly through: string };

interface Place {
  column: string;
  through: string | null;
}

/** {@link Access.whereFor} @param grants what the user holds; null for a user who is unknown, suspended or deleted */
export async function whereFor(
  core: ListCore,
  grants: Grants | null,
  permission: string,
  columns: Readonly<Record<string, ScopeColumn>>,
  options: { model?: string } = {},
): Promise<object> {
  const { owner, ...places } = Object.fromEntries(
    Object.entries(columns).map(([type, place]) => [type, placeOf(place, type)]),
  );
  const names = [...Object.values(places), ...(owner === undefined ? [] : [owner])].map(
    ({ column }) => column,
  );
  const [anyColumn] = names;
  if (anyColumn === undefined)
    throw misconfigured("whereFor needs at least one column, such as { project: 'id' }");
  if (owner !== undefined && owner.through !== null)
    throw misconfigured('whereFor: owner is a column of user ids and takes no `through`');
  const readers = idReaders(core, names, options);
  // Not `OR: []`: inside an AND of the host's, Prisma drops that, and every row would match.
  const nothing = { [anyColumn]: { in: [] } };
  if (grants === null || !isPermissionName(permission)) return nothing;
  const given = await grantedScopes(core, permission, grants);
  if (given === 'all') return {};

  const idsByColumn = new Map<string, Set<unknown>>();
  const place = (column: string, text: string) => {
    const id = readers.get(column)?.(text);
    if (id !== undefined) idsByColumn.set(column, (idsByColumn.get(column) ?? new Set()).add(id));
  };
  const mayOwn = grants.catalog.owner.allows(permission);
  const columnOf = new Map(Object.entries(places));
  for (const { type, id, isGiven } of await reachableScopes(core, given.granted, columnOf)) {
    const { column, through } = columnOf.get(type) as Place;
    if (!isGiven || through === null) place(column, id);
  }
  if (owner !== undefined && mayOwn) place(owner.column, grants.userId);

  const joined = await Promise.all(
    [...columnOf].map(([type, { column, through }]) => {
      const exceptions = namesOf(type, given.uncounted).flatMap((id) => readers.get(column)?.(id) ?? []);
      return through === null
        ? []
        : heldThrough(core, { grants, permission, mayOwn }, { type, column, through }, exceptions);
    }),
  );
  const conditions = [
    ...[...idsByColumn].map(([column, ids]) => ({ [column]: { in: [...ids] } })),
    ...joined.flat(),
  ];
  return conditions.length === 0 ? nothing : { OR: conditions };
}

function placeOf(place: ScopeColumn, type: string): Place {
  if (typeof place === 'string') return { column: place, through: null };
  requireKnownFields(place, ['column', 'through'], `columns.${type}`);
  return place;
}

/** The ids of the scopes of one type. */
function namesOf(type: string, scopes: readonly string[]): string[] {
  return scopes.flatMap((scope) => {
    const name = parseScope(scope);
    return name?.type === type ? [name.id] : [];
  });
}

/** The conditions of rows at whose scope of this type something is given: to the user, to a team of theirs, or by owning it. */
async function heldThrough(
  core: ListCore,
  { grants, permission, mayOwn }: { grants: Grants; permission: string; mayOwn: boolean },
  { type, column, through }: { type: string; column: string; through: string },
  exceptions: readonly unknown[],
): Promise<object[]> {
  const { userId } = grants;
  const giving = new Set<string>();
  for (const scope of grants.scopes)
    if (scope.startsWith(`${type}:`))
      for (const role of grants.at(scope)?.roles ?? [])
        if (holds(role.permissions, permission)) giving.add(role.id);
  const along = (condition: object) =>
    through.split('.').reduceRight<object>((inner, relation) => ({ [relation]: inner }), { some: condition });
  // One condition for each kind of holder: with all of them in one, the database could use no index.
  const byOwning = mayOwn ? [along({ userId, roleId: null })] : [];
  if (giving.size === 0) return byOwning;
  const held = { roleId: { in: [...giving].sort() }, ...notEnded(core) };
  const teams = await teamsOf(core, userId);
  const byHolding = [
    along({ userId, ...held }),
    ...(teams.length === 0 ? [] : [along({ teamId: { in: teams }, ...held })]),
  ];
  return [
    ...(exceptions.length === 0
      ? byHolding
      : [{ AND: [{ OR: byHolding }, { [column]: { notIn: [...exceptions] } }] }]),
    ...byOwning,
  ];
}

/** The ids of the teams that a person is in now. */
async function teamsOf(core: ListCore, userId: string): Promise<string[]> {
  const rows = await core.db.roleAssignment.findMany({
    where: { userId, scope: { startsWith: 'team:' }, ...notEnded(core) },
    distinct: ['scope'],
    select: { scope: true },
  });
  return rows.flatMap(({ scope }) => teamOf(scope) ?? []);
}

/** The given scopes and the registered ones below them, leaving out what a column of another type covers already. */
async function reachableScopes(
  core: ListCore,
  given: readonly string[],
  columnOf: ReadonlyMap<string, unknown>,
): Promise<{ type: string; id: string; isGiven: boolean }[]> {
  const reached: { type: string; id: string; isGiven: boolean }[] = [];
  const seen = new Set<string>();
  let level = given.map((scope) => ({ scope, coveredBy: null as string | null }));
  for (let isGiven = true; level.length > 0; isGiven = false) {
    const parents = new Map<string, string | null>();
    for (const { scope, coveredBy } of level) {
      const name = parseScope(scope);
      if (name === null || seen.has(scope)) continue;
      seen.add(scope);
      const isColumn = columnOf.has(name.type);
      if (isColumn && (coveredBy === null || coveredBy === name.type)) reached.push({ ...name, isGiven });
      parents.set(scope, isColumn ? (coveredBy ?? name.type) : coveredBy);
    }
    const children = await childrenOf(core, [...parents.keys()]);
    level = children.map(({ id, parentId }) => ({ scope: id, coveredBy: parents.get(parentId) ?? null }));
  }
  return reached;
}
