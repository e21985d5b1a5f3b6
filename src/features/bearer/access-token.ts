import { createECDH, createPrivateKey, createPublicKey, type ECDH, type KeyObject } from 'node:crypto';
import {
  decodeProtectedHeader,
  errors,
  exportJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Core } from '../../core/core.js';
import { hmac } from '../../crypto/digest.js';
import type { Key } from '../../crypto/key-ring.js';
import { newId } from '../../crypto/random.js';

const TYPE = 'at+jwt'; // RFC 9068 section 2.1
const MAX_LENGTH = 4096;
const SKEW_SECONDS = 30;
/** Headers that would let a token name its own key. */
const KEY_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit'];

/** What an access token says; the row of its session decides whether it counts. */
export interface AccessClaims {
  userId: string;
  sessionId: string;
  clientId: string;
  /** Permissions and patterns, separated by spaces; null for everything that the user may do. */
  scope: string | null;
  /** Thumbprint of the key that the client must prove to hold (RFC 9449); null for a plain bearer token. */
  boundKey: string | null;
  tokenId: string;
  /** Seconds. */
  issuedAt: number;
  expiresAt: number;
}

interface SigningKey {
  kid: string;
  sign: KeyObject | Uint8Array;
  verify: KeyObject | Uint8Array;
}

/**
 * Makes and checks access tokens: JWTs by the profile of RFC 9068, with one algorithm that the options fix.
 *
 * Keys come from `secrets`, one from each: the newest signs, all verify. The asymmetric ones are derived, so that every instance has the same.
 * @see RFC 9068; RFC 8725; docs/requirements.md JW-1 to JW-6
 */
export class AccessTokens {
  readonly #core: Core;
  readonly #keys: ReadonlyMap<string, SigningKey>;
  readonly #current: SigningKey;

  constructor(core: Core) {
    const { algorithm } = core.config.bearer;
    const keys = core.keys.all('access').map((key) => signingKey(key, algorithm));
    this.#core = core;
    this.#keys = new Map(keys.map((key) => [key.kid, key]));
    this.#current = keys[0] as SigningKey; // config refuses an empty list of secrets
  }

  /** @returns the token and how many seconds it is good for */
  async issue(
    claims: Pick<AccessClaims, 'userId' | 'sessionId' | 'clientId' | 'scope' | 'boundKey'>,
    sessionEndsAt: Date,
  ): Promise<{ token: string; expiresIn: number }> {
    const { bearer, random } = this.#core.config;
    const now = Math.floor(this.#core.now().getTime() / 1000);
    const left = Math.floor(sessionEndsAt.getTime() / 1000) - now;
    const expiresIn = Math.max(0, Math.min(bearer.accessTokenSeconds, left));
    const token = await new SignJWT({
      sid: claims.sessionId,
      client_id: claims.clientId,
      ...(claims.scope !== null && { scope: claims.scope }),
      ...(claims.boundKey !== null && { cnf: { jkt: claims.boundKey } }),
    })
      .setProtectedHeader({ alg: bearer.algorithm, kid: this.#current.kid, typ: TYPE })
      .setIssuer(bearer.issuer)
      .setAudience(bearer.audience)
      .setSubject(claims.userId)
      .setJti(newId(random))
      .setIssuedAt(now)
      .setExpirationTime(now + expiresIn)
      .sign(this.#current.sign);
    return { token, expiresIn };
  }

  /**
   * The claims of a token that was signed here, is of this type and has not expired; null for everything else. Never throws.
   *
   * @param evenExpired for what ends a session: there an old token is as good as a new one
   */
  async verify(token: string, { evenExpired = false } = {}): Promise<AccessClaims | null> {
    const { bearer } = this.#core.config;
    if (token.length > MAX_LENGTH) return null;
    const key = this.#keyOf(token);
    if (key === undefined) return null;
    try {
      const { payload } = await jwtVerify(token, key.verify, {
        algorithms: [bearer.algorithm],
        typ: TYPE,
        issuer: bearer.issuer,
        audience: bearer.audience,
        clockTolerance: SKEW_SECONDS,
        maxTokenAge: bearer.accessTokenSeconds,
        currentDate: this.#core.now(),
        requiredClaims: ['sub', 'sid', 'client_id', 'jti', 'iat', 'exp'],
      });
      return claimsOf(payload, bearer.accessTokenSeconds);
    } catch (error) {
      // jose says no by throwing. Time is looked at last, when everything else is right.
      const isExpired = error instanceof errors.JWTExpired;
      return isExpired && evenExpired ? claimsOf(error.payload, bearer.accessTokenSeconds) : null;
    }
  }

  /** The public keys, for other servers; none where tokens are signed with a shared secret. @see RFC 7517 */
  async jwks(): Promise<{ keys: JWK[] }> {
    const { algorithm } = this.#core.config.bearer;
    if (algorithm === 'HS256') return { keys: [] };
    const keys = [...this.#keys.values()].map(async ({ kid, verify }) => ({
      ...(await exportJWK(verify)),
      kid,
      alg: algorithm,
      use: 'sig',
    }));
    return { keys: await Promise.all(keys) };
  }

  /** The key that the header names, if the header is one of ours to the letter. */
  #keyOf(token: string): SigningKey | undefined {
    try {
      const header = decodeProtectedHeader(token);
      const isOurs =
        header.typ === TYPE &&
        header.alg === this.#core.config.bearer.algorithm &&
        !KEY_HEADERS.some((name) => name in header);
      return isOurs && typeof header.kid === 'string' ? this.#keys.get(header.kid) : undefined;
    } catch {
      return undefined;
    }
  }
}

function claimsOf(payload: JWTPayload, maxSeconds: number): AccessClaims | null {
  const { sub, sid, client_id, scope, cnf, jti, iat, exp } = payload as JWTPayload & {
    sid: unknown;
    client_id: unknown;
    scope?: unknown;
    cnf?: { jkt?: unknown };
  };
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof client_id !== 'string') return null;
  if (typeof jti !== 'string' || !Number.isInteger(iat) || !Number.isInteger(exp)) return null;
  if (scope !== undefined && typeof scope !== 'string') return null;
  const boundKey = cnf?.jkt ?? null;
  if (boundKey !== null && typeof boundKey !== 'string') return null;
  if ((exp as number) - (iat as number) > maxSeconds) return null;
  return {
    userId: sub,
    sessionId: sid,
    clientId: client_id,
    scope: scope ?? null,
    boundKey,
    tokenId: jti,
    issuedAt: iat as number,
    expiresAt: exp as number,
  };
}

function signingKey({ kid, bytes }: Key, algorithm: 'HS256' | 'EdDSA' | 'ES256'): SigningKey {
  if (algorithm === 'HS256') return { kid, sign: bytes, verify: bytes };
  const sign = algorithm === 'EdDSA' ? ed25519Of(bytes) : p256Of(bytes);
  return { kid, sign, verify: createPublicKey(sign) };
}

const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex'); // RFC 8410 section 7, before the 32 bytes of the seed

function ed25519Of(bytes: Buffer): KeyObject {
  const seed = hmac(bytes, 'ed25519');
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

/** The first of a series of digests that is a private key of the curve; practically always the first of all (FIPS 186-5 A.2.2). */
function p256Of(bytes: Buffer): KeyObject {
  for (let attempt = 0; ; attempt += 1) {
    const scalar = hmac(bytes, `p256 ${attempt}`);
    const ecdh = curveWith(scalar);
    if (ecdh === null) continue;
    const point = ecdh.getPublicKey();
    const part = (from: number, to: number) => point.subarray(from, to).toString('base64url');
    const key = {
      kty: 'EC',
      crv: 'P-256',
      x: part(1, 33),
      y: part(33, 65),
      d: scalar.toString('base64url'),
    };
    return createPrivateKey({ key, format: 'jwk' });
  }
}

function curveWith(scalar: Buffer): ECDH | null {
  const ecdh = createECDH('prime256v1');
  try {
    ecdh.setPrivateKey(scalar);
    return ecdh;
  } catch {
    return null; // outside the order of the curve
  }
}
