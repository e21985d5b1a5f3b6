import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { type Actor, restrictedActor } from '../../actor.js';
import type { ApiKey, Auth, Session } from '../../auth.js';
import type { Access } from '../../core/access/access.js';
import { actorByCredential } from '../../core/access/credential.js';
import type { Chain, Grants } from '../../core/access/grants.js';
import { isPermissionName } from '../../core/access/scope-name.js';
import type { ScopeTree } from '../../core/access/scope-tree.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import { withSafeJson } from '../../core/user.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import { STATUS } from '../errors.js';
import { isSafeMethod } from '../guards/csrf.js';
import {
  type Authenticator,
  type Caller,
  type Credential,
  Refusal,
  UNAUTHENTICATED,
} from './authenticators.js';

/** Says whether a user must set up a second factor before anything else; at once where it is known. */
export interface EnrollmentCheck {
  refusalOf(auth: RequestAuth): AuthTunaError | undefined | Promise<AuthTunaError | undefined>;
}

/** What `RequestAuth` needs of its surroundings; one object per instance of the library. */
export interface AuthContext {
  access: Access;
  scopes: ScopeTree;
  /** None while no option requires a second factor of anybody. */
  readonly enrollment: EnrollmentCheck | null;
  now(): number;
  /** Milliseconds; how long what was read may be trusted. */
  readonly trustedMs: number;
  /** The columns of the host that may leave the server; null where the user model has none of its own. */
  readonly publicColumns: readonly string[] | null;
  /** Where a proof is posted that opens a locked session. */
  readonly stepUpPath: string;
  actorOf(req: IncomingMessage, caller: Caller | null): Actor;
  /** Asks the rows again about what this request was found to be. */
  recheck(authenticator: Authenticator, caller: Caller, req: IncomingMessage): Promise<Caller | Refusal>;
}

const ROW_MS = 1000; // how long a row that was read for a request is its answer, whatever `recheckSeconds` is

/** `req.auth`. Made for every request, so it holds what was found and works everything else out when asked. */
export class RequestAuth implements Auth {
  readonly #context: AuthContext;
  readonly #req: Request;
  /** Null only where there is no caller either. */
  readonly #authenticator: Authenticator | null;
  #caller: Caller | null;
  /** @internal Whether a guard may let it change something: it was found for an unsafe method, or read again for one. */
  isForUnsafe: boolean;
  /** Whether the rows were read for this very request. */
  #isLatest: boolean;
  /** When the rows were read for this very request. */
  #foundAt: number;
  #refusal: Refusal;
  #actor: Actor | null = null;
  #user: Express.User | null = null;
  #session: Session | null = null;

  constructor(
    context: AuthContext,
    req: Request,
    authenticator: Authenticator | null,
    answer: Caller | Refusal,
    isLatest: boolean,
  ) {
    const isRefused = answer instanceof Refusal;
    this.#context = context;
    this.#req = req;
    this.#authenticator = authenticator;
    this.#caller = isRefused ? null : answer;
    this.isForUnsafe = isLatest || isRefused;
    this.#isLatest = isLatest;
    this.#foundAt = isLatest ? context.now() : 0;
    this.#refusal = isRefused ? answer : UNAUTHENTICATED;
  }

  get method(): Auth['method'] {
    if (this.#caller === null && this.#refusal.apiKey === null) return 'anonymous';
    return this.#authenticator?.kind ?? 'anonymous';
  }

  get user(): Express.User | null {
    if (this.#caller === null) return null;
    this.#user ??= this.#hostUser(this.#caller);
    return this.#user;
  }

  #hostUser(caller: Caller): Express.User {
    const { publicColumns } = this.#context;
    const user = caller.user as Express.User;
    return publicColumns === null ? user : withSafeJson(user, publicColumns);
  }

  get session(): Session | null {
    if (this.#caller === null) return null;
    this.#session ??= this.#caller.session;
    return this.#session;
  }

  /** @internal Whether the credential may do no more than a list of permissions. */
  get isScoped(): boolean {
    return this.#caller?.grants.isScoped === true;
  }

  /** @internal Seconds for which another server may believe this; 0 for a key whose uses are counted. */
  get trustedSeconds(): number {
    if (this.#caller === null) return Number.POSITIVE_INFINITY;
    if (this.#caller.isCounted === true) return 0;
    return Math.max(0, (this.#caller.trustedUntil - this.#context.now()) / 1000);
  }

  get apiKey(): ApiKey | null {
    return this.#caller?.apiKey ?? this.#refusal.apiKey;
  }

  get actor(): Actor {
    if (this.#actor === null) {
      const found = this.#context.actorOf(this.#req, this.#caller);
      const caller = this.#authenticator?.kind === 'session' ? null : this.#caller;
      const actor = caller === null ? found : actorByCredential(found, caller.grants);
      const mayBeRestricted =
        this.mustChangePassword || (this.#caller !== null && this.#context.enrollment !== null);
      this.#actor = mayBeRestricted ? restrictedActor(actor, () => this.#restriction()) : actor;
    }
    return this.#actor;
  }

  async can(permission: string, scope = 'global'): Promise<boolean> {
    await this.#ensureTrusted();
    return (await this.#restriction()) === undefined && this.#holds(permission, scope);
  }

  async hasRole(role: string, scope = 'global'): Promise<boolean> {
    await this.#ensureTrusted();
    return (await this.#restriction()) === undefined && this.#holdsRole(role, scope);
  }

  async require(permission: string, scope = 'global'): Promise<void> {
    await this.#ensureTrusted();
    const isAllowed = await this.#holds(permission, scope);
    if (this.#caller === null) throw this.refusal;
    const restriction = await this.#restriction();
    if (restriction !== undefined) throw restriction;
    if (!isAllowed) throw new AuthTunaError('forbidden');
  }

  /** @internal For the host's function that says who must have a second factor: what is held, whether or not a factor is due. */
  get beforeEnrollment(): Auth {
    const { method, user, session, apiKey } = this;
    const holds = (permission: string, scope = 'global') => this.#holds(permission, scope);
    return {
      method,
      user,
      session,
      apiKey,
      actor: this.#context.actorOf(this.#req, this.#caller),
      can: holds,
      hasRole: (role, scope = 'global') => this.#holdsRole(role, scope),
      require: async (permission, scope) => {
        if (!(await holds(permission, scope))) throw new AuthTunaError('forbidden');
      },
    };
  }

  /** Why the user may do nothing for now but choose a new password, or set up a second factor; undefined otherwise. */
  #restriction(): AuthTunaError | undefined | Promise<AuthTunaError | undefined> {
    if (this.mustChangePassword) return new AuthTunaError('password_change_required');
    return this.#context.enrollment?.refusalOf(this);
  }

  async #holds(permission: string, scope: string): Promise<boolean> {
    const grants = this.#caller?.grants;
    if (grants === undefined || !isPermissionName(permission)) return false;
    const chain = await this.chainOf(scope, { fresh: false });
    return chain !== null && grants.allow(permission, chain);
  }

  async #holdsRole(role: string, scope: string): Promise<boolean> {
    const grants = this.#caller?.grants;
    if (grants === undefined) return false;
    const chain = await this.chainOf(scope, { fresh: false });
    return chain !== null && grants.holdsRole(role, chain);
  }

  /** @internal Whether this instance of the library found out who is calling; the people of another one are none of its own. */
  isOf(context: AuthContext): boolean {
    return this.#context === context;
  }

  /**
   * @internal Whether it was found out for this request. One that a host made out of another may have the same list of raw headers; where it
   * has the same headers too it has the same cookie.
   */
  isAbout(req: Request): boolean {
    return this.#req === req || this.#req.headers === req.headers;
  }

  /** @internal The reason why the request has no user. */
  get refusal(): AuthTunaError {
    const { code, dpop, locked } = this.#refusal;
    if (dpop !== null) return new AuthTunaError(code, { reason: `dpop:${dpop}` });
    if (locked !== null) return lockedSession(this.#context.stepUpPath);
    return bearerRefusal(code, this.#authenticator?.kind) ?? new AuthTunaError(code);
  }

  /** @internal A session that waits for a step-up; only the routes that cure it or end it look here. */
  get locked(): VerifiedSession | null {
    return this.#refusal.locked;
  }

  /** @internal Whether a new password must be chosen before anything else. */
  get mustChangePassword(): boolean {
    return this.#caller?.mustChangePassword ?? false;
  }

  /** @internal What is held, for a decision without waiting. */
  get grants(): Grants | null {
    return this.#caller?.grants ?? null;
  }

  /** @internal The chain of a scope if it may be taken from memory for this request; undefined when it must be asked for. */
  rememberedChain(scope: string): Chain | undefined {
    const version = this.#scopesVersion;
    const { scopes } = this.#context;
    const now = this.#context.now();
    return version === undefined ? scopes.remembered(scope, now) : scopes.unchanged(scope, version, now);
  }

  /** @internal The chain of a scope for this request; with `fresh`, as of now in any case. */
  chainOf(scope: string, options: { fresh: boolean }): Promise<Chain | null> {
    const version = this.#scopesVersion;
    return this.#context.scopes.chainOf(scope, { fresh: options.fresh || version !== undefined, version });
  }

  /** @internal Asks the row again, for a route that wants the answer of now. */
  async refresh(): Promise<void> {
    const authenticator = this.#authenticator;
    if (authenticator === null || this.#caller === null || (this.#isLatest && this.isCurrent)) return;
    const answer = await this.#context.recheck(authenticator, this.#caller, this.#req);
    this.#actor = null;
    this.#user = null;
    this.#session = null;
    if (answer instanceof Refusal) {
      this.#caller = null;
      this.#refusal = answer;
    } else {
      this.#caller = answer;
      this.#isLatest = true;
      this.#foundAt = this.#context.now();
    }
  }

  /** @internal Reads the rows for a request whose method was changed to an unsafe one after `session()`. */
  async refreshForUnsafe(): Promise<void> {
    await this.refresh();
    this.isForUnsafe = true;
  }

  /**
   * @internal Whether a guard may go by it. Between `session()` and a guard lies whatever the sender takes for the body, so what was found
   * when the headers came is not what holds when they are acted on.
   */
  get isCurrent(): boolean {
    if (this.#caller === null) return true;
    const { trustedMs } = this.#context;
    const limit = this.#isLatest || trustedMs === 0 ? ROW_MS : trustedMs;
    return this.#isYounger(limit, this.#caller) && !this.#isStale(this.#caller);
  }

  #isStale(caller: Caller): boolean {
    return this.#authenticator?.isStale(caller) ?? false;
  }

  /** A clock that was put back makes nothing young again. */
  #isYounger(limitMs: number, caller: Caller): boolean {
    const since = this.#isLatest ? this.#foundAt : caller.trustedUntil - this.#context.trustedMs;
    const age = this.#context.now() - since;
    return age >= 0 && age < limitMs;
  }

  /** A handler that runs for long asks again once what was found is older than it may be, or is known to have changed. */
  async #ensureTrusted(): Promise<void> {
    if (this.#caller === null) return;
    // A stream or a socket asks at every message, so what was read for it is good for V, as for any request that changes nothing.
    const limit = isSafeMethod(this.#req.method) ? this.#context.trustedMs || ROW_MS : ROW_MS;
    if (this.#isYounger(limit, this.#caller) && !this.#isStale(this.#caller)) return;
    await this.refresh();
  }

  /** Of the tree of scopes, where the row was read for this very request. */
  get #scopesVersion(): number | undefined {
    return this.#isLatest || this.#context.trustedMs === 0 ? this.#caller?.scopesVersion : undefined;
  }
}

/** A session that is used from somewhere else than before: a proof opens it again. */
function lockedSession(stepUp: string): AuthTunaError {
  return new AuthTunaError('recent_login_required', {
    message:
      'This session is used from another browser or place than before. Confirm that it is you to continue.',
    max_age: 0,
    stepUp,
  });
}

/** What a program is told whose key or token does not count; null where a person is meant. @see RFC 6750 section 3.1 */
function bearerRefusal(code: ErrorCode, kind: Credential | undefined): AuthTunaError | null {
  if (STATUS[code] !== 401 || kind === undefined || kind === 'session') return null;
  const message = code === 'unauthenticated' ? INVALID[kind] : undefined;
  return new AuthTunaError(code, { reason: 'bearer', ...(message !== undefined && { message }) });
}

const INVALID = {
  api_key: 'This API key is not valid, or not any more.',
  access_token: 'This access token is not valid, or has expired. Refresh it, or sign in again.',
};
