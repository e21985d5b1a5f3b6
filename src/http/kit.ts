import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.js';
import type { HumanCheckAction } from '../config/options.js';
import type { RateLimiter } from '../core/limits/rate-limiter.js';
import type { SessionWithToken } from '../core/sessions/sessions.js';
import type { SessionVerifier } from '../core/sessions/verifier.js';
import type { KnownDevices } from '../core/sign-in/known-browsers.js';
import type { SignInOptions, SignInResult } from '../core/sign-in/sign-in.js';
import { AuthTunaError } from '../errors.js';
import type { MountedPages, ProviderButton } from '../templates/template-data.js';
import { DeviceCookie } from './answer/browser-cookie.js';
import { type CookieSpec, cookieSpec, readCookie } from './answer/cookies.js';
import { securityHeaders } from './answer/headers.js';
import { type SignInResponse, sendSignIn } from './answer/sign-in-response.js';
import { authOf, findAuth } from './caller/request-auth.js';
import type { SessionMiddleware } from './caller/session.js';
import { csrf } from './guards/csrf.js';
import type { Guards } from './guards/guards.js';
import { createHumanCheck } from './guards/human-check.js';
import { createRateLimit, type RateLimitFactory } from './guards/rate-limit.js';
import type { StepUpGuards } from './guards/step-up.js';
import type { Views } from './pages/views.js';

/** Options of every router that has pages. */
export interface RouterOptions {
  /** False: JSON only, no pages and no forms. Default true. */
  pages?: boolean;
}

/** The further ways in that the sign-in page offers; each feature says so when its router is made. */
export interface SignInMethods {
  magicLink: boolean;
  emailCode: boolean;
  passkeys: boolean;
  providers: ProviderButton[];
  /** Whether organizations have providers of their own, found by the domain of an address. */
  organizations(): Promise<boolean>;
}

/** What every router is given of HTTP. */
export interface HttpKit {
  readonly config: Config;
  readonly sessions: SessionMiddleware;
  readonly guards: Guards;
  readonly errorHandler: ErrorRequestHandler;
  readonly pendingCookie: CookieSpec;
  readonly trustedCookie: CookieSpec;
  /** Guards that ask for a fresh proof. */
  readonly stepUp: StepUpGuards;
  /** The half-finished sign-in that the browser brought along, or null. */
  pendingToken(req: Request): string | null;
  /** Pages and forms. */
  readonly views: Views;
  readonly signInMethods: SignInMethods;
  /** Each feature says so when its router is made. */
  readonly mounted: MountedPages;
  /** Where a person looks at how they sign in; the front page when no such page is mounted. */
  accountPage(): string;
  /** Paths at which another site may POST. Their one route sends the browser on to a GET of ours and does nothing else. */
  readonly crossSitePosts: Set<string>;
  /** First in every router: headers, the caller when `session()` of this instance was not mounted before, and the cross-site check. */
  readonly prepare: RequestHandler[];
  /** What a sign-in must know of the browser. */
  signInOptions(req: Request): Promise<SignInOptions>;
  /** Limits a route by the caller's address, or user: `http.rateLimit('mailRequest')`. */
  readonly rateLimit: RateLimitFactory;
  /** Asks the host's `humanCheck`; stands behind the parsing of the body and before everything that costs. */
  humanCheck(action: HumanCheckAction): RequestHandler;
  /** Gives the browser the new cookie of a session that goes on; null changes nothing. */
  writeSession(res: Response, kept: SessionWithToken | null): void;
  /** The answer to every way in, for scripts and forms. */
  sendSignIn(req: Request, res: Response, result: SignInResult, options?: SignInResponse): void;
}

export function createHttpKit(
  config: Config,
  sessions: SessionMiddleware,
  guards: Guards,
  verifier: SessionVerifier,
  errorHandler: ErrorRequestHandler,
  views: Views,
  { limiter, devices, stepUp }: { limiter: RateLimiter; devices: KnownDevices; stepUp: StepUpGuards },
): HttpKit {
  const checkOrigin = csrf(config);
  // Asked for by every router on the way, of which the one that is meant may be the last.
  const crossSitePosts = new Set<string>();
  const pendingCookie = cookieSpec(config, 'at_pending');
  const trustedCookie = cookieSpec(config, 'at_trusted');
  const cookieOf = (req: Request, { name }: CookieSpec) => {
    const value = readCookie(req.headers.cookie, name);
    return value === 'ambiguous' ? null : value;
  };
  const deviceCookie = new DeviceCookie(config, devices);
  const mounted = { auth: false, account: false, mfa: false, passkeys: false, social: false };
  const surroundings = { deviceCookie, sessions, pendingCookie, views, authPath: config.paths.auth };
  return {
    config,
    sessions,
    guards,
    errorHandler,
    pendingCookie,
    trustedCookie,
    stepUp,
    pendingToken: (req) => cookieOf(req, pendingCookie),
    views,
    signInMethods: {
      magicLink: false,
      emailCode: false,
      passkeys: false,
      providers: [],
      organizations: async () => false,
    },
    mounted,
    accountPage: () => (mounted.account ? `${config.paths.account}/security` : '/'),
    crossSitePosts,
    prepare: [
      securityHeaders(config.isSecure),
      (_req, res, next) => {
        res.setHeader('Cache-Control', 'no-store');
        next();
      },
      (req, res, next) =>
        req.method === 'POST' && crossSitePosts.has(req.originalUrl) ? next() : checkOrigin(req, res, next),
      (req, res, next) =>
        findAuth(req)?.isOf(sessions) === true ? next() : sessions.handler(req, res, next),
    ],
    async signInOptions(req) {
      const auth = authOf(req);
      return {
        deviceCookie: deviceCookie.read(req),
        trustedDevice: cookieOf(req, trustedCookie),
        presentedSessionId: auth.session?.id ?? auth.locked?.session.id ?? null,
        fingerprint: await verifier.baseline(sessions.factsOf(req)),
      };
    },
    rateLimit: createRateLimit(config, limiter, sessions),
    humanCheck: createHumanCheck(config, sessions),
    writeSession(res, kept) {
      if (kept !== null)
        sessions.writeCookie(res, kept.token, kept.session.persistent ? kept.session.expiresAt : null);
    },
    sendSignIn: (req, res, result, options) => sendSignIn(surroundings, req, res, result, options),
  };
}

/** Last on a route: refuses every method but those that it has. */
export function only(...allow: string[]): RequestHandler {
  return (_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow }));
}
