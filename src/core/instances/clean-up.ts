import { after } from '../../time.js';
import type { Runtime } from '../runtime.js';
import type { Sweep } from '../sweep.js';
import type { Job } from './jobs.js';

const EVERY_SECONDS = 3600;
const KEPT_SECONDS = 86_400;

/** The job that removes rows which have ended, by the sweeps of all subjects. A sweep that fails does not keep the others from their rows. */
export function cleanUp({ now }: Runtime, sweeps: readonly Sweep[]): Job {
  return {
    name: 'clean-up',
    everySeconds: EVERY_SECONDS,
    async run(signal) {
      const at = now();
      const round = { now: at, endedBefore: after(at, -KEPT_SECONDS), signal };
      const removed: string[] = [];
      const failures: unknown[] = [];
      for (const sweep of sweeps) {
        try {
          const count = await sweep.run(round);
          if (count > 0) removed.push(`${count} ${sweep.removes}`);
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
      return removed.length === 0 ? 'removed nothing' : `removed ${removed.join(', ')}`;
    },
  };
}
