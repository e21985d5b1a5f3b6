import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Key, KeyRing } from '../../crypto/key-ring.js';
import { AuthTunaError } from '../../errors.js';

const TYPE = 'at-sess+jwt';
const MAX_LENGTH = 4096;
const SKEW_SECONDS = 30;
const SALT_BYTES = 16;
const ROTATING_BYTES = 16;

/** What a session cookie claims. `generation` and `rotating` must fit the row before anything is believed. */
export interface SessionClaims {
  sessionId: string;
  userId: string;
  generation: number;
  rotating: string;
  expiresAt: number;
}

/**
 * Makes and checks the session cookie: a compact JWS, HS256, one `typ` and one key purpose.
 *
 * Synchronous node:crypto on purpose: WebCrypto hops to the thread pool that password hashing keeps busy, and one such hop per
 * request costs a hundred times more under a flood of sign-ins. Any JWT library checks the same token.
 * @see RFC 7515; RFC 8725 (fixed algorithm, explicit typ); docs/requirements.md JW-1 to JW-6
 */
export class SessionTokens {
  readonly #keys: KeyRing;
  readonly #issuer: string;
  /** Exact header text -> key. Comparing whole headers fixes alg, typ and kid at once and leaves nothing to choose. */
  readonly #headers: Map<string, Key>;
  readonly #currentHeader: string;

  constructor(keys: KeyRing, issuer: string) {
    this.#keys = keys;
    this.#issuer = issuer;
    this.#headers = new Map(keys.all('sess').map((key) => [headerFor(key), key]));
    this.#currentHeader = headerFor(keys.current('sess'));
  }

  #sign(claims: SessionClaims, issuedAt: number): string {
    const payload = {
      iss: this.#issuer,
      aud: this.#issuer,
      sid: claims.sessionId,
      sub: claims.userId,
      gen: claims.generation,
      rnd: claims.rotating,
      iat: Math.floor(issuedAt / 1000),
      exp: Math.floor(claims.expiresAt / 1000),
    };
    const signed = `${this.#currentHeader}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
    return `${signed}.${signature(signed, this.#keys.current('sess'))}`;
  }

  /**
   * The cookie of one generation of a session, the same for everybody who makes it but for `iat`.
   *
   * @throws AuthTunaError `unavailable` when the key of the salt is no longer configured
   */
  issue(
    session: { id: string; userId: string; absoluteExpiresAt: Date },
    generation: number,
    salt: string,
    now: Date,
  ): string {
    const rotating = this.rotatingString(session.id, generation, salt);
    if (rotating === null) throw new AuthTunaError('unavailable', { reason: 'key_unknown' });
    const claims = {
      sessionId: session.id,
      userId: session.userId,
      generation,
      rotating,
      expiresAt: session.absoluteExpiresAt.getTime(),
    };
    return this.#sign(claims, now.getTime());
  }

  /** The claims of a token that was signed here, is of this type and has not expired; null for everything else. Never throws. */
  verify(token: string, now: number): SessionClaims | null {
    if (token.length > MAX_LENGTH) return null;
    const headerEnd = token.indexOf('.');
    const payloadEnd = token.indexOf('.', headerEnd + 1);
    if (headerEnd < 0 || payloadEnd < 0) return null;
    const key = this.#headers.get(token.slice(0, headerEnd));
    if (key === undefined) return null;
    const expected = Buffer.from(signature(token.slice(0, payloadEnd), key), 'latin1');
    const presented = Buffer.from(token.slice(payloadEnd + 1), 'latin1');
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) return null;
    return this.#claims(
      JSON.parse(Buffer.from(token.slice(headerEnd + 1, payloadEnd), 'base64url').toString('utf8')),
      now,
    );
  }

  #claims(payload: Record<string, unknown>, now: number): SessionClaims | null {
    const { iss, aud, sid, sub, gen, rnd, iat, exp } = payload;
    if (iss !== this.#issuer || aud !== this.#issuer) return null;
    if (typeof sid !== 'string' || typeof sub !== 'string' || typeof rnd !== 'string') return null;
    if (!Number.isInteger(gen) || !Number.isInteger(iat) || !Number.isInteger(exp)) return null;
    const seconds = now / 1000;
    if ((exp as number) <= seconds - SKEW_SECONDS || (iat as number) > seconds + SKEW_SECONDS) return null;
    return {
      sessionId: sid,
      userId: sub,
      generation: gen as number,
      rotating: rnd,
      expiresAt: (exp as number) * 1000,
    };
  }

  /** A salt for a new generation: `kid:random128`, naming the key its rotating string is derived with. */
  newSalt(random: { bytes(size: number): Buffer }): string {
    return `${this.#keys.current('rot').kid}:${random.bytes(SALT_BYTES).toString('base64url')}`;
  }

  /**
   * The string that the cookie of this generation must carry, derived from the row, so that every instance can hand out the same
   * successor again; null when the key of the salt is no longer configured.
   */
  rotatingString(sessionId: string, generation: number, salt: string): string | null {
    const key = this.#keys.find('rot', salt.slice(0, salt.indexOf(':')));
    if (key === null) return null;
    const digest = createHmac('sha256', key.bytes)
      .update(`rot1\n${sessionId}\n${generation}\n${salt}`)
      .digest();
    return digest.subarray(0, ROTATING_BYTES).toString('base64url');
  }
}

function headerFor(key: Key): string {
  return Buffer.from(JSON.stringify({ alg: 'HS256', kid: key.kid, typ: TYPE })).toString('base64url');
}

function signature(signed: string, key: Key): string {
  return createHmac('sha256', key.bytes).update(signed).digest('base64url');
}
