import type { Request, RequestHandler } from 'express';
import { authOf } from '../caller/attach.js';
import type { HttpKit } from '../kit.js';
import type { Route, RouteGuard } from '../route.js';

/** Everything that stands before the body of a route, in order: guard, limit, and the limit that only visitors meet. */
export function beforeBody(http: HttpKit, route: Route): RequestHandler[] {
  return [
    ...guardsOf(http, route.guard),
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
  const handlers = [
    guards.requireUser({
      credentials: guard.credentials ?? ['session'],
      ...(guard.allow === 'must_enroll' && { mustEnroll: 'allowed' as const }),
      ...(guard.allow === 'must_change_password' && { mustChangePassword: 'allowed' as const }),
      ...(guard.fresh === true && { fresh: true }),
    }),
    ...(guard.recent === 'login' ? [stepUp.requireRecentLogin()] : []),
    ...(guard.recent === 'factor' ? [stepUp.requireRecentFactor()] : []),
  ];
  return guard.optional === true ? handlers.map(onlyUsers) : handlers;
}

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

/** A session that waits for a step-up, or was ended, makes no visitor: nobody signs up by mistake. */
function isVisitor(req: Request): boolean {
  const auth = authOf(req);
  return auth.user === null && auth.locked === null;
}
