import type { IncomingMessage } from 'node:http';
import type { RateLimit } from '../../config/rate-limits.js';
import type { Core } from '../../core/core.js';
import { rateLimited } from '../../core/limits/throttle.js';
import { AuthTunaError } from '../../errors.js';
import { type Authenticator, hasBearer, Refusal, UNAUTHENTICATED } from '../../http/caller/authenticators.js';
import type { RequestReader } from '../../http/caller/request-facts.js';
import { rememberAtMost } from '../../remember.js';
import type { KeyFormat } from './format.js';
import { exposeKey } from './revocation.js';
import type { VerifiedKey } from './verified-key.js';
import type { KeyVerifier } from './verifier.js';

const BEARER = /^bearer +/i;
const RECORD_MS = 60_000; // a key that is used from a wrong address is recorded once a minute
const MAX_RECORDED = 1000;

interface Parts {
  format: KeyFormat;
  verifier: KeyVerifier;
  requests: RequestReader;
}

/**
 * Finds the caller by an API key, in `Authorization: Bearer` or `X-API-Key`. Answers from memory at once for a safe method, which is nearly
 * always.
 *
 * A key in the URL (`?api_key=`) counts only where `apiKeys.allowQueryParameter` says so, and is flagged in any case.
 * @see docs/requirements.md AK-5, CS-6
 */
export class KeyAuthenticator implements Authenticator<VerifiedKey> {
  readonly kind = 'api_key';
  readonly #core: Core;
  readonly #format: KeyFormat;
  readonly #verifier: KeyVerifier;
  readonly #requests: RequestReader;
  /** When the use of a key from a wrong address was last recorded, by the key's id. */
  readonly #recorded = rememberAtMost<number>(MAX_RECORDED);

  constructor(core: Core, { format, verifier, requests }: Parts) {
    this.#core = core;
    this.#format = format;
    this.#verifier = verifier;
    this.#requests = requests;
  }

  authenticate(
    req: IncomingMessage,
    isLatest: boolean,
  ): VerifiedKey | Refusal | null | Promise<VerifiedKey | Refusal> {
    const text = this.#presentedIn(req);
    const inAddress = this.#inAddress(req);
    if (inAddress !== null) {
      if (text !== null) throw twoCredentials();
      return this.#fromAddress(inAddress, req, isLatest);
    }
    if (text === null) return null;
    if (isLatest) return this.#verify(text, req, true);
    const verified = this.#verifier.remembered(text, this.#core.now().getTime());
    return verified === undefined ? this.#verify(text, req, false) : this.#admit(verified, req);
  }

  isStale(verified: VerifiedKey): boolean {
    return this.#verifier.isStale(verified);
  }

  recheck(verified: VerifiedKey): Promise<VerifiedKey | Refusal> {
    return this.follow(verified);
  }

  async follow(verified: VerifiedKey): Promise<VerifiedKey | Refusal> {
    return (await this.#verifier.follow(verified)) ?? UNAUTHENTICATED;
  }

  /**
   * The text that a header presents as a key, or null. A bearer credential of another kind is none of ours; `X-API-Key` always is.
   *
   * @throws AuthTunaError `malformed_request` for two credentials
   */
  #presentedIn(req: IncomingMessage): string | null {
    const { headers } = req;
    const own = headers['x-api-key'];
    const { authorization } = headers;
    const bearer =
      authorization !== undefined && BEARER.test(authorization) ? authorization.replace(BEARER, '') : null;
    if (own !== undefined) {
      if (hasBearer(req)) throw twoCredentials();
      return String(own);
    }
    return bearer !== null && this.#format.looksLikeKey(bearer) ? bearer : null;
  }

  /** A key that stands in the URL of the request, or null. Another use of a parameter of that name is left alone. */
  #inAddress({ url = '' }: IncomingMessage): string | null {
    if (!url.includes('api_key=')) return null;
    const text = new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('api_key');
    return text !== null && this.#format.looksLikeKey(text) ? text : null;
  }

  async #fromAddress(text: string, req: IncomingMessage, isLatest: boolean): Promise<VerifiedKey | Refusal> {
    const verified = await this.#verifier.verify(text, { latest: isLatest });
    if (verified === null) return UNAUTHENTICATED;
    if (verified.apiKey.exposedAt === null)
      await exposeKey(this.#core, verified.apiKey.id, this.#requests.actorOf(req, verified));
    if (this.#core.config.apiKeys.allowQueryParameter) return this.#admit(verified, req);
    throw new AuthTunaError('unauthenticated', {
      reason: 'bearer',
      message:
        'A key in the URL is not accepted, because logs keep URLs. Send it as Authorization: Bearer or X-API-Key.',
    });
  }

  async #verify(text: string, req: IncomingMessage, isLatest: boolean): Promise<VerifiedKey | Refusal> {
    const verified = await this.#verifier.verify(text, { latest: isLatest });
    return verified === null ? UNAUTHENTICATED : this.#admit(verified, req);
  }

  /** The caller of a good key, or a refusal: by its `allowedIps`, its rate limit or its kind. */
  #admit(
    verified: VerifiedKey,
    req: IncomingMessage,
  ): VerifiedKey | Refusal | Promise<VerifiedKey | Refusal> {
    if (!verified.isAllowedFrom(this.#requests.ipOf(req))) {
      this.#record(verified, req);
      return UNAUTHENTICATED; // as for a wrong key: a thief learns nothing
    }
    return verified.limit === null ? asCaller(verified) : this.#take(verified, verified.limit);
  }

  async #take(verified: VerifiedKey, limit: RateLimit): Promise<VerifiedKey | Refusal> {
    const verdict = await this.#core.limiter.take(`api key ${verified.apiKey.id}`, limit);
    if (!verdict.allowed) throw rateLimited(verdict.resetSeconds);
    return asCaller(verified);
  }

  /** A key that is used from elsewhere has probably leaked, which its owner wants to find in the log. */
  #record(verified: VerifiedKey, req: IncomingMessage): void {
    const { id, userId } = verified.apiKey;
    const now = this.#core.now().getTime();
    const last = this.#recorded.get(id);
    if (last !== undefined && Math.abs(now - last) < RECORD_MS) return;
    this.#recorded.set(id, now);
    this.#core.audit
      .record({
        type: 'api_key.refused',
        outcome: 'denied',
        reason: 'address',
        actor: this.#requests.actorOf(req, verified),
        target: { type: 'api_key', id },
        data: { userId },
      })
      .catch((error: unknown) =>
        this.#core.config.logger.error('A refused API key could not be recorded.', { error }),
      );
  }
}

/** A publishable key is meant to be read by everybody, so it is no caller. */
function asCaller(verified: VerifiedKey): VerifiedKey | Refusal {
  return verified.apiKey.kind === 'publishable' ? new Refusal('forbidden', null, verified.apiKey) : verified;
}

function twoCredentials(): AuthTunaError {
  return new AuthTunaError('malformed_request', {
    message: 'Send one credential: Authorization: Bearer, or X-API-Key.',
  });
}
