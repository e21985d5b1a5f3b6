import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiKey, Session } from '../../auth.js';
import type { Grants } from '../../core/access/grants.js';
import type { Topic } from '../../core/invalidation.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { PublicUser } from '../../core/user.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';

/** The kinds of credential that a guard can name; `req.auth.method` is one of them, or `anonymous`. */
export const CREDENTIALS = ['session', 'access_token', 'api_key'] as const;

export type Credential = (typeof CREDENTIALS)[number];

/** A user as an authenticator found them, with what they may do. A `VerifiedSession` is one. */
export interface Caller {
  readonly userId: string;
  readonly user: PublicUser;
  readonly grants: Grants;
  readonly mustChangePassword: boolean;
  /** The session behind the credential; null for a credential without one. */
  readonly session: Session | null;
  readonly apiKey?: ApiKey;
  /** Set where uses are counted, so that no answer about the credential may be repeated elsewhere. */
  readonly isCounted?: boolean;
  /** Milliseconds: the end of `recheckSeconds` after the read, or an earlier end of what was read. */
  readonly trustedUntil: number;
  /** Of the tree of scopes when the rows were read; see `ScopeTree.version`. */
  readonly scopesVersion: number;
  /** What ends the caller early: a change of one of these topics has an open socket checked at once. */
  readonly topics: readonly Topic[];
}

/** Why a credential that was presented does not count. */
export class Refusal {
  readonly code: ErrorCode;
  /** Set for a session that waits for a step-up. */
  readonly locked: VerifiedSession | null;
  /** Set for a publishable key, which names its owner and may do nothing. */
  readonly apiKey: ApiKey | null;
  /** What is wrong with a token that is bound to a key: no proof of the key, or one that does not count. */
  readonly dpop: 'invalid_token' | 'invalid_dpop_proof' | null;

  constructor(
    code: ErrorCode,
    locked: VerifiedSession | null = null,
    apiKey: ApiKey | null = null,
    dpop: 'invalid_token' | 'invalid_dpop_proof' | null = null,
  ) {
    this.code = code;
    this.locked = locked;
    this.apiKey = apiKey;
    this.dpop = dpop;
  }
}

/** For a request without a credential, and for a credential that is not ours. */
export const UNAUTHENTICATED = new Refusal('unauthenticated');

/**
 * Turns one kind of credential into a caller. `session()` asks a list of them in order, and the first that does not answer null decides:
 * a request has one credential, and a bad one never falls back to another.
 */
export interface Authenticator<C extends Caller = Caller> {
  readonly kind: Credential;
  /**
   * The caller; null where the request carries no credential of this kind, a {@link Refusal} where it carries one that does not count.
   *
   * Null and an answer from memory come at once, everything else may be awaited. Sets no cookie and no header but to renew the credential.
   * @param isLatest the answer must come from a read that began after this call: for unsafe methods
   * @param res null where the answer to the request cannot carry a renewed credential
   * @throws AuthTunaError what ends the request in any case, such as `malformed_request`, `cross_site_request` or `unavailable`
   */
  authenticate(
    req: IncomingMessage,
    isLatest: boolean,
    res: ServerResponse | null,
  ): C | Refusal | null | Promise<C | Refusal>;
  /** Whether a change of the caller was heard of since it was read. */
  isStale(caller: C): boolean;
  /** Reads the rows of the caller again, for a request that is still running. @throws AuthTunaError `unavailable` */
  recheck(caller: C, req: IncomingMessage): Promise<C | Refusal>;
  /** The same for a socket or a stream, whose credential may have been renewed since it was opened. @throws AuthTunaError `unavailable` */
  follow(caller: C): Promise<C | Refusal>;
}

/** A caller, or a refusal, and the authenticator that said so; null where the request carries no credential. */
export interface Finding {
  authenticator: Authenticator | null;
  answer: Caller | Refusal;
}

/** Asks the authenticators in order. `SessionMiddleware.handler` does the same without waiting where it need not. */
export async function findCaller(
  authenticators: readonly Authenticator[],
  req: IncomingMessage,
  isLatest: boolean,
): Promise<Finding> {
  refuseTwoAuthorizations(req);
  for (const authenticator of authenticators) {
    const answer = await authenticator.authenticate(req, isLatest, null);
    if (answer !== null) return { authenticator, answer };
  }
  return { authenticator: null, answer: UNAUTHENTICATED };
}

/**
 * Refuses a request with two `Authorization` headers, also where a proxy joined them with a comma: a proxy in front of the application may have
 * looked at the other one.
 *
 * @throws AuthTunaError `malformed_request`
 * @see RFC 9110 section 11.6.2: the header takes one set of credentials
 */
export function refuseTwoAuthorizations({ headers, rawHeaders }: IncomingMessage): void {
  const { authorization } = headers;
  if (authorization === undefined) return;
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count += 1;
  }
  if (count > 1 || JOINED.test(authorization))
    throw new AuthTunaError('malformed_request', {
      message: 'A request carries one Authorization header with one credential.',
    });
}

const AUTHORIZATION = 'authorization';
// A token of ours holds no comma. The parameters of other schemes do (RFC 9110 section 11.4), and those are left alone.
const JOINED = /^(bearer|dpop)\b[^,]*,|,\s*(bearer|dpop)\s/i;

/** Whether the request brings a token, bound to a key or not: then its cookie does not count. */
export function hasBearer({ headers }: IncomingMessage): boolean {
  return headers.authorization !== undefined && /^(bearer|dpop)\b/i.test(headers.authorization);
}
