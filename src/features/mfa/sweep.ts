import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';

/** Browsers that are trusted no longer. */
export function trustedBrowserSweep({ db }: Runtime): Sweep {
  return {
    removes: 'trusted browsers',
    run: ({ endedBefore, signal }) =>
      inBatches(signal, (limit) =>
        db.trustedDevice.deleteMany({ where: { expiresAt: { lt: endedBefore } }, limit }),
      ),
  };
}

/** Authenticator apps that no code confirmed. */
export function unconfirmedAppSweep({ db }: Runtime): Sweep {
  return {
    removes: 'unconfirmed authenticator apps',
    run: ({ endedBefore, signal }) =>
      inBatches(signal, (limit) =>
        db.totp.deleteMany({ where: { confirmedAt: null, createdAt: { lt: endedBefore } }, limit }),
      ),
  };
}
