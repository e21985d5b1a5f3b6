import { type Db, isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Topic } from '../invalidation.js';
import type { Runtime } from '../runtime.js';
import { type AuditManager, eventOf, type Fact } from './audit.js';
import { type Mail, Outbox } from './outbox.js';

/** A write that has not been sent yet. */
export type Write = Parameters<Db['$transaction']>[0][number];

export interface Change {
  /** Conditional writes; one that misses throws and nothing of the change happens. */
  writes: readonly Write[];
  facts: readonly Fact[];
  mails?: readonly Mail[];
  /** What is no longer true in memory afterwards. */
  invalidates?: readonly Topic[];
}

/**
 * The one way in which things change: effects, audit entries, mails and deliveries to webhooks in one batch, then the caches, then the listeners.
 *
 * Losing a race surfaces as the database's own error (`isMissing`, `isUniqueViolation`), for the caller to name.
 */
export class Ledger {
  readonly #runtime: Runtime;
  readonly #audit: AuditManager;
  readonly outbox: Outbox;
  #hasWarned = false;

  constructor(runtime: Runtime, audit: AuditManager) {
    this.#runtime = runtime;
    this.#audit = audit;
    this.outbox = new Outbox(runtime);
  }

  async commit(change: Change): Promise<void> {
    const at = this.#runtime.now();
    const mails = this.#sendable(change.mails ?? []);
    const told = await this.#audit.writes(change.facts, at);
    await this.#runtime.db.$transaction([
      ...change.writes,
      ...told,
      ...mails.map((mail) => this.outbox.write({ languages: languagesOf(change.facts), ...mail }, at)),
    ]);
    if (change.invalidates !== undefined) this.#runtime.invalidation.publish(change.invalidates);
    for (const fact of change.facts) this.#runtime.events.emit(eventOf(fact, at));
    if (mails.length > 0) this.outbox.announce();
    if (told.length > change.facts.length) this.#runtime.webhooks.announce();
  }

  /** All mails, or none where there is nothing to send them with. */
  #sendable(mails: readonly Mail[]): readonly Mail[] {
    const { mail, logger } = this.#runtime.config;
    if (mail !== undefined || mails.length === 0) return mails;
    if (!this.#hasWarned) logger.warn('No mails are sent, because the option mail is not set.');
    this.#hasWarned = true;
    return [];
  }

  /**
   * As `commit`, for what somebody changes of an account; a write that misses was overtaken by another change.
   *
   * @throws AuthTunaError `conflict`
   */
  async commitToAccount(change: Change): Promise<void> {
    try {
      await this.commit(change);
    } catch (error) {
      throw isMissing(error) ? accountChanged() : error;
    }
  }
}

/** Two changes of one account met; the second may be tried again. */
export function accountChanged(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'The account changed at the same moment. Try again.' });
}

/**
 * The language of the browser, when the person at the browser reads the mail: a user who changes their own account, or a person without a session,
 * who is taken for the owner of the address that they name. A person who acts on the account of another, or as another, says nothing about the language
 * of that one. A mail that goes to somebody else than its cause says so: `languages: null`.
 */
function languagesOf([fact]: readonly Fact[]): string | null {
  if (fact === undefined || fact.actor.impersonatorId !== undefined) return null;
  const { actor, target } = fact;
  const isOwn = actor.userId === null || (target?.type === 'user' && target.id === actor.userId);
  return isOwn ? (actor.languages ?? null) : null;
}
