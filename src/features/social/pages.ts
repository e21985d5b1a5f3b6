import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { User } from '../../auth.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import { findAuth } from '../../http/caller/attach.js';
import { handle, STATUS } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import { signedInElsewhere } from '../../http/pages/lead-on.js';
import { ownFields } from '../../http/pages/own-fields.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages } from '../../http/route.js';
import type { SocialManager } from './manager.js';

/** By the reason of a refusal, or the rule of its field, the text of `errors.*` that says it to somebody who comes back from a provider. */
const TEXTS: Readonly<Record<string, string>> = {
  canceled: 'social_canceled',
  sign_in_then_link: 'social_sign_in_then_link',
  linked_elsewhere: 'social_linked_elsewhere',
  no_email: 'social_no_email',
  no_permission: 'social_no_permission',
  sign_up_closed: 'social_sign_up_closed',
  domain_not_allowed: 'social_domain_not_allowed',
  'state: expired': 'social_expired',
  'state: used': 'social_over',
  'state: state was spent': 'social_over',
  'state: no state': 'social_elsewhere',
  'state: other_browser': 'social_elsewhere',
  expired: 'social_expired',
  used: 'social_over',
  link_not_here: 'social_elsewhere',
};

/** The name under which a browser keeps the token of a sign-up that waits for further details. */
export const PROVIDER_SIGN_UP = 'provider_sign_up';

/** The forms of the social router: routes show them again when a post is refused. */
export interface SocialForms {
  complete: readonly ErrorRequestHandler[];
}

export function socialPages<U extends User>(
  social: SocialManager<U>,
  http: HttpKit,
): { pages: FeaturePages; forms: SocialForms } {
  const complete = completeForm(social, http);
  return {
    pages: {
      mounted: 'social',
      signInMethods: {
        providers: social.providers,
        organizations: () => social.organizations.hasAny(),
      },
      formAt: () => `${http.config.paths.account}/security`,
      routes: [
        { path: '/sso/login', show: [organizationPage(social, http)] },
        { path: '/sign-up', show: [complete.show] },
      ],
      onError: [refusedCallback(http)],
    },
    forms: { complete: [signedInElsewhere(http), complete.problem] },
  };
}

/** Asks a newcomer from a provider for what the account still needs. */
function completeForm<U extends User>(social: SocialManager<U>, { views, config }: HttpKit): FormView {
  return views.form(
    'auth/complete',
    async (req, res) => {
      const token = views.keptLink(req, PROVIDER_SIGN_UP);
      const { email, provider, returnTo } = await social.inspectSignUp(token, views.knownBrowserId(req));
      views.keep(res, PROVIDER_SIGN_UP, token);
      return {
        action: '/social/sign-up',
        email,
        provider,
        needsCode: false,
        username: config.signUp.username,
        fields: ownFields(config),
        returnTo: views.returnTo(req) ?? returnTo,
      };
    },
    { cures: ['forbidden'] },
  );
}

/** Asks for an address, and leads to the provider of its organization. */
function organizationPage<U extends User>(
  social: SocialManager<U>,
  { views, config }: HttpKit,
): RequestHandler {
  return handle(async (req, res, next) => {
    if (!views.wantsPage(req)) return next('route'); // `/:provider/login` answers scripts
    const { email } = req.query;
    if (typeof email !== 'string' || email === '') return views.page(req, res, 'social/organization', {});
    const found = await social.organizations.discover(email);
    if (found === null) {
      const refused = { values: { email: email.slice(0, 320) }, problem: { code: 'no_organization' } };
      return views.page(req, res, 'social/organization', refused, 404);
    }
    const { provider, name } = found;
    const wanted = views.returnTo(req);
    const query = new URLSearchParams({ email, ...(wanted !== null && { returnTo: wanted }) });
    const continueUrl = `${config.paths.auth}/social/${provider}/login?${query}`;
    // The form came from a page that may send forms to this site only, which browsers also hold redirects to; a page may lead anywhere.
    res.setHeader('Refresh', `0; url=${continueUrl}`);
    views.page(req, res, 'social/continue', { kind: 'found', name, continueUrl });
  });
}

/** A refused callback as a page of its own; scripts get the problem document. */
function refusedCallback(http: HttpKit): ErrorRequestHandler {
  const { views, config, mounts } = http;
  return (error, req, res, next) => {
    if (!(error instanceof AuthTunaError) || res.headersSent) return next(error);
    const { returnTo, linking, reason, retryAfterSeconds } = error.details;
    const wanted = typeof returnTo === 'string' ? returnTo : null;
    // Back onto a callback that has done its work: a person who is signed in goes on.
    const isOver = error.code === 'invalid_token' && reason?.startsWith('state: ') === true;
    if (isOver && findAuth(req)?.session != null && views.wantsPage(req))
      return views.redirect(res, wanted ?? config.paths.afterSignIn);
    // The message is on its way, and the page that says so also sends it again.
    const isWaiting = error.code === 'email_not_verified' || reason === 'address_unconfirmed';
    if (isWaiting && mounts.pages.auth && views.wantsPage(req))
      return views.redirect(res, views.withReturnTo(`${config.paths.auth}/verify-email`, wanted));
    const continueUrl = continueUrlOf(http, error.code, linking === true, wanted);
    const text =
      TEXTS[error.details.reason ?? error.details.errors?.[0]?.rule ?? ''] ??
      (error.code === 'invalid_token' ? 'social_failed' : null);
    const failure = {
      code: text ?? error.code,
      status: STATUS[error.code],
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      ...continueUrl,
    };
    const isOnTheWay = text !== null || wanted !== null;
    if (!isOnTheWay || !views.errorPage(req, res, failure)) next(error);
  };
}

/** The way on from a refusal: back to the account where it was about linking, otherwise to the sign-in and then to where the person wanted. */
function continueUrlOf(
  { views, config, accountPage }: HttpKit,
  code: ErrorCode,
  isLinking: boolean,
  returnTo: string | null,
): { continueUrl?: string; signInUrl?: string; retryUrl?: string } {
  if (isLinking) return { continueUrl: returnTo ?? accountPage() };
  if (returnTo === null || code === 'account_suspended') return {};
  const signInUrl = views.withReturnTo(`${config.paths.auth}/login`, returnTo);
  // The address of a callback is good for one time.
  return code === 'unavailable' ? { retryUrl: signInUrl } : { signInUrl };
}
