import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { User } from '../../db/client.js';
import { AuthTunaError, isErrorCode } from '../../errors.js';
import { authOf, currentUser } from '../../http/auth.js';
import { handle, STATUS } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import { sendSignIn } from '../../http/sign-in-response.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { AuthManager } from './manager.js';
import { changePasswordBody, loginBody, signUpBody } from './schemas.js';

/** `POST signup login logout change-password`, `GET user-info`. */
export function authRouter<U extends User>(auth: AuthManager<U>, http: HttpKit): Router {
  const router = Router();
  const signedIn = http.guards.requireUser({ mustChangePassword: 'allowed', credentials: ['session'] });
  router.use(http.prepare);

  router
    .route('/signup')
    .post(
      jsonBody(),
      handle(async (req, res) => {
        const user = await auth.signUp(validate(signUpBody, req.body), authOf(req).actor);
        if (http.config.signUp.requireVerifiedEmail)
          return void res.status(202).json({ status: 'verification_required' });
        sendSignIn(
          res,
          await auth.signInAfterSignUp(user.id, authOf(req).actor, await http.signInOptions(req)),
          http.sessions,
          http.pendingCookie,
          201,
        );
      }),
    )
    .all(only('POST'));

  router
    .route('/login')
    .post(
      jsonBody(),
      handle(async (req, res) => {
        const result = await auth.login(
          validate(loginBody, req.body),
          authOf(req).actor,
          await http.signInOptions(req),
        );
        sendSignIn(res, result, http.sessions, http.pendingCookie);
      }),
    )
    .all(only('POST'));

  router
    .route('/logout')
    .post(
      handle(async (req, res) => {
        const session = authOf(req).session ?? authOf(req).locked?.session ?? null;
        if (session !== null) await auth.logout(session.id, authOf(req).actor);
        http.sessions.clearCookie(res);
        res.setHeader('Clear-Site-Data', '"cache"');
        res.status(204).end();
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
      jsonBody(),
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
        res.json({ user: await auth.userInfo(currentUser(req).id) });
      }),
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

function only(...allow: string[]): RequestHandler {
  return (_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow }));
}
