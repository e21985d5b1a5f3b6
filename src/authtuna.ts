import type {
  AuthTuna,
  DeclaredRole,
  GuardedPermission,
  Health,
  HostOptions,
  HostOrganization,
  HostProject,
  HostUser,
} from './authtuna-interface.js';
import { parseConfig } from './config/config.js';
import type { AnyOptions } from './config/options.js';
import { ScopeManager } from './core/access/scopes.js';
import { auditJobs } from './core/changes/audit-sealing.js';
import { createCore } from './core/core.js';
import { Broadcast } from './core/instances/broadcast.js';
import { cleanUp } from './core/instances/clean-up.js';
import { JobManager } from './core/instances/jobs.js';
import { createReadiness } from './core/readiness.js';
import type { AnyPrisma } from './db/client.js';
import { openDatabase } from './db/open.js';
import { misconfigured, requireKnownOptions } from './errors.js';
import { EVENT_TYPES } from './events.js';
import { withDevMailbox } from './features/dev-mailbox/mailbox.js';
import { createFeatures } from './features.js';
import { securityHeaders } from './http/answer/headers.js';
import { signInFromHost } from './http/answer/host-sign-in.js';
import { authOf } from './http/caller/attach.js';
import { createCallers } from './http/caller/create-callers.js';
import { errorHandlerFor } from './http/errors.js';
import { csrf } from './http/guards/csrf.js';
import { Guards } from './http/guards/guards.js';
import { both, called, middleware } from './http/guards/host-middleware.js';
import { StepUpGuards } from './http/guards/step-up.js';
import { createHttpKit } from './http/kit.js';
import { Mounts } from './http/mounts.js';
import { openApiOf } from './http/openapi.js';
import { Views } from './http/pages/views.js';
import { Mailer } from './mail/mailer.js';
import { sentMailSweep } from './mail/sweep.js';
import { attachParts } from './parts.js';
import {
  announceStart,
  guardedDatabases,
  prepareDatabase,
  tellOperator,
  warnOfDefaultDatabase,
} from './start.js';
import { createTemplates } from './templates/templates.js';

/** The AuthTuna of these options, with the columns of the host's own models. */
type HostAuthTuna<O> = AuthTuna<
  HostUser<O>,
  GuardedPermission<O>,
  DeclaredRole<O>,
  HostOrganization<O>,
  HostProject<O>
>;

/**
 * Builds an AuthTuna from its options. Synchronous: the database is touched in `ready()`, or by the first request, which awaits it.
 *
 * @throws AuthTunaError `misconfigured`, naming every problem of the options at once
 */
export function createAuthTuna<const O extends AnyOptions>(options: O & HostOptions<O>): HostAuthTuna<O> {
  return assemble(options);
}

// Long: it builds everything once, in the order in which a reader needs it.
/** @internal As {@link createAuthTuna}, for options whose columns are known at run time only. */
export function assemble<const O extends AnyOptions>(options: O): HostAuthTuna<O> {
  type U = HostUser<O>;
  const { config, devMailbox } = withDevMailbox(parseConfig(options));
  warnOfDefaultDatabase(config, options);
  const connection = options.prisma === undefined ? openDatabase(config.databaseUrl ?? '') : null;
  const client = (options.prisma ?? connection?.client) as AnyPrisma;
  const { db, bulkDb } = guardedDatabases(config, client);

  const core = createCore<U>(config, db, bulkDb);
  const templates = createTemplates({ ...config, hasDevMailbox: devMailbox !== null });
  const mailer = new Mailer(core, core.ledger, templates);
  const features = createFeatures<U>(core, devMailbox);
  const scopes = new ScopeManager(core, features.scopeDependents);
  const jobs = new JobManager(core);
  const sweeps = [...core.sweeps, ...features.sweeps, sentMailSweep(core)];
  for (const job of [
    cleanUp(core, sweeps),
    ...auditJobs(core, core.ledger),
    ...features.jobs,
    ...mailer.jobs,
  ])
    jobs.add(job);
  const broadcast = new Broadcast(core);

  let isClosed = false;
  const readiness = createReadiness(async () => {
    await prepareDatabase(features.core, {
      client,
      connection,
      guards,
      printLink: devMailbox !== null,
    });
    devMailbox?.announce();
    if (isClosed) return;
    await broadcast.start();
    jobs.start();
    const isMailKept = devMailbox !== null;
    announceStart(config, { broadcast: broadcast.health, places: mounts.places(), isMailKept });
  });

  const mounts = new Mounts();
  const { crossSitePosts } = mounts;
  const callers = createCallers(core, {
    ready: readiness,
    enrollment: features.enrollment,
    crossSitePosts,
    authenticators: features.authenticators,
  });
  const guards = new Guards(core, callers.sessions);
  const stepUp = new StepUpGuards(core, features.core.signIn);
  const views = new Views(core, templates);
  const http = createHttpKit(features.core, { ...callers, guards, stepUp, views, mounts });
  const health = async (): Promise<Health> => {
    try {
      return { database: 'up', broadcast: broadcast.health, jobs: await jobs.status() };
    } catch {
      return { database: 'down', broadcast: broadcast.health, jobs: [] };
    }
  };
  const { mountAll, ...routers } = features.routers(http, { scopes, jobs, mailer, health });

  const authTuna: HostAuthTuna<O> = {
    ready: () => readiness.wait().catch(tellOperator(config)),
    async close() {
      isClosed = true;
      await callers.close();
      await jobs.stop();
      await broadcast.stop();
      await features.close();
      await mailer.close();
      core.redis?.close();
      await connection?.close();
    },
    health,
    on(type, listener) {
      if (type !== '*' && !EVENT_TYPES.includes(type))
        throw misconfigured(`on('${type}'): nothing is called that; events are ${EVENT_TYPES.join(', ')}`);
      return core.events.on(type, listener);
    },
    session: middleware('session', () => callers.sessions.handler),
    requireUser: middleware('requireUser', (guardOptions) => guards.requireUser(guardOptions)),
    requirePermission: middleware('requirePermission', guards.requirePermission),
    requireRole: middleware('requireRole', guards.requireRole),
    requireRecentLogin: middleware('requireRecentLogin', (loginOptions) =>
      both(guards.requireUser(), stepUp.requireRecentLogin(loginOptions)),
    ),
    requireSecondFactor: middleware('requireSecondFactor', () =>
      both(guards.requireUser(), stepUp.requireSecondFactor()),
    ),
    rateLimit: middleware('rateLimit', http.rateLimit),
    csrf: middleware('csrf', () => csrf(config, crossSitePosts)),
    signIn: (req, res, userId, amr, signInOptions) =>
      signInFromHost(features.core, http, req, res, userId, amr, signInOptions),
    formToken(req, res) {
      authOf(req); // says so where session() is missing, before which everybody would be a stranger
      return views.csrfToken(req, res);
    },
    securityHeaders: middleware('securityHeaders', (headerOptions) =>
      securityHeaders(config.isSecure, headerOptions),
    ),
    errorHandler: called('errorHandler', (handlerOptions = {}) =>
      errorHandlerFor(http.errorHandler, handlerOptions),
    ),
    authenticateUpgrade: callers.upgrades.authenticate,
    router: mountAll,
    routers,
    routes: () => mounts.list(),
    openapi: (options = {}) => {
      requireKnownOptions('openapi', options, ['title', 'version', 'servers']);
      return openApiOf(mounts.features(), config, options);
    },
    users: core.users,
    passwords: core.passwords,
    sessions: core.sessions,
    permissions: core.permissions,
    roles: core.roles,
    scopes,
    access: core.access,
    audit: core.audit,
    jobs,
    mailer,
    ...features.managers,
    orgs: features.managers.orgs as unknown as HostAuthTuna<O>['orgs'],
    projects: features.managers.projects as unknown as HostAuthTuna<O>['projects'],
  };
  attachParts(authTuna, { authTuna, core: features.core, sealed: features.sealed, client });
  return authTuna;
}
