import type { Runtime } from '../runtime.js';
import { inBatches, type Sweep } from '../sweep.js';

/** One-time tokens that expired or were used. */
export function tokenSweep({ db }: Runtime): Sweep {
  return {
    removes: 'one-time tokens',
    async run({ endedBefore, signal }) {
      const removeWhere = (where: object) =>
        inBatches(signal, (limit) => db.oneTimeToken.deleteMany({ where, limit }));
      const expired = await removeWhere({ expiresAt: { lt: endedBefore } });
      return expired + (await removeWhere({ usedAt: { lt: endedBefore } }));
    },
  };
}
