import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
  Router,
} from 'express';
import { z } from 'zod';
import { AuthTunaError } from '../errors.js';
import { securityHeaders } from './answer/headers.js';
import { authOf, currentUser } from './caller/request-auth.js';
import { handle } from './errors.js';
import { leadThroughStepUp } from './guards/step-up.js';
import type { HttpKit } from './kit.js';
import type { Call, Feature, Route, RouteAnswer, RouteGuard, RouteLimit } from './route.js';
import { BODY_LIMIT, jsonBody, validate } from './validate.js';

const NO_FIELDS = z.strictObject({});

/** A router with the routes and pages of a feature. */
export function mount(http: HttpKit, feature: Feature): Router {
  const router = Router();
  const { pages } = feature;
  http.mounts.add(http.views, feature);
  // One route object a path: it knows all methods of the path, and answers any other with 405.
  for (const [path, entries] of byPath(feature)) {
    const at = router.route(path);
    for (const { method, handlers } of entries) at[method](...(handlers(http) as RequestHandler[]));
    at.all(...http.prepare, only(entries.map(({ method }) => method)));
  }
  if (pages?.afterStepUp !== undefined)
    router.use(leadThroughStepUp(http.views, http.config.paths.auth, pages.afterStepUp));
  if (pages?.onError !== undefined) router.use(...pages.onError);
  router.use(http.errorHandler);
  return router;
}

interface Entry {
  method: Route['method'];
  handlers(http: HttpKit): (RequestHandler | ErrorRequestHandler)[];
}

/** All methods of each path, in the order of the table. */
function byPath({ routes, pages }: Feature): Map<string, Entry[]> {
  const paths = new Map<string, Entry[]>();
  const add = (path: string, entry: Entry) => paths.set(path, [...(paths.get(path) ?? []), entry]);
  for (const page of pages?.routes ?? [])
    add(page.path, {
      method: 'get',
      handlers: (http) => [
        ...(page.isStatic === true ? [] : http.prepare),
        ...guardsOf(http, page.guard),
        ...page.show,
      ],
    });
  for (const route of routes) {
    if (route.isFormOnly === true && pages === null) continue;
    add(route.path, {
      method: route.method,
      handlers: (http) => handlersOf(http, route, pages !== null),
    });
  }
  return paths;
}

function handlersOf(
  http: HttpKit,
  route: Route,
  hasPages: boolean,
): (RequestHandler | ErrorRequestHandler)[] {
  const { forVisitors = {} } = route;
  const isForm = hasPages && route.form !== undefined;
  const hasBody = route.method === 'post' || route.method === 'patch';
  return [
    ...(route.isCrossSite === true ? crossSite(http) : http.prepare),
    ...guardsOf(http, route.guard),
    ...limits(http, route.limit),
    ...limits(http, forVisitors.limit).map(onlyVisitors),
    ...(!hasBody || route.isCrossSite === true
      ? []
      : [isForm ? http.views.formOrJson(route.form) : jsonBody()]),
    ...(route.human === undefined ? [] : [http.humanCheck(route.human)]),
    ...(forVisitors.human === undefined ? [] : [onlyVisitors(http.humanCheck(forVisitors.human))]),
    handle(async (req, res) => {
      const body = hasBody ? validate(route.body ?? NO_FIELDS, req.body) : undefined;
      const query = route.query === undefined ? undefined : validate(route.query, req.query);
      const wantsPage = hasPages && http.views.wantsPage(req);
      respond(
        http,
        req,
        res,
        wantsPage,
        await route.run(new RequestCall(req, res, { body, query, wantsPage })),
      );
    }),
    ...(hasPages ? (route.forms ?? []) : []),
  ];
}

/** {@link Call} for a route whose schemas are known to its table only. */
class RequestCall implements Call<never, never> {
  readonly req: Request;
  readonly res: Response;
  readonly body: never;
  readonly query: never;
  readonly wantsPage: boolean;

  constructor(req: Request, res: Response, found: { body: unknown; query: unknown; wantsPage: boolean }) {
    this.req = req;
    this.res = res;
    this.body = found.body as never;
    this.query = found.query as never;
    this.wantsPage = found.wantsPage;
  }

  readonly param = (name: string): string => String(this.req.params[name]);

  get auth() {
    return authOf(this.req);
  }

  get actor() {
    return this.auth.actor;
  }

  get user() {
    return currentUser(this.req);
  }
}

function respond(http: HttpKit, req: Request, res: Response, wantsPage: boolean, answer: RouteAnswer): void {
  if (answer === undefined) return;
  if ('signIn' in answer) {
    http.sendSignIn(req, res, answer.signIn, answer);
    return;
  }
  if ('page' in answer && wantsPage) {
    const [name, data] = answer.page;
    http.views.page(req, res, name, data as never);
    return;
  }
  const { json, status } = answer;
  const redirectTo = 'redirectTo' in answer ? answer.redirectTo : undefined;
  http.views.answer(req, res, {
    ...(json !== undefined && { json }),
    ...(status !== undefined && { status }),
    redirectTo: redirectTo ?? http.views.returnTo(req) ?? '/',
  });
}

/** A post of another site comes without our cookies, so that no caller is looked for. Its fields are checked by the route's schema. */
function crossSite({ config }: HttpKit): RequestHandler[] {
  return [
    securityHeaders(config.isSecure),
    express.urlencoded({ extended: false, limit: BODY_LIMIT, inflate: false, parameterLimit: 32 }),
  ];
}

/** The middleware that a guard stands for. */
function guardsOf({ guards, stepUp }: HttpKit, guard: RouteGuard | undefined): RequestHandler[] {
  if (guard === undefined) return [];
  const handlers = [
    guards.requireUser({
      credentials: ['session'],
      ...(guard.allow === 'must_enroll' && { mustEnroll: 'allowed' as const }),
      ...(guard.allow === 'must_change_password' && { mustChangePassword: 'allowed' as const }),
      ...(guard.fresh === true && { fresh: true }),
    }),
    ...(guard.recent === 'login' ? [stepUp.requireRecentLogin()] : []),
    ...(guard.recent === 'factor' ? [stepUp.requireRecentFactor()] : []),
  ];
  return guard.optional === true ? handlers.map(onlyUsers) : handlers;
}

function limits({ rateLimit, config }: HttpKit, limit: RouteLimit | undefined): RequestHandler[] {
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

/** Last on a path: refuses every method but those that it has. */
function only(methods: readonly Route['method'][]): RequestHandler {
  const allow = [
    ...new Set(methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))),
  ];
  return (_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow }));
}
