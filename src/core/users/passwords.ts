import { type Actor, isSystem } from '../../actor.js';
import type { PasswordHasher } from '../../crypto/password-hash.js';
import type { Lane } from '../../crypto/work-queue.js';
import { isMissing, isStorableText, UNSTORABLE } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { inTime } from '../../time.js';
import type { Access } from '../access/access.js';
import type { Ledger, Write } from '../changes/ledger.js';
import { noticeTo } from '../changes/outbox.js';
import { invalid, noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import type { SessionManager } from '../sessions/sessions.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import { passwordProblem } from './password-policy.js';

/** Who a password is for, so that it is not made of their own name. */
export interface PasswordContext {
  email: string;
  username?: string | null;
}

const BREACH_CHECK_MS = 1000;

const PROBLEMS = {
  too_short: (minLength: number) =>
    `Use at least ${minLength} characters. A few unrelated words are easy to remember.`,
  too_long: () => 'Use at most 256 characters.',
  common: () => 'This password is on a list of known passwords. Choose another one.',
  contextual: () => 'This password is made of your name, address or this site. Choose another one.',
  breached: () => 'This password has appeared in a data breach. Choose another one.',
} as const;

type PasswordCore = Runtime & {
  ledger: Ledger;
  access: Access;
  sessions: SessionManager;
  tokens: OneTimeTokens;
  hasher: PasswordHasher;
};

/** Passwords: their rules, their hashes, and what changing one ends. */
export class PasswordManager {
  readonly #core: PasswordCore;
  #hasReportedSecret = false;

  constructor(core: PasswordCore) {
    this.#core = core;
  }

  /**
   * Sets a password and ends every session and mailed link of the user.
   *
   * For scripts: no route lets a user choose the password of another. An actor other than `SYSTEM` is the user, or holds `users:manage` and
   * outranks them; then the user must choose another password before anything else.
   * @throws AuthTunaError `weak_password` with `reason`; `not_found`; `unauthenticated`; `forbidden`; `conflict` when the account changed meanwhile
   */
  async set(userId: string, password: string, actor: Actor): Promise<void> {
    if (actor.userId !== userId) await this.#core.access.requireAbove(actor, userId, 'users:manage');
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    await this.check(password, user);
    const hash = await this.hash(password);
    const isOwnChoice = actor.userId === userId && actor.impersonatorId === undefined;
    await this.#core.ledger.commitToAccount({
      writes: [
        ...this.replaceWrites(userId, hash, { mustChange: !isOwnChoice && !isSystem(actor) }),
        ...this.#core.sessions.revokeAllWrites(user, { reason: 'password_changed' }),
      ],
      facts: [{ type: 'password.changed', actor, target: { type: 'user', id: userId } }],
      mails: [{ template: 'password-changed', ...noticeTo(this.#core, user, actor) }],
      invalidates: [`user:${userId}`],
    });
  }

  /**
   * Whether this is the user's password; with `null` for no user, the same work is done and the answer is false.
   *
   * A hash made with older parameters is replaced on success, unless the password was changed at the same moment.
   * @throws AuthTunaError `unavailable` when too many sign-ins are waiting
   */
  async verify(userId: string | null, password: string): Promise<boolean> {
    return (await this.compare(userId, password)) === true;
  }

  /**
   * @internal Like `verify`, in a lane of the queue of hashes. `too_long`: the password is longer than 72 bytes and fits as far as
   * an imported hash looked, which is no proof.
   */
  async compare(
    userId: string | null,
    password: string,
    lane: Lane = 'known',
  ): Promise<boolean | 'too_long'> {
    const row = await this.#core.db.password.findUnique({ where: { userId: userId ?? '' } });
    const matches = await this.#core.hasher.verify(password, row?.hash ?? null, lane);
    if (row !== null && this.#core.hasher.isOfAnotherSecret(row.hash)) this.#reportSecret();
    if (matches === true && row !== null && this.#core.hasher.isOutdated(row.hash)) {
      const hash = await this.#core.hasher.hash(password, lane);
      await this.#core.db.password.updateMany({
        where: { userId: row.userId, hash: row.hash },
        data: { hash },
      });
    }
    return matches;
  }

  #reportSecret(): void {
    if (this.#hasReportedSecret) return;
    this.#hasReportedSecret = true;
    this.#core.config.logger.error(
      'A stored password was hashed with a secret that is not in `secrets`, so no password fits it. Put that secret back, behind the newest.',
    );
  }

  /** Checks a password against every rule. @throws AuthTunaError `weak_password` with `reason` and the sentence for the person */
  async check(password: string, context: PasswordContext): Promise<void> {
    if (!isStorableText(password)) throw invalid('password', 'invalid_format', `must not hold ${UNSTORABLE}`);
    const { minLength, isBreached } = this.#core.config.password;
    const words = [
      this.#core.config.appName,
      new URL(this.#core.config.baseUrl).hostname,
      context.email,
      context.email.split('@')[0] ?? '',
      context.username ?? '',
    ];
    const problem = passwordProblem(password, { minLength, words: words.filter((word) => word !== '') });
    if (problem !== null) throw weak(problem, minLength);
    if (isBreached !== undefined && (await this.#isBreached(isBreached, password)))
      throw weak('breached', minLength);
  }

  async #isBreached(ask: (password: string) => Promise<boolean>, password: string): Promise<boolean> {
    try {
      return await inTime('isBreached', BREACH_CHECK_MS, () => ask(password));
    } catch (error) {
      this.#core.config.logger.warn('The breach check did not answer; only the built-in list was asked.', {
        error,
      });
      return false;
    }
  }

  /**
   * Makes the user choose a new password before anything else. Needs `users:manage` and a rank above theirs.
   *
   * @throws AuthTunaError `not_found`, `unauthenticated`, `forbidden`
   */
  async requireChange(userId: string, actor: Actor): Promise<void> {
    await this.#core.access.requireAbove(actor, userId, 'users:manage');
    await this.#core.ledger
      .commit({
        writes: [this.#core.db.user.update({ where: { id: userId }, data: { mustChangePassword: true } })],
        facts: [{ type: 'password.change_required', actor, target: { type: 'user', id: userId } }],
        invalidates: [`user:${userId}`],
      })
      .catch((error: unknown) => {
        throw isMissing(error) ? noUser() : error;
      });
  }

  /** @internal */
  hash(password: string, lane?: Lane): Promise<string> {
    return this.#core.hasher.hash(password, lane);
  }

  /** @internal Whether a value matches a hash other than a password's, such as a mailed code's. False for null, after the same work. */
  async verifyHash(hash: string | null, value: string, lane: Lane): Promise<boolean> {
    return (await this.#core.hasher.verify(value, hash, lane)) === true;
  }

  /** @internal The writes that make a hash the user's, and end every mailed link that was to set or use the old one. */
  replaceWrites(userId: string, hash: string, { mustChange = false } = {}): Write[] {
    const changedAt = this.#core.now();
    return [
      this.#core.db.password.upsert({
        where: { userId },
        create: { userId, hash, changedAt },
        update: { hash, changedAt },
      }),
      this.#core.db.user.update({
        where: { id: userId },
        data: { mustChangePassword: mustChange, updatedAt: changedAt },
      }),
      this.#core.tokens.revokeAll(userId),
    ];
  }

  /** @internal What a mailed link depends on: it dies when password or address change. */
  async stateOf(userId: string): Promise<string | null> {
    const { db } = this.#core;
    const [user, password] = await Promise.all([
      db.user.findUnique({ where: { id: userId } }),
      db.password.findUnique({ where: { userId } }),
    ]);
    return user === null || user.deletedAt !== null
      ? null
      : this.stateWith(user.email, password?.hash ?? null);
  }

  /** @internal The same for an address and a hash that are about to be stored; null for an account without a password. */
  stateWith(email: string, hash: string | null): string {
    return JSON.stringify([email, hash]);
  }
}

function weak(reason: keyof typeof PROBLEMS, minLength: number): AuthTunaError {
  const message = PROBLEMS[reason](minLength);
  return new AuthTunaError('weak_password', {
    message,
    reason,
    errors: [{ field: 'password', rule: reason, message }],
  });
}
