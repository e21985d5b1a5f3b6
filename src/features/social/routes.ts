import type { Response } from 'express';
import type { User } from '../../auth.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import { JourneyCookie } from '../../http/answer/journey-cookie.js';
import { safeReturnTo } from '../../http/answer/return-to.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { keepWaiting } from '../../http/pages/waiting.js';
import { type Call, type Feature, type Route, type RouteGuard, route } from '../../http/route.js';
import type { ProviderCallback } from './journey.js';
import type { SocialManager } from './manager.js';
import { PROVIDER_SIGN_UP, type SocialForms, socialPages } from './pages.js';
import { callbackParameters, completeBody, linkBody, startQuery } from './schemas.js';

const SIGNED_IN: RouteGuard = { fresh: true };
const RECENT: RouteGuard = { fresh: true, recent: 'login' };

/** Sign-in with other providers, at `/auth/social`. */
export function socialFeature<U extends User>(
  social: SocialManager<U>,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : socialPages(social, http);
  const context = {
    social,
    http,
    forms: made?.forms,
    path: `${http.config.paths.auth}/social`,
    cookie: new JourneyCookie(http.config),
  };
  return {
    name: 'social',
    path: context.path,
    pages: made?.pages ?? null,
    crossSitePosts: social.formPostPaths,
    routes: [...journeyRoutes(context), ...linkRoutes(context)],
  };
}

interface Context<U extends User> {
  social: SocialManager<U>;
  http: HttpKit;
  /** `/auth/social`. */
  path: string;
  cookie: JourneyCookie;
  forms: SocialForms | undefined;
}

// Long: a table of routes, one value for each.
/** To a provider and back. */
function journeyRoutes<U extends User>({ social, http, path, cookie, forms }: Context<U>): Route[] {
  const { views, config } = http;
  return [
    route({
      method: 'get',
      path: '/:provider/login',
      asksOthers: true,
      summary: "Send the browser to a provider; `sso` finds an organization's own by `email`",
      limit: 'social',
      query: startQuery,
      answers: { 303: 'to the provider' },
      async run({ req, res, param, query: { rememberMe, email } }) {
        const provider = await providerOf(social, param('provider'), email);
        const { url } = await social.beginSignIn(provider, {
          browser: cookie.readOrSet(req, res),
          returnTo: views.returnTo(req) ?? config.paths.afterSignIn,
          rememberMe: rememberMe === 'true',
          ...(email !== undefined && { loginHint: email }),
        });
        return toProvider(res, url);
      },
    }),
    route({
      method: 'get',
      path: '/:provider/callback',
      asksOthers: true,
      summary: 'Where the provider sends the browser back to',
      answers: {
        303: 'to where the person wanted, with the session cookie; or to the page that asks a newcomer for what is missing',
        202: '`{ status: "details_required", token, missing }` for a script',
      },
      async run({ req, res, param, actor, wantsPage }) {
        const outcome = await social.finishSignIn(
          param('provider'),
          callbackOf(req.query),
          {
            browser: cookie.read(req),
            formBrowser: () => views.browserId(req, res),
            onMailed: (address, held) => wantsPage && keepWaiting(views, res, address, held),
            ...(await http.signInOptions(req)),
          },
          actor,
        );
        if (outcome.intent === 'sign_up') {
          if (!wantsPage) return { json: outcome.pending, status: 202 };
          views.keep(res, PROVIDER_SIGN_UP, outcome.pending.token);
          return void views.redirect(res, `${path}/sign-up`);
        }
        if (outcome.intent === 'link') {
          views.notice(res, 'provider_linked', { provider: outcome.account.providerName });
          return void views.redirect(res, outcome.returnTo);
        }
        return {
          signIn: outcome.result,
          redirectTo: outcome.returnTo,
          isNavigation: true,
          way: `provider.${param('provider')}` as const,
        };
      },
    }),
    route({
      method: 'post',
      path: '/sign-up',
      summary: 'Make the account of a newcomer from a provider, with the details that were missing',
      limit: 'signUp',
      body: completeBody,
      form: { link: PROVIDER_SIGN_UP },
      answers: { 201: '`{ user }` and the session cookie', 202: '`{ secondFactor: { factors } }`' },
      forms: forms?.complete,
      async run({ req, res, body, actor, wantsPage }) {
        const options = {
          browser: views.knownBrowserId(req),
          onMailed: (address: string, held: HeldMail | null) =>
            wantsPage && keepWaiting(views, res, address, held),
          ...(await http.signInOptions(req)),
        };
        const { result, returnTo } = await social.completeSignUp(body, options, actor);
        views.forget(res);
        return { signIn: result, status: 201, redirectTo: returnTo };
      },
    }),
    // A form_post comes from the provider's site, so without our cookies. It is only sent on to our own GET, which has them.
    route({
      method: 'post',
      path: '/:provider/callback',
      asksOthers: true,
      summary: 'The same for a provider that answers by a form',
      isCrossSite: true,
      body: callbackParameters,
      answers: { 303: 'to the callback above' },
      run({ res, param, body }) {
        const query = new URLSearchParams(Object.entries(body));
        views.redirect(res, `${path}/${encodeURIComponent(param('provider'))}/callback?${query}`);
        return undefined;
      },
    }),
  ];
}

/** Linked identities of one's own account. */
function linkRoutes<U extends User>({ social, http, cookie }: Context<U>): Route[] {
  const { views, config } = http;
  const unlink = async ({ res, param, user, actor }: Call) => {
    const { session } = await social.unlink(user.id, param('provider'), actor);
    http.writeSession(res, session);
  };
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The linked identities, and the providers there are',
      guard: SIGNED_IN,
      answers: { 200: '`{ accounts, providers }`' },
      run: async ({ user }) => ({
        json: { accounts: await social.list(user.id), providers: social.providers },
      }),
    }),
    route({
      method: 'post',
      path: '/:provider/link',
      asksOthers: true,
      summary: 'Begin to link an identity',
      guard: RECENT,
      limit: { name: 'social', like: 'social', by: 'user' },
      body: linkBody,
      form: {},
      answers: { 200: '`{ url }`, where to send the browser' },
      async run({ req, res, param, body, user, actor, wantsPage }) {
        const wanted = views.returnTo(req) ?? body.returnTo ?? http.accountPage();
        const { url } = await social.beginLink(
          user.id,
          param('provider'),
          {
            browser: cookie.readOrSet(req, res),
            returnTo: safeReturnTo(wanted, config.origin, http.accountPage()),
          },
          actor,
        );
        return wantsPage ? toProvider(res, url) : { json: { url } };
      },
    }),
    route({
      method: 'post',
      path: '/:provider/unlink',
      summary: 'Unlink an identity',
      guard: RECENT,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to where the form wanted, or to the account page' },
      async run(call) {
        const id = call.param('provider');
        const linked = (await social.list(call.user.id)).find(({ provider }) => provider === id);
        await unlink(call);
        views.notice(call.res, 'provider_unlinked', { provider: linked?.providerName ?? id });
        return { redirectTo: views.returnTo(call.req) ?? http.accountPage() };
      },
    }),
    route({
      method: 'delete',
      path: '/:provider',
      summary: 'Unlink an identity',
      guard: RECENT,
      answers: { 204: 'no body; a new session cookie' },
      async run(call) {
        await unlink(call);
        return {};
      },
    }),
  ];
}

/** `sso` stands for the organization's provider that an address belongs to. */
async function providerOf<U extends User>(
  { organizations }: SocialManager<U>,
  provider: string,
  email: string | undefined,
): Promise<string> {
  if (provider !== 'sso') return provider;
  const found = email === undefined ? null : await organizations.discover(email);
  if (found === null)
    throw new AuthTunaError('not_found', {
      message: 'There is no single sign-on for this address. Sign in another way.',
    });
  return found.provider;
}

/** 303 to a provider: the only addresses elsewhere that these routes ever send a browser to. */
function toProvider(res: Response, url: string): undefined {
  res.setHeader('Cache-Control', 'no-store');
  res.status(303).setHeader('Location', url);
  res.end();
}

/** @throws AuthTunaError `invalid_token` for a parameter that came twice or too long: no provider sends that */
function callbackOf(query: unknown): ProviderCallback {
  try {
    return validate(callbackParameters, query);
  } catch (error) {
    throw new AuthTunaError(
      'invalid_token',
      { message: 'The sign-in could not be confirmed. Please try again.' },
      { cause: error },
    );
  }
}
