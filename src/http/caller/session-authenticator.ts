import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.js';
import type { Core } from '../../core/core.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { RefreshAhead } from '../../core/sessions/refresh-ahead.js';
import type { SessionVerifier } from '../../core/sessions/verifier.js';
import { crossSiteRefusal, isCrossSite, isSafeMethod } from '../guards/csrf.js';
import { type Authenticator, hasBearer, Refusal, UNAUTHENTICATED } from './authenticators.js';
import type { RequestReader } from './request-facts.js';
import type { SessionCookie } from './session-cookie.js';
import { SeveralCookies } from './several-cookies.js';

/** What the session authenticator is built from. */
export interface SessionAuthenticatorParts {
  requests: RequestReader;
  cookie: SessionCookie;
  ahead: RefreshAhead;
  /** Whole paths at which another site may post. */
  crossSitePosts: ReadonlySet<string>;
  /** Milliseconds. */
  now: () => number;
}

/** Finds the caller by the session cookie. Answers from memory at once for a safe method, which is nearly always. */
export class SessionAuthenticator implements Authenticator<VerifiedSession> {
  readonly kind = 'session';
  readonly #config: Config;
  readonly #verifier: SessionVerifier;
  readonly #requests: RequestReader;
  readonly #cookie: SessionCookie;
  readonly #ahead: RefreshAhead;
  readonly #crossSitePosts: ReadonlySet<string>;
  readonly #now: () => number;
  readonly #trustedMs: number;
  readonly #several: SeveralCookies;

  constructor(core: Core, parts: SessionAuthenticatorParts) {
    const { config, verifier } = core;
    this.#config = config;
    this.#several = new SeveralCookies(core, parts.now);
    this.#verifier = verifier;
    this.#requests = parts.requests;
    this.#cookie = parts.cookie;
    this.#ahead = parts.ahead;
    this.#crossSitePosts = parts.crossSitePosts;
    this.#now = parts.now;
    this.#trustedMs = config.session.recheckSeconds * 1000;
  }

  authenticate(
    req: IncomingMessage,
    isLatest: boolean,
    res: ServerResponse | null,
  ): VerifiedSession | Refusal | null | Promise<VerifiedSession | Refusal> {
    if (hasBearer(req)) return UNAUTHENTICATED; // a bearer token that is no good never falls back to the cookie
    const token = this.#cookie.read(req);
    if (token === null) return null;
    if (token === 'ambiguous') return this.#amongSeveral(req, isLatest, res);
    if (!isLatest) {
      const now = this.#now();
      const verified = this.#verifier.remembered(token, req.headers['user-agent'] ?? null, now);
      if (verified !== undefined) {
        if (this.#ahead.isDue(verified, now)) this.#ahead.add(token, verified, this.#requests.factsOf(req));
        return verified;
      }
    }
    if (!isSafeMethod(req.method) && this.#isCrossSite(req)) throw crossSiteRefusal(req, this.#config);
    return this.#verify(token, req, isLatest, res);
  }

  isStale(verified: VerifiedSession): boolean {
    return this.#verifier.cache.isStale(verified);
  }

  async recheck(verified: VerifiedSession, req: IncomingMessage): Promise<VerifiedSession | Refusal> {
    // A stream outlives its cookie: shown again after a rotation it would be taken for a copy, and end an honest session.
    const left = verified.trustedUntil - this.#now();
    if (left <= 0 || left > this.#trustedMs || this.isStale(verified)) return this.follow(verified);
    const token = this.#cookie.read(req);
    if (token === null) return UNAUTHENTICATED;
    return token === 'ambiguous' ? this.follow(verified) : this.#verify(token, req, true, null);
  }

  async follow(verified: VerifiedSession): Promise<VerifiedSession | Refusal> {
    const answer = await this.#verifier.follow(verified);
    return 'refusal' in answer ? new Refusal(answer.refusal) : answer;
  }

  /**
   * Believes the one session cookie that counts among several, and has the browser forget the others. Only where `cookieDomain` is set: a browser
   * keeps one cookie of a `__Host-` name.
   */
  async #amongSeveral(
    req: IncomingMessage,
    isLatest: boolean,
    res: ServerResponse | null,
  ): Promise<VerifiedSession | Refusal> {
    const { cookieDomain } = this.#config.session;
    const token = cookieDomain === undefined ? null : await this.#verifier.choose(this.#cookie.readAll(req));
    if (token === null) {
      this.#several.record(this.#requests.actorOf(req, null));
      return UNAUTHENTICATED;
    }
    if (!isSafeMethod(req.method) && this.#isCrossSite(req)) throw crossSiteRefusal(req, this.#config);
    this.#several.explain();
    const found = await this.#verify(token, req, isLatest, res);
    if (res !== null) this.#cookie.expireOthers(req, res);
    return found;
  }

  async #verify(
    token: string,
    req: IncomingMessage,
    isLatest: boolean,
    res: ServerResponse | null,
  ): Promise<VerifiedSession | Refusal> {
    const facts = this.#requests.factsOf(req);
    const verdict = await this.#verifier.verify(
      token,
      res === null ? { ...facts, mayRotate: false } : facts,
      { latest: isLatest },
    );
    if (verdict.status === 'refused') return new Refusal(verdict.code, verdict.locked);
    const { verified, renewedToken, persistentUntil } = verdict;
    if (renewedToken !== null && res !== null)
      this.#cookie.renew(res, renewedToken, persistentUntil, () => this.isStale(verified));
    return verified;
  }

  #isCrossSite(req: IncomingMessage & { originalUrl?: string }): boolean {
    return isCrossSite(req, this.#config) && !this.#crossSitePosts.has(req.originalUrl ?? '');
  }
}
