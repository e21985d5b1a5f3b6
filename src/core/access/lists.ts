import { type Page, type PageQuery, pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';
import { type PublicUser, publicUser } from '../user.js';
import { GLOBAL_CHAIN, type Grants } from './grants.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { isPermissionName, parseScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';
import { scopeOfTeam } from './team-holdings.js';

/** What the lists are made from. */
export interface ListCore extends Runtime {
  readonly scopeTree: ScopeTree;
}

const CHUNK = 5000; // ids in one query

/** {@link Access.scopesWith} @param grants what the user holds; null for a user who is unknown, suspended or deleted */
export async function scopesWith(
  core: ListCore,
  grants: Grants | null,
  permission: string,
  options: { type?: string },
): Promise<{ all: true } | { all: false; scopes: string[] }> {
  const given = grants === null ? { granted: [] } : await grantedScopes(core, permission, grants);
  if (given === 'all') return { all: true };
  const isWanted = (scope: string) => options.type === undefined || parseScope(scope)?.type === options.type;
  return { all: false, scopes: given.granted.filter(isWanted).sort() };
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
  const roles = catalog.visibleAt(chain.scopes).filter((role) => catalog.setOf([role.id]).allows(permission));
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

/**
 * The scopes at which a permission was given, by an assignment or by owning them, not those below; `all` when it was given at `global`.
 *
 * `uncounted` are scopes with an assigned role that would give it, but that counts only elsewhere.
 */
export async function grantedScopes(
  core: ListCore,
  permission: string,
  grants: Grants,
): Promise<'all' | { granted: string[]; uncounted: string[] }> {
  if (!isPermissionName(permission)) return { granted: [], uncounted: [] };
  if (grants.allow(permission, GLOBAL_CHAIN)) return 'all';
  const giving = grants.scopes.filter((scope) => grants.at(scope)?.allows(permission) === true);
  const counts = await Promise.all(
    giving.map(async (scope) => {
      if (grants.at(scope)?.owners.length === 0) return true;
      const chain = await core.scopeTree.chainOf(scope, { fresh: true });
      return chain !== null && grants.heldAt(chain, 0)?.allows(permission) === true;
    }),
  );
  const owned = grants.catalog.owner.allows(permission)
    ? await core.db.scopeNode.findMany({ where: { ownerId: grants.userId }, select: { id: true } })
    : [];
  return {
    granted: [...new Set([...giving.filter((_scope, index) => counts[index]), ...owned.map(({ id }) => id)])],
    uncounted: giving.filter((_scope, index) => !counts[index]),
  };
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
