import { type Actor, isSystem } from '../../actor.js';
import type { Write } from '../../core/changes/ledger.js';
import { noUser, whenMissing, whenTaken } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { MAILED_LINKS } from '../../core/tokens/mailed-links.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';

const PURPOSE = 'cancel_factor_reset';
/** The end of a hold that was stopped: the factors stay, and so does the hold, until an administrator or a sign-in with both decides. */
const STOPPED = new Date('9999-01-01T00:00:00Z');

/**
 * Getting somebody back in who has lost every factor, in time enough for them to say that they have not.
 *
 * The removal itself happens in `core/sign-in/second-factors` when the factors are next asked for.
 * @see NIST SP 800-63B-4 4.2; docs/requirements.md MB-5
 */
export class FactorResets {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** When a removal that was asked for takes effect; null when none was. */
  async effectiveAt(userId: string): Promise<Date | null> {
    const row = await this.#core.db.factorReset.findUnique({ where: { userId } });
    return row === null || row.effectiveAt.getTime() === STOPPED.getTime() ? null : row.effectiveAt;
  }

  /** {@link MfaManager.reset} */
  async request(userId: string, actor: Actor): Promise<Date> {
    await this.#core.access.requireAbove(actor, userId, 'users:manage');
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    const now = this.#core.now();
    if (isSystem(actor)) {
      await this.#core.secondFactors.reset(userId, actor);
      return now;
    }
    const effectiveAt = after(now, MAILED_LINKS.cancel_factor_reset.lifetimeSeconds);
    const { writes, link } = await this.#core.links.issue('cancel_factor_reset', user);
    await this.#core.ledger
      .commit({
        writes: [
          // A hold after an address was given back is decided by this; another request is not.
          this.#core.db.factorReset.deleteMany({ where: { userId, addedSince: { not: null } } }),
          this.#core.db.factorReset.create({
            data: { userId, requestedById: actor.userId, createdAt: now, effectiveAt },
          }),
          ...writes,
        ],
        facts: [{ type: 'factor.reset_requested', actor, target: { type: 'user', id: userId } }],
        mails: [
          { template: 'factor-reset', to: user.email, data: { name: user.username, effectiveAt, link } },
        ],
      })
      .catch(whenTaken(() => new AuthTunaError('conflict', { message: 'This was asked for already.' })));
    return effectiveAt;
  }

  /** {@link MfaManager.cancelReset} */
  async cancelByLink(token: string, actor: Actor): Promise<void> {
    const { db, links, now } = this.#core;
    const live = await links.peek(token, PURPOSE);
    const userId = typeof live.data.userId === 'string' ? live.data.userId : live.subject;
    const row = await db.factorReset.findUnique({ where: { userId } });
    const where = { userId, effectiveAt: { gt: now() } };
    // Who reads the former mailbox, and who has the factor: neither gets in with that alone.
    const ending =
      row === null || row.addedSince === null
        ? db.factorReset.delete({ where })
        : db.factorReset.update({ where, data: { effectiveAt: STOPPED } });
    await this.#stop(userId, actor, [live.spend, ending]).catch(
      whenMissing(() => new AuthTunaError('invalid_token')),
    );
  }

  /** @throws AuthTunaError `not_found` */
  async cancel(userId: string, actor: Actor): Promise<void> {
    const where = { userId, effectiveAt: { gt: this.#core.now() } };
    await this.#stop(userId, actor, [this.#core.db.factorReset.delete({ where })]).catch(
      whenMissing(() => new AuthTunaError('not_found')),
    );
  }

  #stop(userId: string, actor: Actor, writes: readonly Write[]): Promise<void> {
    return this.#core.ledger.commit({
      writes: [...writes, this.#core.tokens.revokeAll(userId, [PURPOSE])],
      facts: [{ type: 'factor.reset_canceled', actor, target: { type: 'user', id: userId } }],
    });
  }
}
