import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import type { Runtime } from '../../core/runtime.js';
import type { SecondFactorName } from '../../core/sign-in/second-factors.js';
import type { SignIn } from '../../core/sign-in/sign-in.js';
import { AuthTunaError, requireKnownOptions } from '../../errors.js';
import { MAX_SKEW_SECONDS } from '../../time.js';
import { authOf } from '../caller/attach.js';
import type { RequestAuth } from '../caller/request-auth.js';
import type { Views } from '../pages/views.js';
import { enrollmentRequired } from './enrollment.js';

export interface RecentLoginOptions {
  /** How long ago the user may have proved who they are. Default 600. */
  withinSeconds?: number;
  /** Ways of proving it, RFC 8176 values, one of which must be among the user's: `['hwk']`. Default: any. */
  methods?: readonly string[];
}

/** @internal Ten minutes: what routes that change credentials ask for. @see ASVS 5.0 V7.5.1; docs/requirements.md MB-3 */
export const RECENT_SECONDS = 600;

/**
 * Guards for what a stolen or forgotten session must not do: they ask for a fresh proof, or for a second factor, and say how to give it.
 *
 * The answer is RFC 9470's challenge, and a body with `max_age`, `methods` and `stepUp`, the address that takes the proof. A page that a
 * browser opens is led through the step-up and comes back. What a session has proved is read from its row at every request.
 */
export class StepUpGuards {
  readonly #runtime: Runtime;
  readonly #signIn: Pick<SignIn, 'factorsOf'>;

  constructor(runtime: Runtime, signIn: Pick<SignIn, 'factorsOf'>) {
    this.#runtime = runtime;
    this.#signIn = signIn;
  }

  /**
   * The user proved who they are a short time ago, at the highest level their account has: with a second factor where one is enrolled.
   *
   * An API key or a trusted browser proves nothing. 401 `recent_login_required` or `second_factor_required`; 403 for a token with a scope, which is
   * for what its scope lists.
   */
  requireRecentLogin = (options: RecentLoginOptions = {}): RequestHandler => {
    requireKnownOptions('requireRecentLogin', options, ['withinSeconds', 'methods']);
    const { withinSeconds = RECENT_SECONDS, methods } = options;
    return guard(async (req) => {
      const auth = await this.#freshAuth(req);
      const { session, user } = auth;
      if (session === null || user === null) throw auth.refusal;
      if (auth.isScoped) throw new AuthTunaError('forbidden');
      const factors = await this.#signIn.factorsOf(user.id);
      if (factors.length > 0 && session.assuranceLevel < 2)
        throw this.#challenge('second_factor_required', factors, withinSeconds);
      const ageSeconds = (this.#runtime.now().getTime() - session.authenticatedAt.getTime()) / 1000;
      // A proof from the future was made while a clock was wrong, and would count as recent until that time comes.
      if (ageSeconds > withinSeconds || ageSeconds < -MAX_SKEW_SECONDS)
        throw this.#challenge('recent_login_required', factors, withinSeconds);
      if (methods !== undefined && !methods.some((method) => session.amr.includes(method)))
        throw this.#challenge('recent_login_required', factors, withinSeconds, methods);
    });
  };

  /** The session began, or was raised, with a second factor. 401 `second_factor_required`; 403 `enrollment_required` for a user who has none. */
  requireSecondFactor = (): RequestHandler =>
    guard(async (req) => {
      const auth = await this.#freshAuth(req);
      const { session, user } = auth;
      if (session === null || user === null) throw auth.refusal;
      if (session.assuranceLevel >= 2) return;
      const factors = await this.#signIn.factorsOf(user.id);
      if (factors.length === 0) throw enrollmentRequired(this.#runtime.config.paths.auth);
      throw this.#challenge('second_factor_required', factors);
    });

  /** @internal Like `requireRecentLogin`, for a route that asks for the password itself: only where a second factor is enrolled. */
  requireRecentFactor = (): RequestHandler => {
    const recent = this.requireRecentLogin();
    return (req, res, next) => {
      const userId = authOf(req).user?.id;
      if (userId === undefined) return next();
      this.#signIn
        .factorsOf(userId)
        .then((factors) => (factors.length > 0 ? recent(req, res, next) : next()), next);
    };
  };

  async #freshAuth(req: Request): Promise<RequestAuth> {
    const auth = authOf(req);
    await auth.refresh(); // a copy of a cookie that was raised since must not pass from memory
    if (auth.user === null) throw auth.refusal;
    // A key proves no person. A user who acts as another person cannot prove to be that person.
    if (auth.session === null || auth.session.impersonatorId !== null) throw new AuthTunaError('forbidden');
    return auth;
  }

  #challenge(
    code: 'recent_login_required' | 'second_factor_required',
    factors: readonly SecondFactorName[],
    maxAge?: number,
    methods?: readonly string[],
  ): AuthTunaError {
    return new AuthTunaError(code, {
      ...(maxAge !== undefined && { max_age: maxAge }),
      ...(methods !== undefined && { methods }),
      factors,
      stepUp: `${this.#runtime.config.paths.auth}/step-up`,
    });
  }
}

function guard(check: (req: Request) => Promise<void>): RequestHandler {
  return (req, _res, next) => {
    check(req).then(() => next(), next);
  };
}

/**
 * For the end of a router with pages: a form that was refused for want of a fresh proof leads to the step-up, and from there to `fallback` or
 * to where the form wanted.
 */
export function leadThroughStepUp(
  views: Views,
  authPath: string,
  fallback: (req: Request) => string,
): ErrorRequestHandler {
  return (error, req, res, next) => {
    const isCured =
      error instanceof AuthTunaError &&
      (error.code === 'recent_login_required' || error.code === 'second_factor_required');
    if (!isCured || req.method !== 'POST' || res.headersSent || !views.wantsPage(req)) return next(error);
    views.redirect(
      res,
      views.withReturnTo(`${authPath}/step-up`, askAgain(views.returnTo(req) ?? fallback(req))),
    );
  };
}

/** For the end of a router with pages: after the sign-in, a form whose session has ended leads back to where it stood. */
export function leadThroughSignIn(views: Views, formAt: (req: Request) => string): ErrorRequestHandler {
  return (error, req, _res, next) => {
    const isOver =
      error instanceof AuthTunaError &&
      (error.code === 'unauthenticated' || error.code === 'session_revoked');
    if (isOver && req.method === 'POST') views.leadBack(req, formAt(req));
    next(error);
  };
}

/** The page that the form stood on, which asks to press its button once more: what the form held is not kept. */
function askAgain(page: string): string {
  const [path = '', fragment] = page.split('#', 2);
  const asked = `${path}${path.includes('?') ? '&' : '?'}confirmed=again`;
  return fragment === undefined ? asked : `${asked}#${fragment}`;
}
