import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Key, KeyRing } from '../../crypto/key-ring.js';
import { AuthTunaError } from '../../errors.js';

const TYPE = 'at-sess+jwt';
const MAX_LENGTH = 4096;
const SKEW_SECONDS = 30;
const SALT_BYTES = 16;
const ROTATING_BYTES = 16;
const ID = /^[\w-]{1,64}$/;

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
    const payload = parseObject(
      Buffer.from(token.slice(headerEnd + 1, payloadEnd), 'base64url').toString('utf8'),
    );
    return payload === null ? null : this.#claims(payload, now);
  }

  #claims(payload: Record<string, unknown>, now: number): SessionClaims | null {
    const { iss, aud, sid, sub, gen, rnd, iat, exp } = payload;
    if (iss !== this.#issuer || aud !== this.#issuer) return null;
    if (typeof sid !== 'string' || typeof sub !== 'string' || typeof rnd !== 'string') return null;
    if (!ID.test(sid)) return null; // PostgreSQL refuses text with a zero byte
    if (!Number.isInteger(gen) || !Number.isInteger(iat) || !Number.isInteger(exp)) return null;
    const seconds = now / 1000;
    if ((exp as number) <= seconds - SKEW_SECONDS) return null;
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
    const digest = this.#derive('rot1', sessionId, generation, salt);
    return digest === null ? null : digest.subarray(0, ROTATING_BYTES).toString('base64url');
  }

  /**
   * A number from 0 up to 1 for this generation, which cannot be known without the key. It moves the moment of the next rotation. 0 when the
   * key of the salt is no longer configured.
   */
  rotationShare(sessionId: string, generation: number, salt: string): number {
    const digest = this.#derive('rot-share', sessionId, generation, salt);
    return digest === null ? 0 : digest.readUInt32BE(0) / 2 ** 32;
  }

  #derive(what: string, sessionId: string, generation: number, salt: string): Buffer | null {
    const key = this.#keys.find('rot', salt.slice(0, salt.indexOf(':')));
    if (key === null) return null;
    return createHmac('sha256', key.bytes).update(`${what}\n${sessionId}\n${generation}\n${salt}`).digest();
  }
}

/** A JSON object; null for everything else, also for text that is no JSON. */
function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function headerFor(key: Key): string {
  return Buffer.from(JSON.stringify({ alg: 'HS256', kid: key.kid, typ: TYPE })).toString('base64url');
}

function signature(signed: string, key: Key): string {
  return createHmac('sha256', key.bytes).update(signed).digest('base64url');
}
