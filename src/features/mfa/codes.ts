import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import { codesKey, DELAYS, GUESSING, rateLimited } from '../../core/limits/throttle.js';
import type { FactorProof } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import type { PasswordHasher } from '../../crypto/password-hash.js';
import { AuthTunaError } from '../../errors.js';
import { parseRecoveryCode } from './recovery-codes.js';
import { seedPlace, stepOf } from './totp.js';

const TELL_AFTER_FAILURES = 5; // from here on waits begin: more than a slip of the finger

/** Checks codes of authenticator apps, and recovery codes. */
export class FactorCodes {
  readonly #core: Core;
  readonly #hasher: PasswordHasher;

  /** @param hasher for recovery codes: they are random, so their hash may cost less than that of a password */
  constructor(core: Core, hasher: PasswordHasher) {
    this.#core = core;
    this.#hasher = hasher;
  }

  /**
   * Checks a code and says what must be stored with what it allows. Failures are counted per user, whatever they were for.
   *
   * A recovery code names its row, so that no guess costs more than one hash. It has 80 random bits, more than any number of tries guesses,
   * so a hundred wrong codes do not close it, and it opens the app's codes again. A mail does not: after so many failures the guesser knows the password,
   * and the mailbox may be all that is missing.
   * @throws AuthTunaError `invalid_credentials`, `rate_limited`
   * @see NIST SP 800-63B-4 3.1.2.2, 3.2.2; docs/requirements.md TO-4, LG-5
   */
  async checkCode(user: UserRow, code: string, actor: Actor): Promise<FactorProof> {
    const recovery = parseRecoveryCode(code);
    const shared = await this.#core.throttle.attempt(codesKey(user.id), GUESSING, user.id);
    const isClosed = !shared.allowed && shared.isClosed;
    const attempt =
      isClosed && recovery !== null
        ? await this.#core.throttle.attempt(recoveryKey(user.id), DELAYS, user.id)
        : shared;
    if (!attempt.allowed) throw rateLimited(attempt.retryAfterSeconds);
    const proof =
      recovery === null
        ? await this.#checkTotp(user, code)
        : await this.#checkRecovery(user, recovery, actor);
    if (proof === null) {
      await this.#recordFailure(user, recovery === null ? 'totp' : 'recovery_codes', attempt, actor);
      throw new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });
    }
    const forgotten = this.#core.throttle.clear(codesKey(user.id), recoveryKey(user.id));
    return { ...proof, writes: [...proof.writes, forgotten] };
  }

  async #checkTotp(user: UserRow, code: string): Promise<FactorProof | null> {
    const { db, vault } = this.#core;
    const row = await db.totp.findUnique({ where: { userId: user.id } });
    if (row === null || row.confirmedAt === null) return null;
    const seed = vault.open(row.sealed, seedPlace(row.id));
    if (seed === null) {
      this.#core.config.logger.error(
        'A TOTP seed could not be opened: it was sealed with a secret that is no longer in `secrets`, or is not of this row.',
        { totpId: row.id },
      );
      return null;
    }
    const step = stepOf(seed, code, this.#core.now());
    if (step === null || step <= row.lastStep) return null;
    const isOutdated = !vault.isCurrent(row.sealed);
    return {
      factor: 'totp',
      amr: ['otp'],
      writes: [
        db.totp.update({
          where: { id: row.id, confirmedAt: row.confirmedAt, lastStep: { lt: step } },
          data: { lastStep: step, ...(isOutdated && { sealed: vault.seal(seed, seedPlace(row.id)) }) },
        }),
      ],
      facts: [],
      mails: [],
    };
  }

  async #checkRecovery(
    user: UserRow,
    { number, secret }: { number: number; secret: string },
    actor: Actor,
  ): Promise<FactorProof | null> {
    const { db } = this.#core;
    const userId = user.id;
    const row = await db.recoveryCode.findUnique({ where: { userId_number: { userId, number } } });
    if (row === null || row.usedAt !== null || (await this.#hasher.verify(secret, row.hash)) !== true)
      return null;
    const left = (await db.recoveryCode.count({ where: { userId, usedAt: null } })) - 1;
    const { to, data } = noticeTo(this.#core, user, actor);
    return {
      factor: 'recovery_code',
      amr: ['recovery'],
      writes: [
        db.recoveryCode.update({
          where: { userId_number: { userId, number }, hash: row.hash, usedAt: null },
          data: { usedAt: this.#core.now() },
        }),
      ],
      facts: [{ type: 'recovery_code.used', actor, target: { type: 'user', id: userId }, data: { left } }],
      mails: [{ template: 'recovery-code-used', to, data: { ...data, left } }],
    };
  }

  /** Mails the user after more failures than typing errors explain, because the guesser knows the password. */
  async #recordFailure(
    user: UserRow,
    factor: 'totp' | 'recovery_codes',
    { tries, isLast }: { tries: number; isLast: boolean },
    actor: Actor,
  ): Promise<void> {
    const { to, data } = noticeTo(this.#core, user, actor);
    await this.#core.ledger.commit({
      writes: [],
      facts: [
        {
          type: 'factor.failed',
          outcome: 'failure',
          reason: 'invalid_credentials',
          actor,
          target: { type: 'user', id: user.id },
          data: { factor },
        },
      ],
      mails:
        tries === TELL_AFTER_FAILURES || isLast
          ? // The guesser may be a stranger, so their browser does not choose the language of the mail.
            [{ template: 'factor-failed', to, data: { ...data, factor, isClosed: isLast }, languages: null }]
          : [],
    });
  }
}

/** The name under which recovery codes are counted while the count that they share with the app's codes is closed. */
function recoveryKey(userId: string): string {
  return `recovery:${userId}`;
}
