import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Chain } from '../../core/access/grants.js';
import { isPermissionName, isScope } from '../../core/access/scope-name.js';
import type { Core } from '../../core/core.js';
import { AuthTunaError, misconfigured } from '../../errors.js';
import { rememberAtMost } from '../../remember.js';
import { authOf } from '../caller/attach.js';
import { CREDENTIALS, type Credential } from '../caller/authenticators.js';
import type { AuthContext, EnrollmentCheck, RequestAuth } from '../caller/request-auth.js';
import { crossSiteRefusal, isCrossSite, isSafeMethod } from './csrf.js';
import { holdEndOfBody, isAwaitingBody } from './whole-body.js';

export interface UserGuardOptions {
  /** Ask the database although the method is safe. */
  fresh?: boolean;
  /** The kinds of credential that may be presented. Default: all. */
  credentials?: readonly Credential[];
}

export interface GuardOptions extends UserGuardOptions {
  /** A fixed scope. Default: `global`. */
  scope?: string;
  /**
   * `'projectId'` is `project:<req.params.projectId>`, `'orgId'` is `org:<…>`; or a function of the request that gives a scope.
   */
  scopeFrom?: string | ((req: Request) => string | Promise<string>);
  /** The type, where the parameter's name does not say it: `scopeFrom: 'id', scopeType: 'project'`. */
  scopeType?: string;
  /** Default: all permissions, any role. */
  match?: 'all' | 'any';
  /** Answers 404 instead of 403, so that the answer does not reveal that the resource exists. */
  hide?: boolean;
}

/** Middleware that lets a request through or says why not. Every failure on the way denies. */
export class Guards {
  readonly #core: Core;
  readonly #sessions: AuthContext & { readonly handler: RequestHandler };
  /** Null while no option requires a second factor of anybody. */
  readonly #enrollment: EnrollmentCheck | null;
  /** Refusals of one permission to one user are recorded once a minute, at whatever scopes: the caller chooses those. */
  readonly #recorded = rememberAtMost<{ at: number; unrecorded: number }>(10_000);
  /** What guards ask for by name, so that `ready()` can tell of a name that nothing has. */
  readonly named = { permissions: new Set<string>(), roles: new Set<string>() };

  constructor(core: Core, sessions: AuthContext & { readonly handler: RequestHandler }) {
    this.#core = core;
    this.#sessions = sessions;
    this.#enrollment = sessions.enrollment;
  }

  /** Somebody is signed in. 401 otherwise. */
  requireUser = (
    options: UserGuardOptions & {
      /** @internal For routes that cure it; a password that must be changed is changed before a factor that must be set up. */
      mustChangePassword?: 'allowed';
      /** @internal For routes that cure it. */
      mustEnroll?: 'allowed';
    } = {},
  ): RequestHandler => {
    checkOptions('requireUser', options, USER_OPTIONS);
    const allowPending = options.mustChangePassword === 'allowed';
    const asksEnrollment = !allowPending && options.mustEnroll !== 'allowed';
    const decide = (auth: RequestAuth, next: NextFunction) => {
      const refusal = refusalOf(auth, options, allowPending);
      if (refusal !== undefined) return next(refusal);
      if (this.#enrollment === null || !asksEnrollment) return next();
      this.#whenEnrolled(auth, options, next, next);
    };
    return this.#onAuth((auth, _req, next) => {
      if (options.fresh === true) auth.refresh().then(() => decide(auth, next), next);
      else decide(auth, next);
    });
  };

  /**
   * The user holds the permission (or, with `match: 'any'`, one of several) at the scope of the request. 401 without a user, 403
   * when it is not held, 503 when it cannot be decided.
   */
  requirePermission = (
    permission: string | readonly string[],
    options: GuardOptions = {},
  ): RequestHandler => {
    if (permission === undefined) throw misconfigured('requirePermission needs a name');
    checkOptions('requirePermission', options, GUARD_OPTIONS);
    const permissions = typeof permission === 'string' ? [permission] : [...permission];
    if (permissions.length === 0) throw misconfigured('requirePermission needs at least one permission');
    for (const name of permissions) {
      if (!isPermissionName(name))
        throw misconfigured(
          `requirePermission('${name}'): a guard names concrete permissions such as project:read`,
        );
    }
    for (const name of permissions) this.named.permissions.add(name);
    const any = options.match === 'any';
    const decide = (auth: RequestAuth, chain: Chain): boolean => {
      const { grants } = auth;
      if (grants === null) return false;
      for (const name of permissions) if (grants.allow(name, chain) === any) return any;
      return !any;
    };
    return this.#guard(options, decide, permissions.join(' '));
  };

  /** The user holds one of the roles (or, with `match: 'all'`, all of them) at the scope of the request. */
  requireRole = (role: string | readonly string[], options: GuardOptions = {}): RequestHandler => {
    if (role === undefined) throw misconfigured('requireRole needs a name');
    checkOptions('requireRole', options, GUARD_OPTIONS);
    const roles = typeof role === 'string' ? [role] : [...role];
    if (roles.length === 0) throw misconfigured('requireRole needs at least one role');
    for (const name of roles) this.named.roles.add(name);
    const all = options.match === 'all';
    const decide = (auth: RequestAuth, chain: Chain): boolean => {
      const { grants } = auth;
      if (grants === null) return false;
      return all
        ? roles.every((name) => grants.holdsRole(name, chain))
        : roles.some((name) => grants.holdsRole(name, chain));
    };
    return this.#guard(options, decide, `role ${roles.join(' ')}`);
  };

  #guard(
    options: GuardOptions,
    decide: (auth: RequestAuth, chain: Chain) => boolean,
    what: string,
  ): RequestHandler {
    const scopeOf = scopeReader(options);
    return this.#onAuth((auth, req, next) => {
      const refusal = refusalOf(auth, options, false);
      if (refusal !== undefined) return next(refusal);
      const proceed = () => {
        const scope = scopeOf(req);
        if (options.fresh !== true && typeof scope === 'string') {
          const chain = auth.rememberedChain(scope);
          if (chain !== undefined && decide(auth, chain)) return next();
        }
        this.#decideWaiting(req, auth, options, scope, decide, what).then(() => next(), next);
      };
      if (this.#enrollment === null) proceed();
      else this.#whenEnrolled(auth, options, next, proceed);
    });
  }

  /** Decides by the caller. A caller that another AuthTuna in this process found does not count: this one finds its own. */
  #onAuth(decide: (auth: RequestAuth, req: Request, next: NextFunction) => void): RequestHandler {
    const guard: RequestHandler = (req, res, next) => {
      try {
        const auth = authOf(req);
        if (auth.isOf(this.#sessions)) {
          if (isSafeMethod(req.method)) {
            if (auth.isCurrent) return decide(auth, req, next);
          } else if (!auth.isForUnsafe) {
            // The method was changed after `session()`, which let the request pass as one that changes nothing.
            if (auth.method === 'session' && isCrossSite(req, this.#core.config))
              return next(crossSiteRefusal(req, this.#core.config));
            return void auth.refreshForUnsafe().then(() => guard(req, res, next), next);
          } else if (auth.isCurrent) {
            return decide(auth, req, isAwaitingBody(req) ? this.#holding(guard, auth, req, res, next) : next);
          }
          return void auth.refresh().then(() => guard(req, res, next), next);
        }
        this.#sessions.handler(req, res, (error?: unknown) =>
          error === undefined ? guard(req, res, next) : next(error),
        );
      } catch (error) {
        next(error);
      }
    };
    return guard;
  }

  /** Goes on as `next` does, and has the guard decide again where the rest of the body comes late. */
  #holding(
    guard: RequestHandler,
    auth: RequestAuth,
    req: Request,
    res: Response,
    next: NextFunction,
  ): NextFunction {
    return (error?: unknown) => {
      if (error === undefined && isAwaitingBody(req)) {
        holdEndOfBody(req, res, {
          isCurrent: () => auth.isCurrent,
          decideAgain: () =>
            new Promise((resolve, reject) => {
              guard(req, res, (refusal?: unknown) => (refusal === undefined ? resolve() : reject(refusal)));
            }),
          refuse: next,
        });
      }
      next(error);
    };
  }

  /** Goes on unless the user must set up a second factor first; at once where that is known, which is nearly always. */
  #whenEnrolled(auth: RequestAuth, options: UserGuardOptions, next: NextFunction, proceed: () => void): void {
    const refusal = this.#enrollment?.refusalOf(auth);
    if (refusal === undefined) proceed();
    else if (refusal instanceof Promise)
      refusal
        .then(async (found) => {
          if (found !== undefined) throw found;
          await lookAgain(auth, options);
          proceed();
        })
        .catch(next);
    else next(refusal);
  }

  /** The same decision when something has to be asked for, or when the answer is no and worth recording. */
  async #decideWaiting(
    req: Request,
    auth: RequestAuth,
    options: GuardOptions,
    scopeFound: string | Promise<string>,
    decide: (auth: RequestAuth, chain: Chain) => boolean,
    what: string,
  ): Promise<void> {
    const scope = await scopeFound;
    if (!isScope(scope)) throw new AuthTunaError('not_found'); // nothing is called that, and nothing more is said about it
    // After the host's function, which takes as long as it likes, or as the sender of a body that it reads likes.
    await lookAgain(auth, options);
    if (options.fresh === true) {
      const refusal = await this.#enrollment?.refusalOf(auth);
      if (refusal !== undefined) throw refusal;
    }
    const chain = await auth.chainOf(scope, { fresh: options.fresh === true || !isSafeMethod(req.method) });
    if (chain !== null && decide(auth, chain)) return;
    this.#record(auth, scope, what);
    throw new AuthTunaError(options.hide === true ? 'not_found' : 'forbidden');
  }

  #record(auth: RequestAuth, scope: string, what: string): void {
    const now = this.#core.now().getTime();
    const key = `${auth.actor.userId} ${what}`;
    const last = this.#recorded.get(key);
    if (last !== undefined && Math.abs(now - last.at) < RECORD_MS) {
      last.unrecorded += 1;
      return;
    }
    this.#recorded.set(key, { at: now, unrecorded: 0 });
    const data = {
      wanted: what,
      ...(last !== undefined && last.unrecorded > 0 && { unrecorded: last.unrecorded }),
    };
    this.#core.audit
      .record({ type: 'access.denied', outcome: 'denied', actor: auth.actor, scope, data })
      .catch((error: unknown) =>
        this.#core.config.logger.error('A refused request could not be recorded.', { error }),
      );
  }
}

const RECORD_MS = 60_000;

/** A role would not help, so the refusal does not speak of permissions. */
const NOT_BY: Record<Credential, string> = {
  session: 'This cannot be done with a session. Use an API key or an access token.',
  access_token: 'This cannot be done with an access token.',
  api_key: 'This cannot be done with an API key.',
};

const USER_OPTIONS = ['fresh', 'credentials', 'mustChangePassword', 'mustEnroll'];
const GUARD_OPTIONS = ['fresh', 'credentials', 'scope', 'scopeFrom', 'scopeType', 'match', 'hide'];

/** @internal A misspelled option would be left out, and the guard ask for something else than it says. */
export function checkOptions(
  guard: string,
  options: UserGuardOptions,
  known: readonly string[] = GUARD_OPTIONS,
): void {
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) throw misconfigured(`${guard}: ${option} is not an option of a guard`);
  }
  const { credentials } = options;
  if (credentials === undefined) return;
  const kinds = `use one or more of: ${CREDENTIALS.join(', ')}`;
  if (!Array.isArray(credentials) || credentials.length === 0)
    throw misconfigured(`${guard}: credentials names no kind; ${kinds}`);
  for (const kind of credentials as readonly string[]) {
    if (!(CREDENTIALS as readonly string[]).includes(kind))
      throw misconfigured(`${guard}: '${kind}' is not a kind of credential; ${kinds}`);
  }
}

/** Asks the row where the guard is `fresh`, or where what was found has grown old while something else was waited for. @throws AuthTunaError */
async function lookAgain(auth: RequestAuth, options: UserGuardOptions): Promise<void> {
  if (options.fresh !== true && auth.isCurrent) return;
  await auth.refresh();
  const refusal = refusalOf(auth, options, false);
  if (refusal !== undefined) throw refusal;
}

function refusalOf(
  auth: RequestAuth,
  options: UserGuardOptions,
  allowPending: boolean,
): AuthTunaError | undefined {
  if (auth.grants === null) return auth.refusal;
  if (auth.mustChangePassword && !allowPending) return new AuthTunaError('password_change_required');
  const { method } = auth;
  if (options.credentials !== undefined && method !== 'anonymous' && !options.credentials.includes(method))
    return new AuthTunaError('forbidden', { message: NOT_BY[method] });
  return undefined;
}

/** @internal Finds the scope of a request by the options of a guard. */
export function scopeReader(options: GuardOptions): (req: Request) => string | Promise<string> {
  const { scope, scopeFrom, scopeType } = options;
  if (scope !== undefined && scopeFrom !== undefined)
    throw misconfigured('a guard takes scope or scopeFrom, not both');
  if (scope !== undefined && !isScope(scope))
    throw misconfigured(`scope: '${scope}' is not a scope; write global or type:id, such as org:acme`);
  if (scopeFrom === undefined) return () => scope ?? 'global';
  if (typeof scopeFrom === 'function') return scopeFrom;

  const type = scopeType ?? /^([a-z][a-z0-9-]*?)(?:Id|_id)$/.exec(scopeFrom)?.[1];
  if (type === undefined) {
    throw misconfigured(
      `scopeFrom: '${scopeFrom}' does not say what it is the id of; name the parameter projectId, or add scopeType: 'project'`,
    );
  }
  const prefix = `${type}:`;
  return (req) => {
    const id = req.params[scopeFrom];
    if (typeof id === 'string') return prefix + id;
    const route = (req.route as { path?: unknown } | undefined)?.path ?? req.path;
    throw misconfigured(
      `scopeFrom: '${scopeFrom}' ${Array.isArray(id) ? WILDCARD : `is not a parameter of route ${String(route)}; ${hintFor(req)}`}`,
    );
  };
}

const WILDCARD = 'is a wildcard, which has several parts; give a function that makes the scope of them';

function hintFor({ params, baseUrl }: Request): string {
  const present = Object.keys(params);
  const hint =
    present.length === 0
      ? 'it has none; put the guard on the route itself, not on app.use'
      : `use one of: ${present.join(', ')}`;
  return baseUrl === ''
    ? hint
    : `${hint}. If it is in the path where the router is mounted, make the router by express.Router({ mergeParams: true })`;
}
