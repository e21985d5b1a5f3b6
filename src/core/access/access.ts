import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError, misconfigured } from '../../errors.js';
import { type Page, type PageQuery, pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';
import type { PublicUser } from '../user.js';
import { isActive, publicUser } from '../user.js';
import { mayLetIn } from './delegation.js';
import { type Chain, GLOBAL_CHAIN, Grants } from './grants.js';
import { type AssignmentRow, type CompiledRole, holds } from './role-catalog.js';
import type { RoleStore } from './role-store.js';
import { isPermissionName, isScope, parseScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';

/** Why a decision is what it is; replaying it gives the same answer. */
export interface Explanation {
  allowed: boolean;
  /** The scopes that were looked at, from the one asked about up to `global`. */
  chain: string[];
  /** The roles that say yes, and where they are held. */
  grants: { role: string; scope: string; through: 'assignment' | 'ownership' }[];
  /** One sentence. */
  reason: string;
}

/**
 * The one decision, and every question that follows from it.
 *
 * `can` is true exactly when some unexpired assignment or ownership of the user, at the scope, at one of its ancestors or at `global`,
 * has a role that contains the permission. Unknown or suspended users, malformed names and circles are denied.
 * A database or resolver that fails is `unavailable`, never yes.
 */
export class Access {
  readonly #runtime: Runtime;
  readonly #roles: RoleStore;
  readonly #scopes: ScopeTree;

  constructor(runtime: Runtime, roles: RoleStore, scopes: ScopeTree) {
    this.#runtime = runtime;
    this.#roles = roles;
    this.#scopes = scopes;
  }

  async can(userId: string, permission: string, scope = 'global'): Promise<boolean> {
    const [answer] = await this.canAll(userId, [{ permission, scope }]);
    return answer === true;
  }

  /** Many decisions with one load; the answers stand in the order of the questions. */
  async canAll(
    userId: string,
    checks: readonly { permission: string; scope?: string }[],
  ): Promise<boolean[]> {
    const grants = await this.grantsOf(userId);
    return Promise.all(
      checks.map(async ({ permission, scope = 'global' }) => {
        const chain =
          grants === null || !isPermissionName(permission)
            ? null
            : await this.#scopes.chainOf(scope, { fresh: true });
        return grants !== null && chain !== null && grants.allow(permission, chain);
      }),
    );
  }

  /** Whether the user holds the role at the scope or above it; an included role counts as held. */
  async hasRole(userId: string, role: string, scope = 'global'): Promise<boolean> {
    const grants = await this.grantsOf(userId);
    const chain = grants === null ? null : await this.#scopes.chainOf(scope, { fresh: true });
    return grants !== null && chain !== null && grants.holdsRole(role, chain);
  }

  /** @throws AuthTunaError `unauthenticated` for an actor without a user; `forbidden` when the permission is not held */
  async require(actor: Actor, permission: string, scope = 'global'): Promise<void> {
    if (isSystem(actor)) return;
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    if (!(await this.can(actor.userId, permission, scope))) throw new AuthTunaError('forbidden');
  }

  /** How the decision comes about. */
  async explain(userId: string, permission: string, scope = 'global'): Promise<Explanation> {
    const denied = (reason: string, chain: string[] = []): Explanation => ({
      allowed: false,
      chain,
      grants: [],
      reason,
    });
    if (!isPermissionName(permission))
      return denied(`${permission} is not the name of a permission, such as project:read.`);
    if (!isScope(scope)) return denied(`${scope} is not a scope, such as project:42.`);
    const grants = await this.grantsOf(userId);
    if (grants === null) return denied('There is no such user, or the account is suspended or deleted.');
    const chain = await this.#scopes.chainOf(scope, { fresh: true });
    if (chain === null) return denied(`The scopes above ${scope} form a circle or are too deep.`);
    const found = saying(grants, permission, chain);
    const scopes = [...chain.scopes];
    const first = found[0];
    if (first === undefined)
      return denied(`No role held at ${scopes.join(', ')} contains ${permission}.`, scopes);
    const how = first.through === 'ownership' ? 'by owning' : 'at';
    return {
      allowed: true,
      chain: scopes,
      grants: found,
      reason: `The role ${first.role}, held ${how} ${first.scope}, contains ${permission}.`,
    };
  }

  /** The scopes at which the permission was given to the user, not those below them; everything when it holds at `global`. */
  async scopesWith(
    userId: string,
    permission: string,
    options: { type?: string } = {},
  ): Promise<{ all: true } | { all: false; scopes: string[] }> {
    const granted = await this.#grantedScopes(userId, permission);
    if (granted === 'all') return { all: true };
    return {
      all: false,
      scopes: granted
        .filter((scope) => options.type === undefined || parseScope(scope)?.type === options.type)
        .sort(),
    };
  }

  /**
   * A Prisma `where` for a table of the host: the rows for which `can` says yes.
   *
   * `columns` says which column holds the id of which scope type, `owner` the one with the owner's user id:
   * `{ project: 'id', org: 'orgId', owner: 'ownerId' }`. `{}` when the permission holds everywhere; a filter that matches no row when nowhere.
   * It may be combined with the host's own conditions in any way.
   * @throws AuthTunaError `misconfigured` without a column
   */
  async whereFor(
    userId: string,
    permission: string,
    columns: Readonly<Record<string, string>>,
  ): Promise<object> {
    const [anyColumn] = Object.values(columns);
    if (anyColumn === undefined)
      throw misconfigured("whereFor needs at least one column, such as { project: 'id' }");
    // Not `OR: []`: inside an AND of the host's, Prisma drops that, and every row would match.
    const nothing = { [anyColumn]: { in: [] } };
    const grants = isPermissionName(permission) ? await this.grantsOf(userId) : null;
    if (grants === null) return nothing;
    const granted = await this.#grantedScopes(userId, permission, grants);
    if (granted === 'all') return {};
    const idsByColumn = new Map<string, Set<string>>();
    const place = (column: string, id: string) =>
      idsByColumn.set(column, (idsByColumn.get(column) ?? new Set()).add(id));
    const columnOf = new Map(Object.entries(columns).filter(([type]) => type !== 'owner'));
    for (const { type, id } of await this.#reachableScopes(granted, columnOf)) {
      const column = columnOf.get(type);
      if (column !== undefined) place(column, id);
    }
    const owner = grants.catalog.find('owner');
    if (columns.owner !== undefined && owner !== null && grants.catalog.setOf([owner.id]).allows(permission))
      place(columns.owner, userId);
    return idsByColumn.size === 0
      ? nothing
      : { OR: [...idsByColumn].map(([column, ids]) => ({ [column]: { in: [...ids] } })) };
  }

  /** Who holds the permission at the scope, ordered by id. */
  async usersWith(permission: string, scope: string, query: PageQuery = {}): Promise<Page<PublicUser>> {
    const chain = isPermissionName(permission) ? await this.#scopes.chainOf(scope, { fresh: true }) : null;
    if (chain === null) return { items: [], nextCursor: null };
    const catalog = await this.#roles.current();
    const roles = [...catalog.all()].filter((role) => catalog.setOf([role.id]).allows(permission));
    if (roles.length === 0) return { items: [], nextCursor: null }; // an empty OR would be no condition at all
    const placesOf = (role: CompiledRole) =>
      chain.scopes.filter((_scope, index) =>
        catalog.within(catalog.setOf([role.id]), chain.scopes.slice(index)).allows(permission),
      );
    const owners = roles.some((role) => role === catalog.find('owner'))
      ? chain.owners.filter((id) => id !== null)
      : [];
    const now = this.#runtime.now();
    return this.#usersWhere(
      {
        OR: [
          { id: { in: owners } },
          {
            assignments: {
              some: {
                AND: [
                  { OR: roles.map((role) => ({ roleId: role.id, scope: { in: placesOf(role) } })) },
                  { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
                ],
              },
            },
          },
        ],
      },
      query,
    );
  }

  /** @internal Who holds a role exactly at a scope. */
  async holdersOf(roleId: string, scope: string, query: PageQuery): Promise<Page<PublicUser>> {
    const now = this.#runtime.now();
    return this.#usersWhere(
      { assignments: { some: { roleId, scope, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] } } },
      query,
    );
  }

  async #usersWhere(condition: object, query: PageQuery): Promise<Page<PublicUser>> {
    const now = this.#runtime.now();
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#runtime.db.user.findMany({
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

  /** What a user has been given, as of now; null for one who is unknown, suspended or deleted. */
  async grantsOf(userId: string): Promise<Grants | null> {
    const [user, catalog] = await Promise.all([
      this.#runtime.db.user.findUnique({
        where: { id: userId },
        include: { assignments: { select: { roleId: true, scope: true, expiresAt: true } } },
      }),
      this.#roles.current(),
    ]);
    const now = this.#runtime.now();
    return user === null || !isActive(user, now)
      ? null
      : new Grants(userId, user.assignments, catalog, now.getTime());
  }

  /** As `grantsOf`, but also for people who are suspended: their standing still counts when somebody acts upon them. */
  async standingOf(userId: string): Promise<Grants> {
    const [assignments, catalog] = await Promise.all([
      this.#runtime.db.roleAssignment.findMany({ where: { userId } }) as Promise<AssignmentRow[]>,
      this.#roles.current(),
    ]);
    return new Grants(userId, assignments, catalog, this.#runtime.now().getTime());
  }

  /**
   * Checks that an actor may act upon a person: the permission, and a rank at `global` above every rank they hold anywhere.
   *
   * @throws AuthTunaError `unauthenticated`, `forbidden`
   */
  async requireAbove(actor: Actor, targetId: string, permission: string): Promise<void> {
    if (isSystem(actor)) return;
    await this.require(actor, permission);
    const grants = actor.userId === null ? null : await this.grantsOf(actor.userId);
    if (
      grants === null ||
      actor.userId === targetId ||
      grants.levelAlong(GLOBAL_CHAIN) <= (await this.standingOf(targetId)).highestLevel
    )
      throw new AuthTunaError('forbidden');
  }

  /**
   * @internal Checks that a scope may be hung below `above`: whoever holds something there comes to hold it here, so the actor must hold all of it here
   * already.
   */
  async requireMayLetIn(actor: Actor, chain: Chain, above: Chain): Promise<void> {
    if (isSystem(actor)) return;
    const grants = actor.userId === null ? null : await this.grantsOf(actor.userId);
    if (grants === null) throw new AuthTunaError('forbidden');
    const gained = above.scopes.filter((scope) => !chain.scopes.includes(scope));
    const assigned = await this.#runtime.db.roleAssignment.findMany({
      where: { scope: { in: gained } },
      distinct: ['roleId'],
      select: { roleId: true },
    });
    const isOwned = above.owners.some(
      (owner, index) => owner !== null && gained.includes(above.scopes[index] as string),
    );
    const ids = new Set(assigned.map(({ roleId }) => roleId));
    const owner = grants.catalog.find('owner');
    const arriving = [...grants.catalog.all()].filter(
      (role) =>
        ids.has(role.id) ||
        (isOwned && role === owner) ||
        // Assignments that stopped counting when the scope was taken away from below their role's owner count again.
        role.owners.some((scope) => gained.includes(scope)),
    );
    if (!mayLetIn(grants, arriving, chain)) throw new AuthTunaError('forbidden');
  }

  async #grantedScopes(userId: string, permission: string, known?: Grants): Promise<'all' | string[]> {
    if (!isPermissionName(permission)) return [];
    const grants = known ?? (await this.grantsOf(userId));
    if (grants === null) return [];
    if (grants.allow(permission, GLOBAL_CHAIN)) return 'all';
    const granted: string[] = [];
    for (const scope of grants.scopes) {
      const set = grants.at(scope);
      if (set === undefined || !set.allows(permission)) continue;
      const chain: Chain | null | undefined =
        set.owners.length > 0 ? await this.#scopes.chainOf(scope, { fresh: true }) : undefined;
      if (chain === undefined || (chain !== null && grants.heldAt(chain, 0)?.allows(permission)))
        granted.push(scope);
    }
    const owner = grants.catalog.find('owner');
    if (owner === null || !grants.catalog.setOf([owner.id]).allows(permission)) return granted;
    const owned = await this.#runtime.db.scopeNode.findMany({
      where: { ownerId: userId },
      select: { id: true },
    });
    return [...new Set([...granted, ...owned.map((node) => node.id)])];
  }

  /** The granted scopes and the registered ones below them, leaving out what a column of another type covers already. */
  async #reachableScopes(
    granted: readonly string[],
    columnOf: ReadonlyMap<string, string>,
  ): Promise<{ type: string; id: string }[]> {
    const reached: { type: string; id: string }[] = [];
    const seen = new Set<string>();
    let level = granted.map((scope) => ({ scope, coveredBy: null as string | null }));
    while (level.length > 0) {
      const next: typeof level = [];
      const parents = new Map<string, string | null>();
      for (const { scope, coveredBy } of level) {
        const name = parseScope(scope);
        if (name === null || seen.has(scope)) continue;
        seen.add(scope);
        const isColumn = columnOf.has(name.type);
        if (isColumn && (coveredBy === null || coveredBy === name.type)) reached.push(name);
        parents.set(scope, isColumn ? (coveredBy ?? name.type) : coveredBy);
      }
      for (const chunk of chunks([...parents.keys()], 500)) {
        const children = await this.#runtime.db.scopeNode.findMany({
          where: { parentId: { in: chunk } },
          select: { id: true, parentId: true },
        });
        next.push(
          ...children.map((child) => ({
            scope: child.id,
            coveredBy: parents.get(child.parentId ?? '') ?? null,
          })),
        );
      }
      level = next;
    }
    return reached;
  }
}

function saying(grants: Grants, permission: string, chain: Chain): Explanation['grants'] {
  return chain.scopes.flatMap((scope, index) => {
    const assigned = (grants.heldAt(chain, index)?.roles ?? [])
      .filter((role) => holds(role.permissions, permission))
      .map((role) => ({ role: role.name, scope, through: 'assignment' as const }));
    const owns = chain.owners[index] === grants.userId && grants.catalog.owner.allows(permission);
    return owns ? [...assigned, { role: 'owner', scope, through: 'ownership' as const }] : assigned;
  });
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
