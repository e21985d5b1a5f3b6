import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Key, KeyRing } from '../../crypto/key-ring.js';
import { AuthTunaError } from '../../errors.js';

const SHAPE = /^rt_([\w-]{22})_([\w-]{70})$/;
const GENERATION_BYTES = 4;
const SECRET_BYTES = 32;
const MAC_BYTES = 16;

/** What a refresh token of ours says. */
export interface RefreshClaims {
  sessionId: string;
  generation: number;
  /** Must be the one that the row derives for this generation. */
  secret: string;
}

/**
 * Makes and reads refresh tokens: `rt_<session>_<generation, secret and seal in base64url>`.
 *
 * The secret is derived from the salt of the row with a key that is not in the database: every instance can hand out the same token again, and
 * a copy of the database yields none. The seal shows that the token was made here, so garbage costs no query, and an old token counts as proof
 * that it was copied.
 * @see RFC 9700 section 2.2.2; docs/requirements.md RT-1
 */
export class RefreshTokens {
  readonly #keys: KeyRing;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  /** @throws AuthTunaError `unavailable` when the key of the salt is no longer configured */
  issue(sessionId: string, generation: number, salt: string): string {
    const secret = this.secretOf(sessionId, generation, salt);
    if (secret === null) throw new AuthTunaError('unavailable', { reason: 'key_unknown' });
    const head = Buffer.alloc(GENERATION_BYTES);
    head.writeUInt32BE(generation);
    const body = Buffer.concat([head, Buffer.from(secret, 'base64url')]);
    const seal = sealOf(this.#keys.current('refresh'), sessionId, body);
    return `rt_${sessionId}_${Buffer.concat([body, seal]).toString('base64url')}`;
  }

  /** The claims of a token that was made here; null for everything else. Never throws. */
  parse(token: string): RefreshClaims | null {
    const [, sessionId, payload] = token.length > 128 ? [] : (SHAPE.exec(token) ?? []);
    if (sessionId === undefined || payload === undefined) return null;
    const bytes = Buffer.from(payload, 'base64url');
    if (bytes.length !== GENERATION_BYTES + SECRET_BYTES + MAC_BYTES) return null;
    const body = bytes.subarray(0, GENERATION_BYTES + SECRET_BYTES);
    const seal = bytes.subarray(GENERATION_BYTES + SECRET_BYTES);
    const isOurs = this.#keys
      .all('refresh')
      .some((key) => timingSafeEqual(sealOf(key, sessionId, body), seal));
    if (!isOurs) return null;
    return {
      sessionId,
      generation: body.readUInt32BE(0),
      secret: body.subarray(GENERATION_BYTES).toString('base64url'),
    };
  }

  /** The secret of a generation; null when the key that its salt names is no longer configured. */
  secretOf(sessionId: string, generation: number, salt: string): string | null {
    const key = this.#keys.find('refresh', salt.slice(0, salt.indexOf(':')));
    if (key === null) return null;
    return createHmac('sha256', key.bytes)
      .update(`rt1\n${sessionId}\n${generation}\n${salt}`)
      .digest('base64url');
  }
}

function sealOf(key: Key, sessionId: string, body: Buffer): Buffer {
  return createHmac('sha256', key.bytes)
    .update(`seal\n${sessionId}\n`)
    .update(body)
    .digest()
    .subarray(0, MAC_BYTES);
}
