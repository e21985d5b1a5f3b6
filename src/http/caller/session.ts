import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Actor } from '../../actor.js';
import { type Config, SYSTEM_CLOCK } from '../../config/config.js';
import type { Region } from '../../config/options.js';
import type { Access } from '../../core/access/access.js';
import type { ScopeTree } from '../../core/access/scope-tree.js';
import type { Core } from '../../core/core.js';
import type { Readiness } from '../../core/readiness.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { RequestFacts } from '../../core/sessions/devices.js';
import type { RefreshAhead } from '../../core/sessions/refresh-ahead.js';
import type { SessionVerdict, SessionVerifier } from '../../core/sessions/verifier.js';
import type { ErrorCode } from '../../errors.js';
import {
  type CookieSpec,
  cookieSpec,
  guardLateCookie,
  readCookie,
  serializeCookie,
  setCookie,
} from '../answer/cookies.js';
import { crossSiteRefusal, isCrossSite, isSafeMethod } from '../guards/csrf.js';
import { type AddressResolver, createAddressResolver } from './address.js';
import type { EnrollmentCheck } from './request-auth.js';
import { type AuthContext, RequestAuth, setAuth } from './request-auth.js';

const REGION_TIMEOUT_MS = 50; // a geo service that hangs must not hold requests up; no answer is no information
const MAX_REQUEST_ID = 128;
const MAX_LANGUAGES = 128; // browsers send fewer than ten of them

/** Resolves who is calling, and writes the session cookie; one per instance of the library. */
export class SessionMiddleware implements AuthContext {
  readonly access: Access;
  readonly scopes: ScopeTree;
  readonly cookie: CookieSpec;
  readonly enrollment: EnrollmentCheck | null;
  /** Milliseconds; asked at every request, so that no `Date` is made for it where the system's clock will do. */
  readonly now: () => number;
  readonly trustedMs: number;
  readonly publicColumns: readonly string[] | null;
  readonly #config: Config;
  readonly #verifier: SessionVerifier;
  readonly #ahead: RefreshAhead;
  readonly #address: AddressResolver;
  readonly #ready: Readiness;
  readonly #crossSitePosts: ReadonlySet<string>;
  #warnedOfForwarded = false;

  /** @param enrollment null while no option requires a second factor of anybody */
  constructor(
    { config, verifier, access, scopeTree }: Core,
    ahead: RefreshAhead,
    ready: Readiness,
    enrollment: EnrollmentCheck | null,
    crossSitePosts: ReadonlySet<string>,
  ) {
    const { clock } = config;
    this.now = clock === SYSTEM_CLOCK ? () => Date.now() : () => clock.now().getTime();
    this.#config = config;
    this.publicColumns = config.prisma === undefined ? null : config.user.publicColumns;
    this.trustedMs = config.session.recheckSeconds * 1000;
    this.#verifier = verifier;
    this.#ahead = ahead;
    this.#ready = ready;
    this.#crossSitePosts = crossSitePosts;
    this.access = access;
    this.scopes = scopeTree;
    this.enrollment = enrollment;
    const { cookieName, sameSite, cookieDomain } = config.session;
    this.cookie = cookieSpec(config, cookieName, { sameSite, domain: cookieDomain });
    this.#address = createAddressResolver(config.trustedProxies);
  }

  /** `app.use(authTuna.session())`. Synchronous when the memory answers, which is nearly always. */
  readonly handler: RequestHandler = (req, res, next) => {
    if (!this.#ready.done) {
      this.#ready.wait().then(() => this.handler(req, res, next), next);
      return;
    }
    const { headers } = req;
    if (headers.authorization !== undefined && /^bearer\b/i.test(headers.authorization)) {
      // One credential per request: a bearer token that is no good never falls back to the cookie.
      this.#anonymous(req, 'unauthenticated');
      return next();
    }
    const token = readCookie(headers.cookie, this.cookie.name);
    if (token === null) {
      this.#anonymous(req, 'unauthenticated');
      return next();
    }
    if (token === 'ambiguous') {
      this.#config.logger.warn('A request carried two session cookies; neither was believed.', {
        ip: this.ipOf(req),
      });
      this.#anonymous(req, 'unauthenticated');
      return next();
    }
    const isSafe = isSafeMethod(req.method);
    if (isSafe) {
      const now = this.now();
      const verified = this.#verifier.remembered(token, headers['user-agent'] ?? null, now);
      if (verified !== undefined) {
        if (this.#ahead.isDue(verified, now)) this.#ahead.add(token, verified, this.factsOf(req));
        this.#signedIn(req, res, verified, false);
        return next();
      }
    } else if (isCrossSite(req, this.#config.origins) && !this.#crossSitePosts.has(req.originalUrl)) {
      return next(crossSiteRefusal(req, this.#config));
    }
    this.#verify(req, res, token, !isSafe).then(() => next(), next);
  };

  async #verify(req: Request, res: Response, token: string, latest: boolean): Promise<void> {
    const verdict = await this.#verifier.verify(token, this.factsOf(req), { latest });
    if (verdict.status === 'refused') return this.#anonymous(req, verdict.code, verdict.locked);
    this.#signedIn(req, res, verdict.verified, latest);
    this.#renew(res, verdict);
  }

  #renew(res: Response, verdict: Extract<SessionVerdict, { status: 'verified' }>): void {
    if (verdict.renewedToken === null || res.headersSent) return;
    const decidedAt = this.now();
    const { rotationGraceSeconds } = this.#config.session;
    const cookie = this.#serialize(verdict.renewedToken, verdict.persistentUntil);
    const isOutdated = () =>
      this.now() - decidedAt > rotationGraceSeconds * 1000 || this.#verifier.cache.isStale(verdict.verified); // elevated or ended meanwhile: the jar holds another cookie by now
    guardLateCookie(res, this.cookie, cookie, isOutdated);
  }

  #signedIn(req: Request, res: Response, verified: VerifiedSession, isLatest: boolean): void {
    setAuth(req, new RequestAuth(this, req, verified, isLatest, 'unauthenticated', null));
    // What a signed-in person is shown is for nobody else; a host may say otherwise for an answer of its own.
    // Names in small letters: Node makes them small otherwise, which takes three times as long.
    res.setHeader('cache-control', 'no-store');
    const vary = res.getHeader('vary');
    res.setHeader('vary', vary === undefined ? 'Cookie, Authorization' : `${vary}, Cookie, Authorization`);
  }

  #anonymous(req: Request, refusal: ErrorCode, locked: VerifiedSession | null = null): void {
    setAuth(req, new RequestAuth(this, req, null, false, refusal, locked));
  }

  isStale(verified: VerifiedSession): boolean {
    return this.#verifier.cache.isStale(verified);
  }

  async recheck(req: Request, verified: VerifiedSession): Promise<VerifiedSession | { refusal: ErrorCode }> {
    // A stream outlives its cookie: shown again after a rotation it would be taken for a copy, and end an honest session.
    const left = verified.trustedUntil - this.now();
    if (left <= 0 || left > this.trustedMs || this.isStale(verified)) return this.#verifier.follow(verified);
    const token = readCookie(req.headers.cookie, this.cookie.name);
    if (token === null || token === 'ambiguous') return { refusal: 'unauthenticated' };
    const verdict = await this.#verifier.verify(
      token,
      { ...this.factsOf(req), mayRotate: false },
      { latest: true },
    );
    return verdict.status === 'verified' ? verdict.verified : { refusal: verdict.code };
  }

  actorOf(req: Request, verified: VerifiedSession | null): Actor {
    const requestId = req.headers['x-request-id'];
    const languages = req.headers['accept-language'];
    return {
      userId: verified?.userId ?? null,
      ip: this.ipOf(req),
      userAgent: req.headers['user-agent'] ?? null,
      ...(verified !== null && { sessionId: verified.sessionId }),
      ...(verified?.session.impersonatorId != null && { impersonatorId: verified.session.impersonatorId }),
      ...(typeof requestId === 'string' && { requestId: requestId.slice(0, MAX_REQUEST_ID) }),
      ...(languages !== undefined && { languages: languages.slice(0, MAX_LANGUAGES) }),
    };
  }

  /** The client's address, through the configured proxies only. */
  ipOf(req: IncomingMessage): string | null {
    const { ip, ignoredForwarded } = this.#address(req.socket.remoteAddress, req.headers['x-forwarded-for']);
    if (ignoredForwarded && !this.#warnedOfForwarded && this.#config.trustedProxies === undefined) {
      this.#warnedOfForwarded = true;
      this.#config.logger.warn(
        'X-Forwarded-For arrived and was ignored. Behind a proxy, set trustedProxies to the number of proxies or their addresses, or everybody shares one rate limit.',
      );
    }
    return ip;
  }

  factsOf(req: IncomingMessage): RequestFacts {
    const { headers } = req;
    const destination = headers['sec-fetch-dest'];
    const ip = this.ipOf(req);
    let region: Promise<Region | null> | undefined;
    return {
      ip,
      userAgent: headers['user-agent'] ?? null,
      region: () => (region ??= this.#regionOf(req, ip)),
      mayRotate:
        (destination === undefined || destination === 'document' || destination === 'empty') &&
        !/prefetch/i.test(String(headers['sec-purpose'] ?? '')),
    };
  }

  async #regionOf(req: IncomingMessage, ip: string | null): Promise<Region | null> {
    const ask = this.#config.session.region;
    if (ask === undefined) return null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, REGION_TIMEOUT_MS, null);
    });
    try {
      const answer = await Promise.race([ask(req, ip), late]);
      return typeof answer === 'string' ? { country: answer } : answer;
    } catch (error) {
      this.#config.logger.warn(
        'session.region failed; the request counts as coming from nowhere in particular.',
        { error },
      );
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The session that a cookie with our signature names, whatever it is worth otherwise. */
  sessionIdOf(req: Request): string | null {
    const token = readCookie(req.headers.cookie, this.cookie.name);
    return token === null || token === 'ambiguous' ? null : this.#verifier.sessionIdOf(token);
  }

  /** Writes the cookie of a session that has just begun or been raised. */
  writeCookie(res: Response, token: string, persistentUntil: Date | null): void {
    setCookie(res, this.cookie, this.#serialize(token, persistentUntil));
  }

  /** Takes the cookie out of the browser; only the answer to a logout does this. */
  clearCookie(res: Response): void {
    setCookie(res, this.cookie, serializeCookie(this.cookie, '', 0));
  }

  #serialize(token: string, persistentUntil: Date | null): string {
    return serializeCookie(
      this.cookie,
      token,
      persistentUntil === null ? null : (persistentUntil.getTime() - this.now()) / 1000,
    );
  }
}
