import { AuthTunaError } from '../../errors.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { type Call, type Feature, type Route, route } from '../../http/route.js';
import type { CeremonyHolder, PasskeyManager } from './manager.js';
import { type PasskeyForms, passkeyPages, RECENT } from './pages.js';
import { registerBody, registerOptionsBody, renameBody, signInBody, signInOptionsBody } from './schemas.js';
import type { SignUpPort } from './sign-up-port.js';

/**
 * Passkeys, at `/auth/passkeys`.
 *
 * `register` signs visitors up; `sign-in` also completes a sign-in that waits for its second factor, and raises a session.
 */
export function passkeysFeature(
  passkeys: PasskeyManager,
  signUp: SignUpPort,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : passkeyPages(passkeys, http);
  const path = `${http.config.paths.auth}/passkeys`;
  const context = { passkeys, signUp, http, path, forms: made?.forms };
  return {
    name: 'passkeys',
    path,
    pages: made?.pages ?? null,
    routes: [...registerRoutes(context), ...signInRoutes(context), ...ownRoutes(context)],
  };
}

interface Context {
  passkeys: PasskeyManager;
  signUp: SignUpPort;
  http: HttpKit;
  /** `/auth/passkeys`. */
  path: string;
  forms: PasskeyForms | undefined;
}

/** Each beginning stores a challenge, and each refused answer is recorded. */
const BEGIN = 'passkey';
const ANSWER = { name: 'passkeyAnswer', like: 'passkey' } as const;

function registerRoutes({ passkeys, signUp, http, forms }: Context): Route[] {
  const { views } = http;
  const ownOrVisitor = { ...RECENT, optional: true } as const;
  return [
    route({
      method: 'post',
      path: '/register/options',
      summary: 'Begin to make a passkey, for the own account or for a sign-up',
      guard: ownOrVisitor,
      limit: BEGIN,
      // Here rather than with the answer: a sign-up cannot be finished without having begun.
      forVisitors: { limit: 'signUp', human: 'signup' },
      body: registerOptionsBody,
      answers: { 200: 'what `navigator.credentials.create()` takes' },
      async run({ req, res, body, auth, actor }) {
        if (auth.user !== null) return { json: await passkeys.beginRegistration(auth.user.id, actor) };
        return { json: await passkeys.beginSignUp(body, views.browserId(req, res)) };
      },
    }),
    route({
      method: 'post',
      path: '/register',
      summary: 'Store the passkey that the browser made, and the account of a sign-up with it',
      guard: ownOrVisitor,
      limit: ANSWER,
      body: registerBody,
      answers: {
        201: '`{ passkey, recoveryCodesLeft }`, or `{ user }` and the session cookie after a sign-up',
        202: '`{ status: "verification_required" }`',
      },
      async run({ req, res, body: { name, ...response }, auth, actor }) {
        const named = name === undefined ? {} : { name };
        if (auth.user !== null) {
          const { id } = auth.user;
          const { passkey, session } = await passkeys.finishRegistration(id, response, actor, named);
          http.writeSession(res, session);
          if (forms !== undefined) views.notice(res, 'passkey_added'); // the page reloads
          return { json: { passkey, recoveryCodesLeft: await passkeys.recoveryCodesLeft(id) }, status: 201 };
        }
        const browserId = views.knownBrowserId(req);
        const { details, way } = await passkeys.finishSignUp(response, browserId ?? '', actor, named);
        const result = await signUp.register(
          details,
          actor,
          { ...way, browserId },
          await http.signInOptions(req),
        );
        return result.status === 'verification_required'
          ? { json: result, status: 202 }
          : { signIn: result, status: 201 };
      },
    }),
  ];
}

function signInRoutes({ passkeys, http }: Context): Route[] {
  const { views } = http;
  return [
    route({
      method: 'post',
      path: '/sign-in/options',
      summary: 'Begin to sign in, to complete a sign-in or to raise the session with a passkey',
      limit: BEGIN,
      body: signInOptionsBody,
      answers: { 200: 'what `navigator.credentials.get()` takes' },
      async run(call) {
        const holder = holderOf(http, call, call.body.purpose, () => views.browserId(call.req, call.res));
        return { json: await passkeys.beginSignIn(holder) };
      },
    }),
    route({
      method: 'post',
      path: '/sign-in',
      summary: 'End what `sign-in/options` began',
      limit: ANSWER,
      body: signInBody,
      answers: { 200: '`{ user }`, or `{ session: { authenticatedAt, amr } }`; and a new session cookie' },
      async run(call) {
        const { purpose, rememberMe, ...response } = call.body;
        const holder = holderOf(http, call, purpose, () => views.knownBrowserId(call.req) ?? '');
        const options = {
          ...(await http.signInOptions(call.req)),
          ...(rememberMe !== undefined && { rememberMe }),
        };
        const outcome = await passkeys.finishSignIn(response, holder, call.actor, options);
        if (outcome.kind === 'signed_in')
          return { signIn: outcome.result, ...(purpose === 'sign_in' && { way: 'passkey' as const }) };
        http.writeSession(call.res, outcome.elevated);
        const { authenticatedAt, amr } = outcome.elevated.session;
        return { json: { session: { authenticatedAt, amr } } };
      },
    }),
  ];
}

/** Looking after one's own passkeys. */
function ownRoutes({ passkeys, http, path, forms }: Context): Route[] {
  const remove = async ({ param, res, user, actor }: Call) => {
    const { session } = await passkeys.delete(user.id, param('id'), actor);
    http.writeSession(res, session);
  };
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The own passkeys, the newest first',
      guard: { allow: 'must_enroll' },
      answers: { 200: '`{ items, nextCursor: null }`' },
      run: async ({ user }) => ({ json: { items: await passkeys.list(user.id), nextCursor: null } }),
    }),
    route({
      method: 'post',
      path: '/:id/rename',
      summary: 'Rename a passkey',
      guard: RECENT,
      body: renameBody,
      form: {},
      isFormOnly: true,
      answers: { 200: '`{ passkey }`' },
      forms: forms?.list,
      async run({ res, param, body, user, actor }) {
        const passkey = await passkeys.rename(user.id, param('id'), body.name, actor);
        http.views.notice(res, 'passkey_renamed');
        return { json: { passkey }, redirectTo: `${path}/manage` };
      },
    }),
    route({
      method: 'post',
      path: '/:id/delete',
      summary: 'Delete a passkey',
      guard: RECENT,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page of passkeys' },
      forms: forms?.list,
      async run(call) {
        await remove(call);
        http.views.notice(call.res, 'passkey_removed');
        return { redirectTo: `${path}/manage` };
      },
    }),
    route({
      method: 'patch',
      path: '/:id',
      summary: 'Rename a passkey',
      guard: RECENT,
      body: renameBody,
      answers: { 200: '`{ passkey }`' },
      run: async ({ param, body, user, actor }) => ({
        json: { passkey: await passkeys.rename(user.id, param('id'), body.name, actor) },
      }),
    }),
    route({
      method: 'delete',
      path: '/:id',
      summary: 'Delete a passkey',
      guard: RECENT,
      answers: { 204: 'no body; a new session cookie' },
      async run(call) {
        await remove(call);
        return {};
      },
    }),
  ];
}

/** Who the browser is to a ceremony: what was asked for, or what it brought along. */
function holderOf(
  http: HttpKit,
  { req, auth }: Call<unknown>,
  purpose: CeremonyHolder['kind'] | undefined,
  browser: () => string,
): CeremonyHolder {
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
