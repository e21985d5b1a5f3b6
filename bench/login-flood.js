import { rowsOf } from './rows.js';
import { ALL_CORES } from './support/cores.js';
import { atRate, saturate } from './support/load.js';
import { milliseconds, table } from './support/report.js';
import { inRounds, medianOf } from './support/rounds.js';

export const title = 'Latency of /me while eight logins are always queued, and while 1,000 are';

/** Hashing takes every core; do people who are already signed in notice? Two hundred requests a second, on all cores. */
export async function measure({ databases, log, short, peersOnly, names, before }) {
  const rows = rowsOf('login-flood', { short, peersOnly, names, before });
  const form = short
    ? { warmUpSeconds: 0.2, rounds: 1, seconds: 0.8 }
    : { warmUpSeconds: 2, rounds: 3, seconds: 8 };
  const settings = { cores: ALL_CORES, passwords: 8 };
  const entries = await inRounds(
    rows,
    { databases, log, settings, ...form },
    async (server, _row, seconds) => {
      const [result] = await Promise.all([
        atRate(server.port, server.requests.me, { perSecond: 200, seconds }),
        saturate(server.port, server.requests.login, { seconds, connections: 8, mayRefuse: true }),
      ]);
      return result;
    },
  );
  const waiting = short ? 100 : 1000;
  const crowds = await inRounds(
    rows.filter(({ server }) => server === 'authtuna' || server === 'bare'),
    { databases, log, settings, ...form },
    async (server, _row, seconds) => {
      const [result] = await Promise.all([
        atRate(server.port, server.requests.me, { perSecond: 200, seconds }),
        saturate(server.port, server.requests.login, { seconds, connections: waiting, mayRefuse: true }),
      ]);
      return result;
    },
  );
  return [
    latencies(entries),
    `While ${waiting} sign-ins wait, most of which are refused with 503 or 429:`,
    latencies(crowds),
  ].join('\n\n');
}

function latencies(entries) {
  return table(
    ['', 'p50 ms', 'p99 ms'],
    entries.map((entry) => [
      nameOf(entry.row),
      milliseconds(medianOf(entry, (result) => result.p50)),
      milliseconds(medianOf(entry, (result) => result.p99)),
    ]),
  );
}

function nameOf({ server, name }) {
  return server === 'authtuna' || server === 'better-auth' ? name : `${name}, bcrypt unbounded`;
}
