import { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import type { Actor } from '../../actor.js';
import type { ApiKey, Auth, Session } from '../../auth.js';
import type { Access } from '../../core/access/access.js';
import type { Chain, Grants } from '../../core/access/grants.js';
import { isPermissionName } from '../../core/access/scope-name.js';
import type { ScopeTree } from '../../core/access/scope-tree.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import { withSafeJson } from '../../core/user.js';
import { AuthTunaError, type ErrorCode, misconfigured } from '../../errors.js';
import { isSafeMethod } from '../guards/csrf.js';

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
  /** Whether anything about it is known to have changed since it was read. */
  isStale(verified: VerifiedSession): boolean;
  actorOf(req: Request, verified: VerifiedSession | null): Actor;
  /** Asks the row again about what this request was found to be. */
  recheck(req: Request, verified: VerifiedSession): Promise<VerifiedSession | { refusal: ErrorCode }>;
}

const ROW_MS = 1000; // how long a row that was read for a request is its answer, whatever `recheckSeconds` is

/** `req.auth`. Made for every request, so it holds what was found and works everything else out when asked. */
export class RequestAuth implements Auth {
  readonly #context: AuthContext;
  readonly #req: Request;
  #verified: VerifiedSession | null;
  /** Whether the row was read for this very request. */
  #isLatest: boolean;
  /** When the row was read for this very request. */
  #foundAt: number;
  #refusal: ErrorCode;
  #locked: VerifiedSession | null;
  #actor: Actor | null = null;
  #user: Express.User | null = null;
  #session: Session | null = null;

  constructor(
    context: AuthContext,
    req: Request,
    verified: VerifiedSession | null,
    isLatest: boolean,
    refusal: ErrorCode,
    locked: VerifiedSession | null,
  ) {
    this.#context = context;
    this.#req = req;
    this.#verified = verified;
    this.#isLatest = isLatest;
    this.#foundAt = isLatest ? context.now() : 0;
    this.#refusal = refusal;
    this.#locked = locked;
  }

  get method(): Auth['method'] {
    return this.#verified === null ? 'anonymous' : 'session';
  }

  get user(): Express.User | null {
    if (this.#verified === null) return null;
    this.#user ??= this.#hostUser(this.#verified);
    return this.#user;
  }

  #hostUser(verified: VerifiedSession): Express.User {
    const { publicColumns } = this.#context;
    const user = verified.user as Express.User;
    return publicColumns === null ? user : withSafeJson(user, publicColumns);
  }

  get session(): Session | null {
    if (this.#verified === null) return null;
    this.#session ??= this.#verified.session;
    return this.#session;
  }

  get apiKey(): ApiKey | null {
    return null;
  }

  get actor(): Actor {
    this.#actor ??= this.#context.actorOf(this.#req, this.#verified);
    return this.#actor;
  }

  async can(permission: string, scope = 'global'): Promise<boolean> {
    await this.#ensureTrusted();
    const grants = this.#verified?.grants;
    if (grants === undefined || !isPermissionName(permission)) return false;
    const chain = await this.chainOf(scope, { fresh: false });
    return chain !== null && grants.allow(permission, chain);
  }

  async hasRole(role: string, scope = 'global'): Promise<boolean> {
    await this.#ensureTrusted();
    const grants = this.#verified?.grants;
    if (grants === undefined) return false;
    const chain = await this.chainOf(scope, { fresh: false });
    return chain !== null && grants.holdsRole(role, chain);
  }

  async require(permission: string, scope = 'global'): Promise<void> {
    const isAllowed = await this.can(permission, scope);
    if (this.#verified === null) throw this.refusal;
    if (this.mustChangePassword) throw new AuthTunaError('password_change_required');
    const mustEnroll = await this.#context.enrollment?.refusalOf(this);
    if (mustEnroll !== undefined) throw mustEnroll;
    if (!isAllowed) throw new AuthTunaError('forbidden');
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

  /** @internal Why nobody is signed in. */
  get refusal(): AuthTunaError {
    return new AuthTunaError(this.#refusal);
  }

  /** @internal A session that waits for a step-up; only the routes that cure it or end it look here. */
  get locked(): VerifiedSession | null {
    return this.#locked;
  }

  /** @internal Whether a new password must be chosen before anything else. */
  get mustChangePassword(): boolean {
    return this.#verified?.mustChangePassword ?? false;
  }

  /** @internal What is held, for a decision without waiting. */
  get grants(): Grants | null {
    return this.#verified?.grants ?? null;
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
    if (this.#verified === null || (this.#isLatest && this.isCurrent)) return;
    const answer = await this.#context.recheck(this.#req, this.#verified);
    this.#actor = null;
    this.#user = null;
    this.#session = null;
    if ('refusal' in answer) {
      this.#verified = null;
      this.#refusal = answer.refusal;
    } else {
      this.#verified = answer;
      this.#isLatest = true;
      this.#foundAt = this.#context.now();
    }
  }

  /**
   * @internal Whether a guard may go by it. Between `session()` and a guard lies whatever the sender takes for the body, so what was found
   * when the headers came is not what holds when they are acted on.
   */
  get isCurrent(): boolean {
    if (this.#verified === null) return true;
    const { trustedMs } = this.#context;
    const limit = this.#isLatest || trustedMs === 0 ? ROW_MS : trustedMs;
    return this.#isYounger(limit, this.#verified) && !this.#context.isStale(this.#verified);
  }

  /** A clock that was put back makes nothing young again. */
  #isYounger(limitMs: number, verified: VerifiedSession): boolean {
    const since = this.#isLatest ? this.#foundAt : verified.trustedUntil - this.#context.trustedMs;
    const age = this.#context.now() - since;
    return age >= 0 && age < limitMs;
  }

  /** A handler that runs for long asks again once what was found is older than it may be, or is known to have changed. */
  async #ensureTrusted(): Promise<void> {
    if (this.#verified === null) return;
    // A stream or a socket asks at every message, so what was read for it is good for V, as for any request that changes nothing.
    const limit = isSafeMethod(this.#req.method) ? this.#context.trustedMs || ROW_MS : ROW_MS;
    if (this.#isYounger(limit, this.#verified) && !this.#context.isStale(this.#verified)) return;
    await this.refresh();
  }

  /** Of the tree of scopes, where the row was read for this very request. */
  get #scopesVersion(): number | undefined {
    return this.#isLatest || this.#context.trustedMs === 0 ? this.#verified?.scopesVersion : undefined;
  }
}

/**
 * Where the `RequestAuth` of a request is kept: on its list of raw headers.
 *
 * Express changes the prototype of every request, so that V8 gives each one a shape of its own, and a property added to it afterwards copies
 * that whole shape: a route that answers at once loses 4 % for each. Lists of headers all share their shape, nobody replaces them, and
 * nothing that walks them meets a symbol. (A `WeakMap` costs more, in garbage collection.)
 */
const AUTH = Symbol.for('authtuna.auth'); // for two copies of the library in one process, whose apps share one Express

const prepared = new WeakSet<object>();

/** @internal Says who is calling: `req.auth` and `req.user` from now on, whatever an earlier middleware put there. */
export function setAuth(req: Request, auth: RequestAuth): void {
  if (hasOwn(req)) forgetOwn(req);
  const prototype: object = Object.getPrototypeOf(req);
  if (!prepared.has(prototype)) {
    const target = sharedByApps(req);
    if (target === req || !prepared.has(target)) defineOn(target);
    if (target !== req) prepared.add(target).add(prototype);
  }
  if (slotOf(req)[AUTH]?.isAbout(req) === false) {
    // Made out of another request, which goes on being its own.
    const value = [...req.rawHeaders];
    Object.defineProperty(req, 'rawHeaders', { configurable: true, enumerable: true, writable: true, value });
  }
  slotOf(req)[AUTH] = auth;
}

/** `auth` and `user`, which read what was set last. Who assigns to them has a property of his own from then on. */
function defineOn(target: object): void {
  const property = (name: string, get: (this: Request) => unknown): PropertyDescriptor => ({
    configurable: true,
    enumerable: true,
    get,
    set(this: Request, value: unknown) {
      Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
    },
  });
  Object.defineProperties(target, {
    auth: property('auth', function () {
      return authIn(this);
    }),
    user: property('user', function () {
      return authIn(this)?.user ?? undefined;
    }),
  });
}

function hasOwn(object: object): boolean {
  return Object.hasOwn(object, 'user') || Object.hasOwn(object, 'auth');
}

function forgetOwn(req: Request): void {
  for (const name of ['auth', 'user']) {
    if (!Reflect.deleteProperty(req, name))
      throw misconfigured(`req.${name} was defined before session() so that it cannot be replaced`);
  }
}

/**
 * What the requests of all apps of one Express inherit from, so that an app called from another one knows who is calling too: Express offers it
 * for this as `express.request`. The request itself where there is no Express, or where something in between has a `user` or `auth` that
 * would be read instead, or may be given one because it is a request.
 */
function sharedByApps(req: Request): object {
  let found: object = req;
  for (;;) {
    const next: object | null = Object.getPrototypeOf(found);
    if (found !== req && Object.hasOwn(found, 'rawHeaders')) return req;
    if (next === IncomingMessage.prototype) return found;
    if (next === null || (found !== req && hasOwn(found))) return req;
    found = next;
  }
}

function slotOf(req: Request): { [AUTH]?: RequestAuth } {
  return (req.rawHeaders ?? req) as { [AUTH]?: RequestAuth };
}

function authIn(req: Request): RequestAuth | undefined {
  const auth = slotOf(req)[AUTH];
  return auth?.isAbout(req) === true ? auth : undefined;
}

/** @internal Who is calling, or undefined where no `session()` has run. */
export function findAuth(req: Request): RequestAuth | undefined {
  const auth = authIn(req);
  return auth instanceof RequestAuth ? auth : undefined;
}

/** @internal Who is calling, with the sentence a developer needs when no `session()` has run. */
export function authOf(req: Request): RequestAuth {
  const auth = findAuth(req);
  if (auth === undefined) {
    throw new AuthTunaError('misconfigured', {
      message:
        'req.auth is missing: put app.use(authTuna.session()) before the routes that ask who is calling.',
    });
  }
  return auth;
}

/**
 * The user of a request behind `requireUser()` or another guard.
 *
 * @throws AuthTunaError `unauthenticated` when nobody is signed in, `misconfigured` when `session()` was not mounted before
 */
export function currentUser(req: Request): Express.User {
  const auth = authOf(req);
  const { user } = auth;
  if (user === null) throw auth.refusal;
  return user;
}
