import { type Request, type Response, Router } from 'express';
import type { User } from '../../auth.js';
import { AuthTunaError, isErrorCode } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle, STATUS } from '../../http/errors.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import type { FormBodyOptions } from '../../http/pages/views.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { AuthManager } from './manager.js';
import { authPages, type DoneMessage, WAITING } from './pages.js';
import {
  changeEmailBody,
  changePasswordBody,
  emailBody,
  loginBody,
  resetPasswordBody,
  signUpBody,
  tokenBody,
  verifyEmailBody,
} from './schemas.js';

/** The one answer to whoever asks for a mail: whether there is an account, or will be a mail, is not in it. @see docs/requirements.md LG-3 */
const REQUESTED = { json: { status: 'requested' }, status: 202 };

/**
 * `POST signup login logout verify-email verify-email/resend forgot-password reset-password change-password change-email
 * change-email/confirm change-email/undo unlock`, `GET user-info`, and their pages.
 */
export function authRouter<U extends User>(
  auth: AuthManager<U>,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views } = http;
  const at = (path: string) => http.config.paths.auth + path;
  const done = (message: DoneMessage) => at(`/done/${message}`);
  const router = Router();
  const signedIn = http.guards.requireUser({ mustChangePassword: 'allowed', credentials: ['session'] });
  const pages = options.pages === false ? null : authPages(auth, http);
  const body = (bodyOptions?: FormBodyOptions) =>
    pages === null ? jsonBody() : views.formOrJson(bodyOptions);

  if (pages !== null) {
    http.mounted.auth = true;
    router.get('/assets/:name', views.assets()); // before what keeps everything else out of caches
  }
  router.use(http.prepare);
  if (pages !== null) router.use(pages.router);

  router
    .route('/signup')
    .post(
      http.rateLimit('signUp'),
      body(),
      http.humanCheck('signup'),
      handle(async (req, res) => {
        const input = validate(signUpBody, req.body);
        const result = await auth.register(input, authOf(req).actor, {
          ...(await http.signInOptions(req)),
          browserId: views.knownBrowserId(req),
        });
        if (result.status !== 'verification_required')
          return http.sendSignIn(req, res, result, { status: 201 });
        if (views.wantsPage(req)) views.keep(res, WAITING, input.email);
        views.answer(req, res, { json: result, status: 202, redirectTo: at('/verify-email') });
      }),
      ...(pages?.signUp ?? []),
    )
    .all(only('POST'));

  router
    .route('/verify-email')
    .post(
      http.rateLimit('mailToken'),
      body({ link: 'verify_email' }),
      handle(async (req, res) => {
        const { token, password, newPassword } = validate(verifyEmailBody, req.body);
        const { actor } = authOf(req);
        // Our own page is where a mail leads its reader, who need not be the one who signed up.
        const isPage = views.isForm(req);
        const proof = { ...(password !== undefined && { password }), browserId: views.knownBrowserId(req) };
        if (newPassword !== undefined) await auth.claimAccount({ token, newPassword }, actor);
        else await auth.verifyEmail(token, actor, isPage || password !== undefined ? proof : undefined);
        views.forget(res);
        views.answer(req, res, { json: { status: 'email_verified' }, redirectTo: done('email_verified') });
      }),
      ...(pages?.verifyEmail ?? []),
    )
    .all(only('POST'));

  router
    .route('/verify-email/resend')
    .post(
      http.rateLimit('mailRequest'),
      body(),
      handle(async (req, res) => {
        const { email } = validate(emailBody, req.body);
        await auth.requestEmailVerification(email, authOf(req).actor);
        if (views.wantsPage(req)) views.keep(res, WAITING, email);
        views.answer(req, res, { ...REQUESTED, redirectTo: at('/verify-email') });
      }),
      ...(pages?.resend ?? []),
    )
    .all(only('POST'));

  router
    .route('/forgot-password')
    .post(
      http.rateLimit('mailRequest'),
      body(),
      http.humanCheck('forgot'),
      handle(async (req, res) => {
        await auth.requestPasswordReset(validate(emailBody, req.body).email, authOf(req).actor);
        views.answer(req, res, { ...REQUESTED, redirectTo: done('reset_requested') });
      }),
      ...(pages?.forgotPassword ?? []),
    )
    .all(only('POST'));

  router
    .route('/reset-password')
    .post(
      http.rateLimit('mailToken'),
      body({ link: 'reset_password' }),
      handle(async (req, res) => {
        await auth.resetPassword(validate(resetPasswordBody, req.body), authOf(req).actor);
        views.forget(res);
        views.answer(req, res, {
          json: { status: 'password_changed' },
          redirectTo: done('password_changed'),
        });
      }),
      ...(pages?.resetPassword ?? []),
    )
    .all(only('POST'));

  router
    .route('/change-email')
    .post(
      http.guards.requireUser({ credentials: ['session'] }), // cures neither a due password nor a due factor
      http.stepUp.requireRecentLogin(),
      http.rateLimit('mailRequest', { by: 'user' }),
      body(),
      handle(async (req, res) => {
        const input = validate(changeEmailBody, req.body);
        await auth.requestEmailChange(currentUser(req).id, input, authOf(req).actor);
        views.answer(req, res, { ...REQUESTED, redirectTo: done('email_change_requested') });
      }),
      ...(pages?.changeEmail ?? []),
    )
    .all(only('POST'));

  router
    .route('/change-email/confirm')
    .post(
      http.rateLimit('mailToken'),
      body({ link: 'change_email' }),
      handle(async (req, res) => {
        await auth.confirmEmailChange(validate(tokenBody, req.body).token, authOf(req).actor);
        views.forget(res);
        views.answer(req, res, { json: { status: 'email_changed' }, redirectTo: done('email_changed') });
      }),
    )
    .all(only('POST'));

  router
    .route('/change-email/undo')
    .post(
      http.rateLimit('mailToken'),
      body({ link: 'undo_email_change' }),
      handle(async (req, res) => {
        await auth.undoEmailChange(validate(tokenBody, req.body).token, authOf(req).actor);
        views.forget(res);
        views.answer(req, res, {
          json: { status: 'email_change_undone' },
          redirectTo: done('email_change_undone'),
        });
      }),
    )
    .all(only('POST'));

  router
    .route('/unlock')
    .post(
      http.rateLimit('mailToken'),
      body({ link: 'unlock' }),
      handle(async (req, res) => {
        await auth.unlock(validate(tokenBody, req.body).token, authOf(req).actor);
        views.forget(res);
        views.answer(req, res, {
          json: { status: 'account_unlocked' },
          redirectTo: done('account_unlocked'),
        });
      }),
    )
    .all(only('POST'));

  router
    .route('/login')
    .post(
      body({ checkboxes: ['rememberMe'] }),
      http.humanCheck('login'),
      handle(async (req, res) => {
        const input = validate(loginBody, req.body);
        http.sendSignIn(req, res, await auth.login(input, authOf(req).actor, await http.signInOptions(req)));
      }),
      ...(pages?.login ?? []),
    )
    .all(only('POST'));

  router
    .route('/logout')
    .post(
      body(),
      handle(async (req, res) => {
        const requestAuth = authOf(req);
        // A tab that still has the cookie from before a renewal means the same session.
        const superseded = requestAuth.refusal.code === 'superseded' ? http.sessions.sessionIdOf(req) : null;
        const sessionId = (requestAuth.session ?? requestAuth.locked?.session)?.id ?? superseded;
        if (sessionId !== null) await auth.logout(sessionId, requestAuth.actor);
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
      http.stepUp.requireRecentFactor(),
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
      ...(pages?.changePassword ?? []),
    )
    .all(only('POST'));

  // What the `type` of a problem document points to. @see RFC 9457 3.1.1
  router.get('/errors/:code', (req, res) => {
    const code = req.params.code as string;
    if (!isErrorCode(code)) throw new AuthTunaError('not_found');
    if (pages !== null && views.wantsPage(req))
      return views.page(req, res, 'error-type', { code, status: STATUS[code] });
    res.json({ code, status: STATUS[code], detail: new AuthTunaError(code).message });
  });

  router.use(http.errorHandler);
  return router;
}
