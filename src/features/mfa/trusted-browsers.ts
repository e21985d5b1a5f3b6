import type { Actor } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Write } from '../../core/changes/ledger.js';
import { whenMissing } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { UserRow } from '../../core/user.js';
import { requireOwn } from '../../core/users/own-account.js';
import { issueSplitToken } from '../../crypto/split-token.js';
import { AuthTunaError } from '../../errors.js';
import { deviceLabel, deviceOf } from '../../net/user-agent.js';
import { after } from '../../time.js';

/** A browser in which the second factor is not asked for. */
export interface TrustedDevice {
  id: string;
  device: string | null;
  createdAt: Date;
  expiresAt: Date;
}

/** How long a browser is trusted. */
export const TRUST_SECONDS = 30 * 86_400;

/** Browsers in which the second factor is not asked for. */
export class TrustedBrowsers {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  async list(userId: string): Promise<TrustedDevice[]> {
    const rows = await this.#core.db.trustedDevice.findMany({
      where: { userId, expiresAt: { gt: this.#core.now() } },
      include: { user: { select: { sessionEpoch: true } } },
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
    });
    return rows
      .filter((row) => row.epoch === row.user.sessionEpoch)
      .map(({ id, device, createdAt, expiresAt }) => ({ id, device, createdAt, expiresAt }));
  }

  /** {@link MfaManager.revokeTrustedDevice} */
  async revoke(userId: string, id: string, actor: Actor): Promise<void> {
    await requireOwn(this.#core, userId, actor);
    await this.#core.ledger
      .commit({
        writes: [this.#core.db.trustedDevice.delete({ where: { id, userId } })],
        facts: [{ type: 'device.untrusted', actor, target: { type: 'user', id: userId }, data: { id } }],
      })
      .catch(whenMissing(() => new AuthTunaError('not_found')));
  }

  /** A token for the browser in which a user just passed, and what must be stored with the sign-in. */
  trust(user: UserRow, actor: Actor): { token: string; write: Write; fact: Fact } {
    const { db, config } = this.#core;
    const { token, id, secretHash } = issueSplitToken(config.random);
    const now = this.#core.now();
    const device = actor.userAgent === null ? null : deviceLabel(deviceOf(actor.userAgent));
    return {
      token,
      write: db.trustedDevice.create({
        data: {
          id,
          userId: user.id,
          secretHash,
          epoch: user.sessionEpoch,
          device,
          createdAt: now,
          expiresAt: after(now, TRUST_SECONDS),
        },
      }),
      fact: { type: 'device.trusted', actor, target: { type: 'user', id: user.id }, data: { id } },
    };
  }
}
