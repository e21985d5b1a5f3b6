import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import type { User } from '../../db/client.js';
import { AuthTunaError, isErrorCode } from '../../errors.js';
import { authOf, currentUser } from '../../http/auth.js';
import { handle, STATUS } from '../../http/errors.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { FormBodyOptions, FormView } from '../../http/views.js';
import type { AuthManager } from './manager.js';
import { authPages } from './pages.js';
import { changePasswordBody, loginBody, signUpBody } from './schemas.js';

/** `POST signup login logout change-password`, `GET user-info`, and their pages. */
export function authRouter<U extends User>(
  auth: AuthManager<U>,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views } = http;
  const router = Router();
  const signedIn = http.guards.requireUser({ mustChangePassword: 'allowed', credentials: ['session'] });
  const pages = options.pages === false ? null : authPages(auth, http);
  const body = (bodyOptions?: FormBodyOptions) =>
    pages === null ? jsonBody() : views.formOrJson(bodyOptions);

  if (pages !== null) router.get('/assets/:name', views.assets()); // before what keeps everything else out of caches
  router.use(http.prepare);
  if (pages !== null) router.use(pages.router);

  router
    .route('/signup')
    .post(
      body(),
      handle(async (req, res) => {
        const user = await auth.signUp(validate(signUpBody, req.body), authOf(req).actor);
        if (http.config.signUp.requireVerifiedEmail)
          return void res.status(202).json({ status: 'verification_required' });
        http.sendSignIn(
          req,
          res,
          await auth.signInAfterSignUp(user.id, authOf(req).actor, await http.signInOptions(req)),
          { status: 201 },
        );
      }),
      ...problem(pages?.signUp),
    )
    .all(only('POST'));

  router
    .route('/login')
    .post(
      body({ checkboxes: ['rememberMe'] }),
      handle(async (req, res) => {
        const input = validate(loginBody, req.body);
        http.sendSignIn(req, res, await auth.login(input, authOf(req).actor, await http.signInOptions(req)));
      }),
      ...problem(pages?.login),
    )
    .all(only('POST'));

  router
    .route('/logout')
    .post(
      body(),
      handle(async (req, res) => {
        const session = authOf(req).session ?? authOf(req).locked?.session ?? null;
        if (session !== null) await auth.logout(session.id, authOf(req).actor);
        http.sessions.clearCookie(res);
        res.setHeader('Clear-Site-Data', '"cache"');
        views.answer(req, res, { redirectTo: views.returnTo(req) ?? `${http.config.paths.auth}/login` });
      }),
    )
    .all(only('POST'));

  router
    .route('/user-info')
    .get(signedIn, (req: Request, res: Response) => {
      res.json(currentUser(req));
    })
    .all(only('GET', 'HEAD'));

  router
    .route('/change-password')
    .post(
      signedIn,
      body(),
      handle(async (req, res) => {
        const input = validate(changePasswordBody, req.body);
        const { session, actor } = authOf(req);
        const kept = await auth.changePassword(
          currentUser(req).id,
          { ...input, ...(session !== null && { keepSessionId: session.id }) },
          actor,
        );
        if (kept !== null)
          http.sessions.writeCookie(res, kept.token, kept.session.persistent ? kept.session.expiresAt : null);
        views.answer(req, res, {
          json: { user: await auth.userInfo(currentUser(req).id) },
          redirectTo: views.returnTo(req) ?? '/',
        });
      }),
      ...problem(pages?.changePassword),
    )
    .all(only('POST'));

  router.get('/errors/:code', (req, res) => {
    const code = req.params.code as string;
    if (!isErrorCode(code)) throw new AuthTunaError('not_found');
    res.json({ code, status: STATUS[code], detail: new AuthTunaError(code).message });
  });

  router.use(http.errorHandler);
  return router;
}

function problem(view: FormView | undefined): ErrorRequestHandler[] {
  return view === undefined ? [] : [view.problem];
}

function only(...allow: string[]): RequestHandler {
  return (_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow }));
}
