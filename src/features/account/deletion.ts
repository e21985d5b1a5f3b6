import { type Actor, SYSTEM } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { noUser, whenMissing, whenTaken } from '../../core/refusals.js';
import { requireMayEnd } from '../../core/users/own-account.js';
import { lastOfItsKind } from '../../core/users/removal.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';

const DAY = 86_400;
const BATCH = 500;

/** Deleting the own account: asked for, taken back within days, and done by a job afterwards. */
export class AccountDeletions {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** When the account is erased; null when its deletion was not requested. */
  async effectiveAt(userId: string): Promise<Date | null> {
    const row = await this.#core.db.accountDeletion.findUnique({ where: { userId } });
    return row?.effectiveAt ?? null;
  }

  /** {@link AccountManager.requestDeletion} */
  async request(userId: string, actor: Actor): Promise<Date> {
    const { db, config, ledger, users } = this.#core;
    const user = await users.row(userId);
    if (user === null || user.deletedAt !== null) throw noUser();
    await requireMayEnd(userId, actor);
    const refusal = await lastOfItsKind(this.#core, user);
    if (refusal !== null) throw refusal;
    const now = this.#core.now();
    const effectiveAt = after(now, config.privacy.deletionGraceDays * DAY);
    const notice = noticeTo(this.#core, user, actor);
    await ledger
      .commit({
        writes: [db.accountDeletion.create({ data: { userId, requestedAt: now, effectiveAt } })],
        facts: [
          {
            type: 'user.deletion_requested',
            actor,
            target: { type: 'user', id: userId },
            data: { effectiveAt },
          },
        ],
        mails: [
          {
            template: 'deletion-requested',
            to: notice.to,
            data: { ...notice.data, link: `${config.baseUrl}${config.paths.account}/data`, effectiveAt },
          },
        ],
      })
      .catch(whenTaken(() => new AuthTunaError('conflict', { message: 'This was asked for already.' })));
    return effectiveAt;
  }

  /** {@link AccountManager.cancelDeletion} */
  async cancel(userId: string, actor: Actor): Promise<void> {
    await requireMayEnd(userId, actor);
    await this.#core.ledger
      .commit({
        writes: [this.#core.db.accountDeletion.delete({ where: { userId } })],
        facts: [{ type: 'user.deletion_canceled', actor, target: { type: 'user', id: userId } }],
      })
      .catch(whenMissing(() => new AuthTunaError('not_found', { message: 'No deletion was asked for.' })));
  }

  /**
   * Erases the accounts whose days are over. One that cannot be erased, because it is the last superadmin's or a last owner's, waits with a
   * line in the log and is tried again.
   */
  get job(): Job {
    return {
      name: 'account.deletions',
      everySeconds: 3600,
      run: async (signal) => `${await this.#eraseDue(signal)} erased`,
    };
  }

  async #eraseDue(signal: AbortSignal): Promise<number> {
    const { db } = this.#core;
    const now = this.#core.now();
    let erased = 0;
    let last = '';
    while (!signal.aborted) {
      // By id, so that accounts that wait do not keep the others from being reached.
      const due = await db.accountDeletion.findMany({
        where: { effectiveAt: { lte: now }, userId: { gt: last } },
        orderBy: { userId: 'asc' },
        take: BATCH,
      });
      for (const { userId } of due) {
        if (signal.aborted) break;
        if (await this.#erase(userId)) erased += 1;
        last = userId;
      }
      if (due.length < BATCH) break;
    }
    return erased;
  }

  async #erase(userId: string): Promise<boolean> {
    const { users, config } = this.#core;
    try {
      await users.erase(userId, SYSTEM);
      return true;
    } catch (error) {
      config.logger.warn('An account could not be erased; it is tried again in an hour.', { userId, error });
      return false;
    }
  }
}
