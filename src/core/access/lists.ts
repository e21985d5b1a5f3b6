import { misconfigured } from '../../errors.js';
import { type Page, type PageQuery, pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';
import { type PublicUser, publicUser } from '../user.js';
import { type Chain, GLOBAL_CHAIN, type Grants } from './grants.js';
import { idReaders } from './host-ids.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { isPermissionName, parseScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';
import { scopeOfTeam } from './team-holdings.js';

/** What the lists are made from. */
export interface ListCore extends Runtime {
  readonly scopeTree: ScopeTree;
}

const CHUNK = 500; // ids in one query

/** {@link Access.scopesWith} @param grants what the user holds; null for a user who is unknown, suspended or deleted */
export async function scopesWith(
  core: ListCore,
  grants: Grants | null,
  permission: string,
  options: { type?: string },
): Promise<{ all: true } | { all: false; scopes: string[] }> {
  const granted = grants === null ? [] : await grantedScopes(core, permission, grants);
  if (granted === 'all') return { all: true };
  const isWanted = (scope: string) => options.type === undefined || parseScope(scope)?.type === options.type;
  return { all: false, scopes: granted.filter(isWanted).sort() };
}

/** {@link Access.whereFor} @param grants what the user holds; null for a user who is unknown, suspended or deleted */
export async function whereFor(
  core: ListCore,
  grants: Grants | null,
  permission: string,
  columns: Readonly<Record<string, string>>,
  options: { model?: string } = {},
): Promise<object> {
  const [anyColumn] = Object.values(columns);
  if (anyColumn === undefined)
    throw misconfigured("whereFor needs at least one column, such as { project: 'id' }");
  const readers = idReaders(core, Object.values(columns), options);
  // Not `OR: []`: inside an AND of the host's, Prisma drops that, and every row would match.
  const nothing = { [anyColumn]: { in: [] } };
  if (grants === null) return nothing;
  const granted = await grantedScopes(core, permission, grants);
  if (granted === 'all') return {};
  const idsByColumn = new Map<string, Set<unknown>>();
  const place = (column: string, text: string) => {
    const id = readers.get(column)?.(text);
    if (id !== undefined) idsByColumn.set(column, (idsByColumn.get(column) ?? new Set()).add(id));
  };
  const columnOf = new Map(Object.entries(columns).filter(([type]) => type !== 'owner'));
  for (const { type, id } of await reachableScopes(core, granted, columnOf)) {
    const column = columnOf.get(type);
    if (column !== undefined) place(column, id);
  }
  if (columns.owner !== undefined && isPermissionName(permission) && grants.catalog.owner.allows(permission))
    place(columns.owner, grants.userId);
  return idsByColumn.size === 0
    ? nothing
    : { OR: [...idsByColumn].map(([column, ids]) => ({ [column]: { in: [...ids] } })) };
}

/** {@link Access.usersWith} */
export async function usersWith(
  core: ListCore,
  catalog: RoleCatalog,
  permission: string,
  scope: string,
  query: PageQuery,
): Promise<Page<PublicUser>> {
  const chain = isPermissionName(permission) ? await core.scopeTree.chainOf(scope, { fresh: true }) : null;
  if (chain === null) return { items: [], nextCursor: null };
  const roles = [...catalog.all()].filter((role) => catalog.setOf([role.id]).allows(permission));
  if (roles.length === 0) return { items: [], nextCursor: null }; // an empty OR would be no condition at all
  const placesOf = (role: CompiledRole) =>
    chain.scopes.filter((_scope, index) =>
      catalog.within(catalog.setOf([role.id]), chain.scopes.slice(index)).allows(permission),
    );
  const owners = catalog.owner.allows(permission) ? chain.owners.filter((id) => id !== null) : [];
  const held = { OR: roles.map((role) => ({ roleId: role.id, scope: { in: placesOf(role) } })) };
  return activeUsers(core, { OR: [{ id: { in: owners } }, ...(await holding(core, held))] }, query);
}

/** {@link Access.holdersOf} */
export async function holdersOf(
  core: ListCore,
  roleId: string,
  scope: string,
  query: PageQuery,
): Promise<Page<PublicUser>> {
  return activeUsers(core, { OR: await holding(core, { roleId, scope }) }, query);
}

/** The conditions of users who hold such a role: themselves, or by being in a team that holds it. */
async function holding(core: ListCore, held: object): Promise<object[]> {
  const counts = notEnded(core);
  const rows = await core.db.teamAssignment.findMany({
    where: { AND: [held, counts] },
    distinct: ['teamId'],
    select: { teamId: true },
  });
  const teams = rows.map(({ teamId }) => scopeOfTeam(teamId));
  return [
    { assignments: { some: { AND: [held, counts] } } },
    { assignments: { some: { scope: { in: teams }, ...counts } } },
  ];
}

/** The condition of an assignment that counts now. */
export function notEnded({ now }: Pick<Runtime, 'now'>) {
  return { OR: [{ expiresAt: null }, { expiresAt: { gt: now() } }] };
}

async function activeUsers(core: ListCore, condition: object, query: PageQuery): Promise<Page<PublicUser>> {
  const now = core.now();
  return pageOf(query, async ({ take, after }) => {
    const rows = await core.db.user.findMany({
      where: {
        deletedAt: null,
        ...(after !== null && { id: { gt: after } }),
        AND: [{ OR: [{ suspendedAt: null }, { suspendedUntil: { lte: now } }] }, condition],
      },
      orderBy: { id: 'asc' },
      take,
    });
    return rows.map(publicUser);
  });
}

/** The scopes at which a permission was given, by an assignment or by owning them; not those below. */
async function grantedScopes(core: ListCore, permission: string, grants: Grants): Promise<'all' | string[]> {
  if (!isPermissionName(permission)) return [];
  if (grants.allow(permission, GLOBAL_CHAIN)) return 'all';
  const granted: string[] = [];
  for (const scope of grants.scopes) {
    const set = grants.at(scope);
    if (set === undefined || !set.allows(permission)) continue;
    const chain: Chain | null | undefined =
      set.owners.length > 0 ? await core.scopeTree.chainOf(scope, { fresh: true }) : undefined;
    if (chain === undefined || (chain !== null && grants.heldAt(chain, 0)?.allows(permission)))
      granted.push(scope);
  }
  if (!grants.catalog.owner.allows(permission)) return granted;
  const owned = await core.db.scopeNode.findMany({ where: { ownerId: grants.userId }, select: { id: true } });
  return [...new Set([...granted, ...owned.map((node) => node.id)])];
}

/** The granted scopes and the registered ones below them, leaving out what a column of another type covers already. */
async function reachableScopes(
  core: ListCore,
  granted: readonly string[],
  columnOf: ReadonlyMap<string, string>,
): Promise<{ type: string; id: string }[]> {
  const reached: { type: string; id: string }[] = [];
  const seen = new Set<string>();
  let level = granted.map((scope) => ({ scope, coveredBy: null as string | null }));
  while (level.length > 0) {
    const parents = new Map<string, string | null>();
    for (const { scope, coveredBy } of level) {
      const name = parseScope(scope);
      if (name === null || seen.has(scope)) continue;
      seen.add(scope);
      const isColumn = columnOf.has(name.type);
      if (isColumn && (coveredBy === null || coveredBy === name.type)) reached.push(name);
      parents.set(scope, isColumn ? (coveredBy ?? name.type) : coveredBy);
    }
    const children = await childrenOf(core, [...parents.keys()]);
    level = children.map(({ id, parentId }) => ({ scope: id, coveredBy: parents.get(parentId) ?? null }));
  }
  return reached;
}

/** The registered scopes directly below any of these. */
export async function childrenOf(
  { db }: Pick<Runtime, 'db'>,
  parents: readonly string[],
): Promise<{ id: string; parentId: string }[]> {
  const found: { id: string; parentId: string }[] = [];
  for (let begin = 0; begin < parents.length; begin += CHUNK) {
    const rows = await db.scopeNode.findMany({
      where: { parentId: { in: parents.slice(begin, begin + CHUNK) } },
      select: { id: true, parentId: true },
    });
    for (const { id, parentId } of rows) if (parentId !== null) found.push({ id, parentId });
  }
  return found;
}
