import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
  Router,
} from 'express';
import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import {
  type CookieSpec,
  cookieSpec,
  readCookie,
  serializeCookie,
  setCookie,
} from '../../http/answer/cookies.js';
import { securityHeaders } from '../../http/answer/headers.js';
import { safeReturnTo } from '../../http/answer/return-to.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle, STATUS } from '../../http/errors.js';
import { leadThroughStepUp } from '../../http/guards/step-up.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import { BODY_LIMIT, jsonBody, validate } from '../../http/validate.js';
import type { SsoConnectionManager } from './connections.js';
import type { ProviderCallback, SocialManager } from './manager.js';
import {
  callbackParameters,
  connectionBody,
  connectionChangeBody,
  domainBody,
  domainChangeBody,
  linkBody,
  nothingBody,
  scopeQuery,
  startQuery,
} from './schemas.js';

const FLOW_SECONDS = 600;
const BROWSER_BYTES = 32;
const BROWSER_SHAPE = /^[\w-]{43}$/;

/**
 * `GET :provider/login :provider/callback` (`sso/login?email=…` finds the organization's provider), `POST :provider/callback :provider/link`,
 * `DELETE :provider`, `GET /`; for forms `POST :provider/unlink`.
 *
 * Connections of organizations: `GET POST connections`, `GET PATCH DELETE connections/:id`, `POST connections/:id/domains`,
 * `PATCH DELETE connections/:id/domains/:domain`, `POST connections/:id/domains/:domain/verify`.
 */
export function socialRouter<U extends User>(
  social: SocialManager<U>,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { config, views } = http;
  const flowCookie = cookieSpec(config, 'at_flow');
  const signedIn = http.guards.requireUser({ credentials: ['session'], fresh: true });
  const recentLogin = http.stepUp.requireRecentLogin();
  const hasPages = options.pages !== false;
  const body = hasPages ? views.formOrJson() : jsonBody();
  if (hasPages) {
    http.signInMethods.providers = social.providers;
    http.signInMethods.organizations = () => social.connections.hasAny();
    http.mounted.social = true;
  }

  for (const path of social.formPostPaths) http.crossSitePosts.add(path);

  const router = Router();

  // A form_post arrives from the provider's site without our cookies. It is only sent on to our own GET, which has them.
  router.post(
    '/:provider/callback',
    securityHeaders(config.isSecure),
    express.urlencoded({ extended: false, limit: BODY_LIMIT, inflate: false, parameterLimit: 32 }),
    handle((req, res) => {
      const parameters = validate(callbackParameters, req.body);
      const query = new URLSearchParams(Object.entries(parameters));
      const path = `${config.paths.auth}/social/${encodeURIComponent(String(req.params.provider))}/callback`;
      views.redirect(res, `${path}?${query}`);
    }),
    http.errorHandler,
  );

  router.use(http.prepare);
  router.use('/connections', connectionRoutes(social.connections, http, [signedIn, recentLogin]));

  if (hasPages)
    router.get(
      '/sso/login',
      (req, _res, next) => (views.wantsPage(req) ? next() : next('route')),
      handle(async (req, res) => {
        const { email } = req.query;
        if (typeof email !== 'string' || email === '') return views.page(req, res, 'social/organization', {});
        const found = await social.connections.discover(email);
        if (found === null)
          return views.page(
            req,
            res,
            'social/organization',
            {
              values: { email: email.slice(0, 320) },
              problem: { code: 'no_organization' },
            },
            404,
          );
        const { provider, name } = found;
        const wanted = views.returnTo(req);
        const query = new URLSearchParams({ email, ...(wanted !== null && { returnTo: wanted }) });
        const continueUrl = `${config.paths.auth}/social/${provider}/login?${query}`;
        // The form came from a page that may send forms to this site only, which browsers also hold redirects to; a page may lead anywhere.
        res.setHeader('Refresh', `0; url=${continueUrl}`);
        views.page(req, res, 'social/continue', { kind: 'found', name, continueUrl });
      }),
    );

  router
    .route('/:provider/login')
    .get(
      http.rateLimit('social'),
      handle(async (req, res) => {
        const { rememberMe, email } = validate(startQuery, startParameters(req));
        const provider = await providerOf(req, email);
        const { url } = await social.beginSignIn(provider, {
          browser: browserFor(req, res, flowCookie, config.random),
          returnTo: safeReturnTo(req.query.returnTo, config.origin),
          rememberMe: rememberMe === 'true',
          ...(email !== undefined && { loginHint: email }),
        });
        toProvider(res, url);
      }),
    )
    .all(only('GET', 'HEAD'));

  router
    .route('/:provider/callback')
    .get(
      handle(async (req, res) => {
        const outcome = await social.finishSignIn(
          String(req.params.provider),
          callbackOf(req.query),
          { browser: browserOf(req, flowCookie), ...(await http.signInOptions(req)) },
          authOf(req).actor,
        );
        if (outcome.intent === 'link') return views.redirect(res, outcome.returnTo);
        http.sendSignIn(req, res, outcome.result, { redirectTo: outcome.returnTo, isNavigation: true });
      }),
    )
    .all(only('GET', 'HEAD', 'POST'));

  router
    .route('/:provider/link')
    .post(
      body,
      signedIn,
      recentLogin,
      http.rateLimit('social', { by: 'user' }),
      handle(async (req, res) => {
        const input = validate(linkBody, req.body);
        const wanted = views.returnTo(req) ?? input.returnTo ?? http.accountPage();
        const { url } = await social.beginLink(
          currentUser(req).id,
          String(req.params.provider),
          {
            browser: browserFor(req, res, flowCookie, config.random),
            returnTo: safeReturnTo(wanted, config.origin),
          },
          authOf(req).actor,
        );
        if (views.wantsPage(req)) toProvider(res, url);
        else res.json({ url });
      }),
    )
    .all(only('POST'));

  if (hasPages)
    router.post(
      '/:provider/unlink',
      body,
      signedIn,
      recentLogin,
      handle(async (req, res) => {
        validate(nothingBody, req.body);
        await unlink(req, res);
        views.answer(req, res, { redirectTo: views.returnTo(req) ?? http.accountPage() });
      }),
    );

  router
    .route('/:provider')
    .delete(
      signedIn,
      recentLogin,
      handle(async (req, res) => {
        await unlink(req, res);
        res.status(204).end();
      }),
    )
    .all(only('DELETE'));

  router
    .route('/')
    .get(
      signedIn,
      handle(async (req, res) => {
        res.json({ accounts: await social.list(currentUser(req).id), providers: social.providers });
      }),
    )
    .all(only('GET', 'HEAD'));

  if (hasPages) router.use(leadThroughStepUp(views, config.paths.auth, `${config.paths.account}/security`));
  router.use(kindly(views));
  router.use(http.errorHandler);
  return router;

  async function unlink(req: Request, res: Response): Promise<void> {
    const provider = String(req.params.provider);
    const { session } = await social.unlink(currentUser(req).id, provider, authOf(req).actor);
    http.writeSession(res, session);
  }

  /** `sso` stands for whichever organization's provider an address belongs to. */
  async function providerOf(req: Request, email: string | undefined): Promise<string> {
    const provider = String(req.params.provider);
    if (provider !== 'sso') return provider;
    const found = email === undefined ? null : await social.connections.discover(email);
    if (found === null)
      throw new AuthTunaError('not_found', {
        message: 'There is no single sign-on for this address. Sign in another way.',
      });
    return found.provider;
  }
}

/** What administrators of an organization do; who may is asked by the manager. @param guards of routes that change something */
function connectionRoutes(
  connections: SsoConnectionManager,
  http: HttpKit,
  guards: [signedIn: RequestHandler, recentLogin: RequestHandler],
): Router {
  const [signedIn] = guards;
  // A change makes us ask addresses and names that somebody else chose.
  const change = [...guards, http.rateLimit('social', { by: 'user' })];
  const id = (req: Request) => String(req.params.id);
  const domain = (req: Request) => String(req.params.domain);
  const actor = (req: Request) => authOf(req).actor;
  const router = Router();

  router
    .route('/')
    .get(
      signedIn,
      handle(async (req, res) => {
        const { scope } = validate(scopeQuery, req.query);
        res.json({ items: await connections.list(scope, actor(req)), nextCursor: null });
      }),
    )
    .post(
      change,
      jsonBody(),
      handle(async (req, res) => {
        const input = validate(connectionBody, req.body);
        res.status(201).json(await connections.create(input, actor(req)));
      }),
    )
    .all(only('GET', 'HEAD', 'POST'));

  router
    .route('/:id')
    .get(
      signedIn,
      handle(async (req, res) => void res.json(await connections.get(id(req), actor(req)))),
    )
    .patch(
      change,
      jsonBody(),
      handle(async (req, res) => {
        const input = validate(connectionChangeBody, req.body);
        res.json(await connections.update(id(req), input, actor(req)));
      }),
    )
    .delete(
      change,
      handle(async (req, res) => {
        await connections.delete(id(req), actor(req));
        res.status(204).end();
      }),
    )
    .all(only('GET', 'HEAD', 'PATCH', 'DELETE'));

  router
    .route('/:id/domains')
    .post(
      change,
      jsonBody(),
      handle(async (req, res) => {
        const input = validate(domainBody, req.body);
        res.status(201).json(await connections.addDomain(id(req), input.domain, actor(req)));
      }),
    )
    .all(only('POST'));

  router
    .route('/:id/domains/:domain')
    .patch(
      change,
      jsonBody(),
      handle(async (req, res) => {
        const { required } = validate(domainChangeBody, req.body);
        res.json(await connections.requireSso(id(req), domain(req), required, actor(req)));
      }),
    )
    .delete(
      change,
      handle(async (req, res) => {
        await connections.removeDomain(id(req), domain(req), actor(req));
        res.status(204).end();
      }),
    )
    .all(only('PATCH', 'DELETE'));

  router
    .route('/:id/domains/:domain/verify')
    .post(
      change,
      jsonBody(),
      handle(async (req, res) => {
        validate(nothingBody, req.body);
        res.json(await connections.verifyDomain(id(req), domain(req), actor(req)));
      }),
    )
    .all(only('POST'));

  return router;
}

/** 303 to a provider: the only addresses elsewhere that these routes ever send a browser to. */
function toProvider(res: Response, url: string): void {
  res.setHeader('Cache-Control', 'no-store');
  res.status(303).setHeader('Location', url);
  res.end();
}

function startParameters(req: Request): unknown {
  const { rememberMe, email } = req.query;
  return { ...(rememberMe !== undefined && { rememberMe }), ...(email !== undefined && { email }) };
}

/** @throws AuthTunaError `invalid_token` for a parameter that came twice or too long: no provider sends that */
function callbackOf(query: unknown): ProviderCallback {
  const result = callbackParameters.safeParse(query);
  if (!result.success)
    throw new AuthTunaError('invalid_token', {
      message: 'The sign-in could not be confirmed. Please try again.',
    });
  return result.data;
}

/** The value that binds a journey to this browser; several tabs share it. */
function browserFor(
  req: Request,
  res: Response,
  spec: CookieSpec,
  random: HttpKit['config']['random'],
): string {
  const browser = browserOf(req, spec) ?? random.bytes(BROWSER_BYTES).toString('base64url');
  setCookie(res, spec, serializeCookie(spec, browser, FLOW_SECONDS));
  return browser;
}

function browserOf(req: Request, { name }: CookieSpec): string | null {
  const value = readCookie(req.headers.cookie, name);
  return value !== null && BROWSER_SHAPE.test(value) ? value : null;
}

/** By the reason of a refusal, the text of `errors.*` that says it to somebody who comes back from a provider. */
const TEXTS: Readonly<Record<string, string>> = {
  canceled: 'social_canceled',
  sign_in_then_link: 'social_sign_in_then_link',
  linked_elsewhere: 'social_linked_elsewhere',
  no_email: 'social_no_email',
};

/** A refused callback as a page of its own; scripts get the problem document. */
function kindly(views: HttpKit['views']): ErrorRequestHandler {
  return (error, req, res, next) => {
    if (!(error instanceof AuthTunaError) || res.headersSent) return next(error);
    const text =
      TEXTS[error.details.reason ?? ''] ?? (error.code === 'invalid_token' ? 'social_failed' : null);
    if (text === null || !views.errorPage(req, res, { code: text, status: STATUS[error.code] })) next(error);
  };
}
