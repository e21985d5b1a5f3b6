import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import { handle, STATUS } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import type { FeaturePages } from '../../http/route.js';
import type { SocialManager } from './manager.js';

/** By the reason of a refusal, the text of `errors.*` that says it to somebody who comes back from a provider. */
const TEXTS: Readonly<Record<string, string>> = {
  canceled: 'social_canceled',
  sign_in_then_link: 'social_sign_in_then_link',
  linked_elsewhere: 'social_linked_elsewhere',
  no_email: 'social_no_email',
  no_permission: 'social_no_permission',
};

export function socialPages<U extends User>(social: SocialManager<U>, http: HttpKit): FeaturePages {
  return {
    mounted: 'social',
    signInMethods: {
      providers: social.providers,
      organizations: () => social.organizations.hasAny(),
    },
    afterStepUp: () => `${http.config.paths.account}/security`,
    routes: [{ path: '/sso/login', show: [organizationPage(social, http)] }],
    onError: [refusedCallback(http)],
  };
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
function refusedCallback({ views }: HttpKit): ErrorRequestHandler {
  return (error, req, res, next) => {
    if (!(error instanceof AuthTunaError) || res.headersSent) return next(error);
    const text =
      TEXTS[error.details.reason ?? ''] ?? (error.code === 'invalid_token' ? 'social_failed' : null);
    if (text === null || !views.errorPage(req, res, { code: text, status: STATUS[error.code] })) next(error);
  };
}
