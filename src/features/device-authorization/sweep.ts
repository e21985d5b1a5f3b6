import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';

/** Requests of tools that expired more than a day ago, answered or not. */
export function deviceAuthorizationSweep({ db }: Runtime): Sweep {
  return {
    removes: 'device authorizations',
    run: ({ endedBefore, signal }) =>
      inBatches(signal, (limit) =>
        db.deviceAuthorization.deleteMany({ where: { expiresAt: { lt: endedBefore } }, limit }),
      ),
  };
}
