import { rowsOf } from './rows.js';
import { saturate } from './support/load.js';
import { mebibytes, milliseconds, ratio, table, whole } from './support/report.js';
import { inRounds, medianOf, ratioOf } from './support/rounds.js';

export const title = 'Requests per second';

/**
 * Thirty-two connections that never pause, on `GET /me` and on a route guarded by a permission.
 *
 * Processor time per request is the server's own, without the database's; unlike requests per second it hardly changes
 * when the machine has other work too.
 */
export function measure({ databases, log, short, peersOnly, names, before }) {
  const rows = rowsOf('throughput', { short, peersOnly, names, before });
  const form = short
    ? { warmUpSeconds: 0.6, leadSeconds: 0.1, rounds: 3, seconds: 0.4 }
    : { warmUpSeconds: 6, leadSeconds: 1.5, rounds: 8, seconds: 1 }; // many short ones: a machine that is shared changes its speed every few seconds
  return saturated(rows, { databases, log, ...form });
}

/** The table of rows under a load that never pauses. Before each window comes a lead that does not count: whoever had nothing to do is slower at first. */
export async function saturated(rows, { databases, log, leadSeconds, ...form }) {
  const entries = await inRounds(rows, { databases, log, ...form }, async (server, row, seconds) => {
    const result = {};
    for (const subject of row.subjects) {
      await load(server, subject, leadSeconds);
      result[subject] = await load(server, subject, seconds);
    }
    return result;
  });
  const lines = ['me', 'guarded'].flatMap((subject) =>
    entries
      .filter(({ row }) => row.subjects.includes(subject))
      .map((entry) => [
        entry.row.name,
        PATHS[subject],
        whole(medianOf(entry, (result) => result[subject].perSecond)),
        ratio(ratioOf(entry, (result) => result[subject].perSecond)),
        milliseconds(medianOf(entry, (result) => result[subject].p50)),
        milliseconds(medianOf(entry, (result) => result[subject].p99)),
        whole(medianOf(entry, (result) => result[subject].cpu)),
        ratio(1 / ratioOf(entry, (result) => result[subject].cpu)),
        whole(cookiesSet(entry.server.requests[subject])),
        mebibytes(entry.rss),
      ]),
  );
  return table(COLUMNS, lines);
}

const PATHS = { me: '/me', guarded: '/projects/:id' };
const COLUMNS = [
  '',
  'route',
  'requests/s',
  'to Express',
  'p50 ms',
  'p99 ms',
  'CPU µs each',
  'Express to it',
  'Set-Cookie',
  'MiB',
];

async function load(server, subject, seconds) {
  const before = await server.ask('cpu');
  const result = await saturate(server.port, server.requests[subject], { seconds });
  return { ...result, cpu: ((await server.ask('cpu')) - before) / result.answers };
}

function cookiesSet(requests) {
  return [...new Set(requests.map(({ jar }) => jar))].reduce((sum, jar) => sum + jar.cookiesSet, 0);
}
