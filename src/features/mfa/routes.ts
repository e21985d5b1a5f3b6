import { AuthTunaError } from '../../errors.js';
import { serializeCookie, setCookie } from '../../http/answer/cookies.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { type Call, type Feature, type Route, type RouteAnswer, route } from '../../http/route.js';
import type { MfaManager } from './manager.js';
import { CANCEL_RESET, ENROLLING, type MfaForms, mfaPages } from './pages.js';
import type { EnrollmentPolicy } from './policy.js';
import { codeBody, tokenBody, verifyBody } from './schemas.js';
import { TRUST_SECONDS } from './trusted-browsers.js';

/** Second factors, at `/auth/mfa`. */
export function mfaFeature(
  mfa: MfaManager,
  policy: EnrollmentPolicy,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : mfaPages(mfa, http);
  const path = `${http.config.paths.auth}/mfa`;
  const context = { mfa, policy, http, path, forms: made?.forms };
  return {
    name: 'mfa',
    path,
    pages: made?.pages ?? null,
    routes: [
      statusRoute(context),
      ...appRoutes(context),
      challengeRoute(context),
      ...browserRoutes(context),
      ...resetRoutes(context),
    ],
  };
}

interface Context {
  mfa: MfaManager;
  policy: EnrollmentPolicy;
  http: HttpKit;
  /** `/auth/mfa`. */
  path: string;
  forms: MfaForms | undefined;
}

const RECENT = { ...ENROLLING, recent: 'login' } as const;

function statusRoute({ mfa, policy }: Context): Route {
  return route({
    method: 'get',
    path: '/',
    summary: 'How the own sign-in is protected',
    guard: ENROLLING,
    answers: {
      200: '`{ totp, factors, recoveryCodesLeft, trustedDevices, resetAt, required, graceEndsAt }`',
    },
    async run({ auth, user }) {
      const { isRequired, graceEndsAt } =
        auth.grants === null || !policy.concerns(auth.grants)
          ? { isRequired: false, graceEndsAt: null }
          : await policy.requirementFor(user, auth.grants, auth.beforeEnrollment);
      return { json: { ...(await mfa.status(user.id)), required: isRequired, graceEndsAt } };
    },
  });
}

function appRoutes({ mfa, http, path, forms }: Context): Route[] {
  const { views } = http;
  const disable = async ({ res, user, actor }: Call) =>
    http.writeSession(res, (await mfa.disable(user.id, actor)).session);
  /** Codes are shown in the answer itself: no page that could be opened again has them. */
  const codesAnswer = ({ req }: Call<unknown>, codes: readonly string[]): RouteAnswer => ({
    json: { recoveryCodes: codes },
    status: 201,
    page: ['mfa/recovery-codes', { codes, continueUrl: views.returnTo(req) ?? http.accountPage() }],
  });
  return [
    route({
      method: 'post',
      path: '/totp',
      summary: 'Begin to set up an authenticator app',
      guard: RECENT,
      form: {},
      answers: { 201: '`{ secret, otpauthUrl, qrCode }`' },
      async run({ req, user, actor, wantsPage }) {
        const enrollment = await mfa.beginTotp(user.id, actor);
        if (wantsPage) return { redirectTo: views.withReturnTo(`${path}/setup`, views.returnTo(req)) };
        return { json: enrollment, status: 201 };
      },
    }),
    route({
      method: 'post',
      path: '/totp/confirm',
      summary: 'Confirm the app with a code of it',
      guard: RECENT,
      body: codeBody,
      form: {},
      answers: { 201: '`{ recoveryCodes }` and a new session cookie' },
      forms: forms?.setup,
      async run(call) {
        const { recoveryCodes, session } = await mfa.confirmTotp(call.user.id, call.body.code, call.actor);
        http.writeSession(call.res, session);
        return codesAnswer(call, recoveryCodes);
      },
    }),
    route({
      method: 'delete',
      path: '/totp',
      summary: 'Remove the authenticator app',
      guard: RECENT,
      answers: { 204: 'no body; a new session cookie' },
      async run(call) {
        await disable(call);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/totp/remove',
      summary: 'Remove the authenticator app',
      guard: RECENT,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page of second factors' },
      forms: forms?.manage,
      async run(call) {
        await disable(call);
        views.notice(call.res, 'app_removed');
        return { redirectTo: `${path}/manage` };
      },
    }),
    route({
      method: 'post',
      path: '/recovery-codes',
      summary: 'Make new recovery codes; the old ones are void',
      guard: RECENT,
      form: {},
      answers: { 201: '`{ recoveryCodes }`' },
      async run(call) {
        return codesAnswer(call, await mfa.regenerateRecoveryCodes(call.user.id, call.actor));
      },
    }),
  ];
}

function challengeRoute({ mfa, http, forms }: Context): Route {
  return route({
    method: 'post',
    path: '/verify',
    summary: 'Complete a sign-in that waits for its second factor',
    body: verifyBody,
    form: { checkboxes: ['trustDevice'] },
    answers: { 200: '`{ user }` and the session cookie' },
    forms: forms?.challenge,
    async run({ req, res, body: { code, trustDevice }, actor }) {
      const pending = http.pendingToken(req);
      if (pending === null) throw new AuthTunaError('invalid_token');
      const { result, trustedDevice } = await mfa.completeSignIn(pending, code, actor, {
        ...(await http.signInOptions(req)),
        ...(trustDevice !== undefined && { trustDevice }),
      });
      const { trustedCookie } = http;
      if (trustedDevice !== null)
        setCookie(res, trustedCookie, serializeCookie(trustedCookie, trustedDevice, TRUST_SECONDS));
      return { signIn: result };
    },
  });
}

function browserRoutes({ mfa, http, path, forms }: Context): Route[] {
  const revoke = ({ param, user, actor }: Call) => mfa.revokeTrustedDevice(user.id, param('id'), actor);
  return [
    route({
      method: 'delete',
      path: '/trusted-devices/:id',
      summary: 'Ask for the second factor in that browser again',
      guard: ENROLLING,
      answers: { 204: 'no body' },
      async run(call) {
        await revoke(call);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/trusted-devices/:id/remove',
      summary: 'Ask for the second factor in that browser again',
      guard: ENROLLING,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page of second factors' },
      forms: forms?.manage,
      async run(call) {
        await revoke(call);
        http.views.notice(call.res, 'trust_ended');
        return { redirectTo: `${path}/manage` };
      },
    }),
  ];
}

/** Stopping an administrator's removal of one's factors. */
function resetRoutes({ mfa, http, path, forms }: Context): Route[] {
  return [
    route({
      method: 'delete',
      path: '/reset',
      summary: 'Keep the own factors, which an administrator is about to remove',
      guard: ENROLLING,
      answers: { 204: 'no body' },
      async run({ user, actor }) {
        await mfa.cancelOwnReset(user.id, actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/reset/stop',
      summary: 'Keep the own factors, which an administrator is about to remove',
      guard: ENROLLING,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page of second factors' },
      forms: forms?.manage,
      async run({ res, user, actor }) {
        await mfa.cancelOwnReset(user.id, actor);
        http.views.notice(res, 'factors_kept');
        return { redirectTo: `${path}/manage` };
      },
    }),
    route({
      method: 'post',
      path: '/reset/cancel',
      summary: 'Keep the factors, by the token of the mail that announced their removal',
      limit: 'mailToken',
      body: tokenBody,
      form: { link: CANCEL_RESET },
      answers: { 200: '`{ status: "kept" }`' },
      async run({ res, body, actor, wantsPage }) {
        await mfa.cancelReset(body.token, actor);
        if (wantsPage) http.views.notice(res, 'factors_kept');
        return { json: { status: 'kept' }, redirectTo: http.config.paths.signIn };
      },
    }),
  ];
}
