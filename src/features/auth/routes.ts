import type { User } from '../../auth.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { AuthTunaError, isErrorCode } from '../../errors.js';
import { passed } from '../../http/call.js';
import { authOf } from '../../http/caller/attach.js';
import { hasBearer } from '../../http/caller/authenticators.js';
import { holderOf } from '../../http/caller/holder.js';
import { STATUS } from '../../http/errors.js';
import type { AuthRouterOptions, HttpKit } from '../../http/kit.js';
import { openApiOf } from '../../http/openapi.js';
import { tellHeldMail } from '../../http/pages/held-mail.js';
import { keepWaiting, WAITING } from '../../http/pages/waiting.js';
import { type Feature, type Route, type RouteGuard, route } from '../../http/route.js';
import type { AuthManager } from './manager.js';
import { type AuthForms, authPages, type DoneMessage } from './pages.js';
import {
  changeEmailBody,
  changePasswordBody,
  emailBody,
  loginBody,
  resetPasswordBody,
  signUpBody,
  stepUpBody,
  tokenBody,
  verifyEmailBody,
} from './schemas.js';

/** The one answer to a request for a mail: it does not say whether there is an account, or will be a mail (LG-3). */
const REQUESTED = { json: { status: 'requested' }, status: 202 };
const REQUESTED_ANSWERS = { 202: '`{ status: "requested" }`, whether or not a mail follows' };

const SIGNED_IN: RouteGuard = { allow: 'must_change_password' };

/** Sign-up, sign-in by password, passwords, addresses and step-up, at `/auth`. */
export function authFeature<U extends User>(
  auth: AuthManager<U>,
  http: HttpKit,
  options: AuthRouterOptions = {},
): Feature {
  const made = options.pages === false ? null : authPages(auth, http);
  const context: Context<U> = {
    auth,
    http,
    forms: made?.forms ?? null,
    at: (path) => http.config.paths.auth + path,
  };
  return {
    name: 'auth',
    path: http.config.paths.auth,
    pages: made?.pages ?? null,
    routes: [
      ...signUpRoutes(context),
      ...signInRoutes(context),
      ...passwordRoutes(context),
      ...addressRoutes(context),
      errorTypeRoute(context),
      ...(options.openapi === true ? [openApiRoute(context)] : []),
    ],
  };
}

interface Context<U extends User> {
  auth: AuthManager<U>;
  http: HttpKit;
  forms: AuthForms | null;
  at(path: string): string;
}

function done({ at, http }: Context<User>, message: DoneMessage, returnTo: string | null): string {
  return http.views.withReturnTo(at(`/done/${message}`), returnTo);
}

function signUpRoutes<U extends User>(context: Context<U>): Route[] {
  const { auth, http, forms, at } = context;
  const { views } = http;
  return [
    route({
      method: 'post',
      path: '/signup',
      summary: 'Make an account',
      limit: 'signUp',
      body: signUpBody,
      form: {},
      human: 'signup',
      answers: { 201: '`{ user }` and the session cookie', 202: '`{ status: "verification_required" }`' },
      forms: forms?.signUp,
      async run({ req, res, body, actor, wantsPage }) {
        const returnTo = views.returnTo(req);
        const mail: { held: HeldMail | null } = { held: null };
        const way = {
          by: 'password',
          browserId: views.knownBrowserId(req),
          returnTo,
          onHeld: (held: HeldMail) => {
            mail.held = held;
          },
        } as const;
        const result = await auth.register(body, actor, way, await http.signInOptions(req));
        if (result.status !== 'verification_required') return { signIn: result, status: 201 };
        if (wantsPage) keepWaiting(views, res, body.email, mail.held);
        return { json: result, status: 202, redirectTo: views.withReturnTo(at('/verify-email'), returnTo) };
      },
    }),
    route({
      method: 'post',
      path: '/verify-email',
      summary: 'Confirm an address by the token of its mail',
      limit: 'mailToken',
      body: verifyEmailBody,
      form: { link: 'verify_email' },
      answers: { 200: '`{ status: "email_verified" }`' },
      forms: forms?.verifyEmail,
      async run({ req, res, body: { token, password, newPassword }, actor }) {
        const returnTo = views.returnTo(req);
        const proof = { ...(password !== undefined && { password }), browserId: views.knownBrowserId(req) };
        if (newPassword !== undefined) await auth.claimAccount({ token, newPassword }, actor);
        else if (!views.isForm(req))
          await auth.verifyEmail(token, actor, password === undefined ? undefined : proof);
        else {
          // A mail leads its reader to our own page, and the reader need not be the person who signed up.
          const signIn = await auth.verifyAndSignIn(token, actor, proof, await http.signInOptions(req));
          if (signIn !== null) {
            views.notice(res, 'email_verified');
            return { signIn };
          }
        }
        // The link is kept: pressed again, its page says that the address is confirmed.
        return { json: { status: 'email_verified' }, redirectTo: done(context, 'email_verified', returnTo) };
      },
    }),
    route({
      method: 'post',
      path: '/verify-email/resend',
      summary: 'Mail the link that confirms an address again',
      limit: 'mailRequest',
      body: emailBody,
      form: {},
      answers: REQUESTED_ANSWERS,
      forms: forms?.resend,
      async run({ req, res, body: { email }, actor, wantsPage }) {
        const held = await auth.requestEmailVerification(email, actor);
        tellHeldMail(views, res, held, wantsPage);
        if (wantsPage) {
          views.keep(res, WAITING.again, email);
          if (held === null) views.notice(res, 'sent_again');
        }
        return { ...REQUESTED, redirectTo: views.withReturnTo(at('/verify-email'), views.returnTo(req)) };
      },
    }),
  ];
}

function signInRoutes<U extends User>({ auth, http, forms }: Context<U>): Route[] {
  const { views, sessionCookie } = http;
  return [
    route({
      method: 'post',
      path: '/login',
      summary: 'Sign in with an address or username and a password',
      body: loginBody,
      form: { checkboxes: ['rememberMe'] },
      human: 'login',
      answers: { 200: '`{ user }` and the session cookie', 202: '`{ secondFactor: { factors } }`' },
      forms: forms?.login,
      run: async ({ req, body, actor }) => ({
        signIn: await auth.login(body, actor, await http.signInOptions(req)),
        way: 'password' as const,
      }),
    }),
    route({
      method: 'post',
      path: '/logout',
      summary: 'End the session',
      form: {},
      endsSession: true,
      answers: { 204: 'no body', 200: '`{ revoked }`, how many sessions ended, for an access token' },
      async run({ req, res, auth: caller, actor, wantsPage }) {
        if (caller.method === 'access_token' && caller.session !== null) {
          await auth.logout(caller.session.id, actor);
          return { json: { revoked: 1 } };
        }
        // Every session whose cookie carries our signature: also of a tab with the cookie from before a renewal, beside a second cookie, and
        // beside a bearer token. A user must not be told that they signed out while a session of theirs goes on.
        const own = caller.session?.id;
        const ids = new Set([...http.presentedSessionIds(req), ...(own === undefined ? [] : [own])]);
        for (const sessionId of ids) await auth.logout(sessionId, actor);
        // A token that has expired ends nothing, so the program must not believe that it signed out.
        if (ids.size === 0 && hasBearer(req)) throw authOf(req).refusal;
        sessionCookie.clear(req, res);
        http.ownSession.forget(req, res);
        res.setHeader('Clear-Site-Data', '"cache"');
        if (wantsPage) views.notice(res, 'signed_out');
        return { redirectTo: views.returnTo(req) ?? http.config.paths.afterSignOut };
      },
    }),
    route({
      method: 'get',
      path: '/user-info',
      summary: 'The signed-in user',
      guard: { ...SIGNED_IN, credentials: ['session', 'access_token'] },
      answers: { 200: 'the user' },
      run: ({ user }) => ({ json: http.sentUser(user) }),
    }),
    route({
      method: 'post',
      path: '/step-up',
      summary: 'Prove again who you are, without signing out',
      body: stepUpBody,
      form: {},
      answers: { 200: '`{ session: { authenticatedAt, amr } }` and a new session cookie' },
      forms: forms?.stepUp,
      async run({ req, res, body, actor }) {
        const holder = holderOf(req);
        const { fingerprint } = await http.signInOptions(req);
        const elevated = await auth.stepUp(
          holder.sessionId,
          body,
          { ...actor, ...holder },
          { ...(fingerprint !== undefined && { fingerprint }) },
        );
        http.writeSession(res, elevated);
        const { authenticatedAt, amr } = elevated.session;
        return { json: { session: { authenticatedAt, amr } } };
      },
    }),
  ];
}

function passwordRoutes<U extends User>(context: Context<U>): Route[] {
  const { auth, http, forms } = context;
  const { views } = http;
  return [
    route({
      method: 'post',
      path: '/forgot-password',
      summary: 'Mail a link to choose a new password',
      limit: 'mailRequest',
      body: emailBody,
      form: {},
      human: 'forgot',
      answers: REQUESTED_ANSWERS,
      forms: forms?.forgotPassword,
      async run({ req, res, body, actor, wantsPage }) {
        const returnTo = views.returnTo(req);
        const held = await auth.requestPasswordReset(body.email, actor, { returnTo });
        tellHeldMail(views, res, held, wantsPage);
        return { ...REQUESTED, redirectTo: done(context, 'reset_requested', returnTo) };
      },
    }),
    route({
      method: 'post',
      path: '/reset-password',
      summary: 'Choose a new password by the token of a mail',
      limit: 'mailToken',
      body: resetPasswordBody,
      form: { link: 'reset_password' },
      answers: { 200: '`{ status: "password_changed" }`' },
      forms: forms?.resetPassword,
      async run({ req, body, actor }) {
        await auth.resetPassword(body, actor);
        const redirectTo = done(context, 'password_changed', views.returnTo(req));
        return { json: { status: 'password_changed' }, redirectTo };
      },
    }),
    route({
      method: 'post',
      path: '/change-password',
      summary: 'Change the own password',
      guard: { ...SIGNED_IN, recent: 'factor' },
      body: changePasswordBody,
      form: {},
      answers: { 200: '`{ user }` and a new session cookie' },
      forms: forms?.changePassword,
      async run({ req, res, body, auth: { session }, user, actor, wantsPage }) {
        const isFirst = !(await auth.hasPassword(user.id));
        // Nothing else is asked for a first password, so a session left open must not be enough.
        if (isFirst) await passed(http.stepUp.requireRecentLogin(), req, res);
        const input = { ...body, ...(session !== null && { keepSessionId: session.id }) };
        http.writeSession(res, await auth.changePassword(user.id, input, actor));
        const info = await auth.userInfo(user.id);
        if (wantsPage) views.notice(res, isFirst ? 'password_set' : 'password_changed');
        return {
          json: { user: info === null ? null : http.sentUser(info) },
          redirectTo: views.returnTo(req) ?? http.accountPage(),
        };
      },
    }),
    route({
      method: 'post',
      path: '/unlock',
      summary: 'Open an account again that too many wrong passwords closed',
      limit: 'mailToken',
      body: tokenBody,
      form: { link: 'unlock' },
      answers: { 200: '`{ status: "account_unlocked" }`' },
      async run({ body, actor }) {
        await auth.unlock(body.token, actor);
        return { json: { status: 'account_unlocked' }, redirectTo: done(context, 'account_unlocked', null) };
      },
    }),
  ];
}

function addressRoutes<U extends User>(context: Context<U>): Route[] {
  const { auth, http, forms } = context;
  const { views } = http;
  return [
    route({
      method: 'post',
      path: '/change-email',
      summary: 'Ask for a change of the own address',
      guard: { recent: 'login' }, // cures neither a due password nor a due factor
      limit: { name: 'mailRequest', like: 'mailRequest', by: 'user' },
      body: changeEmailBody,
      form: {},
      answers: REQUESTED_ANSWERS,
      forms: forms?.changeEmail,
      async run({ res, body, user, actor, wantsPage }) {
        tellHeldMail(views, res, await auth.requestEmailChange(user.id, body, actor), wantsPage);
        return { ...REQUESTED, redirectTo: done(context, 'email_change_requested', null) };
      },
    }),
    route({
      method: 'post',
      path: '/change-email/confirm',
      summary: 'Take the new address by the token that was mailed to it',
      limit: 'mailToken',
      body: tokenBody,
      form: { link: 'change_email' },
      answers: { 200: '`{ status: "email_changed" }`' },
      forms: forms?.confirmEmailChange,
      async run({ body, actor }) {
        await auth.confirmEmailChange(body.token, actor);
        return { json: { status: 'email_changed' }, redirectTo: done(context, 'email_changed', null) };
      },
    }),
    route({
      method: 'post',
      path: '/change-email/undo',
      summary: 'Take the former address back by the token that was mailed to it',
      limit: 'mailToken',
      body: tokenBody,
      form: { link: 'undo_email_change' },
      answers: { 200: '`{ status: "email_change_undone" }`' },
      async run({ body, actor }) {
        await auth.undoEmailChange(body.token, actor);
        return {
          json: { status: 'email_change_undone' },
          redirectTo: done(context, 'email_change_undone', null),
        };
      },
    }),
  ];
}

/** What the `type` of a problem document points to. @see RFC 9457 section 3.1.1 */
function errorTypeRoute<U extends User>({ forms }: Context<U>): Route {
  return route({
    method: 'get',
    path: '/errors/:code',
    summary: 'What an error code means',
    answers: { 200: '`{ code, status, detail }`' },
    run(call) {
      const code = call.param('code');
      if (!isErrorCode(code)) throw new AuthTunaError('not_found');
      const status = STATUS[code];
      const json = { code, status, detail: new AuthTunaError(code).message };
      return forms === null ? { json } : { json, page: ['error-type', { code, status }] };
    },
  });
}

function openApiRoute({ http }: Context<User>): Route {
  return route({
    method: 'get',
    path: '/openapi.json',
    summary: 'This document',
    answers: { 200: 'an OpenAPI 3.1 document' },
    run: () => ({ json: openApiOf(http.mounts.features(), http.config) }),
  });
}
