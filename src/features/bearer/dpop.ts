import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import type { Core } from '../../core/core.js';
import { sha256 } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';

const TYPE = 'dpop+jwt'; // RFC 9449 section 4.2
/** Signatures by a key pair; never a shared secret. */
const ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519'];
const MAX_LENGTH = 4096;
const MAX_AGE_SECONDS = 60;
const SKEW_SECONDS = 30;
/** A used proof is remembered for longer than a proof is valid. */
const ONCE = { limit: 1, windowSeconds: 300 };
const MAX_JTI = 256;

/** A proof that was read and checked, by what it counts once. */
interface Proof {
  thumbprint: string;
  jti: string;
}

/** A key that a request to the token endpoint proves to hold. */
export interface ProvedKey {
  thumbprint: string;
  /**
   * Marks the proof as used. Called once everything else about the request is right, so that a stranger's own proofs write no rows.
   *
   * @throws AuthTunaError `malformed_request` for one that was used before
   */
  spend(): Promise<void>;
}

/**
 * Checks proofs that a client holds the key to which its tokens are bound. A token that was copied is worth nothing without the key.
 *
 * A proof counts once, on all instances. It names the method and the URL of its request, and the access token that comes with it.
 * @see RFC 9449 section 4.3; docs/bearer.md
 */
export class DpopProofs {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The key that a request to the token endpoint proves to hold; null without a proof, or where tokens are not bound.
   *
   * @throws AuthTunaError `malformed_request`, with `invalid_dpop_proof`, for a proof that does not count, and for none where one is required
   */
  async keyFor(req: IncomingMessage): Promise<ProvedKey | null> {
    const { dpop } = this.#core.config.bearer;
    if (dpop === undefined) return null;
    if (req.headers.dpop === undefined && dpop === 'optional') return null;
    const proof = await this.#read(req, null);
    if (proof === null) throw noProof();
    let spent: Promise<boolean> | null = null;
    return {
      thumbprint: proof.thumbprint,
      spend: async () => {
        spent ??= this.#spend(proof);
        if (!(await spent)) throw noProof();
      },
    };
  }

  /**
   * The thumbprint of the key that a request proves to hold; null for a proof that is invalid, old, used, or made for another request.
   *
   * @param accessToken the one that the request carries
   * @throws AuthTunaError `unavailable`
   */
  async keyOf(req: IncomingMessage, accessToken: string): Promise<string | null> {
    const proof = await this.#read(req, accessToken);
    return proof !== null && (await this.#spend(proof)) ? proof.thumbprint : null;
  }

  /** A proof that is good for a request, and may have been used. */
  async #read(req: IncomingMessage, accessToken: string | null): Promise<Proof | null> {
    const proof = req.headers.dpop;
    // Two headers are joined by a comma, which no proof holds.
    if (typeof proof !== 'string' || proof.length > MAX_LENGTH) return null;
    const found = await this.#verify(proof);
    if (found === null) return null;
    const { jti, htm, htu, ath } = found.claims;
    if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI) return null;
    if (htm !== req.method || !this.#isAddressOf(req, htu)) return null;
    if (accessToken !== null && ath !== sha256(accessToken)) return null;
    return { thumbprint: found.thumbprint, jti };
  }

  /** @returns whether it was not used before */
  async #spend({ thumbprint, jti }: Proof): Promise<boolean> {
    return (await this.#core.limiter.take(`dpop ${thumbprint} ${jti}`, ONCE)).allowed;
  }

  async #verify(proof: string): Promise<{ claims: Record<string, unknown>; thumbprint: string } | null> {
    try {
      const { typ, jwk, crit } = decodeProtectedHeader(proof);
      if (typ !== TYPE || crit !== undefined || typeof jwk !== 'object' || 'd' in jwk) return null;
      const { payload } = await jwtVerify(proof, EmbeddedJWK, {
        algorithms: ALGORITHMS,
        typ: TYPE,
        clockTolerance: SKEW_SECONDS,
        maxTokenAge: MAX_AGE_SECONDS,
        currentDate: this.#core.now(),
        requiredClaims: ['jti', 'htm', 'htu', 'iat'],
      });
      return { claims: payload, thumbprint: await calculateJwkThumbprint(jwk as JWK, 'sha256') };
    } catch {
      return null; // jose says no by throwing
    }
  }

  /** Whether a URL is that of the request, on the configured origin and with or without the prefix that a proxy strips. */
  #isAddressOf(req: IncomingMessage, htu: unknown): boolean {
    if (typeof htu !== 'string' || !URL.canParse(htu)) return false;
    const { origin, pathname } = new URL(htu);
    const { config } = this.#core;
    if (origin !== config.origin) return false;
    const asked = (req as { originalUrl?: string }).originalUrl ?? req.url ?? '/';
    const path = new URL(asked.split('?', 1)[0] ?? '/', config.origin).pathname;
    return pathname === path || pathname === `${config.prefix}${path}`;
  }
}

function noProof(): AuthTunaError {
  return new AuthTunaError('malformed_request', {
    error: 'invalid_dpop_proof',
    message: 'Send a new, signed proof for this URL in the header DPoP.',
  });
}
