import type { Request, RequestHandler } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf } from '../caller/attach.js';
import type { HttpKit } from '../kit.js';
import type { Route, RouteGuard } from '../route.js';

/** Everything that stands before the body of a route, in order: guard, limit, and the limit that only visitors meet. */
export function beforeBody(http: HttpKit, route: Route): RequestHandler[] {
  return [
    ...guardsOf(http, route.guard),
    ...ownSessionOf(route),
    ...limitsOf(http, route.limit),
    ...limitsOf(http, route.forVisitors?.limit).map(onlyVisitors),
  ];
}

/** What asks whether a person sends the body. */
export function humanChecksOf(http: HttpKit, { human, forVisitors }: Route): RequestHandler[] {
  return [
    ...(human === undefined ? [] : [http.humanCheck(human)]),
    ...(forVisitors?.human === undefined ? [] : [onlyVisitors(http.humanCheck(forVisitors.human))]),
  ];
}

/** The middleware that a guard stands for. */
export function guardsOf({ guards, stepUp }: HttpKit, guard: RouteGuard | undefined): RequestHandler[] {
  if (guard === undefined) return [];
  const credentials = guard.credentials ?? (['session'] as const);
  const fresh = guard.fresh === true && { fresh: true };
  const handlers = [
    guard.permission === undefined
      ? guards.requireUser({
          credentials,
          ...(guard.allow === 'must_enroll' && { mustEnroll: 'allowed' as const }),
          ...(guard.allow === 'must_change_password' && { mustChangePassword: 'allowed' as const }),
          ...fresh,
        })
      : guards.requirePermission(guard.permission, { credentials, ...fresh }),
    ...(guard.permission === undefined ? [] : [notImpersonated]),
    ...(guard.recent === 'login' ? [stepUp.requireRecentLogin()] : []),
    ...(guard.recent === 'factor' ? [stepUp.requireRecentFactor()] : []),
  ];
  return guard.optional === true ? handlers.map(onlyUsers) : handlers;
}

/** Acting as another person must not change how they sign in, nor anything else that this library keeps, unless the route says so. */
function ownSessionOf({ method, guard }: Route): RequestHandler[] {
  const isFree = guard === undefined || method === 'get' || guard.impersonated === 'allowed';
  return isFree ? [] : [notImpersonated];
}

/** @see docs/requirements.md AD-5 */
const notImpersonated: RequestHandler = (req, _res, next) => {
  const isImpersonated = authOf(req).session?.impersonatorId != null;
  next(isImpersonated ? new AuthTunaError('forbidden', { reason: 'impersonated' }) : undefined);
};

function limitsOf({ rateLimit, config }: HttpKit, limit: Route['limit']): RequestHandler[] {
  if (limit === undefined) return [];
  if (typeof limit === 'string') return [rateLimit(limit)];
  const { name, like, by = 'ip' } = limit;
  return [rateLimit(name, { ...config.rateLimits[like], by })];
}

/** A guard for people who are signed in; visitors pass. */
function onlyUsers(guard: RequestHandler): RequestHandler {
  return (req, res, next) => (isVisitor(req) ? next() : guard(req, res, next));
}

/** A guard for visitors; people who are signed in pass. */
function onlyVisitors(guard: RequestHandler): RequestHandler {
  return (req, res, next) => (isVisitor(req) ? guard(req, res, next) : next());
}

/** A session that waits for a step-up, or was ended, makes no visitor, so a user does not sign up a second time by mistake. */
function isVisitor(req: Request): boolean {
  const auth = authOf(req);
  return auth.user === null && auth.locked === null;
}
