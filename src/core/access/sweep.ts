import type { Runtime } from '../runtime.js';
import { inBatches, type Sweep } from '../sweep.js';

/** Role assignments that expired, of people and of teams. */
export function assignmentSweep({ db }: Runtime): Sweep {
  return {
    removes: 'assignments',
    async run({ endedBefore, signal }) {
      const where = { expiresAt: { lt: endedBefore } };
      const ofPeople = await inBatches(signal, (limit) => db.roleAssignment.deleteMany({ where, limit }));
      return ofPeople + (await inBatches(signal, (limit) => db.teamAssignment.deleteMany({ where, limit })));
    },
  };
}
