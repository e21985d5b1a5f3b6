import { notBefore, type Page, pageOf } from '../page.js';
import { invalid } from '../refusals.js';
import type { UserRow } from '../user.js';
import type { UserCore } from './user-core.js';

export interface UserQuery {
  /** Part of an address or username, at most 64 characters; `_` also finds any other character in its place. */
  search?: string;
  /** Only people who hold this role, at `scope` or anywhere. */
  role?: string;
  scope?: string;
  /** Default `person`: accounts for programs are no people. */
  kind?: 'person' | 'service';
  status?: 'active' | 'suspended' | 'deleted';
  cursor?: string;
  /** 1 to 100, default 50. */
  limit?: number;
}

export const USER_QUERY_FIELDS = ['search', 'role', 'scope', 'kind', 'status', 'cursor', 'limit'];

const MAX_SEARCH = 64;

/** {@link UserManager.list} */
export async function listUsers(core: UserCore, query: UserQuery): Promise<Page<UserRow>> {
  const { search } = query;
  if (search !== undefined && search.length > MAX_SEARCH)
    throw invalid('search', 'too_long', `must have at most ${MAX_SEARCH} characters`);
  // No address or username contains these characters, and LIKE would read them as wildcards.
  if (search !== undefined && /[%\\]/.test(search)) return { items: [], nextCursor: null };
  const where = {
    kind: query.kind ?? 'person',
    AND: [
      withStatus(query.status, core.now()),
      search === undefined ? {} : matching(search),
      query.role === undefined && query.scope === undefined ? {} : await holding(core, query),
    ],
  };
  return pageOf(query, async ({ take, after }) => {
    const last = after === null ? undefined : await core.db.user.findUnique({ where: { id: after } });
    return core.db.user.findMany({
      where: { AND: [where, notBefore('createdAt', last)] },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take,
    });
  });
}

function withStatus(status: UserQuery['status'], now: Date) {
  const suspended = {
    suspendedAt: { not: null },
    OR: [{ suspendedUntil: null }, { suspendedUntil: { gt: now } }],
  };
  return {
    deletedAt: status === 'deleted' ? { not: null } : null,
    ...(status === 'suspended' && suspended),
    ...(status === 'active' && { NOT: suspended }),
  };
}

function matching(search: string) {
  const part = { contains: search.toLowerCase() };
  return { OR: [{ email: part }, { username: part }] };
}

/** Users with an assignment that has not expired: of this role, at this scope, or both. */
async function holding(core: UserCore, { role, scope }: UserQuery) {
  const named = role === undefined ? [] : [...(await core.roleStore.current()).all()];
  const roleIds = named.filter(({ name }) => name === role).map(({ id }) => id);
  const held = {
    ...(role !== undefined && { roleId: { in: roleIds } }),
    ...(scope !== undefined && { scope }),
    OR: [{ expiresAt: null }, { expiresAt: { gt: core.now() } }],
  };
  return { assignments: { some: held } };
}
