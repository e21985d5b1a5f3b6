import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import type { Config } from '../config.js';
import type { SessionVerifier } from '../core/session-verifier.js';
import type { SignInOptions } from '../core/sign-in.js';
import { AuthTunaError } from '../errors.js';
import { authOf } from './auth.js';
import { type CookieSpec, cookieSpec } from './cookies.js';
import { csrf } from './csrf.js';
import type { Guards } from './guards.js';
import { securityHeaders } from './headers.js';
import type { SessionMiddleware } from './session.js';

/** What every router is given of HTTP. */
export interface HttpKit {
  readonly config: Config;
  readonly sessions: SessionMiddleware;
  readonly guards: Guards;
  readonly errorHandler: ErrorRequestHandler;
  readonly pendingCookie: CookieSpec;
  /** First in every router: headers, the caller when `session()` was not mounted before, and the cross-site check. */
  readonly prepare: RequestHandler[];
  /** What a sign-in must know of the browser. */
  signInOptions(req: Request): Promise<SignInOptions>;
}

export function createHttpKit(
  config: Config,
  sessions: SessionMiddleware,
  guards: Guards,
  verifier: SessionVerifier,
  errorHandler: ErrorRequestHandler,
): HttpKit {
  const checkOrigin = csrf(config.origins);
  return {
    config,
    sessions,
    guards,
    errorHandler,
    pendingCookie: cookieSpec(config, 'at_pending'),
    prepare: [
      securityHeaders(config.isSecure),
      (_req, res, next) => {
        res.setHeader('Cache-Control', 'no-store');
        next();
      },
      checkOrigin,
      (req, res, next) => (req.auth === undefined ? sessions.handler(req, res, next) : next()),
    ],
    async signInOptions(req) {
      const auth = authOf(req);
      return {
        presentedSessionId: auth.session?.id ?? auth.locked?.session.id ?? null,
        fingerprint: await verifier.baseline(sessions.factsOf(req)),
      };
    },
  };
}

export function notFound(): RequestHandler {
  return (_req, _res, next) => next(new AuthTunaError('not_found'));
}
