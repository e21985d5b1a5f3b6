import { median } from './report.js';
import { startServer } from './servers.js';

/**
 * Measures each row beside the first one, in turn (A B, A B, …), and ends it before the next begins.
 *
 * In turn, so that whatever else the machine does meets both alike; two at a time, because a process that has nothing to do for a minute gives back
 * memory and compiled code, and is then measured while it fetches them again. A round that does not count comes first, so that the compiler has done
 * its work.
 * @returns for each row its `results`, one per round, those of the first row in the same rounds (`beside`), and its resident memory `rss` in bytes
 *   afterwards; the first row's own are all its rounds
 */
export async function inRounds(rows, { databases, log, warmUpSeconds, rounds, seconds, settings }, measure) {
  const start = (row) => startServer(databases, row.server, { ...row.settings, ...settings });
  const [first, ...others] = rows;
  log(`starting ${first.name}`);
  const baseline = { row: first, server: await start(first), results: [] };
  const entries = [baseline];
  try {
    await measure(baseline.server, first, warmUpSeconds);
    for (const row of others) {
      log(`starting ${row.name}`);
      const entry = { row, server: await start(row), results: [], beside: [] };
      try {
        await measure(entry.server, row, warmUpSeconds);
        log(`measuring ${row.name}, ${rounds} rounds`);
        for (let round = 0; round < rounds; round++) {
          entry.beside.push(await measure(baseline.server, first, seconds));
          entry.results.push(await measure(entry.server, row, seconds));
        }
        entry.rss = (await entry.server.ask('memory')).rss;
      } finally {
        await entry.server.stop();
      }
      baseline.results.push(...entry.beside);
      entries.push(entry);
    }
    baseline.beside = baseline.results;
    baseline.rss = (await baseline.server.ask('memory')).rss;
    return entries;
  } finally {
    await baseline.server.stop();
  }
}

/** Median over the rounds of one number of each result. */
export function medianOf({ results }, number) {
  return median(results.map(number));
}

/** Median of the ratios to the first row in the same round, which cancels what slows both down. */
export function ratioOf({ results, beside }, number) {
  return median(results.map((result, round) => number(result) / number(beside[round])));
}
