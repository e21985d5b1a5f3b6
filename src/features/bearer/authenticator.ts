import type { IncomingMessage } from 'node:http';
import type { Session } from '../../auth.js';
import type { Grants } from '../../core/access/grants.js';
import type { Core } from '../../core/core.js';
import type { Topic } from '../../core/invalidation.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { PublicUser } from '../../core/user.js';
import { type Authenticator, Refusal, UNAUTHENTICATED } from '../../http/caller/authenticators.js';
import { rememberAtMost } from '../../remember.js';
import type { AccessClaims, AccessTokens } from './access-token.js';
import type { DpopProofs } from './dpop.js';

const SCHEME = /^(bearer|dpop) +/i;
const UNPROVED = new Refusal('unauthenticated', null, null, 'invalid_dpop_proof');
const WRONG_SCHEME = new Refusal('unauthenticated', null, null, 'invalid_token');
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
 *
 * A token that is bound to a key comes as `Authorization: DPoP` with a proof of the key, which is checked at every request.
 */
export class TokenAuthenticator implements Authenticator<VerifiedToken> {
  readonly kind = 'access_token';
  readonly #core: Core;
  readonly #tokens: AccessTokens;
  readonly #proofs: DpopProofs;
  readonly #trustedMs: number;
  readonly #known = rememberAtMost<VerifiedToken>(MAX_TOKENS);

  constructor(core: Core, tokens: AccessTokens, proofs: DpopProofs) {
    this.#core = core;
    this.#tokens = tokens;
    this.#proofs = proofs;
    this.#trustedMs = core.config.session.recheckSeconds * 1000;
  }

  authenticate(
    req: IncomingMessage,
    isLatest: boolean,
  ): VerifiedToken | Refusal | null | Promise<VerifiedToken | Refusal> {
    const { authorization } = req.headers;
    const scheme = authorization === undefined ? null : SCHEME.exec(authorization);
    if (authorization === undefined || scheme === null) return null;
    const token = authorization.slice(scheme[0].length);
    const known = this.#known.get(token);
    const found =
      known !== undefined && !isLatest && this.#isTrusted(known)
        ? known
        : this.#verify(token, known?.claims ?? null, req.headers['user-agent'] ?? null, isLatest);
    const isBearer = scheme[1]?.toLowerCase() === 'bearer';
    if (isBearer && found instanceof VerifiedToken && this.#mayBePlain(found)) return found;
    return this.#proved(req, token, found, isBearer);
  }

  /** Whether a token counts without a proof. */
  #mayBePlain({ claims }: VerifiedToken): boolean {
    return claims.boundKey === null && this.#core.config.bearer.dpop !== 'required';
  }

  /** A bound token needs a proof of its key, and a plain one must not come as a bound one. */
  async #proved(
    req: IncomingMessage,
    token: string,
    found: VerifiedToken | Promise<VerifiedToken | Refusal>,
    isBearer: boolean,
  ): Promise<VerifiedToken | Refusal> {
    const verified = await found;
    if (verified instanceof Refusal) return verified;
    if (isBearer) return this.#mayBePlain(verified) ? verified : WRONG_SCHEME;
    const { boundKey } = verified.claims;
    if (boundKey === null) return WRONG_SCHEME;
    return (await this.#proofs.keyOf(req, token)) === boundKey ? verified : UNPROVED;
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
    // After the clock was put back, more time is left than was granted.
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
