import { rowsOf } from './rows.js';
import { ALL_CORES } from './support/cores.js';
import { atRate, saturate } from './support/load.js';
import { median, milliseconds, table } from './support/report.js';
import { inRounds } from './support/rounds.js';
import { startServer } from './support/servers.js';

export const title = 'Latency of /me while eight logins are always queued, and while 1,000 are';

/** Hashing takes every core; do people who are already signed in notice? Two hundred requests a second, on all cores. */
export async function measure(settings) {
  const rows = rowsOf('login-flood', settings);
  const few = await whileEightWait(rows, settings);
  const crowd = await whileACrowdWaits(
    rows.filter(({ server }) => server === 'authtuna'),
    settings,
  );
  return [
    latencies(few),
    'While 1,000 sign-ins wait (100 in the short form), most of which are refused with 503 in the end: first in the two seconds in which they come, then',
    latencies(crowd.map(({ row, coming }) => ({ row, results: coming }))),
    latencies(crowd.map(({ row, waiting }) => ({ row, results: waiting }))),
  ].join('\n\n');
}

const SERVER = { cores: ALL_CORES, passwords: 8 };
const ME = { perSecond: 200 };

function whileEightWait(rows, { databases, log, short }) {
  const form = short
    ? { warmUpSeconds: 0.2, rounds: 1, seconds: 0.8 }
    : { warmUpSeconds: 2, rounds: 3, seconds: 8 };
  return inRounds(rows, { databases, log, settings: SERVER, ...form }, async (server, _row, seconds) => {
    const [result] = await Promise.all([
      atRate(server.port, server.requests.me, { ...ME, seconds }),
      saturate(server.port, server.requests.login, { seconds, connections: 8, mayRefuse: true }),
    ]);
    return result;
  });
}

/** Without Express alone, whose bcrypt takes them all: minutes of work after the last client has gone. */
async function whileACrowdWaits(rows, { databases, log, short }) {
  const { rounds, comes, seconds, connections } = short
    ? { rounds: 1, comes: 0.4, seconds: 0.8, connections: 100 }
    : { rounds: 5, comes: 2, seconds: 8, connections: 1000 };
  const entries = [];
  for (const row of rows) {
    log(`starting ${row.name}, for ${connections} sign-ins at once`);
    const server = await startServer(databases, row.server, { ...row.settings, ...SERVER });
    const entry = { row, coming: [], waiting: [] };
    try {
      for (let round = 0; round <= rounds; round++) {
        const crowd = saturate(server.port, server.requests.login, {
          seconds: comes + seconds,
          connections,
          mayRefuse: true,
        });
        const coming = await atRate(server.port, server.requests.me, { ...ME, seconds: comes });
        const waiting = await atRate(server.port, server.requests.me, { ...ME, seconds });
        await crowd;
        if (round === 0 && !short) continue; // the compiler has not done its work
        entry.coming.push(coming);
        entry.waiting.push(waiting);
      }
    } finally {
      await server.stop();
    }
    entries.push(entry);
  }
  return entries;
}

function latencies(entries) {
  return table(
    ['', 'p50 ms', 'p99 ms'],
    entries.map(({ row, results }) => [
      nameOf(row),
      milliseconds(median(results.map(({ p50 }) => p50))),
      milliseconds(median(results.map(({ p99 }) => p99))),
    ]),
  );
}

function nameOf({ server, name }) {
  return server === 'authtuna' || server === 'better-auth' ? name : `${name}, bcrypt unbounded`;
}
