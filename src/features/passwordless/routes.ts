import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { tellHeldMail } from '../../http/pages/held-mail.js';
import { type Feature, type Route, route } from '../../http/route.js';
import type { PasswordlessManager } from './manager.js';
import { CODE_SENT, LINK_SENT, OPENED_LINK, type PasswordlessForms, passwordlessPages } from './pages.js';
import { consumeCodeBody, consumeLinkBody, requestBody } from './schemas.js';

/** The one answer to a request for a mail: it does not say whether there is an account (LG-3). */
const REQUESTED = { json: { status: 'requested' }, status: 202 };
const REQUESTED_ANSWERS = { 202: '`{ status: "requested" }`, whether or not a mail follows' };
const SIGNED_IN_ANSWERS = {
  200: '`{ user }` and the session cookie',
  202: '`{ secondFactor: { factors } }`',
};

/** Signing in by a mailed link or code, at `/auth/passwordless`. */
export function passwordlessFeature(
  passwordless: PasswordlessManager,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : passwordlessPages(passwordless, http);
  const path = `${http.config.paths.auth}/passwordless`;
  const context = { passwordless, http, path, forms: made?.forms };
  return {
    name: 'passwordless',
    path,
    pages: made?.pages ?? null,
    routes: [...linkRoutes(context), ...codeRoutes(context)],
  };
}

interface Context {
  passwordless: PasswordlessManager;
  http: HttpKit;
  /** `/auth/passwordless`. */
  path: string;
  forms: PasswordlessForms | undefined;
}

function linkRoutes({ passwordless, http, path, forms }: Context): Route[] {
  const { views, config } = http;
  return [
    route({
      method: 'post',
      path: '/link',
      summary: 'Mail a link that signs in',
      limit: 'mailRequest',
      body: requestBody,
      form: {},
      human: 'login',
      answers: REQUESTED_ANSWERS,
      forms: forms?.link,
      async run({ req, res, body: { email }, actor, wantsPage }) {
        const returnTo = views.returnTo(req);
        const browserId = views.browserId(req, res);
        const held = await passwordless.requestLink(email, actor, browserId, { returnTo });
        tellHeldMail(views, res, held, wantsPage);
        if (wantsPage) views.keep(res, LINK_SENT, email);
        return { ...REQUESTED, redirectTo: views.withReturnTo(`${path}/link/sent`, returnTo) };
      },
    }),
    ...(config.passwordless.magicLink.enabled
      ? [
          route({
            method: 'get',
            path: '/link/sent',
            summary: 'The code to enter where the mailed link is opened in another browser',
            answers: { 200: '`{ code }`; null where links are not bound to a browser' },
            run({ req }) {
              const browserId = views.knownBrowserId(req);
              return { json: { code: browserId === null ? null : passwordless.browserCode(browserId) } };
            },
          }),
        ]
      : []),
    route({
      method: 'post',
      path: '/link/consume',
      summary: 'Sign in by the token of a mailed link',
      limit: 'mailToken',
      body: consumeLinkBody,
      form: { link: OPENED_LINK, checkboxes: ['rememberMe'] },
      answers: SIGNED_IN_ANSWERS,
      forms: forms?.consumeLink,
      async run({ req, body: { rememberMe, ...input }, actor }) {
        const browserId = views.knownBrowserId(req);
        const signIn = await passwordless.consumeLink(input, actor, {
          ...(await http.signInOptions(req)),
          ...(rememberMe !== undefined && { rememberMe }),
          ...(browserId !== null && { browserId }),
        });
        return { signIn, way: 'email' };
      },
    }),
  ];
}

function codeRoutes({ passwordless, http, path, forms }: Context): Route[] {
  const { views } = http;
  return [
    route({
      method: 'post',
      path: '/code',
      summary: 'Mail a code that signs in',
      limit: 'mailRequest',
      body: requestBody,
      form: {},
      human: 'login',
      answers: REQUESTED_ANSWERS,
      forms: forms?.code,
      async run({ req, res, body: { email }, actor, wantsPage }) {
        tellHeldMail(views, res, await passwordless.requestCode(email, actor), wantsPage);
        if (wantsPage) views.keep(res, CODE_SENT, email);
        return { ...REQUESTED, redirectTo: views.withReturnTo(`${path}/code/enter`, views.returnTo(req)) };
      },
    }),
    route({
      method: 'post',
      path: '/code/consume',
      summary: 'Sign in by a mailed code',
      limit: 'mailToken',
      body: consumeCodeBody,
      form: { checkboxes: ['rememberMe'] },
      answers: SIGNED_IN_ANSWERS,
      forms: forms?.consumeCode,
      async run({ req, res, body: { rememberMe, ...input }, actor }) {
        const options = {
          ...(await http.signInOptions(req)),
          ...(rememberMe !== undefined && { rememberMe }),
        };
        const signIn = await passwordless.consumeCode(input, actor, options);
        views.forget(res);
        return { signIn, way: 'email' };
      },
    }),
  ];
}
