import { setImmediate } from 'node:timers/promises';

/** One run of the clean-up, the same for all sweeps. */
export interface SweepRound {
  readonly now: Date;
  /** Rows that ended before this go: a day ago, so that until then a refusal can still say how something ended. */
  readonly endedBefore: Date;
  /** Aborted when the process stops; a sweep then ends with what it has removed. */
  readonly signal: AbortSignal;
}

/**
 * Removes the rows of one table that have ended. Each subject keeps its sweeps in a file `sweep.ts` beside its tables, and the clean-up job
 * runs the sweeps of all subjects.
 *
 * Nothing depends on a sweep: a row that has ended is refused whether or not it was removed. A statement finds its rows by an index and
 * removes at most {@link BATCH}, so no request waits long for it.
 */
export interface Sweep {
  /** The rows that it removes, in the plural, for the note of the job: `sessions`. */
  readonly removes: string;
  /** Returns how many rows were removed. */
  run(round: SweepRound): Promise<number>;
}

/** Rows that one statement may remove. */
export const BATCH = 500;

/**
 * Calls `removeSome` until it finds fewer rows than it may remove, or `atMost` are removed. Requests run in between.
 *
 * @returns how many rows were removed
 */
export async function inBatches(
  signal: AbortSignal,
  removeSome: (most: number) => PromiseLike<{ count: number }>,
  atMost = Number.POSITIVE_INFINITY,
): Promise<number> {
  let removed = 0;
  while (!signal.aborted && removed < atMost) {
    const most = Math.min(BATCH, atMost - removed);
    const { count } = await removeSome(most);
    removed += count;
    if (count < most) break;
    await setImmediate();
  }
  return removed;
}
