import type { Runtime } from '../runtime.js';
import { inBatches, type Sweep } from '../sweep.js';

/** Role assignments that expired. */
export function assignmentSweep({ db }: Runtime): Sweep {
  return {
    removes: 'assignments',
    run: ({ endedBefore, signal }) =>
      inBatches(signal, (limit) =>
        db.roleAssignment.deleteMany({ where: { expiresAt: { lt: endedBefore } }, limit }),
      ),
  };
}
