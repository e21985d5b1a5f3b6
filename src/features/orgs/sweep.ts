import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';
import { after } from '../../time.js';

const SHOWN_SECONDS = 30 * 86_400; // how long a link that has expired stays in the list

/** Invitation links that expired more than 30 days ago. */
export function oldLinkSweep({ db, now }: Runtime): Sweep {
  return {
    removes: 'old invitation links',
    run: ({ signal }) =>
      inBatches(signal, (limit) =>
        db.organizationInvitationLink.deleteMany({
          where: { expiresAt: { lt: after(now(), -SHOWN_SECONDS) } },
          limit,
        }),
      ),
  };
}

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
