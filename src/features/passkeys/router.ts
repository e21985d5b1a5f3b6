import { type Request, type RequestHandler, type Response, Router } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import { leadThroughStepUp } from '../../http/guards/step-up.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { CeremonyHolder, PasskeyManager, SignUpDetails } from './manager.js';
import {
  authenticationResponse,
  registerBody,
  registerOptionsBody,
  renameBody,
  signInOptionsBody,
} from './schemas.js';

/** Makes the account of a sign-up without a password; the auth feature's, handed in. */
export type SignUpForRequest = (
  req: Request,
  details: SignUpDetails,
  writesFor: Parameters<Parameters<PasskeyManager['finishSignUp']>[3]>[1],
) => ReturnType<Parameters<PasskeyManager['finishSignUp']>[3]>;

/**
 * `GET /`, `POST register/options register sign-in/options sign-in`, `PATCH :id`, `DELETE :id`, and the page `manage` with its forms.
 *
 * `register` signs up whoever is not signed in; `sign-in` completes a sign-in that waits for its second factor, or raises the session of
 * whoever is signed in.
 */
export function passkeysRouter(
  passkeys: PasskeyManager,
  signUp: SignUpForRequest,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views, config } = http;
  const router = Router();
  const enrolling = http.guards.requireUser({ mustEnroll: 'allowed', credentials: ['session'] });
  const recent = http.stepUp.requireRecentLogin();
  const limit = http.rateLimit('passkey'); // each beginning stores a challenge
  const limitAnswers = http.rateLimit('passkeyAnswer', config.rateLimits.passkey); // each refusal is recorded
  const hasPages = options.pages !== false;
  const own = (req: Request) => currentUser(req).id;
  const manage = `${config.paths.auth}/passkeys/manage`;
  router.use(http.prepare);
  if (hasPages) {
    http.signInMethods.passkeys = true;
    http.mounted.passkeys = true;
  }

  router
    .route('/')
    .get(
      enrolling,
      handle(async (req, res) => void res.json({ items: await passkeys.list(own(req)), nextCursor: null })),
    )
    .all(only('GET', 'HEAD'));

  router
    .route('/register/options')
    .post(
      limit,
      jsonBody(),
      whenSignedIn(enrolling),
      whenSignedIn(recent),
      // Here rather than with the answer: a sign-up cannot be finished without having begun.
      whenNotSignedIn(http.rateLimit('signUp')),
      whenNotSignedIn(http.humanCheck('signup')),
      handle(async (req, res) => {
        const { email, username } = validate(registerOptionsBody, req.body);
        if (authOf(req).user !== null)
          return void res.json(await passkeys.beginRegistration(own(req), authOf(req).actor));
        if (email === undefined)
          throw new AuthTunaError('invalid_input', { errors: [{ field: 'email', message: 'is required' }] });
        const details = { email, ...(username !== undefined && { username }) };
        res.json(await passkeys.beginSignUp(details, views.browserId(req, res)));
      }),
    )
    .all(only('POST'));

  router
    .route('/register')
    .post(
      limitAnswers,
      jsonBody(),
      whenSignedIn(enrolling),
      whenSignedIn(recent),
      handle(async (req, res) => {
        const { name, ...response } = validate(registerBody, req.body);
        const { actor, user } = authOf(req);
        const named = name === undefined ? {} : { name };
        if (user !== null) {
          const { passkey, session } = await passkeys.finishRegistration(user.id, response, actor, named);
          http.writeSession(res, session);
          const recoveryCodesLeft = await passkeys.recoveryCodesLeft(user.id);
          return void res.status(201).json({ passkey, recoveryCodesLeft });
        }
        const result = await passkeys.finishSignUp(
          response,
          browserOf(req),
          actor,
          (details, writesFor) => signUp(req, details, writesFor),
          named,
        );
        if (result.status === 'verification_required') return void res.status(202).json(result);
        http.sendSignIn(req, res, result, { status: 201 });
      }),
    )
    .all(only('POST'));

  router
    .route('/sign-in/options')
    .post(
      limit,
      jsonBody(),
      handle(async (req, res) => {
        const { purpose } = validate(signInOptionsBody, req.body);
        const holder = await holderOf(req, purpose, () => views.browserId(req, res));
        res.json(await passkeys.beginSignIn(holder));
      }),
    )
    .all(only('POST'));

  router
    .route('/sign-in')
    .post(
      limitAnswers,
      jsonBody(),
      handle(async (req, res) => {
        const { purpose, ...body } = (req.body ?? {}) as Record<string, unknown>;
        const { purpose: asked } = validate(signInOptionsBody, purpose === undefined ? {} : { purpose });
        const response = validate(authenticationResponse, body);
        const holder = await holderOf(req, asked, () => browserOf(req));
        const { actor } = authOf(req);
        const outcome = await passkeys.finishSignIn(response, holder, actor, await http.signInOptions(req));
        if (outcome.kind === 'signed_in') return http.sendSignIn(req, res, outcome.result);
        const { session } = outcome.elevated;
        http.writeSession(res, outcome.elevated);
        res.json({ session: { authenticatedAt: session.authenticatedAt, amr: session.amr } });
      }),
    )
    .all(only('POST'));

  if (hasPages) {
    const page = views.form('passkeys/list', async (req) => ({
      mounted: http.mounted,
      passkeys: (await passkeys.list(own(req))).map((passkey) => ({
        ...passkey,
        isSynced: passkey.isBackedUp,
      })),
    }));
    router.get('/manage', enrolling, recent, page.show);
    router
      .route('/:id/rename')
      .post(
        enrolling,
        recent,
        views.formOrJson(),
        handle(async (req, res) => {
          views.answer(req, res, { json: { passkey: await rename(req) }, redirectTo: manage });
        }),
        page.problem,
      )
      .all(only('POST'));
    router
      .route('/:id/delete')
      .post(
        enrolling,
        recent,
        views.formOrJson(),
        handle(async (req, res) => {
          await remove(req, res);
          views.answer(req, res, { redirectTo: manage });
        }),
        page.problem,
      )
      .all(only('POST'));
  }

  router
    .route('/:id')
    .patch(
      enrolling,
      recent,
      jsonBody(),
      handle(async (req, res) => {
        res.json({ passkey: await rename(req) });
      }),
    )
    .delete(
      enrolling,
      recent,
      handle(async (req, res) => {
        await remove(req, res);
        res.status(204).end();
      }),
    )
    .all(only('PATCH', 'DELETE'));

  if (hasPages) router.use(leadThroughStepUp(views, config.paths.auth, manage));
  router.use(http.errorHandler);
  return router;

  function rename(req: Request) {
    const { name } = validate(renameBody, req.body);
    return passkeys.rename(own(req), String(req.params.id), name, authOf(req).actor);
  }

  async function remove(req: Request, res: Response): Promise<void> {
    const { session } = await passkeys.delete(own(req), String(req.params.id), authOf(req).actor);
    http.writeSession(res, session);
  }

  /** The value of the browser that began; another browser's ceremony is not this one's. */
  function browserOf(req: Request): string {
    return views.knownBrowserId(req) ?? '';
  }

  async function holderOf(
    req: Request,
    purpose: CeremonyHolder['kind'] | undefined,
    browser: () => string,
  ): Promise<CeremonyHolder> {
    const auth = authOf(req);
    const session = auth.session ?? auth.locked?.session ?? null;
    const pendingToken = http.pendingToken(req);
    if (purpose === 'second_factor' || (purpose === undefined && pendingToken !== null)) {
      if (pendingToken === null) throw new AuthTunaError('invalid_token');
      return { kind: 'second_factor', pendingToken };
    }
    if (purpose === 'sign_in' || (purpose === undefined && session === null))
      return { kind: 'sign_in', browser: browser() };
    if (session === null) throw auth.refusal;
    if (session.impersonatorId !== null) throw new AuthTunaError('forbidden');
    return { kind: 'step_up', userId: session.userId, sessionId: session.id };
  }
}

/** A guard for those who are signed in; who is not passes. */
function whenSignedIn(guard: RequestHandler): RequestHandler {
  return (req, res, next) => (isNobody(req) ? next() : guard(req, res, next));
}

/** A guard for those who are not signed in; who is passes. */
function whenNotSignedIn(guard: RequestHandler): RequestHandler {
  return (req, res, next) => (isNobody(req) ? guard(req, res, next) : next());
}

/** A session that waits for a step-up, or was ended, is not "not signed in": nobody signs up by mistake. */
function isNobody(req: Request): boolean {
  const auth = authOf(req);
  return auth.user === null && auth.locked === null;
}
