import { after } from '../../time.js';
import type { Runtime } from '../runtime.js';
import { inBatches, type Sweep, type SweepRound } from '../sweep.js';

const DAY = 86_400;
const FORGOTTEN_SECONDS = 7 * DAY;
// The count of consecutive failures is forgotten by a success, not by a pause.
const CONSECUTIVE_FORGOTTEN_SECONDS = 366 * DAY;
// Strangers make these rows by guessing at names. A row is about 150 bytes, and honest people leave fewer than this in a year.
const MAX_THROTTLE_ROWS = 250_000;

/**
 * The order in which counters go when there are too many: those that say least first, each class with the age it must have. Counts on their
 * way to the limit of LG-5 go last.
 */
const EXPENDABLE = [
  { counts: { consecutive: { lte: 1 }, failures: { lte: 1 } }, ageSeconds: DAY },
  { counts: { consecutive: { lte: 1 }, failures: { lte: 1 } }, ageSeconds: 0 },
  { counts: { consecutive: { lte: 4 }, failures: { lte: 4 } }, ageSeconds: DAY },
  { counts: { consecutive: { lte: 4 }, failures: { lte: 4 } }, ageSeconds: 0 },
  { counts: { consecutive: { lt: 100 } }, ageSeconds: 0 },
];

/** Counters of guesses: those that are forgotten, and the least telling where strangers made too many. */
export function throttleSweep({ db }: Runtime, { maxRows = MAX_THROTTLE_ROWS } = {}): Sweep {
  /** Oldest first. Each statement begins at the time where the last one ended, so rows that stay are read once. */
  async function removeOldest(
    { signal, now }: SweepRound,
    counts: object,
    ageSeconds: number,
    atMost = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const oldEnough = { ...counts, blockedUntil: { lte: now } };
    const until = after(now, -ageSeconds);
    let from = new Date(0);
    return inBatches(
      signal,
      async (take) => {
        const rows = await db.throttle.findMany({
          where: { ...oldEnough, seenAt: { gte: from, lte: until } },
          orderBy: { seenAt: 'asc' },
          select: { key: true, seenAt: true },
          take,
        });
        const last = rows.at(-1);
        if (last === undefined) return { count: 0 };
        from = last.seenAt;
        // With the same conditions again: a guess since then keeps its row.
        return db.throttle.deleteMany({
          where: { ...oldEnough, key: { in: rows.map(({ key }) => key) }, seenAt: { lte: until } },
        });
      },
      atMost,
    );
  }

  return {
    removes: 'throttle counters',
    async run(round) {
      let removed = await removeOldest(round, { consecutive: 0 }, FORGOTTEN_SECONDS);
      removed += await removeOldest(round, {}, CONSECUTIVE_FORGOTTEN_SECONDS);
      let surplus = (await db.throttle.count({})) - maxRows;
      for (const { counts, ageSeconds } of EXPENDABLE) {
        if (surplus <= 0) break;
        const gone = await removeOldest(round, counts, ageSeconds, surplus);
        surplus -= gone;
        removed += gone;
      }
      return removed;
    },
  };
}

/** Counters of rate limits whose window has passed. */
export function rateWindowSweep({ db }: Runtime): Sweep {
  return {
    removes: 'rate windows',
    run: ({ now, signal }) =>
      inBatches(signal, (limit) => db.rateWindow.deleteMany({ where: { expiresAt: { lt: now } }, limit })),
  };
}
