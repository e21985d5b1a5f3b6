import type { Request, RequestHandler } from 'express';
import { isScope } from '../core/access/scope-name.js';
import { AuthTunaError, misconfigured } from '../errors.js';
import type { Credential } from '../http/caller/authenticators.js';
import { handle } from '../http/errors.js';
import {
  checkOptions,
  type GuardOptions,
  scopeReader,
  type UserGuardOptions,
} from '../http/guards/guards.js';
import { RemoteAuth } from './remote-auth.js';
import type { Check } from './server.js';

/** Lets signed-in users through. @see Guards.requireUser */
export function requireUser(options: UserGuardOptions = {}): RequestHandler {
  checkOptions('requireUser', options, ['fresh', 'credentials']);
  return handle(async (req, _res, next) => {
    const auth = authOf(req);
    requireCaller(auth, options);
    if (options.fresh === true) await auth.confirm();
    next();
  });
}

/** @see Guards.requirePermission */
export function requirePermission(
  permission: string | readonly string[],
  options: GuardOptions = {},
): RequestHandler {
  return guard('requirePermission', permission, options, 'all', (name, scope) => ({
    permission: name,
    scope,
  }));
}

/** @see Guards.requireRole */
export function requireRole(role: string | readonly string[], options: GuardOptions = {}): RequestHandler {
  return guard('requireRole', role, options, 'any', (name, scope) => ({ role: name, scope }));
}

function guard(
  what: string,
  wanted: string | readonly string[],
  options: GuardOptions,
  match: 'all' | 'any',
  checkOf: (name: string, scope: string) => Check,
): RequestHandler {
  checkOptions(what, options);
  const names = [wanted].flat() as string[];
  if (names.length === 0 || names.some((name) => typeof name !== 'string'))
    throw misconfigured(`${what} needs at least one name`);
  const scopeOf = scopeReader(options);
  const isAny = (options.match ?? match) === 'any';
  const isFresh = options.fresh === true;
  const allows = (results: readonly boolean[]) => (isAny ? results.includes(true) : !results.includes(false));
  const decide = async (auth: RemoteAuth, found: string | Promise<string>) => {
    const scope = await found;
    if (!isScope(scope)) throw new AuthTunaError('not_found');
    const results = await auth.decide(
      names.map((name) => checkOf(name, scope)),
      { isFresh },
    );
    if (!allows(results)) throw new AuthTunaError(options.hide === true ? 'not_found' : 'forbidden');
  };
  return handle((req, _res, next) => {
    const auth = authOf(req);
    requireCaller(auth, options);
    const scope = scopeOf(req);
    if (typeof scope === 'string' && isScope(scope) && !isFresh) {
      const results = auth.remembered(names.map((name) => checkOf(name, scope)));
      if (results !== undefined && allows(results)) return next();
    }
    return decide(auth, scope).then(() => next());
  });
}

function authOf(req: Request): RemoteAuth {
  if (req.auth instanceof RemoteAuth) return req.auth;
  throw misconfigured(
    'req.auth is missing: put app.use(authTuna.session()) before the routes that ask who is calling.',
  );
}

/** @throws AuthTunaError why there is no user, or why the user or the credential may not pass */
function requireCaller(auth: RemoteAuth, { credentials }: UserGuardOptions): void {
  if (auth.refusal !== null) throw auth.refusal;
  if (auth.user === null) throw new AuthTunaError('unauthenticated');
  if (credentials !== undefined && !credentials.includes(auth.method as Credential))
    throw new AuthTunaError('forbidden');
}
