import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import { SuperadminGuard } from '../../core/access/superadmins.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { noUser, whenMissing, whenTaken } from '../../core/refusals.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';

const DAY = 86_400;
const PER_RUN = 500;

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
    requireOwn(userId, actor);
    if (await new SuperadminGuard(this.#core).isLast(user))
      throw new AuthTunaError('conflict', { message: 'The last superadmin cannot be removed.' });
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
    requireOwn(userId, actor);
    await this.#core.ledger
      .commit({
        writes: [this.#core.db.accountDeletion.delete({ where: { userId } })],
        facts: [{ type: 'user.deletion_canceled', actor, target: { type: 'user', id: userId } }],
      })
      .catch(whenMissing(() => new AuthTunaError('not_found', { message: 'No deletion was asked for.' })));
  }

  /** Erases the accounts whose days are over. One that cannot be erased, such as the last superadmin's, stays and is tried again. */
  get job(): Job {
    return {
      name: 'account.deletions',
      everySeconds: 3600,
      run: async (signal) => `${await this.#eraseDue(signal)} erased`,
    };
  }

  async #eraseDue(signal: AbortSignal): Promise<number> {
    const { db, users, config } = this.#core;
    const due = await db.accountDeletion.findMany({
      where: { effectiveAt: { lte: this.#core.now() } },
      orderBy: { effectiveAt: 'asc' },
      take: PER_RUN,
    });
    let erased = 0;
    for (const { userId } of due) {
      if (signal.aborted) break;
      try {
        await users.erase(userId, SYSTEM);
        erased += 1;
      } catch (error) {
        config.logger.warn('An account could not be erased; it is tried again in an hour.', {
          userId,
          error,
        });
      }
    }
    return erased;
  }
}

/** A person decides this for themselves; an administrator suspends, deletes or erases instead. */
function requireOwn(userId: string, actor: Actor): void {
  const isOwn = actor.userId === userId && actor.impersonatorId === undefined;
  if (!isOwn && !isSystem(actor)) throw new AuthTunaError('forbidden');
}
