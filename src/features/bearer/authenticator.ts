import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Session } from '../../auth.js';
import type { Grants } from '../../core/access/grants.js';
import type { Core } from '../../core/core.js';
import type { Topic } from '../../core/invalidation.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { PublicUser } from '../../core/user.js';
import { type Authenticator, Refusal, UNAUTHENTICATED } from '../../http/caller/authenticators.js';
import type { AccessClaims, AccessTokens } from './access-token.js';

const BEARER = /^bearer +/i;
const MAX_TOKENS = 50_000;
const SKEW_MS = 30_000; // as for the check of the token itself

/** An access token that was fully checked, with the session behind it. */
export class VerifiedToken {
  readonly claims: AccessClaims;
  readonly verified: VerifiedSession;
  readonly trustedUntil: number;

  constructor(claims: AccessClaims, verified: VerifiedSession) {
    this.claims = claims;
    this.verified = verified;
    this.trustedUntil = Math.min(verified.trustedUntil, claims.expiresAt * 1000 + SKEW_MS);
  }

  get userId(): string {
    return this.verified.userId;
  }

  get user(): PublicUser {
    return this.verified.user;
  }

  get grants(): Grants {
    return this.verified.grants;
  }

  get mustChangePassword(): boolean {
    return this.verified.mustChangePassword;
  }

  get session(): Session {
    return this.verified.session;
  }

  get scopesVersion(): number {
    return this.verified.scopesVersion;
  }

  get topics(): Topic[] {
    return this.verified.topics;
  }
}

/**
 * Finds the caller by an access token in `Authorization: Bearer`. Answers from memory at once for a safe method, which is nearly always; the
 * session behind the token is asked about like one behind a cookie.
 */
export class TokenAuthenticator implements Authenticator<VerifiedToken> {
  readonly kind = 'access_token';
  readonly #core: Core;
  readonly #tokens: AccessTokens;
  readonly #trustedMs: number;
  readonly #known = new LRUCache<string, VerifiedToken>({ max: MAX_TOKENS });

  constructor(core: Core, tokens: AccessTokens) {
    this.#core = core;
    this.#tokens = tokens;
    this.#trustedMs = core.config.session.recheckSeconds * 1000;
  }

  authenticate(
    { headers }: IncomingMessage,
    isLatest: boolean,
  ): VerifiedToken | Refusal | null | Promise<VerifiedToken | Refusal> {
    const { authorization } = headers;
    if (authorization === undefined || !BEARER.test(authorization)) return null;
    const token = authorization.replace(BEARER, '');
    const known = this.#known.get(token);
    if (known !== undefined && !isLatest && this.#isTrusted(known)) return known;
    return this.#verify(token, known?.claims ?? null, headers['user-agent'] ?? null, isLatest);
  }

  isStale({ verified }: VerifiedToken): boolean {
    return this.#core.verifier.cache.isStale(verified);
  }

  recheck(token: VerifiedToken): Promise<VerifiedToken | Refusal> {
    return this.follow(token);
  }

  async follow({ claims, verified }: VerifiedToken): Promise<VerifiedToken | Refusal> {
    return this.#find(claims, verified.userAgent, true);
  }

  #isTrusted(known: VerifiedToken): boolean {
    const left = known.trustedUntil - this.#core.now().getTime();
    // More than was granted is left where the clock was put back.
    return left > 0 && left <= this.#trustedMs && !this.isStale(known);
  }

  /** @param known the claims of this very text, if its signature was checked before */
  async #verify(
    token: string,
    known: AccessClaims | null,
    userAgent: string | null,
    isLatest: boolean,
  ): Promise<VerifiedToken | Refusal> {
    const claims = known ?? (await this.#tokens.verify(token));
    if (claims === null) return UNAUTHENTICATED;
    const found = await this.#find(claims, userAgent, isLatest);
    if (found instanceof VerifiedToken) this.#known.set(token, found);
    else this.#known.delete(token);
    return found;
  }

  async #find(
    claims: AccessClaims,
    userAgent: string | null,
    isLatest: boolean,
  ): Promise<VerifiedToken | Refusal> {
    if (claims.expiresAt * 1000 + SKEW_MS <= this.#core.now().getTime()) return UNAUTHENTICATED;
    const found = await this.#core.verifier.verifyBearer(claims, userAgent, { latest: isLatest });
    return 'refusal' in found ? new Refusal(found.refusal) : new VerifiedToken(claims, found);
  }
}
