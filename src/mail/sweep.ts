import type { Runtime } from '../core/runtime.js';
import { inBatches, type Sweep } from '../core/sweep.js';
import { after } from '../time.js';

const KEEP_SENT_SECONDS = 7 * 86_400;

/** Mails that were sent more than a week ago. Mails that were given up stay until a person retries them. */
export function sentMailSweep({ db }: Runtime): Sweep {
  return {
    removes: 'sent mails',
    run: ({ now, signal }) =>
      inBatches(signal, (limit) =>
        db.outboxMessage.deleteMany({ where: { sentAt: { lt: after(now, -KEEP_SENT_SECONDS) } }, limit }),
      ),
  };
}
