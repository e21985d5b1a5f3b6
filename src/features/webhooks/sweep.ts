import type { Runtime } from '../../core/runtime.js';
import { inBatches, type Sweep } from '../../core/sweep.js';
import { after } from '../../time.js';

const KEEP_DELIVERED_SECONDS = 7 * 86_400;
const KEEP_DEAD_SECONDS = 30 * 86_400;

/** Deliveries that arrived more than a week ago, or were given up more than 30 days ago. */
export function webhookDeliverySweep({ db }: Runtime): Sweep {
  return {
    removes: 'deliveries to webhooks',
    async run({ now, signal }) {
      const removed = await Promise.all(
        [
          { deliveredAt: { lt: after(now, -KEEP_DELIVERED_SECONDS) } },
          { deliveredAt: null, deadAt: { lt: after(now, -KEEP_DEAD_SECONDS) } },
        ].map((where) => inBatches(signal, (limit) => db.webhookDelivery.deleteMany({ where, limit }))),
      );
      return removed.reduce((sum, count) => sum + count, 0);
    },
  };
}
