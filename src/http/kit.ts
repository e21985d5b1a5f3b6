import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.js';
import type { HumanCheckAction } from '../config/options.js';
import type { SessionWithToken } from '../core/sessions/session-writes.js';
import type { SignInCore } from '../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../core/sign-in/sign-in.js';
import { sentUser } from '../core/user.js';
import { BrowserCookie } from './answer/browser-cookie.js';
import { type CookieSpec, cookieSpec, readCookie } from './answer/cookies.js';
import { securityHeaders } from './answer/headers.js';
import { OwnSessionCookie, ownSessionCookieSpec, ownSessionToken } from './answer/own-session-cookie.js';
import { type SignInResponse, sendSignIn, writeSignIn } from './answer/sign-in-response.js';
import { findAuth } from './caller/attach.js';
import { PresentedCallers } from './caller/presented.js';
import type { RequestReader } from './caller/request-facts.js';
import type { SessionMiddleware } from './caller/session.js';
import type { SessionCookie } from './caller/session-cookie.js';
import { createErrorHandler } from './errors.js';
import { csrf } from './guards/csrf.js';
import type { Guards } from './guards/guards.js';
import { createHumanCheck } from './guards/human-check.js';
import { createRateLimit, type RateLimitFactory } from './guards/rate-limit.js';
import type { StepUpGuards } from './guards/step-up.js';
import type { Mounts } from './mounts.js';
import type { Views } from './pages/views.js';

/** Options of every router that has pages. */
export interface RouterOptions {
  /** False: JSON only, no pages and no forms. Default true. */
  pages?: boolean;
}

/** Options of `router()` and `routers.auth()`. */
export interface AuthRouterOptions extends RouterOptions {
  /** True: `GET /auth/openapi.json` answers with the document of `authTuna.openapi()`. Default false. */
  openapi?: boolean;
}

/** What every router is given of HTTP. */
export interface HttpKit {
  readonly config: Config;
  /** What a request says about itself. */
  readonly requests: RequestReader;
  readonly sessionCookie: SessionCookie;
  readonly guards: Guards;
  readonly errorHandler: ErrorRequestHandler;
  readonly pendingCookie: CookieSpec;
  readonly trustedCookie: CookieSpec;
  /** Guards that ask for a fresh proof. */
  readonly stepUp: StepUpGuards;
  /** The sessions that cookies with our signature name, whatever they are worth otherwise. */
  presentedSessionIds(req: Request): string[];
  /** The half-finished sign-in that the browser brought along, or null. */
  pendingToken(req: Request): string | null;
  /** Pages and forms. */
  readonly views: Views;
  /** What is mounted. */
  readonly mounts: Mounts;
  /** Where a person looks at how they sign in; the front page when no such page is mounted. */
  accountPage(): string;
  /** What every answer below the paths of this library carries, also to an address that leads nowhere. */
  readonly headers: RequestHandler[];
  /** First in every router: headers, the caller when `session()` of this instance was not mounted before, and the cross-site check. */
  readonly prepare: RequestHandler[];
  /** Finds the callers of requests that other servers received. */
  readonly presented: PresentedCallers;
  /** What a sign-in must know of the browser. */
  signInOptions(req: Request): Promise<SignInOptions>;
  /** Limits a route by the caller's address, or user: `http.rateLimit('mailRequest')`. */
  readonly rateLimit: RateLimitFactory;
  /** Asks the host's `humanCheck`; stands behind the parsing of the body and before everything that costs. */
  humanCheck(action: HumanCheckAction): RequestHandler;
  /** Gives the browser the new cookie of a session that goes on; null changes nothing. */
  writeSession(res: Response, kept: SessionWithToken | null): void;
  /** A user as an answer may hold it: without the columns of the host that it did not list. */
  sentUser(user: object): Record<string, unknown>;
  /** The session of somebody who acts as another person. */
  readonly ownSession: OwnSessionCookie;
  /** The cookies of a sign-in alone, for an answer of the host's own. */
  writeSignIn(req: Request, res: Response, result: SignInResult): void;
  /** The answer to every way in, for scripts and forms. */
  sendSignIn(req: Request, res: Response, result: SignInResult, options?: SignInResponse): void;
}

/** What the kit is put together from. */
export interface HttpParts {
  requests: RequestReader;
  sessionCookie: SessionCookie;
  sessions: SessionMiddleware;
  guards: Guards;
  stepUp: StepUpGuards;
  views: Views;
  mounts: Mounts;
}

export function createHttpKit(core: SignInCore, parts: HttpParts): HttpKit {
  const { config, limiter, knownBrowsers, verifier } = core;
  const { requests, sessionCookie, sessions, guards, stepUp, views, mounts } = parts;
  const errorHandler = createErrorHandler(config, views.errorPage);
  const pendingCookie = cookieSpec(config, 'at_pending');
  const trustedCookie = cookieSpec(config, 'at_trusted');
  const cookieOf = (req: Request, { name }: CookieSpec) => {
    const value = readCookie(req.headers.cookie, name);
    return value === 'ambiguous' ? null : value;
  };
  const ownCookie = ownSessionCookieSpec(config);
  // Whoever signs in anew, or out, while acting as another person leaves no way back to the session before.
  const presentedSessionIds = (req: Request) => {
    const tokens = [...sessionCookie.readAnySpelling(req), ownSessionToken(req, ownCookie) ?? ''];
    return [...new Set(tokens.flatMap((token) => verifier.sessionIdOf(token) ?? []))];
  };
  const browserCookie = new BrowserCookie(config, knownBrowsers);
  const ownSession = new OwnSessionCookie(config, sessionCookie, core.sessions);
  const surroundings = { config, browserCookie, sessionCookie, ownSession, pendingCookie, views };
  const headers: RequestHandler[] = [
    securityHeaders(config.isSecure),
    (_req, res, next) => {
      res.setHeader('Cache-Control', 'no-store');
      next();
    },
  ];
  return {
    config,
    requests,
    sessionCookie,
    guards,
    errorHandler,
    pendingCookie,
    trustedCookie,
    stepUp,
    presentedSessionIds,
    pendingToken: (req) => cookieOf(req, pendingCookie),
    views,
    mounts,
    accountPage: () => (mounts.pages.account ? `${config.paths.account}/security` : config.paths.afterSignIn),
    headers,
    prepare: [
      ...headers,
      csrf(config, mounts.crossSitePosts),
      (req, res, next) =>
        findAuth(req)?.isOf(sessions) === true ? next() : sessions.handler(req, res, next),
    ],
    presented: new PresentedCallers(sessions),
    async signInOptions(req) {
      return {
        browserCookie: browserCookie.read(req),
        trustedBrowser: cookieOf(req, trustedCookie),
        presentedSessionIds: presentedSessionIds(req),
        fingerprint: await verifier.baseline(requests.factsOf(req)),
      };
    },
    rateLimit: createRateLimit(config, limiter, requests),
    humanCheck: createHumanCheck(config, requests),
    writeSession(res, kept) {
      if (kept !== null)
        sessionCookie.write(
          res.req,
          res,
          kept.token,
          kept.session.persistent ? kept.session.expiresAt : null,
        );
    },
    sentUser: (user) => sentUser(user, config.user.publicColumns),
    ownSession,
    writeSignIn: (req, res, result) => writeSignIn(surroundings, req, res, result),
    sendSignIn: (req, res, result, options) => sendSignIn(surroundings, req, res, result, options),
  };
}
