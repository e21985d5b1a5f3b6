import { type Request, Router } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { AuthManager } from './manager.js';
import { stepUpBody } from './schemas.js';

/** `POST step-up`, and its page. */
export function stepUpRouter(
  auth: Pick<AuthManager, 'stepUp' | 'stepUpMethods'>,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const router = Router();
  const { views, config } = http;
  const path = `${config.paths.auth}/step-up`;
  const pages =
    options.pages === false
      ? null
      : views.form(
          'auth/step-up',
          async (req) => ({ methods: await auth.stepUpMethods(holderOf(req).userId) }),
          {
            texts: { invalid_credentials: 'invalid_code' },
          },
        );
  if (pages !== null) {
    views.sendTo('recent_login_required', path);
    views.sendTo('second_factor_required', path);
  }

  const route = router.route('/step-up').all(...http.prepare);
  if (pages !== null) {
    route.get(
      handle(async (req, res, next) => {
        const methods = await auth.stepUpMethods(holderOf(req).userId);
        // Nothing to ask for: signing in again is the only proof there is.
        if (!methods.password && !methods.code && !methods.passkeys)
          return views.redirect(res, views.withReturnTo(`${config.paths.auth}/login`, views.returnTo(req)));
        return pages.show(req, res, next);
      }),
    );
  }
  route.post(
    pages === null ? jsonBody() : views.formOrJson(),
    handle(async (req, res) => {
      const holder = holderOf(req);
      const actor = { ...authOf(req).actor, ...holder };
      const { fingerprint } = await http.signInOptions(req);
      const input = validate(stepUpBody, req.body);
      const elevated = await auth.stepUp(holder.sessionId, input, actor, {
        ...(fingerprint !== undefined && { fingerprint }),
      });
      http.writeSession(res, elevated);
      const { session } = elevated;
      views.answer(req, res, {
        json: { session: { authenticatedAt: session.authenticatedAt, amr: session.amr } },
        redirectTo: views.returnTo(req) ?? '/',
      });
    }),
    ...(pages === null ? [] : [pages.problem]),
  );
  route.all(pages === null ? only('POST') : only('GET', 'HEAD', 'POST'));
  router.use(http.errorHandler);
  return router;
}

/** Whose session is to be raised; one that waits for a step-up counts here. */
function holderOf(req: Request): { userId: string; sessionId: string } {
  const auth = authOf(req);
  const session = auth.session ?? auth.locked?.session ?? null;
  if (session === null) throw auth.refusal;
  if (session.impersonatorId !== null) throw new AuthTunaError('forbidden');
  return { userId: session.userId, sessionId: session.id };
}
