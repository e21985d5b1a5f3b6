import type { ErrorRequestHandler, RequestHandler } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf } from '../caller/attach.js';
import type { HttpKit } from '../kit.js';

/** Signed in already: the page that asks who a person is leads on instead. */
export function leadOn({ views, config }: Pick<HttpKit, 'views' | 'config'>): RequestHandler {
  return (req, res, next) => {
    const { session } = authOf(req);
    if (session === null || !views.wantsPage(req)) return next();
    views.redirect(res, views.returnTo(req) ?? config.paths.afterSignIn);
  };
}

/**
 * For each form that signs in: one that was opened before the person signed in, in another tab or before pressing Back, leads on and does
 * nothing.
 */
export function signedInElsewhere(http: Pick<HttpKit, 'views' | 'config'>): ErrorRequestHandler {
  const lead = leadOn(http);
  return (error, req, res, next) => {
    const isStale = error instanceof AuthTunaError && error.code === 'cross_site_request';
    if (!isStale || !http.views.isForm(req)) return next(error);
    lead(req, res, () => next(error));
  };
}
