import { rowsOf } from './rows.js';
import { ALL_CORES, CORES } from './support/cores.js';
import { saturate } from './support/load.js';
import { ratio, table } from './support/report.js';
import { inRounds, medianOf, ratioOf } from './support/rounds.js';

export const title = 'Logins per second';

/**
 * Twice as many people as cores sign in again and again, on all cores.
 *
 * The first row does nothing but one native bcrypt comparison at cost 12: no login that hashes so can be faster.
 */
export async function measure({ databases, log, short, peersOnly, names, before }) {
  const rows = rowsOf('logins', { short, peersOnly, names, before });
  const form = short
    ? { warmUpSeconds: 0.2, rounds: 1, seconds: 0.8 }
    : { warmUpSeconds: 60, rounds: 5, seconds: 8 }; // some hundred logins: until then V8 still compiles, on threads of its own
  const settings = { cores: ALL_CORES, passwords: 8 };
  const entries = await inRounds(rows, { databases, log, settings, ...form }, (server, _row, seconds) =>
    saturate(server.port, server.requests.login, { seconds, connections: 2 * CORES }),
  );
  return table(
    ['', 'logins/s', 'to the limit'],
    entries.map((entry) => [
      nameOf(entry.row),
      medianOf(entry, (result) => result.perSecond).toFixed(1),
      ratio(ratioOf(entry, (result) => result.perSecond)),
    ]),
  );
}

function nameOf({ server, name }) {
  if (server === 'bare') return 'One bcrypt comparison (the limit)';
  return server === 'better-auth' ? `${name} (scrypt, not bcrypt)` : name;
}
