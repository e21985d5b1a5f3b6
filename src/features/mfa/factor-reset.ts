import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import type { Access } from '../../core/access/access.js';
import type { Ledger, Write } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { codesKey, type Throttle } from '../../core/limits/throttle.js';
import type { Runtime } from '../../core/runtime.js';
import type { SessionManager } from '../../core/sessions/sessions.js';
import type { OneTimeTokens } from '../../core/tokens/one-time-tokens.js';
import type { UserRow } from '../../core/user.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';

export interface FactorResetDependencies {
  runtime: Runtime;
  ledger: Ledger;
  access: Access;
  sessions: SessionManager;
  throttle: Throttle;
  tokens: OneTimeTokens;
}

const CANCEL_RESET = 'cancel_factor_reset';
const RESET_SECONDS = 72 * 3600;
const REASON = 'factors_reset';

/**
 * Getting somebody back in who has lost every factor, in time enough for them to say that they have not.
 *
 * There is no job: a removal that is due happens when somebody next asks for the user's factors.
 * @see NIST SP 800-63B-4 4.2; docs/requirements.md MB-5
 */
export class FactorResets {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #access: Access;
  readonly #sessions: SessionManager;
  readonly #throttle: Throttle;
  readonly #tokens: OneTimeTokens;

  constructor(dependencies: FactorResetDependencies) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#access = dependencies.access;
    this.#sessions = dependencies.sessions;
    this.#throttle = dependencies.throttle;
    this.#tokens = dependencies.tokens;
  }

  /** When a removal that was asked for takes effect; null when none was. */
  async effectiveAt(userId: string): Promise<Date | null> {
    const row = await this.#runtime.db.factorReset.findUnique({ where: { userId } });
    return row?.effectiveAt ?? null;
  }

  /** Removes every factor when that is due; whether it was. */
  async takeEffect(userId: string): Promise<boolean> {
    const row = await this.#runtime.db.factorReset.findUnique({ where: { userId } });
    if (row === null || row.effectiveAt > this.#runtime.now()) return false;
    const { db } = this.#runtime;
    await this.#removeAll(userId, { ...SYSTEM, userId: row.requestedById }, () => [
      db.factorReset.delete({ where: { userId, effectiveAt: row.effectiveAt } }), // once, however many ask at this moment
      // The epoch stays: what asks is often the very sign-in that this lets in, and it has read the user already.
      db.session.updateMany({
        where: { userId, revokedAt: null },
        data: { revokedAt: this.#runtime.now(), revokedReason: REASON },
      }),
    ]);
    return true;
  }

  /** {@link MfaManager.reset} */
  async request(userId: string, actor: Actor): Promise<Date> {
    await this.#access.requireAbove(actor, userId, 'users:manage');
    const user = await this.#runtime.db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    const now = this.#runtime.now();
    if (isSystem(actor)) {
      await this.#removeAll(userId, actor, (found) => [
        this.#runtime.db.factorReset.deleteMany({ where: { userId } }),
        ...this.#sessions.revokeAllWrites(found, { reason: REASON }),
      ]);
      return now;
    }
    const { config, db } = this.#runtime;
    const effectiveAt = after(now, RESET_SECONDS);
    const { token, writes } = this.#tokens.issue({
      purpose: CANCEL_RESET,
      subject: userId,
      lifetimeSeconds: RESET_SECONDS,
    });
    try {
      await this.#ledger.commit({
        writes: [
          db.factorReset.create({
            data: { userId, requestedById: actor.userId, createdAt: now, effectiveAt },
          }),
          ...writes,
        ],
        facts: [{ type: 'factor.reset_requested', actor, target: { type: 'user', id: userId } }],
        mails: [
          {
            template: 'factor-reset',
            to: user.email,
            data: {
              name: user.username,
              effectiveAt,
              link: `${config.baseUrl}${config.paths.auth}/mfa/reset/cancel?token=${token}`,
            },
          },
        ],
      });
    } catch (error) {
      throw isUniqueViolation(error)
        ? new AuthTunaError('conflict', { message: 'This was asked for already.' })
        : error;
    }
    return effectiveAt;
  }

  /** {@link MfaManager.cancelReset} */
  async cancelByLink(token: string, actor: Actor): Promise<void> {
    const live = await this.#tokens.peek(token, CANCEL_RESET);
    await this.#stop(live.subject, actor, [live.spend]).catch((error: unknown) => {
      throw isMissing(error) ? new AuthTunaError('invalid_token') : error;
    });
  }

  /** @throws AuthTunaError `not_found` */
  async cancel(userId: string, actor: Actor): Promise<void> {
    await this.#stop(userId, actor, []).catch((error: unknown) => {
      throw isMissing(error) ? new AuthTunaError('not_found') : error;
    });
  }

  #stop(userId: string, actor: Actor, writes: readonly Write[]): Promise<void> {
    return this.#ledger.commit({
      writes: [
        ...writes,
        this.#runtime.db.factorReset.delete({
          where: { userId, effectiveAt: { gt: this.#runtime.now() } },
        }),
        this.#tokens.revokeAll(userId, [CANCEL_RESET]),
      ],
      facts: [{ type: 'factor.reset_canceled', actor, target: { type: 'user', id: userId } }],
    });
  }

  /** Removes every factor, with the writes that end the request for it and every session. @throws AuthTunaError `conflict` */
  async #removeAll(userId: string, actor: Actor, endings: (user: UserRow) => Write[]): Promise<void> {
    const { db } = this.#runtime;
    const user = await db.user.findUnique({ where: { id: userId } });
    if (user === null) throw noUser();
    const { to, data } = noticeTo(this.#runtime, user, actor);
    try {
      await this.#ledger.commit({
        writes: [
          db.totp.deleteMany({ where: { userId } }),
          db.recoveryCode.deleteMany({ where: { userId } }),
          db.passkey.deleteMany({ where: { userId } }),
          db.trustedDevice.deleteMany({ where: { userId } }),
          ...endings(user),
          this.#tokens.revokeAll(userId, [CANCEL_RESET]),
          this.#throttle.clear(codesKey(userId)),
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
      if (!isMissing(error)) throw error; // somebody else was doing the same, or the next look does it
      throw new AuthTunaError('conflict');
    }
  }
}

function noUser(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such user.' });
}
