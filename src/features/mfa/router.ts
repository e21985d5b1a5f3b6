import { type Request, type RequestHandler, type Response, Router } from 'express';
import { AuthTunaError } from '../../errors.js';
import { serializeCookie, setCookie } from '../../http/answer/cookies.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import { leadThroughStepUp } from '../../http/guards/step-up.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import type { FormBodyOptions } from '../../http/pages/views.js';
import { jsonBody, validate } from '../../http/validate.js';
import { type MfaManager, TRUST_SECONDS } from './manager.js';
import { CANCEL_RESET, mfaPages } from './pages.js';
import type { EnrollmentPolicy } from './policy.js';
import { codeBody, nothingBody, tokenBody, verifyBody } from './schemas.js';

/**
 * `GET /`, `POST totp totp/confirm verify recovery-codes reset/cancel`, `DELETE totp reset trusted-devices/:id`, and the pages `setup`,
 * `challenge`, `reset/cancel` and `manage`, the last with its forms `POST totp/remove trusted-devices/:id/remove reset/stop`.
 */
export function mfaRouter(
  mfa: MfaManager,
  policy: EnrollmentPolicy,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views, config } = http;
  const router = Router();
  const enrolling = http.guards.requireUser({ mustEnroll: 'allowed', credentials: ['session'] });
  const recent = http.stepUp.requireRecentLogin();
  const pages = options.pages === false ? null : mfaPages(mfa, http);
  const body = (bodyOptions?: FormBodyOptions) =>
    pages === null ? jsonBody() : views.formOrJson(bodyOptions);
  const isForm = (req: Request) => pages !== null && views.wantsPage(req);
  const own = (req: Request) => currentUser(req).id;
  const disable = async (req: Request, res: Response) =>
    http.writeSession(res, (await mfa.disable(own(req), authOf(req).actor)).session);
  const revokeTrust = (req: Request) =>
    mfa.revokeTrustedDevice(own(req), String(req.params.id), authOf(req).actor);
  const cancelOwnReset = (req: Request) => mfa.cancelOwnReset(own(req), authOf(req).actor);

  router.use(http.prepare);
  if (pages !== null) {
    http.mounted.mfa = true;
    router.use(pages.router);
  }

  router
    .route('/')
    .get(
      enrolling,
      handle(async (req, res) => {
        const auth = authOf(req);
        const { isRequired, graceEndsAt } =
          auth.grants === null || !policy.isConfigured
            ? { isRequired: false, graceEndsAt: null }
            : await policy.requirementFor(currentUser(req), auth.grants, auth);
        res.json({ ...(await mfa.status(own(req))), required: isRequired, graceEndsAt });
      }),
    )
    .all(only('GET', 'HEAD'));

  router
    .route('/totp')
    .post(
      enrolling,
      recent,
      body(),
      handle(async (req, res) => {
        validate(nothingBody, req.body);
        const enrollment = await mfa.beginTotp(own(req), authOf(req).actor);
        if (isForm(req)) return views.page(req, res, 'mfa/setup', enrollment);
        res.status(201).json(enrollment);
      }),
    )
    .delete(
      enrolling,
      recent,
      handle(async (req, res) => {
        await disable(req, res);
        res.status(204).end();
      }),
    )
    .all(only('POST', 'DELETE'));

  router
    .route('/totp/confirm')
    .post(
      enrolling,
      recent,
      body(),
      handle(async (req, res) => {
        const { code } = validate(codeBody, req.body);
        const { recoveryCodes, session } = await mfa.confirmTotp(own(req), code, authOf(req).actor);
        http.writeSession(res, session);
        sendCodes(req, res, recoveryCodes);
      }),
      ...(pages === null ? [] : [pages.setup]),
    )
    .all(only('POST'));

  router
    .route('/recovery-codes')
    .post(
      enrolling,
      recent,
      body(),
      handle(async (req, res) => {
        validate(nothingBody, req.body);
        sendCodes(req, res, await mfa.regenerateRecoveryCodes(own(req), authOf(req).actor));
      }),
    )
    .all(only('POST'));

  router
    .route('/verify')
    .post(
      body({ checkboxes: ['trustDevice'] }),
      handle(async (req, res) => {
        const pending = http.pendingToken(req);
        if (pending === null) throw new AuthTunaError('invalid_token');
        const { code, trustDevice } = validate(verifyBody, req.body);
        const { result, trustedDevice } = await mfa.completeSignIn(pending, code, authOf(req).actor, {
          ...(await http.signInOptions(req)),
          ...(trustDevice !== undefined && { trustDevice }),
        });
        if (trustedDevice !== null)
          setCookie(
            res,
            http.trustedCookie,
            serializeCookie(http.trustedCookie, trustedDevice, TRUST_SECONDS),
          );
        http.sendSignIn(req, res, result);
      }),
      ...(pages === null ? [] : [pages.challenge]),
    )
    .all(only('POST'));

  router
    .route('/trusted-devices/:id')
    .delete(
      enrolling,
      handle(async (req, res) => {
        await revokeTrust(req);
        res.status(204).end();
      }),
    )
    .all(only('DELETE'));

  router
    .route('/reset')
    .delete(
      enrolling,
      handle(async (req, res) => {
        await cancelOwnReset(req);
        res.status(204).end();
      }),
    )
    .all(only('DELETE'));

  router
    .route('/reset/cancel')
    .post(
      body({ link: CANCEL_RESET }),
      handle(async (req, res) => {
        await mfa.cancelReset(validate(tokenBody, req.body).token, authOf(req).actor);
        views.forget(res);
        views.answer(req, res, { json: { status: 'kept' }, redirectTo: `${config.paths.auth}/login` });
      }),
    )
    .all(only('POST'));

  if (pages !== null) {
    const manage = `${config.paths.auth}/mfa/manage`;
    const form = (
      path: string,
      guards: RequestHandler[],
      act: (req: Request, res: Response) => Promise<void>,
    ) =>
      router
        .route(path)
        .post(
          ...guards,
          body(),
          handle(async (req, res) => {
            validate(nothingBody, req.body);
            await act(req, res);
            views.answer(req, res, { redirectTo: manage });
          }),
          pages.manage,
        )
        .all(only('POST'));
    form('/totp/remove', [enrolling, recent], disable);
    form('/trusted-devices/:id/remove', [enrolling], revokeTrust);
    form('/reset/stop', [enrolling], cancelOwnReset);
    router.use(leadThroughStepUp(views, config.paths.auth, manage));
  }
  router.use(http.errorHandler);
  return router;

  /** Codes are shown in the answer itself: no page that could be opened again has them. */
  function sendCodes(req: Request, res: Response, codes: readonly string[]): void {
    if (!isForm(req)) return void res.status(201).json({ recoveryCodes: codes });
    views.page(req, res, 'mfa/recovery-codes', {
      codes,
      continueUrl: views.returnTo(req) ?? http.accountPage(),
    });
  }
}
