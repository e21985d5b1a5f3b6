import { type Actor, SYSTEM } from '../../actor.js';
import { isMissing, type UserFilter } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import type { Fact } from '../changes/audit.js';
import type { Write } from '../changes/ledger.js';
import { type Mail, noticeTo } from '../changes/outbox.js';
import type { Core } from '../core.js';
import { codesKey } from '../limits/throttle.js';
import { noUser } from '../refusals.js';
import type { Proof, SessionWithToken } from '../sessions/session-writes.js';
import { holdSubject } from '../tokens/one-time-tokens.js';
import type { UserRow } from '../user.js';
import type { CredentialStore } from '../users/address-ownership.js';

export type SecondFactorName = 'totp' | 'recovery_code' | 'passkey';

/** One kind of second factor. The feature that owns its rows says who has enrolled, and how its rows are removed. */
export interface SecondFactor extends CredentialStore {
  /** Whether one was added since a moment. */
  hasAdded(userId: string, since: Date): Promise<boolean>;
  /** A condition on users that is true for everybody of whom `factorsOf` may say something. It is asked about no others. */
  readonly concerns: UserFilter;
  /** The ways in which this user can pass; empty for a user who has not enrolled. */
  factorsOf(userId: string): Promise<SecondFactorName[]>;
  /** Whether the user said in this browser, after a full sign-in, that the factor need not be asked for again. */
  trusts?(user: UserRow, browserToken: string): Promise<boolean>;
  /** The writes that remove what stands in for a factor, such as recovery codes: they end with the last factor. */
  endWithLastFactor?(userId: string): Write[];
  /** The writes that remove what was allowed because of a factor, such as trusted browsers: they end with every change of factors. */
  endWithChange?(userId: string): Write[];
}

/** A change of a user's second factors, to be stored together with what it ends. */
export interface FactorChange {
  /** What was proved in this very request; null where nothing was. */
  proof: Proof | null;
  writes: readonly Write[];
  facts: readonly Fact[];
  mails: readonly Mail[];
  /** The way to pass that the user no longer has after this change. */
  removed?: SecondFactorName;
}

const RESET = 'factors_reset';

export const RESET_SECONDS = 72 * 3600; // NIST SP 800-63B-4 4.2: time for the owner to object

/**
 * The second factors of users, whichever feature keeps them: who has enrolled, which browser is trusted, and what ends when a factor is
 * added or removed.
 */
export class SecondFactors implements CredentialStore {
  readonly isFactor = true;
  readonly #core: Core;
  readonly #factors: readonly SecondFactor[];

  constructor(core: Core, factors: readonly SecondFactor[]) {
    this.#core = core;
    this.#factors = factors;
  }

  /**
   * The ways in which a user can prove a second factor; empty when none is enrolled. A removal of all factors that an administrator asked
   * for happens here once it is due, so that it needs no job.
   */
  async factorsOf(userId: string): Promise<SecondFactorName[]> {
    const { db } = this.#core;
    // Most people have enrolled in nothing, and one question says so for every factor.
    const concerned = await db.user.findFirst({
      where: {
        id: userId,
        OR: [{ factorReset: { isNot: null } }, ...this.#factors.map((each) => each.concerns)],
      },
      select: { id: true }, // a relation selected here would be asked for even where there is no such user
    });
    if (concerned === null) return [];
    const reset = await db.factorReset.findUnique({ where: { userId } });
    if (reset !== null && reset.effectiveAt <= this.#core.now()) {
      await this.#takeEffect(userId, reset);
      if (reset.addedSince === null) return [];
    }
    const found = (await Promise.all(this.#factors.map((factor) => factor.factorsOf(userId)))).flat();
    return found.every((factor) => factor === 'recovery_code') ? [] : found; // codes stand in for a factor and are none
  }

  /** Whether the second factor need not be asked for in the browser that holds this token. */
  async isTrusted(user: UserRow, browserToken: string | null | undefined): Promise<boolean> {
    if (browserToken === undefined || browserToken === null) return false;
    for (const factor of this.#factors) {
      if ((await factor.trusts?.(user, browserToken)) === true) return true;
    }
    return false;
  }

  /**
   * Stores a change of factors. Every other session of the user ends; the actor's goes on under the new cookie that is returned.
   *
   * @throws AuthTunaError `conflict` when the account changed at the same moment; `session_revoked` when the actor's session has ended
   */
  async commitChange(user: UserRow, actor: Actor, change: FactorChange): Promise<SessionWithToken | null> {
    const { sessions, ledger } = this.#core;
    const { removed } = change;
    const left =
      removed === undefined ? null : (await this.factorsOf(user.id)).filter((each) => each !== removed);
    const isLast = left?.every((each) => each === 'recovery_code') === true;
    const kept = await sessions.prepareOnly(user, actor.sessionId, change.proof, 'factor_changed');
    await ledger.commitToAccount({
      writes: [
        ...change.writes,
        ...(isLast ? this.#factors.flatMap((factor) => factor.endWithLastFactor?.(user.id) ?? []) : []),
        ...this.#factors.flatMap((factor) => factor.endWithChange?.(user.id) ?? []),
        ...kept.writes,
      ],
      facts: change.facts,
      mails: change.mails,
      invalidates: [`user:${user.id}`],
    });
    return kept.result;
  }

  removeAll(userId: string, since?: Date): Write[] {
    return [
      ...this.#factors.flatMap((factor) => factor.removeAll(userId, since)),
      ...(since === undefined ? [this.#core.db.factorReset.deleteMany({ where: { userId } })] : []),
    ];
  }

  /**
   * For a batch that gives a former address back: factors that were added since a moment go in 72 hours, unless somebody stops that.
   *
   * Of two people, one has the former mailbox and the other has the factor, and nothing tells which one is the owner. So a mail alone removes
   * no factor at once, and a passkey that was added since is not enough to sign in.
   *
   * @returns null where no factor was added since
   */
  async holdAdded(userId: string, since: Date): Promise<{ write: Write; effectiveAt: Date } | null> {
    const added = await Promise.all(this.#factors.map((factor) => factor.hasAdded(userId, since)));
    if (!added.includes(true)) return null;
    const now = this.#core.now();
    const effectiveAt = after(now, RESET_SECONDS);
    const data = { requestedById: null, createdAt: now, effectiveAt, addedSince: since };
    return {
      effectiveAt,
      write: this.#core.db.factorReset.upsert({
        where: { userId },
        create: { userId, ...data },
        update: data,
      }),
    };
  }

  /** Whether a factor of that age proves nothing alone for now, because an address was given back. */
  async isOnHold(userId: string, createdAt: Date): Promise<boolean> {
    const reset = await this.#core.db.factorReset.findUnique({ where: { userId } });
    return reset !== null && reset.addedSince !== null && createdAt >= reset.addedSince;
  }

  /** The write that ends such a hold: somebody proved a factor and, before it, the mailbox or a password set by it. */
  endHold(userId: string): Write {
    return this.#core.db.factorReset.deleteMany({ where: { userId, addedSince: { not: null } } });
  }

  /** Removes every factor of a user now, ends their sessions and tells them. @throws AuthTunaError `not_found`, `conflict` */
  async reset(userId: string, actor: Actor): Promise<void> {
    const { db, sessions } = this.#core;
    await this.#commitReset(userId, actor, null, (user) => [
      db.factorReset.deleteMany({ where: { userId } }),
      ...sessions.revokeAllWrites(user, { reason: RESET }),
    ]);
  }

  async #takeEffect(
    userId: string,
    reset: { effectiveAt: Date; requestedById: string | null; addedSince: Date | null },
  ): Promise<void> {
    const { db } = this.#core;
    const { requestedById, addedSince } = reset;
    await this.#commitReset(userId, { ...SYSTEM, userId: requestedById }, addedSince, () => [
      db.factorReset.delete({ where: { userId, effectiveAt: reset.effectiveAt } }), // once, however many ask at this moment
      // The epoch stays: the caller is often the very sign-in that this lets in, and it has read the user already.
      db.session.updateMany({
        where: { userId, revokedAt: null },
        data: { revokedAt: this.#core.now(), revokedReason: RESET },
      }),
    ]);
  }

  async #commitReset(
    userId: string,
    actor: Actor,
    addedSince: Date | null,
    endings: (user: UserRow) => Write[],
  ): Promise<void> {
    const { db, ledger, tokens, throttle } = this.#core;
    const user = await db.user.findUnique({ where: { id: userId } });
    if (user === null) throw noUser();
    const { to, data } = noticeTo(this.#core, user, actor);
    try {
      await ledger.commit({
        writes: [
          ...this.#factors.flatMap((factor) => factor.removeAll(userId, addedSince ?? undefined)),
          ...endings(user),
          tokens.revokeAll(userId, ['cancel_factor_reset']),
          tokens.revokeAll(holdSubject(userId)),
          throttle.clear(codesKey(userId)),
        ],
        facts: [
          {
            type: 'factor.removed',
            reason: 'reset',
            actor,
            target: { type: 'user', id: userId },
            data: { factor: 'all' },
          },
        ],
        mails: [{ template: 'factor-removed', to, data: { ...data, factor: 'totp' } }],
        invalidates: [`user:${userId}`],
      });
    } catch (error) {
      throw isMissing(error) ? new AuthTunaError('conflict') : error; // another caller did the same, or the next one does
    }
  }
}
