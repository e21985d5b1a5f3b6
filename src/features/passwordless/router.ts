import { Router } from 'express';
import { authOf } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import type { FormBodyOptions } from '../../http/pages/views.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { PasswordlessManager } from './manager.js';
import { CODE_SENT, LINK_SENT, OPENED_LINK, passwordlessPages } from './pages.js';
import { consumeCodeBody, consumeLinkBody, requestBody } from './schemas.js';

/** The one answer to whoever asks for a mail: whether there is an account is not in it. @see docs/requirements.md LG-3 */
const REQUESTED = { status: 'requested' };

/** `POST link link/consume code code/consume`, and their pages. */
export function passwordlessRouter(
  passwordless: PasswordlessManager,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views, config } = http;
  const { magicLink, emailCode } = config.passwordless;
  const at = (path: string) => `${config.paths.auth}/passwordless${path}`;
  const pages = options.pages === false ? null : passwordlessPages(passwordless, http);
  const body = (bodyOptions?: FormBodyOptions) =>
    pages === null ? jsonBody() : views.formOrJson(bodyOptions);
  if (pages !== null) {
    http.signInMethods.magicLink = magicLink.enabled;
    http.signInMethods.emailCode = emailCode;
  }

  const router = Router();
  router.use(http.prepare);
  if (pages !== null) router.use(pages.router);

  router
    .route('/link')
    .post(
      http.rateLimit('mailRequest'),
      body(),
      http.humanCheck('login'),
      handle(async (req, res) => {
        const { email } = validate(requestBody, req.body);
        const browserId = views.browserId(req, res);
        await passwordless.requestLink(email, authOf(req).actor, browserId);
        if (views.wantsPage(req)) views.keep(res, LINK_SENT, email);
        views.answer(req, res, { json: REQUESTED, status: 202, redirectTo: at('/link/sent') });
      }),
      ...(pages?.link ?? []),
    )
    .all(only('POST'));

  // For a script whose person opens the mail in another browser; the page of the same address shows it too.
  if (magicLink.enabled) {
    router.get('/link/sent', (req, res) => {
      const browserId = views.knownBrowserId(req);
      res.json({ code: browserId === null ? null : passwordless.browserCode(browserId) });
    });
  }

  router
    .route('/link/consume')
    .post(
      http.rateLimit('mailToken'),
      body({ link: OPENED_LINK }),
      handle(async (req, res) => {
        const input = validate(consumeLinkBody, req.body);
        const browserId = views.knownBrowserId(req);
        const result = await passwordless.consumeLink(input, authOf(req).actor, {
          ...(await http.signInOptions(req)),
          ...(browserId !== null && { browserId }),
        });
        views.forget(res);
        http.sendSignIn(req, res, result);
      }),
      ...(pages?.consumeLink ?? []),
    )
    .all(only('POST'));

  router
    .route('/code')
    .post(
      http.rateLimit('mailRequest'),
      body(),
      http.humanCheck('login'),
      handle(async (req, res) => {
        const { email } = validate(requestBody, req.body);
        await passwordless.requestCode(email, authOf(req).actor);
        if (views.wantsPage(req)) views.keep(res, CODE_SENT, email);
        views.answer(req, res, {
          json: REQUESTED,
          status: 202,
          redirectTo: views.withReturnTo(at('/code/enter'), views.returnTo(req)),
        });
      }),
      ...(pages?.code ?? []),
    )
    .all(only('POST'));

  router
    .route('/code/consume')
    .post(
      http.rateLimit('mailToken'),
      body(),
      handle(async (req, res) => {
        const input = validate(consumeCodeBody, req.body);
        const result = await passwordless.consumeCode(
          input,
          authOf(req).actor,
          await http.signInOptions(req),
        );
        views.forget(res);
        http.sendSignIn(req, res, result);
      }),
      ...(pages?.consumeCode ?? []),
    )
    .all(only('POST'));

  router.use(http.errorHandler);
  return router;
}
