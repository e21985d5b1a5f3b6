import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';

/** Slugs that organizations had and that lead nowhere any more. */
export function oldSlugSweep({ db }: Runtime): Sweep {
  return {
    removes: 'old slugs',
    run: ({ endedBefore, signal }) =>
      inBatches(signal, (limit) =>
        db.organizationSlug.deleteMany({ where: { expiresAt: { lt: endedBefore } }, limit }),
      ),
  };
}
