import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import type { SecondFactor, SecondFactorName } from '../../core/sign-in/second-factors.js';
import type { UserFilter } from '../../db/client.js';

/** Passkeys as a second factor, where the options say that they count as one. */
export class PasskeyFactor implements SecondFactor {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  get concerns(): UserFilter {
    return this.#core.config.passkeys.secondFactor ? { passkeys: { some: {} } } : { id: { in: [] } };
  }

  async factorsOf(userId: string): Promise<SecondFactorName[]> {
    if (!this.#core.config.passkeys.secondFactor) return [];
    return (await this.#core.db.passkey.count({ where: { userId } })) > 0 ? ['passkey'] : [];
  }

  async hasAdded(userId: string, since: Date): Promise<boolean> {
    return (await this.#core.db.passkey.count({ where: { userId, createdAt: { gte: since } } })) > 0;
  }

  removeAll(userId: string, since?: Date): Write[] {
    return [
      this.#core.db.passkey.deleteMany({
        where: { userId, ...(since !== undefined && { createdAt: { gte: since } }) },
      }),
    ];
  }
}
