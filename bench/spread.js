import { rowsOf } from './rows.js';
import { mebibytes, milliseconds, ratio, table, whole } from './support/report.js';
import { inRounds, medianOf, ratioOf } from './support/rounds.js';
import { load, PATHS } from './throughput.js';

export const title = 'Requests per second, 10,000 sessions spread out';

/**
 * Thirty-two connections that never pause, their requests spread over ten thousand people: a thousand sessions a second are due for a look
 * at the database (V is ten seconds). Before each window comes as long a one that does not count, or all of them would be due at once.
 */
export async function measure({ databases, log, short, peersOnly, names }) {
  if (short) return 'Not in the short form: making ten thousand sessions alone takes longer.';
  const rows = rowsOf('spread', { short, peersOnly, names });
  const form = { warmUpSeconds: 5, rounds: 4, seconds: 10 };
  const leadSeconds = 11;
  const entries = await inRounds(rows, { databases, log, ...form }, async (server, row, seconds) => {
    const result = {};
    for (const subject of row.subjects) {
      await load(server, subject, leadSeconds);
      result[subject] = await load(server, subject, seconds);
    }
    return result;
  });
  const baseline = entries[0].results;
  const lines = ['me', 'guarded'].flatMap((subject) =>
    entries.map(({ row, results, rss }) => [
      row.name,
      PATHS[subject],
      whole(medianOf(results, (result) => result[subject].perSecond)),
      ratio(ratioOf(results, baseline, (result) => result[subject].perSecond)),
      milliseconds(medianOf(results, (result) => result[subject].p50)),
      milliseconds(medianOf(results, (result) => result[subject].p99)),
      whole(medianOf(results, (result) => result[subject].cpu)),
      mebibytes(rss),
    ]),
  );
  return table(['', 'route', 'requests/s', 'to Express', 'p50 ms', 'p99 ms', 'CPU µs each', 'MiB'], lines);
}
