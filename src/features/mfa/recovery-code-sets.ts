import type { Actor } from '../../actor.js';
import type { Write } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { requireOwn } from '../../core/users/own-account.js';
import type { PasswordHasher } from '../../crypto/password-hash.js';
import { AuthTunaError } from '../../errors.js';
import { newRecoveryCodes, printRecoveryCode } from './recovery-codes.js';

/** A user's set of recovery codes. */
export class RecoveryCodes {
  readonly #core: SignInCore;
  readonly #hasher: PasswordHasher;

  constructor(core: SignInCore, hasher: PasswordHasher) {
    this.#core = core;
    this.#hasher = hasher;
  }

  /** {@link MfaManager.regenerateRecoveryCodes} */
  async regenerate(userId: string, actor: Actor): Promise<string[]> {
    const user = await requireOwn(this.#core, userId, actor);
    if ((await this.#core.secondFactors.factorsOf(userId)).length === 0)
      throw new AuthTunaError('conflict', { message: 'Set up a second factor first.' });
    const codes = await this.replace(userId);
    const { to, data } = noticeTo(this.#core, user, actor);
    await this.#core.ledger.commit({
      writes: codes.writes,
      facts: [{ type: 'recovery_codes.created', actor, target: { type: 'user', id: userId } }],
      mails: [{ template: 'factor-added', to, data: { ...data, factor: 'recovery_codes' } }],
    });
    return codes.printed;
  }

  /** A new set: the codes as they are shown, and the writes that replace the old set. */
  async replace(userId: string): Promise<{ printed: string[]; writes: Write[] }> {
    const { db, config } = this.#core;
    const codes = newRecoveryCodes(config.random, config.mfa.recoveryCodeCount);
    const createdAt = this.#core.now();
    const data = [];
    for (const code of codes)
      data.push({ userId, number: code.number, hash: await this.#hasher.hash(code.secret), createdAt });
    return {
      printed: codes.map(printRecoveryCode),
      writes: [db.recoveryCode.deleteMany({ where: { userId } }), db.recoveryCode.createMany({ data })],
    };
  }
}
