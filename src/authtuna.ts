import { IncomingMessage } from 'node:http';
import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import type { Auth, User } from './auth.js';
import { type Config, DEFAULT_DATABASE_URL, parseConfig } from './config/config.js';
import type { AuthTunaOptions } from './config/options.js';
import type { RateLimitName } from './config/rate-limits.js';
import { Access } from './core/access/access.js';
import type { PermissionOf } from './core/access/definitions.js';
import { PermissionManager } from './core/access/permissions.js';
import { RoleStore } from './core/access/role-store.js';
import { RoleManager } from './core/access/roles.js';
import { ScopeManager } from './core/access/scopes.js';
import { seed, warnOfUnknownNames } from './core/access/seeds.js';
import type { SHIPPED_PERMISSIONS } from './core/access/shipped.js';
import { AuditManager } from './core/changes/audit.js';
import { Ledger } from './core/changes/ledger.js';
import { Broadcast, type BroadcastHealth } from './core/instances/broadcast.js';
import { cleanUp } from './core/instances/clean-up.js';
import { JobManager, type JobStatus } from './core/instances/jobs.js';
import { RateLimiter } from './core/limits/rate-limiter.js';
import { Throttle } from './core/limits/throttle.js';
import { createRuntime } from './core/runtime.js';
import { RefreshAhead } from './core/sessions/refresh-ahead.js';
import { SessionTokens } from './core/sessions/session-token.js';
import { SessionManager } from './core/sessions/sessions.js';
import { SessionVerifier } from './core/sessions/verifier.js';
import { FailureAlarm } from './core/sign-in/failure-alarm.js';
import { KnownDevices } from './core/sign-in/known-browsers.js';
import { SignIn } from './core/sign-in/sign-in.js';
import { SignInThrottle } from './core/sign-in/sign-in-throttle.js';
import { MailQuota } from './core/tokens/mail-quota.js';
import { OneTimeTokens } from './core/tokens/one-time-tokens.js';
import { MailboxProof } from './core/users/address-ownership.js';
import { bootstrapAdmin } from './core/users/bootstrap-admin.js';
import { PasswordManager } from './core/users/passwords.js';
import { UserManager } from './core/users/users.js';
import { PasswordHasher } from './crypto/password-hash.js';
import { guardDb, type PrismaLike, type UserOf } from './db/client.js';
import { checkTables, migrate } from './db/migrate.js';
import { openDatabase } from './db/open.js';
import { Redis } from './db/redis.js';
import { misconfigured } from './errors.js';
import { EVENT_TYPES, type EventListener, type EventType } from './events.js';
import { AccountManager } from './features/account/manager.js';
import { accountRouter } from './features/account/router.js';
import { AuthManager } from './features/auth/manager.js';
import { authRouter } from './features/auth/router.js';
import { StepUp } from './features/auth/step-up.js';
import { stepUpRouter } from './features/auth/step-up-router.js';
import { createDevMailbox } from './features/dev-mailbox/mailbox.js';
import { devMailboxRouter } from './features/dev-mailbox/router.js';
import { MfaManager } from './features/mfa/manager.js';
import { EnrollmentPolicy } from './features/mfa/policy.js';
import { mfaRouter } from './features/mfa/router.js';
import { PasskeyManager } from './features/passkeys/manager.js';
import { passkeysRouter } from './features/passkeys/router.js';
import { PasswordlessManager } from './features/passwordless/manager.js';
import { passwordlessRouter } from './features/passwordless/router.js';
import { SocialManager } from './features/social/manager.js';
import { socialRouter } from './features/social/router.js';
import { type SecurityHeaderOptions, securityHeaders } from './http/answer/headers.js';
import { authOf } from './http/caller/request-auth.js';
import { SessionMiddleware } from './http/caller/session.js';
import { Upgrades } from './http/caller/upgrade.js';
import { createErrorHandler } from './http/errors.js';
import { csrf } from './http/guards/csrf.js';
import { type GuardOptions, Guards, type UserGuardOptions } from './http/guards/guards.js';
import type { RateLimitOptions } from './http/guards/rate-limit.js';
import { EnrollmentGuard, type RecentLoginOptions, StepUpGuards } from './http/guards/step-up.js';
import { createHttpKit, type RouterOptions } from './http/kit.js';
import { Views } from './http/pages/views.js';
import { Mailer } from './mail/mailer.js';
import { createTemplates } from './templates/templates.js';

/** Everything a host works with. Methods are closures, so `const { requireUser } = authTuna` works. */
export interface AuthTuna<U extends User = User, P extends string = string> {
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
  session(): RequestHandler;
  requireUser(options?: UserGuardOptions): RequestHandler;
  requirePermission(permission: P | readonly P[], options?: GuardOptions): RequestHandler;
  requireRole(role: string | readonly string[], options?: GuardOptions): RequestHandler;
  /** The user proved who they are a short time ago (ten minutes), with a second factor where one is enrolled. 401 with how to prove it. */
  requireRecentLogin(options?: RecentLoginOptions): RequestHandler;
  /** The session was made or raised with a second factor. */
  requireSecondFactor(): RequestHandler;
  /**
   * Limits how often one address, or user, may call a route of the host: `rateLimit('search', { limit: 30, windowSeconds: 60 })`. Routes
   * with the same name share one limit.
   */
  rateLimit(name: RateLimitName | (string & {}), options?: RateLimitOptions): RequestHandler;
  /** Refuses unsafe requests that another site made; the routers and signed-in requests have it already. */
  csrf(): RequestHandler;
  /**
   * The token for a form of the host's own that posts to one of our routes, in a hidden field called `csrfToken`. It belongs to the session, or
   * to this browser for an hour before there is one, by a cookie that the same answer sets. The answer is for nobody's cache.
   *
   * @throws AuthTunaError `misconfigured` without `session()` before it
   */
  formToken(req: Request, res: Response): string;
  securityHeaders(options?: SecurityHeaderOptions): RequestHandler;
  /** The last middleware of the app. */
  errorHandler(): ErrorRequestHandler;

  /**
   * Who asks for a WebSocket: for a server's `upgrade` event. `req.socket` is destroyed when the session or its user ends.
   * @throws AuthTunaError `cross_site_request` when a page of another site asks; `unavailable`
   */
  authenticateUpgrade(req: IncomingMessage): Promise<Auth>;

  /** Every router at its usual place. */
  router(options?: RouterOptions): Router;
  readonly routers: {
    auth(options?: RouterOptions): Router;
    passwordless(options?: RouterOptions): Router;
    social(options?: RouterOptions): Router;
    mfa(options?: RouterOptions): Router;
    passkeys(options?: RouterOptions): Router;
    account(options?: RouterOptions): Router;
  };

  readonly users: UserManager<U>;
  readonly passwords: PasswordManager;
  readonly sessions: SessionManager;
  readonly permissions: PermissionManager;
  readonly roles: RoleManager;
  readonly scopes: ScopeManager;
  readonly access: Access;
  readonly audit: AuditManager;
  readonly jobs: JobManager;
  readonly auth: AuthManager<U>;
  readonly mfa: MfaManager;
  readonly passkeys: PasskeyManager;
  readonly passwordless: PasswordlessManager;
  readonly social: SocialManager<U>;
  readonly mailer: Mailer;
}

export interface Health {
  /** Whether the database answered just now. */
  database: 'up' | 'down';
  broadcast: BroadcastHealth;
  /** Empty while the database is down. */
  jobs: JobStatus[];
}

const START_MS = 30_000;

type ShippedPermission = keyof typeof SHIPPED_PERMISSIONS & string;
/** The names a guard takes: those declared in code and the shipped ones; any name when none are declared. */
type GuardedPermission<O> = O extends {
  permissions: infer C extends Readonly<Record<string, readonly string[]>>;
}
  ? PermissionOf<C> | ShippedPermission
  : string;
type HostUser<O> = O extends { prisma: infer C extends PrismaLike }
  ? UserOf<C> extends User
    ? UserOf<C>
    : User
  : User;

/**
 * Builds an AuthTuna from its options. Synchronous: the database is touched in `ready()`, or by the first request, which awaits it.
 *
 * @throws AuthTunaError `misconfigured`, naming every problem of the options at once
 */
export function createAuthTuna<const O extends AuthTunaOptions>(
  options: O,
): AuthTuna<HostUser<O>, GuardedPermission<O>> {
  type U = HostUser<O>;
  const parsed = parseConfig(options);
  const devMailbox = createDevMailbox(parsed);
  const config: Config =
    devMailbox === null
      ? parsed
      : Object.freeze({ ...parsed, mail: { from: 'noreply@localhost', transport: devMailbox } });
  const connection = options.prisma === undefined ? openDatabase(config.databaseUrl ?? '') : null;
  const client = options.prisma ?? connection?.client;
  const runtime = createRuntime(config, guardDb(client as PrismaLike));
  if (config.isSecure && options.databaseUrl === undefined && options.prisma === undefined)
    config.logger.warn(
      `Everything is kept in ${DEFAULT_DATABASE_URL}, a file in the working directory, because databaseUrl is not set: name the file or a postgresql: address, or a new container begins without users.`,
    );
  const templates = createTemplates({
    appName: config.appName,
    baseUrl: config.baseUrl,
    paths: config.paths,
    ...(config.templatesDir !== undefined && { templatesDir: config.templatesDir }),
    ...(config.brand !== undefined && { brand: config.brand }),
    ...(config.locale !== undefined && { locale: config.locale }),
    ...(config.humanCheckWidget !== undefined && { humanCheckWidget: config.humanCheckWidget }),
  });

  const audit = new AuditManager(runtime);
  const ledger = new Ledger(runtime, audit);
  const mailer = new Mailer(runtime, ledger, templates);
  const roleStore = new RoleStore(runtime);
  const scopes = new ScopeManager(runtime, ledger);
  const access = new Access(runtime, roleStore, scopes);
  const permissions = new PermissionManager(runtime, ledger, access, roleStore);
  const roles = new RoleManager(runtime, ledger, access, roleStore, scopes);
  const sessionTokens = new SessionTokens(runtime.keys, config.origin);
  const verifier = new SessionVerifier(runtime, sessionTokens, ledger, audit, roleStore);
  const sessions = new SessionManager(runtime, ledger, sessionTokens, access, verifier);
  const oneTimeTokens = new OneTimeTokens(runtime);
  const hasher = new PasswordHasher(runtime.keys, {
    cost: config.password.bcryptCost,
    pepper: config.password.pepper,
    concurrency: config.hashConcurrency,
  });
  const passwords = new PasswordManager(runtime, hasher, ledger, access, sessions, oneTimeTokens);
  const users = new UserManager<U>(runtime, ledger, {
    access,
    roles: roleStore,
    passwords,
    sessions,
    tokens: oneTimeTokens,
  });
  const signIn = new SignIn(runtime, ledger, sessions, oneTimeTokens);
  const redis = config.redisUrl === undefined ? null : new Redis(config.redisUrl, config.logger);
  const throttle = new Throttle(runtime);
  new FailureAlarm(runtime, ledger);
  const limiter = new RateLimiter(runtime, redis);
  const mailQuota = new MailQuota(runtime, limiter);
  const devices = new KnownDevices(runtime);
  const signInThrottle = new SignInThrottle({
    runtime,
    ledger,
    tokens: oneTimeTokens,
    throttle,
    limiter,
    devices,
  });

  const codeHasher = new PasswordHasher(runtime.keys, {
    cost: Math.min(config.password.bcryptCost, 10), // nobody chooses a recovery code, so its 80 bits need no higher cost
    concurrency: 1,
  });
  const mfa = new MfaManager({
    runtime,
    ledger,
    access,
    sessions,
    signIn,
    throttle,
    tokens: oneTimeTokens,
    hasher: codeHasher,
  });
  const passkeys = new PasskeyManager({
    runtime,
    ledger,
    sessions,
    signIn,
    tokens: oneTimeTokens,
    throttle,
  });
  signIn.secondFactors.push(mfa, passkeys);
  const enrollmentPolicy = new EnrollmentPolicy(runtime, signIn);
  const stepUp = new StepUp({ runtime, ledger, passwords, sessions, signIn, throttle, codes: mfa });

  const mailboxProof = new MailboxProof(runtime, sessions, oneTimeTokens);

  const auth = new AuthManager<U>({
    runtime,
    ledger,
    users,
    passwords,
    sessions,
    signIn,
    tokens: oneTimeTokens,
    mailboxProof,
    mailQuota,
    throttle,
    signInThrottle,
    stepUp,
  });
  const social = new SocialManager<U>({
    runtime,
    ledger,
    access,
    roles,
    users,
    sessions,
    signIn,
    tokens: oneTimeTokens,
    mailboxProof,
    requestEmailVerification: (email, actor) => auth.requestEmailVerification(email, actor),
  });
  mailboxProof.credentials.push(social, mfa, passkeys);
  scopes.dependents.push((scope) => social.connections.removeAt(scope));
  signIn.gates.push((user, proof, actor) => social.gate(user, proof, actor));
  signIn.addressGates.push((user, newEmail) => social.addressGate(user, newEmail));
  const passwordless = new PasswordlessManager({
    runtime,
    ledger,
    passwords,
    tokens: oneTimeTokens,
    signIn,
    signInThrottle,
    mailboxProof,
    mailQuota,
  });

  const account = new AccountManager<U>(runtime, users, sessions);

  const jobs = new JobManager(runtime);
  jobs.add(cleanUp(runtime));
  for (const job of mailer.jobs) jobs.add(job);
  const broadcast = new Broadcast(runtime);

  const readiness = createReadiness(async () => {
    if (connection !== null) {
      await connection.prepare();
      await migrate(connection);
    } else {
      await checkTables(runtime.db);
    }
    // A first start writes more than a request ever does, and nobody waits for it at a page.
    const patient = { ...runtime, db: guardDb(client as PrismaLike, { timeoutMs: START_MS }) };
    await seed(patient, new Ledger(patient, new AuditManager(patient)), new RoleStore(patient));
    await warnOfUnknownNames(runtime, roleStore, {
      permissions: guards.named.permissions,
      roles: new Set([...guards.named.roles, ...config.mfa.requiredForRoles]),
    });
    await hasher.warmUp();
    await bootstrapAdmin(
      runtime,
      { ledger, roles: roleStore, users, passwords, tokens: oneTimeTokens },
      { printLink: parsed.mail === undefined },
    );
    if (isClosed) return;
    await broadcast.start();
    jobs.start();
  });
  let isClosed = false;

  const ahead = new RefreshAhead(runtime, verifier);
  const sessionMiddleware = new SessionMiddleware(runtime, verifier, ahead, access, scopes, readiness);
  const upgrades = new Upgrades(runtime, verifier, sessionMiddleware, readiness);
  const guards = new Guards(runtime, sessionMiddleware, audit);
  if (enrollmentPolicy.isConfigured) {
    guards.enrollment = sessionMiddleware.enrollment = new EnrollmentGuard(
      config.paths.auth,
      async (requestAuth, grants) => {
        const { user } = requestAuth;
        return user !== null && (await enrollmentPolicy.requirementFor(user, grants, requestAuth)).isDue;
      },
    );
  }
  const stepUpGuards = new StepUpGuards(runtime, signIn);
  const views = new Views(runtime, templates);
  const errorHandler = createErrorHandler(config, views.errorPage);
  const http = createHttpKit(config, sessionMiddleware, guards, verifier, errorHandler, views, {
    limiter,
    devices,
    stepUp: stepUpGuards,
  });
  const routers = {
    auth(routerOptions?: RouterOptions) {
      const router = Router()
        .use(stepUpRouter(auth, http, routerOptions))
        .use(authRouter(auth, http, routerOptions));
      if (devMailbox === null) return router;
      return Router().use('/dev/mailbox', devMailboxRouter(devMailbox, http)).use(router);
    },
    passwordless: (routerOptions?: RouterOptions) => passwordlessRouter(passwordless, http, routerOptions),
    social: (routerOptions?: RouterOptions) => socialRouter(social, http, routerOptions),
    mfa: (routerOptions?: RouterOptions) => mfaRouter(mfa, enrollmentPolicy, http, routerOptions),
    passkeys: (routerOptions?: RouterOptions) =>
      passkeysRouter(
        passkeys,
        async (req, details, writesFor) =>
          auth.register(
            details,
            authOf(req).actor,
            { ...(await http.signInOptions(req)), browserId: http.views.knownBrowserId(req) },
            { writesFor, proof: { amr: ['hwk', 'user'], assuranceLevel: 2 } },
          ),
        http,
        routerOptions,
      ),
    account: (routerOptions?: RouterOptions) =>
      accountRouter(account, { mfa, passkeys, social }, http, routerOptions),
  };

  return {
    ready: () => readiness.wait(),
    async close() {
      isClosed = true;
      upgrades.close();
      await ahead.close();
      await jobs.stop();
      await broadcast.stop();
      await mailer.close();
      redis?.close();
      await connection?.close();
    },
    async health() {
      try {
        return { database: 'up', broadcast: broadcast.health, jobs: await jobs.status() };
      } catch {
        return { database: 'down', broadcast: broadcast.health, jobs: [] };
      }
    },
    on(type, listener) {
      if (type !== '*' && !EVENT_TYPES.includes(type))
        throw misconfigured(`on('${type}'): nothing is called that; events are ${EVENT_TYPES.join(', ')}`);
      return runtime.events.on(type, listener);
    },
    session: called('session', () => sessionMiddleware.handler),
    requireUser: called('requireUser', (guardOptions) => guards.requireUser(guardOptions)),
    requirePermission: called('requirePermission', guards.requirePermission),
    requireRole: called('requireRole', guards.requireRole),
    requireRecentLogin: called('requireRecentLogin', (loginOptions) =>
      both(guards.requireUser(), stepUpGuards.requireRecentLogin(loginOptions)),
    ),
    requireSecondFactor: called('requireSecondFactor', () =>
      both(guards.requireUser(), stepUpGuards.requireSecondFactor()),
    ),
    rateLimit: called('rateLimit', http.rateLimit),
    csrf: called('csrf', () => csrf(config)),
    formToken(req, res) {
      authOf(req); // says so where session() is missing, before which everybody would be a stranger
      return views.csrfToken(req, res);
    },
    securityHeaders: called('securityHeaders', (headerOptions) =>
      securityHeaders(config.isSecure, headerOptions),
    ),
    errorHandler: called('errorHandler', () => errorHandler),
    authenticateUpgrade: upgrades.authenticate,
    router(routerOptions) {
      const router = Router();
      router.use(config.paths.auth, routers.auth(routerOptions));
      router.use(`${config.paths.auth}/passwordless`, routers.passwordless(routerOptions));
      router.use(`${config.paths.auth}/mfa`, routers.mfa(routerOptions));
      router.use(`${config.paths.auth}/passkeys`, routers.passkeys(routerOptions));
      router.use(`${config.paths.auth}/social`, routers.social(routerOptions));
      router.use(config.paths.account, routers.account(routerOptions));
      return router;
    },
    routers,
    users,
    passwords,
    sessions,
    permissions,
    roles,
    scopes,
    access,
    audit,
    jobs,
    auth,
    mfa,
    passkeys,
    passwordless,
    social,
    mailer,
  };
}

/** What makes a middleware, given to Express without its brackets, would take the request for its options and never answer. */
function called<A extends unknown[], M>(name: string, make: (...given: A) => M): (...given: A) => M {
  return (...given) => {
    if (given[0] instanceof IncomingMessage)
      throw misconfigured(
        `${name} makes a middleware and is none: write authTuna.${name}() with its brackets`,
      );
    return make(...given);
  };
}

/** A guard that a host uses alone must say everything: also that a new password, or a factor, comes first. */
function both(first: RequestHandler, second: RequestHandler): RequestHandler {
  return (req, res, next) =>
    first(req, res, (error?: unknown) => (error === undefined ? second(req, res, next) : next(error)));
}

/** Runs the preparation once, however many ask; after a failure the next one tries again. */
function createReadiness(prepare: () => Promise<void>): { done: boolean; wait(): Promise<void> } {
  let underWay: Promise<void> | null = null;
  const readiness = {
    done: false,
    wait() {
      underWay ??= prepare().then(
        () => {
          readiness.done = true;
        },
        (error: unknown) => {
          underWay = null;
          throw error;
        },
      );
      return underWay;
    },
  };
  return readiness;
}
