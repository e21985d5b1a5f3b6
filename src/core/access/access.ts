import { type Actor, isSystem, requireUnrestricted } from '../../actor.js';
import type { Checked } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import { PAGE_FIELDS, type Page, type PageQuery } from '../page.js';
import { requireKnownFields } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { isActive, type PublicUser } from '../user.js';
import { credentialOf } from './credential.js';
import { outranksEverywhere } from './delegation.js';
import { type Explanation, explain } from './explain.js';
import { Grants } from './grants.js';
import { holdersOf, type ListCore, scopesWith, usersWith } from './lists.js';
import type { AssignmentRow } from './role-catalog.js';
import type { RoleStore } from './role-store.js';
import { isPermissionName } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';
import { TeamHoldings, withTeams } from './team-holdings.js';
import { type ScopeColumn, whereFor } from './where-for.js';

export type { Explanation } from './explain.js';
export type { ScopeColumn } from './where-for.js';

/**
 * The one decision, and every question that follows from it.
 *
 * `can` is true exactly when the user holds a role with the permission at the scope, at one of its ancestors or at `global`: by an
 * assignment that has not expired, through a team, or as the owner of the scope. Unknown or suspended users, malformed names and circles are denied.
 * A database or resolver that fails is `unavailable`, never yes.
 */
export class Access<P extends string = string, R extends string = string> {
  readonly #runtime: Runtime;
  readonly #roles: RoleStore;
  readonly #scopes: ScopeTree;
  readonly #lists: ListCore;
  /** @internal */
  readonly teams: TeamHoldings;

  constructor(runtime: Runtime, roles: RoleStore, scopes: ScopeTree) {
    this.#runtime = runtime;
    this.#roles = roles;
    this.#scopes = scopes;
    this.#lists = { ...runtime, scopeTree: scopes };
    this.teams = new TeamHoldings(runtime);
  }

  async can<N extends string>(
    userId: string,
    permission: N & Checked<N, P>,
    scope = 'global',
  ): Promise<boolean> {
    const [answer] = await this.#canAll(userId, [{ permission, scope }]);
    return answer === true;
  }

  /** Many decisions with one load; the answers stand in the order of the questions. */
  async canAll<N extends string>(
    userId: string,
    checks: readonly { permission: N & Checked<N, P>; scope?: string }[],
  ): Promise<boolean[]> {
    for (const [index, check] of checks.entries())
      requireKnownFields(check, ['permission', 'scope'], `checks.${index}`);
    return this.#canAll(userId, checks);
  }

  async #canAll(
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
  async hasRole<N extends string>(
    userId: string,
    role: N & Checked<N, R>,
    scope = 'global',
  ): Promise<boolean> {
    const grants = await this.grantsOf(userId);
    const chain = grants === null ? null : await this.#scopes.chainOf(scope, { fresh: true });
    return grants !== null && chain !== null && grants.holdsRole(role, chain);
  }

  /**
   * @throws AuthTunaError `unauthenticated` for an actor without a user; `forbidden` when the permission is not held;
   *   `password_change_required` and `enrollment_required` for an actor who must do that first
   */
  async require<N extends string>(
    actor: Actor,
    permission: N & Checked<N, P>,
    scope = 'global',
  ): Promise<void> {
    if (isSystem(actor)) return;
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    await requireUnrestricted(actor);
    const [isHeld] = await this.#canAll(actor.userId, [{ permission, scope }]);
    if (isHeld !== true) throw new AuthTunaError('forbidden');
    const credential = credentialOf(actor);
    if (credential === undefined) return;
    const chain = await this.#scopes.chainOf(scope, { fresh: true });
    if (chain === null || !credential.allow(permission, chain)) throw new AuthTunaError('forbidden');
  }

  /** How the decision comes about. */
  async explain<N extends string>(
    userId: string,
    permission: N & Checked<N, P>,
    scope = 'global',
  ): Promise<Explanation> {
    return explain(this.#scopes, await this.grantsOf(userId), permission, scope);
  }

  /** The scopes at which the permission was given to the user, not those below them; everything when it holds at `global`. */
  async scopesWith<N extends string>(
    userId: string,
    permission: N & Checked<N, P>,
    options: { type?: string } = {},
  ): Promise<{ all: true } | { all: false; scopes: string[] }> {
    requireKnownFields(options, ['type']);
    return scopesWith(this.#lists, await this.grantsOf(userId), permission, options);
  }

  /**
   * A Prisma `where` for a table of the host: the rows for which `can` says yes.
   *
   * `columns` says which column holds the id of which scope type, `owner` the one with the owner's user id:
   * `{ project: 'id', org: 'orgId', owner: 'ownerId' }`. `{}` when the permission holds everywhere; a filter that matches no row when nowhere.
   * It may be combined with the host's own conditions in any way. With the host's own client, ids are numbers where the column is `Int` or
   * `BigInt`.
   *
   * `{ project: { column: 'id', through: 'grants' } }` is for people with thousands of grants: the relation `grants` leads to a view over the
   * assignments, described in docs/access.md, and the filter holds no list of the projects.
   *
   * @param options.model the host's model, needed where several have these columns with different types
   * @throws AuthTunaError `misconfigured` without a column, and where `options.model` is needed or wrong
   */
  async whereFor<N extends string>(
    userId: string,
    permission: N & Checked<N, P>,
    columns: Readonly<Record<string, ScopeColumn>>,
    options: { model?: string } = {},
  ): Promise<object> {
    requireKnownFields(options, ['model']);
    return whereFor(this.#lists, await this.grantsOf(userId), permission, columns, options);
  }

  /** The people who hold the permission at the scope, ordered by id. */
  async usersWith<N extends string>(
    permission: N & Checked<N, P>,
    scope: string,
    query: PageQuery = {},
  ): Promise<Page<PublicUser>> {
    requireKnownFields(query, PAGE_FIELDS);
    return usersWith(this.#lists, await this.#roles.current(), permission, scope, query);
  }

  /** @internal The people who hold a role exactly at a scope. */
  holdersOf(roleId: string, scope: string, query: PageQuery): Promise<Page<PublicUser>> {
    return holdersOf(this.#lists, roleId, scope, query);
  }

  /** What a user has been given, as of now; null for one who is unknown, suspended or deleted. */
  async grantsOf(userId: string): Promise<Grants | null> {
    const [user, { catalog, teamsVersion }] = await Promise.all([
      this.#runtime.db.user.findUnique({
        where: { id: userId },
        include: { assignments: { select: { roleId: true, scope: true, expiresAt: true } } },
      }),
      this.#roles.currentWithTeams(),
    ]);
    const now = this.#runtime.now();
    if (user === null || !isActive(user, now)) return null;
    const holdings = await this.teams.of(user.assignments, teamsVersion);
    return new Grants(userId, withTeams(user.assignments, holdings), catalog, now.getTime());
  }

  /** As `grantsOf`, but also for people who are suspended: their standing still counts when somebody acts upon them. */
  async standingOf(userId: string): Promise<Grants> {
    const [standing] = await this.#standingsOf([userId]);
    return standing as Grants;
  }

  /** As many queries for many users as for one. */
  async #standingsOf(userIds: readonly string[]): Promise<Grants[]> {
    const [assignments, { catalog, teamsVersion }] = await Promise.all([
      this.#runtime.db.roleAssignment.findMany({ where: { userId: { in: [...userIds] } } }) as Promise<
        (AssignmentRow & { userId: string })[]
      >,
      this.#roles.currentWithTeams(),
    ]);
    const holdings = await this.teams.of(assignments, teamsVersion);
    const now = this.#runtime.now().getTime();
    return userIds.map((userId) => {
      const own = assignments.filter((row) => row.userId === userId);
      return new Grants(userId, withTeams(own, holdings), catalog, now);
    });
  }

  /**
   * @internal What an actor holds, for decisions by rank. By an API key that is what the key gives. By an access token with a scope it is nothing:
   * a scope lists permissions, and no rank.
   *
   * @returns null for an actor without a user, for a suspended user and for such a token
   */
  async grantsOfActor(actor: Actor): Promise<Grants | null> {
    if (actor.userId === null) return null;
    const grants = await this.grantsOf(actor.userId);
    const credential = credentialOf(actor);
    if (grants === null || credential === undefined) return grants;
    return credential.isScoped ? null : credential;
  }

  /**
   * Checks that an actor may act upon a person: the permission, and a rank at `global` above every role that they hold anywhere.
   *
   * @throws AuthTunaError `unauthenticated`, `forbidden`
   */
  async requireAbove(actor: Actor, targetId: string, permission: string): Promise<void> {
    if (isSystem(actor)) return;
    await this.require(actor, permission);
    const grants = await this.grantsOfActor(actor);
    if (grants === null || !outranksEverywhere(grants, await this.standingOf(targetId)))
      throw new AuthTunaError('forbidden');
  }

  /**
   * @internal Those upon whom `requireAbove` would let the actor act.
   *
   * @throws AuthTunaError `unauthenticated`, `forbidden` without the permission
   */
  async thoseBelow(
    actor: Actor,
    userIds: readonly string[],
    permission: string,
  ): Promise<ReadonlySet<string>> {
    if (isSystem(actor)) return new Set(userIds);
    await this.require(actor, permission);
    const grants = await this.grantsOfActor(actor);
    if (grants === null) return new Set();
    const standings = await this.#standingsOf(userIds);
    return new Set(standings.filter((each) => outranksEverywhere(grants, each)).map(({ userId }) => userId));
  }
}
