import { after } from '../../time.js';
import type { Runtime } from '../runtime.js';
import { inBatches, type Sweep } from '../sweep.js';

/** Sessions that were revoked, that passed their absolute limit, or that idled out. */
export function sessionSweep({ db, config }: Runtime): Sweep {
  const removeWhere = (signal: AbortSignal, where: object) =>
    inBatches(signal, (limit) => db.session.deleteMany({ where, limit }));
  const idleFrom = config.session.lifetimeFrom === 'creation' ? 'createdAt' : 'lastSeenAt';
  return {
    removes: 'sessions',
    async run({ endedBefore, signal }) {
      let removed = await removeWhere(signal, { absoluteExpiresAt: { lt: endedBefore } });
      removed += await removeWhere(signal, { revokedAt: { lt: endedBefore } });
      // One statement for each idle limit in use: with an equal first column the index finds exactly the rows that idled out.
      for await (const idleSeconds of idleLimits(db)) {
        if (signal.aborted) break;
        const idledOut = { idleSeconds, [idleFrom]: { lt: after(endedBefore, -idleSeconds) } };
        removed += await removeWhere(signal, idledOut);
      }
      return removed;
    },
  };
}

/** The different idle limits that sessions have, each found by one look into the index. */
async function* idleLimits(db: Runtime['db']): AsyncGenerator<number> {
  let last = -1;
  while (true) {
    const next = await db.session.findFirst({
      where: { idleSeconds: { gt: last } },
      orderBy: { idleSeconds: 'asc' },
      select: { idleSeconds: true },
    });
    if (next === null) return;
    last = next.idleSeconds;
    yield last;
  }
}
