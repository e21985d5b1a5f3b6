import { median } from './report.js';
import { startServer } from './servers.js';

/**
 * Starts a server for each row, measures them in turn (A B C, A B C, …) and ends them.
 *
 * In turn, so that whatever else the machine does meets all of them alike; a round that does not count comes first, so that the compiler has done
 * its work.
 * @returns for each row its `results`, one per round, and its resident memory `rss` in bytes afterwards
 */
export async function inRounds(rows, { databases, log, warmUpSeconds, rounds, seconds, settings }, measure) {
  const entries = [];
  try {
    for (const row of rows) {
      log(`starting ${row.name}`);
      const server = await startServer(databases, row.server, { ...row.settings, ...settings });
      entries.push({ row, server, results: [] });
    }
    log('warming up');
    for (const { row, server } of entries) await measure(server, row, warmUpSeconds);
    for (let round = 1; round <= rounds; round++) {
      log(`round ${round} of ${rounds}`);
      for (const { row, server, results } of entries) results.push(await measure(server, row, seconds));
    }
    for (const entry of entries) entry.rss = (await entry.server.ask('memory')).rss;
    return entries;
  } finally {
    for (const { server } of entries) await server.stop();
  }
}

/** Median over the rounds of one number of each result. */
export function medianOf(results, number) {
  return median(results.map(number));
}

/** Median of the ratios to the baseline of the same round, which cancels what slows both down. */
export function ratioOf(results, baseline, number) {
  return median(results.map((result, round) => number(result) / number(baseline[round])));
}
