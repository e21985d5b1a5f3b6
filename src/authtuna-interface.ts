import type { IncomingMessage } from 'node:http';
import type { ErrorRequestHandler, Request, Response, Router } from 'express';
import type { Auth, Checked, User } from './auth.js';
import type { RateLimitName } from './config/rate-limits.js';
import type { Access } from './core/access/access.js';
import type { PermissionOf } from './core/access/definitions.js';
import type { PermissionManager } from './core/access/permissions.js';
import type { RoleManager } from './core/access/roles.js';
import type { ScopeManager } from './core/access/scopes.js';
import type { SHIPPED_PERMISSIONS, ShippedRole } from './core/access/shipped.js';
import type { AuditManager } from './core/changes/audit.js';
import type { BroadcastHealth } from './core/instances/broadcast.js';
import type { JobManager, JobStatus } from './core/instances/jobs.js';
import type { SessionManager } from './core/sessions/sessions.js';
import type { SignInResult } from './core/sign-in/sign-in.js';
import type { PasswordManager } from './core/users/passwords.js';
import type { UserManager } from './core/users/users.js';
import type { AddedColumns, ExtraColumns, UserOfModel } from './db/client.js';
import type { EventListener, EventType } from './events.js';
import type { AccountManager } from './features/account/manager.js';
import type { AdminRouterOptions } from './features/admin/admin-pages.js';
import type { ApiKeyManager } from './features/api-keys/manager.js';
import type { AuthManager } from './features/auth/manager.js';
import type { BearerManager } from './features/bearer/manager.js';
import type { HandOverManager } from './features/hand-over/manager.js';
import type { MfaManager } from './features/mfa/manager.js';
import type { OrgManager } from './features/orgs/manager.js';
import type { Organization } from './features/orgs/organization.js';
import type { Project, ProjectManager } from './features/orgs/projects.js';
import type { ResourceManager } from './features/orgs/resources.js';
import type { TeamManager } from './features/orgs/teams.js';
import type { PasskeyManager } from './features/passkeys/manager.js';
import type { PasswordlessManager } from './features/passwordless/manager.js';
import type { ServiceAccountManager } from './features/service-accounts/manager.js';
import type { SocialManager } from './features/social/manager.js';
import type { SsoConnectionManager } from './features/sso/manager.js';
import type { WebhookManager } from './features/webhooks/manager.js';
import type { SecurityHeaderOptions } from './http/answer/headers.js';
import type { HostSignInOptions } from './http/answer/host-sign-in.js';
import type { ErrorHandlerOptions } from './http/errors.js';
import type { GuardOptions, UserGuardOptions } from './http/guards/guards.js';
import type { Middleware } from './http/guards/host-middleware.js';
import type { RateLimitOptions } from './http/guards/rate-limit.js';
import type { RecentLoginOptions } from './http/guards/step-up.js';
import type { AuthRouterOptions, RouterOptions } from './http/kit.js';
import type { MountedRoute } from './http/mounts.js';
import type { OpenApiDocument, OpenApiOptions } from './http/openapi.js';
import type { Mailer } from './mail/mailer.js';

/** Everything a host works with. Methods are closures, so `const { requireUser } = authTuna` works. */
export interface AuthTuna<
  U extends User = User,
  P extends string = string,
  R extends string = string,
  O extends Organization = Organization,
  J extends Project = Project,
> {
  /**
   * Migrates the shipped database (or checks the tables of the host's own), and creates the roles and permissions that are missing.
   * @throws AuthTunaError `misconfigured`, `unavailable`
   */
  ready(): Promise<void>;
  /** Stops what runs in the background and closes the database, if it is ours. */
  close(): Promise<void>;
  /** How it stands with the database, the other instances and the jobs, for a health route. Never rejects. */
  health(): Promise<Health>;
  /**
   * Calls a listener after something was stored.
   *
   * @returns a function that ends the subscription
   * @throws AuthTunaError `misconfigured` for a name that is none
   */
  on<T extends EventType>(type: T | '*', listener: EventListener<T>): () => void;

  /** Resolves who is calling: sets `req.auth` and `req.user`, and renews the cookie when that is due. */
  session(): Middleware;
  requireUser(options?: UserGuardOptions): Middleware;
  requirePermission(permission: P | readonly P[], options?: GuardOptions): Middleware;
  requireRole<N extends string>(
    role: (N & Checked<N, R>) | readonly (N & Checked<N, R>)[],
    options?: GuardOptions,
  ): Middleware;
  /** The user proved who they are a short time ago (ten minutes), with a second factor where one is enrolled. 401 with how to prove it. */
  requireRecentLogin(options?: RecentLoginOptions): Middleware;
  /** The session was made or raised with a second factor. */
  requireSecondFactor(): Middleware;
  /**
   * Limits how often one address, or user, may call a route of the host: `rateLimit('search', { limit: 30, windowSeconds: 60 })`. Routes
   * with the same name share one limit.
   */
  rateLimit(name: RateLimitName | (string & {}), options?: RateLimitOptions): Middleware;
  /** Refuses unsafe requests that another site made; the routers and signed-in requests have it already. */
  csrf(): Middleware;
  /**
   * The token for a form of the host's own that posts to one of our routes, in a hidden field called `csrfToken`. It belongs to the session, or
   * to this browser for an hour before there is one, by a cookie that the same answer sets. The answer has `Cache-Control: no-store`.
   *
   * @throws AuthTunaError `misconfigured` without `session()` before it
   */
  formToken(req: Request, res: Response): string;
  /**
   * Signs a person in from a route of the host's own that proved who they are, and sets the cookies; the host answers. The same rules hold as
   * for every other way in.
   *
   * @param amr what was proved, in values of RFC 8176: `['pwd']`. Two values are two factors
   * @returns `signed_in`, or `second_factor_required`: then send the browser to `<auth>/mfa/challenge`
   * @throws AuthTunaError `not_found`, `account_suspended`, `email_not_verified`, `cross_site_request`; `misconfigured` without `session()` before
   */
  signIn(
    req: Request,
    res: Response,
    userId: string,
    amr: readonly string[],
    options?: HostSignInOptions,
  ): Promise<SignInResult>;
  securityHeaders(options?: SecurityHeaderOptions): Middleware;
  /**
   * The last middleware of the app. With `{ only: 'authtuna' }` it answers refusals of this library alone, and your own handler stands behind
   * it.
   *
   * @throws AuthTunaError `misconfigured` for an unknown option
   */
  errorHandler(options?: ErrorHandlerOptions): ErrorRequestHandler;

  /**
   * Who asks for a WebSocket: for a server's `upgrade` event. `req.socket` is destroyed when the session or its user ends.
   * @throws AuthTunaError `cross_site_request` when a page of another site asks; `unavailable`
   */
  authenticateUpgrade(req: IncomingMessage): Promise<Auth>;

  /** Every router at its usual place. */
  router(options?: AuthRouterOptions): Router;
  /** What is mounted, in the order in which its routers were made: `{ method, path, summary, guard, isPage }`. */
  routes(): MountedRoute[];
  /**
   * An OpenAPI 3.1 document of the mounted routes, without pages.
   * @throws AuthTunaError `misconfigured` for an unknown option
   */
  openapi(options?: OpenApiOptions): OpenApiDocument;
  readonly routers: {
    auth(options?: AuthRouterOptions): Router;
    passwordless(options?: RouterOptions): Router;
    social(options?: RouterOptions): Router;
    mfa(options?: RouterOptions): Router;
    passkeys(options?: RouterOptions): Router;
    bearer(): Router;
    deviceAuthorization(options?: RouterOptions): Router;
    remote(): Router;
    apiKeys(options?: RouterOptions): Router;
    account(options?: RouterOptions): Router;
    admin(options?: AdminRouterOptions): Router;
    orgs(options?: RouterOptions): Router;
  };

  readonly users: UserManager<U>;
  readonly passwords: PasswordManager;
  readonly sessions: SessionManager;
  readonly permissions: PermissionManager;
  readonly roles: RoleManager<R, P>;
  readonly scopes: ScopeManager;
  readonly access: Access<P, R>;
  readonly audit: AuditManager;
  readonly jobs: JobManager;
  readonly account: AccountManager<U>;
  readonly auth: AuthManager<U>;
  readonly mfa: MfaManager;
  readonly passkeys: PasskeyManager;
  readonly passwordless: PasswordlessManager;
  /** Access and refresh tokens. */
  readonly bearer: BearerManager;
  readonly handOver: HandOverManager;
  readonly apiKeys: ApiKeyManager;
  /** Accounts for programs, which organizations own. */
  readonly serviceAccounts: ServiceAccountManager;
  readonly social: SocialManager<U>;
  /** Connections of organizations to their own providers. */
  readonly sso: SsoConnectionManager;
  readonly orgs: OrgManager<O>;
  readonly projects: ProjectManager<J>;
  readonly teams: TeamManager;
  readonly resources: ResourceManager;
  /** Events for other services. */
  readonly webhooks: WebhookManager;
  readonly mailer: Mailer;
}

export interface Health {
  /** Whether the database answered just now. */
  database: 'up' | 'down';
  broadcast: BroadcastHealth;
  /** Empty while the database is down. */
  jobs: JobStatus[];
}

type ShippedPermission = keyof typeof SHIPPED_PERMISSIONS & string;
/** The names a guard takes: those declared in code and the shipped ones; any name when none are declared. */
export type GuardedPermission<O> = O extends {
  permissions: infer C extends Readonly<Record<string, readonly string[]>>;
}
  ? PermissionOf<C> | ShippedPermission
  : string;
/** The roles declared in code and the shipped ones; any name when none are declared. */
export type DeclaredRole<O> = O extends { roles: infer C extends object }
  ? Exclude<keyof C & string, 'sync'> | ShippedRole
  : string;
/** The names of an instance, for `req.auth`: `declare global { namespace Express { interface AuthTunaNames extends NamesOf<typeof authTuna> {} } }`. */
export type NamesOf<T> =
  T extends AuthTuna<infer _U, infer P, infer R, infer _O, infer _J> ? { permission: P; role: R } : never;
/** The users of a host's own client, under the name that `models` gives; ours without one. */
export type HostUser<O> = O extends { prisma: infer C }
  ? UserModelName<O> extends infer K extends keyof C
    ? UserOfModel<C, K> extends infer U extends User
      ? U
      : User
    : User
  : User;
type UserModelName<O> = O extends { models: infer M }
  ? M extends string
    ? Uncapitalize<`${M}User`>
    : M extends { User: infer N extends string }
      ? Uncapitalize<N>
      : 'user'
  : 'user';

/** How the host's client calls a model of ours. @typeParam N as in authtuna.prisma: `Organization` */
type DelegateOf<O, N extends string> = O extends { models: infer M }
  ? M extends string
    ? Uncapitalize<`${M}${N}`>
    : M extends { readonly [K in N]: infer H extends string }
      ? Uncapitalize<H>
      : Uncapitalize<N>
  : Uncapitalize<N>;
type Added<O, N extends 'Organization' | 'OrganizationProject'> = O extends { prisma: infer C }
  ? AddedColumns<C, DelegateOf<O, N>, Uncapitalize<N>>
  : unknown;
/** The organizations of a host's own client, with the columns that it added. */
export type HostOrganization<O> = Organization & Added<O, 'Organization'>;
/** The projects of a host's own client, with the columns that it added. */
export type HostProject<O> = Project & Added<O, 'OrganizationProject'>;

/** Column names written down in the options must be columns of the host's own models. Names known at run time only are checked then. */
export type HostOptions<O> = ListedOf<O, 'user', ExtraColumns<HostUser<O>>> &
  ListedOf<O, 'organization', Omit<HostOrganization<O>, keyof Organization>> &
  ListedOf<O, 'project', Omit<HostProject<O>, keyof Project>>;
type ListedOf<O, K extends PropertyKey, Columns> = O extends {
  readonly [N in K]: { publicColumns: readonly (infer C extends string)[] };
}
  ? string extends C
    ? unknown
    : { readonly [N in K]: { publicColumns: readonly (keyof Columns & string)[] } }
  : unknown;
