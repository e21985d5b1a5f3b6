import type { Actor } from '../../actor.js';
import { SYSTEM } from '../../actor.js';
import { InOrder } from '../../core/concurrency/in-order.js';
import type { Core } from '../../core/core.js';
import type { RefreshClaims } from '../../core/sessions/refresh-token.js';
import type { SessionRow } from '../../core/sessions/session-row.js';
import { isActive, type UserRow } from '../../core/user.js';
import { equalInConstantTime } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import type { ProvedKey } from './dpop.js';

const MAX_ATTEMPTS = 3;
/** How long a token gets the same successor after that was used: for answers that were lost and requests on their way. */
export const GRACE_SECONDS = 10;
const SKEW_SECONDS = 30; // as for the times in tokens

export type FamilyRow = SessionRow & { user: UserRow };

/** Who presents a refresh token. */
export interface TokenHolder {
  clientId: string;
  /** The key that they prove to hold; null without a proof. */
  key: ProvedKey | null;
}

/** A family of refresh tokens that goes on, with the one token that is its next. */
export interface Renewed {
  row: FamilyRow;
  refreshToken: string;
}

/**
 * Families of refresh tokens. A family is a session of the kind `bearer`, and its tokens follow one another as session cookies do.
 *
 * Using the current token is one conditional write, so there is one successor, which every instance derives alike. The replaced token gets
 * the same successor until that is used, and for ten seconds more. After that it is proof of a copy, and the family ends.
 * @see RFC 9700 section 4.14.2; docs/requirements.md RT-1 to RT-4
 */
export class RefreshFamilies {
  readonly #core: Core;
  /** Requests of one family go one after the other in this process: after the first, the others need no write. */
  readonly #inOrder = new InOrder();

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Uses a refresh token.
   *
   * @param holder.clientId the client that presents it; a token of another client is refused
   * @param holder.key the key that the request proves to hold; a token that is bound to another key is refused
   * @throws AuthTunaError `invalid_token` for one that is not ours, has ended, or was used already; `unavailable`
   */
  async renew(token: string, holder: TokenHolder, actor: Actor): Promise<Renewed> {
    const claims = this.#core.refreshTokens.parse(token);
    if (claims === null) throw notValid();
    const outcome = await this.#inOrder.run(claims.sessionId, () =>
      this.#use(claims, holder, actor).catch((error: unknown) => {
        // Returned, not thrown: a thief's refused request must not fail the owner's requests that wait behind it.
        if (error instanceof AuthTunaError && error.code === 'invalid_token') return error;
        throw error;
      }),
    );
    if (outcome instanceof AuthTunaError) throw outcome;
    return outcome;
  }

  async #use(claims: RefreshClaims, holder: TokenHolder, actor: Actor): Promise<Renewed> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const row = await this.#live(claims.sessionId);
      if (row === null || !this.#isOf(row, holder)) throw notValid();
      if (row.boundKey !== null) await holder.key?.spend();
      const renewed = await this.#judge(row, claims, actor);
      if (renewed !== 'read again') return renewed;
    }
    throw new AuthTunaError('unavailable', { retryAfterSeconds: 1, reason: 'session_contended' });
  }

  /** Whether tokens of the family are the holder's. One without the key learns nothing and ends nothing. */
  #isOf(row: FamilyRow, { clientId, key }: TokenHolder): boolean {
    if (row.clientId !== clientId) return false;
    if (row.boundKey === null) return this.#core.config.bearer.dpop !== 'required';
    return row.boundKey === key?.thumbprint;
  }

  /** The family of a refresh token that is good right now, without using it; null otherwise. */
  async find(token: string): Promise<FamilyRow | null> {
    const claims = this.#core.refreshTokens.parse(token);
    const row = claims === null ? null : await this.#live(claims.sessionId);
    if (claims === null || row === null) return null;
    const behind = row.generation - claims.generation;
    return (behind === 0 || behind === 1) && this.#fits(row, claims) ? row : null;
  }

  async #live(sessionId: string): Promise<FamilyRow | null> {
    const row = await this.#core.db.session.findUnique({
      where: { id: sessionId },
      include: { user: true },
    });
    const now = this.#core.now();
    const isFromCreation = this.#core.config.session.lifetimeFrom === 'creation';
    const isLive =
      row !== null &&
      row.kind === 'bearer' &&
      row.revokedAt === null &&
      row.epoch === row.user.sessionEpoch &&
      isActive(row.user, now) &&
      row.absoluteExpiresAt > now &&
      after(isFromCreation ? row.createdAt : row.lastSeenAt, row.idleSeconds) > now;
    return isLive ? row : null;
  }

  async #judge(row: FamilyRow, claims: RefreshClaims, actor: Actor): Promise<Renewed | 'read again'> {
    const behind = row.generation - claims.generation;
    if (behind <= 2 && !this.#fits(row, claims)) throw await this.#suspicious(row, claims);
    if (behind === 0) return this.#rotate(row);
    if (behind === 1) return this.#current(row);
    const age = this.#core.now().getTime() - row.rotatedAt.getTime();
    // The clock of this instance may be behind that of the one that used the token before.
    const isOnItsWay = age >= -SKEW_SECONDS * 1000 && age <= GRACE_SECONDS * 1000;
    if (isOnItsWay && behind === 2) return this.#previous(row);
    if (!isOnItsWay) await this.#core.verifier.endAsStolen(row, actor);
    throw notValid();
  }

  /** Whether the row derives this very secret for the generation that the token names. */
  #fits(row: FamilyRow, { sessionId, generation, secret }: RefreshClaims): boolean {
    const salt = saltsOf(row)[row.generation - generation];
    const expected =
      salt === undefined ? null : this.#core.refreshTokens.secretOf(sessionId, generation, salt);
    return expected !== null && equalInConstantTime(secret, expected);
  }

  async #rotate(row: FamilyRow): Promise<Renewed | 'read again'> {
    const { db, sessionTokens, config } = this.#core;
    const now = this.#core.now();
    const next = {
      generation: row.generation + 1,
      salt: sessionTokens.newSalt(config.random),
      previousSalt: saltsOf(row).slice(0, 2).join(' '),
      rotatedAt: now,
      lastSeenAt: now,
    };
    const { count } = await db.session.updateMany({
      where: { id: row.id, generation: row.generation, epoch: row.epoch, revokedAt: null },
      data: next,
    });
    return count === 1 ? this.#current({ ...row, ...next }) : 'read again';
  }

  #current(row: FamilyRow): Renewed {
    return { row, refreshToken: this.#core.refreshTokens.issue(row.id, row.generation, row.salt) };
  }

  /** The successor of a token two generations back, which was used already; its holder exchanges it for the current one. */
  #previous(row: FamilyRow): Renewed {
    const [, salt = ''] = saltsOf(row);
    return { row, refreshToken: this.#core.refreshTokens.issue(row.id, row.generation - 1, salt) };
  }

  /** A token with our seal that the row cannot have given out: forged with a leaked key, or the row is behind. The row is left alone. */
  async #suspicious(row: FamilyRow, claims: RefreshClaims): Promise<AuthTunaError> {
    await this.#core.audit.record({
      type: 'session.suspicious',
      outcome: 'denied',
      reason: claims.generation > row.generation ? 'ahead_of_database' : 'wrong_refresh_secret',
      actor: SYSTEM,
      target: { type: 'session', id: row.id },
      data: { userId: row.userId, generation: claims.generation, rowGeneration: row.generation },
    });
    return notValid();
  }
}

/** The salts of the current generation and of the two before it. */
function saltsOf({ salt, previousSalt }: SessionRow): string[] {
  return [salt, ...(previousSalt === null ? [] : previousSalt.split(' '))];
}

function notValid(): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'This refresh token is not valid any more. Sign in again.',
  });
}
