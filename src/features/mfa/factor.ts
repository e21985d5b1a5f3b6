import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import type { SecondFactor, SecondFactorName } from '../../core/sign-in/second-factors.js';
import type { UserRow } from '../../core/user.js';
import { parseSplitToken, secretMatches } from '../../crypto/split-token.js';

/** Authenticator apps and recovery codes as a second factor, and the browsers in which it need not be asked for. */
export class CodeFactor implements SecondFactor {
  readonly concerns = { totp: { isNot: null } };
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async factorsOf(userId: string): Promise<SecondFactorName[]> {
    const { db } = this.#core;
    const [totp, codes] = await Promise.all([
      db.totp.findUnique({ where: { userId }, select: { confirmedAt: true } }),
      db.recoveryCode.count({ where: { userId, usedAt: null } }),
    ]);
    const hasTotp = totp !== null && totp.confirmedAt !== null;
    return [...(hasTotp ? (['totp'] as const) : []), ...(codes > 0 ? (['recovery_code'] as const) : [])];
  }

  async trusts(user: UserRow, browserToken: string): Promise<boolean> {
    const parsed = parseSplitToken(browserToken);
    if (parsed === null) return false;
    const row = await this.#core.db.trustedDevice.findUnique({ where: { id: parsed.id } });
    return (
      row !== null &&
      secretMatches(parsed.secretHash, row.secretHash) &&
      row.userId === user.id &&
      row.epoch === user.sessionEpoch &&
      row.expiresAt > this.#core.now()
    );
  }

  endWithLastFactor(userId: string): Write[] {
    return [this.#core.db.recoveryCode.deleteMany({ where: { userId } })];
  }

  endWithChange(userId: string): Write[] {
    return [this.#core.db.trustedDevice.deleteMany({ where: { userId } })];
  }

  async hasAdded(userId: string, since: Date): Promise<boolean> {
    const added = { confirmedAt: { gte: since } };
    return (await this.#core.db.totp.count({ where: { userId, ...added } })) > 0;
  }

  removeAll(userId: string, since?: Date): Write[] {
    const { db } = this.#core;
    if (since !== undefined) {
      const added = { createdAt: { gte: since } };
      return [
        db.totp.deleteMany({ where: { userId, OR: [added, { confirmedAt: { gte: since } }] } }),
        db.recoveryCode.deleteMany({ where: { userId, ...added } }),
        db.trustedDevice.deleteMany({ where: { userId, ...added } }),
      ];
    }
    return [
      db.totp.deleteMany({ where: { userId } }),
      db.recoveryCode.deleteMany({ where: { userId } }),
      db.trustedDevice.deleteMany({ where: { userId } }),
    ];
  }
}
