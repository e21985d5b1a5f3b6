import type { User } from '../auth.js';
import type { Config } from '../config/config.js';
import { PasswordHasher } from '../crypto/password-hash.js';
import { WorkQueue } from '../crypto/work-queue.js';
import type { Db } from '../db/client.js';
import { Redis } from '../db/redis.js';
import { Access } from './access/access.js';
import { PermissionManager } from './access/permissions.js';
import { RoleStore } from './access/role-store.js';
import { RoleManager } from './access/roles.js';
import { ScopeTree } from './access/scope-tree.js';
import { assignmentSweep } from './access/sweep.js';
import { AuditManager } from './changes/audit.js';
import { Ledger } from './changes/ledger.js';
import { RateLimiter } from './limits/rate-limiter.js';
import { rateWindowSweep, throttleSweep } from './limits/sweep.js';
import { Throttle } from './limits/throttle.js';
import { createRuntime, type Runtime } from './runtime.js';
import { RefreshTokens } from './sessions/refresh-token.js';
import { SessionTokens } from './sessions/session-token.js';
import { SessionManager } from './sessions/sessions.js';
import { sessionSweep } from './sessions/sweep.js';
import { SessionVerifier } from './sessions/verifier.js';
import type { Sweep } from './sweep.js';
import { MailQuota } from './tokens/mail-quota.js';
import { OneTimeTokens } from './tokens/one-time-tokens.js';
import { tokenSweep } from './tokens/sweep.js';
import { PasswordManager } from './users/passwords.js';
import { unconfirmedAccountSweep } from './users/sweep.js';
import { UserManager } from './users/users.js';

/** What features are built from: the runtime, and users, sessions, roles, tokens and limits over it. */
export interface Core<U extends User = User> extends Runtime {
  readonly audit: AuditManager;
  readonly ledger: Ledger;
  readonly roleStore: RoleStore;
  readonly scopeTree: ScopeTree;
  readonly access: Access;
  readonly permissions: PermissionManager;
  readonly roles: RoleManager;
  readonly sessionTokens: SessionTokens;
  readonly refreshTokens: RefreshTokens;
  readonly verifier: SessionVerifier;
  readonly sessions: SessionManager;
  readonly tokens: OneTimeTokens;
  readonly hasher: PasswordHasher;
  /** Sign-ins by password or mailed code, and sign-ups with a password, a few at a time, with all that they ask of the database. */
  readonly signInQueue: WorkQueue;
  readonly passwords: PasswordManager;
  readonly users: UserManager<U>;
  /** Null without `redisUrl`. */
  readonly redis: Redis | null;
  readonly limiter: RateLimiter;
  readonly throttle: Throttle;
  readonly mailQuota: MailQuota;
  /** What the clean-up removes from the tables of core. */
  readonly sweeps: readonly Sweep[];
}

/**
 * Builds the core over a database, in reading order: each part is given the ones above it.
 *
 * @param bulkDb the same database with a longer time limit
 */
export function createCore<U extends User>(config: Config, db: Db, bulkDb = db): Core<U> {
  const runtime = createRuntime(config, db, bulkDb);
  const audit = new AuditManager(runtime);
  const ledger = new Ledger(runtime, audit);

  const roleStore = new RoleStore(runtime);
  const scopeTree = new ScopeTree(runtime);
  const access = new Access(runtime, roleStore, scopeTree);
  const roleCore = { ...runtime, audit, ledger, access, roleStore, scopeTree };
  const permissions = new PermissionManager(roleCore);
  const roles = new RoleManager(roleCore);

  const sessionTokens = new SessionTokens(runtime.keys, config.origin);
  const refreshTokens = new RefreshTokens(runtime.keys);
  const verifier = new SessionVerifier(runtime, sessionTokens, ledger, audit, roleStore, access.teams);
  const sessions = new SessionManager({
    ...runtime,
    ledger,
    access,
    sessionTokens,
    refreshTokens,
    verifier,
  });
  const tokens = new OneTimeTokens(runtime);

  const { bcryptCost, pepper } = config.password;
  const hasher = new PasswordHasher(runtime.keys, {
    cost: bcryptCost,
    pepper,
    concurrency: config.hashConcurrency,
  });
  // Two more than can hash at once, so that no processor waits for the database.
  const signInQueue = new WorkQueue(config.hashConcurrency + 2);
  const passwords = new PasswordManager({ ...runtime, ledger, access, sessions, tokens, hasher });
  const userCore = { ...runtime, ledger, access, sessions, tokens, roleStore, passwords };
  const users = new UserManager<U>(userCore);

  const redis = config.redisUrl === undefined ? null : new Redis(config.redisUrl, config.logger);
  const limiter = new RateLimiter(runtime, redis);
  const throttle = new Throttle(runtime);
  const mailQuota = new MailQuota(runtime, limiter);

  return {
    ...runtime,
    audit,
    ledger,
    roleStore,
    scopeTree,
    access,
    permissions,
    roles,
    sessionTokens,
    refreshTokens,
    verifier,
    sessions,
    tokens,
    hasher,
    signInQueue,
    passwords,
    users,
    redis,
    limiter,
    throttle,
    mailQuota,
    sweeps: [
      sessionSweep(runtime),
      tokenSweep(runtime),
      throttleSweep(runtime),
      rateWindowSweep(runtime),
      assignmentSweep(runtime),
      unconfirmedAccountSweep(userCore),
    ],
  };
}
