import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';
import { after } from '../../time.js';

const KEPT_SECONDS = 30 * 86_400; // a key that has ended stays in its owner's list for so long

/** Keys that were revoked or expired long ago. */
export function endedKeySweep({ db }: Runtime): Sweep {
  return {
    removes: 'API keys',
    async run({ now, signal }) {
      const before = { lt: after(now, -KEPT_SECONDS) };
      const revoked = await inBatches(signal, (limit) =>
        db.apiKey.deleteMany({ where: { revokedAt: before }, limit }),
      );
      const expired = await inBatches(signal, (limit) =>
        db.apiKey.deleteMany({ where: { expiresAt: before }, limit }),
      );
      return revoked + expired;
    },
  };
}
