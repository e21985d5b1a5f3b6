import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { z } from 'zod';
import { validate } from '../core/validate.js';
import { AuthTunaError } from '../errors.js';
import { securityHeaders } from './answer/headers.js';
import { RequestCall, respond } from './call.js';
import { handle } from './errors.js';
import { beforeBody, guardsOf, humanChecksOf } from './guards/route-guards.js';
import { leadThroughSignIn, leadThroughStepUp } from './guards/step-up.js';
import type { HttpKit } from './kit.js';
import { noticeMisplaced } from './mount-place.js';
import type { Feature, Route } from './route.js';
import { answeredIn } from './time-limit.js';
import { BODY_LIMIT, jsonBody, jsonOrForm } from './validate.js';

const NO_FIELDS = z.strictObject({});

/**
 * A router with the routes and pages of a feature. They are put together at the first request that reaches it: most processes serve a few of
 * the routers, and the patterns of 240 paths are a tenth of a start.
 */
export function mount(http: HttpKit, feature: Feature): Router {
  http.mounts.add(http.views, feature);
  let routes: Router | undefined;
  return Router().use(noticeMisplaced(http.config, http.mounts, feature.path), (req, res, next) => {
    routes ??= routesOf(http, feature);
    routes(req, res, next);
  });
}

function routesOf(http: HttpKit, feature: Feature): Router {
  const router = Router();
  const { pages } = feature;
  // One route object a path: it knows all methods of the path, and answers any other with 405.
  for (const [path, entries] of byPath(feature)) {
    const at = router.route(path);
    for (const { method, handlers } of entries) at[method](...(handlers(http) as RequestHandler[]));
    at.all(...http.prepare, only(entries.map(({ method }) => method)));
  }
  if (pages?.formAt !== undefined)
    router.use(
      leadThroughStepUp(http.views, http.config.paths.auth, pages.formAt),
      leadThroughSignIn(http.views, pages.formAt),
    );
  for (const handlers of [pages?.onError, feature.onError])
    if (handlers !== undefined) router.use(...handlers);
  return router.use(http.errorHandler);
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
  const hasBody = route.method === 'post' || route.method === 'patch';
  return [
    ...(route.isCrossSite === true ? crossSite(http) : http.prepare),
    ...beforeBody(http, route),
    ...(hasBody && route.isCrossSite !== true ? [bodyOf(http, route, hasPages)] : []),
    ...humanChecksOf(http, route),
    handle(async (req, res) => {
      const body = hasBody ? validate(route.body ?? NO_FIELDS, req.body) : undefined;
      // `confirmed` is for the notice of the page that a step-up leads back to.
      const { confirmed: _notice, ...asked } = req.query;
      const query = route.query === undefined ? undefined : validate(route.query, asked);
      const wantsPage = hasPages && http.views.wantsPage(req);
      respond(
        http,
        req,
        res,
        wantsPage,
        await answeredIn(route.asksOthers === true ? RUN_WITH_OTHERS_MS : RUN_MS, () =>
          route.run(new RequestCall(req, res, { body, query, wantsPage })),
        ),
      );
    }),
    ...(hasPages ? (route.forms ?? []) : []),
    ...(route.onError ?? []),
  ];
}

const RUN_MS = 8000; // four statements that take as long as one may; after that the person has pressed the button again
const RUN_WITH_OTHERS_MS = 30_000;

function bodyOf(http: HttpKit, { form, takesForms, endsSession }: Route, hasPages: boolean): RequestHandler {
  if (takesForms === true) return jsonOrForm();
  const options = { mayHaveEnded: endsSession === true };
  return hasPages && form !== undefined ? http.views.formOrJson({ ...form, ...options }) : jsonBody(options);
}

/** A post of another site comes without our cookies, so that no caller is looked for. Its fields are checked by the route's schema. */
function crossSite({ config }: HttpKit): RequestHandler[] {
  return [
    securityHeaders(config.isSecure),
    express.urlencoded({ extended: false, limit: BODY_LIMIT, inflate: false, parameterLimit: 32 }),
  ];
}

/** Last on a path: refuses every method but those that it has. */
function only(methods: readonly Route['method'][]): RequestHandler {
  const allow = [
    ...new Set(methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))),
  ];
  return (_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow }));
}
