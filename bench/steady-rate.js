import { rowsOf } from './rows.js';
import { ALL_CORES } from './support/cores.js';
import { atRate } from './support/load.js';
import { milliseconds, ratio, table } from './support/report.js';
import { inRounds, medianOf, ratioOf } from './support/rounds.js';

const PER_SECOND = 500;

export const title = `Latency of /me at ${PER_SECOND} requests per second`;

/** What a user notices on a server that is not at its limit, on all cores: the garbage collector has threads of its own. */
export async function measure({ databases, log, short, peersOnly, names, before }) {
  const rows = rowsOf('steady-rate', { short, peersOnly, names, before });
  const form = short
    ? { warmUpSeconds: 0.6, leadSeconds: 0.1, rounds: 3, seconds: 0.4 }
    : { warmUpSeconds: 15, leadSeconds: 3, rounds: 6, seconds: 8 };
  const settings = { cores: ALL_CORES };
  const entries = await inRounds(
    rows,
    { databases, log, settings, ...form },
    async (server, _row, seconds) => {
      const load = (duration) =>
        atRate(server.port, server.requests.me, { perSecond: PER_SECOND, seconds: duration });
      await load(form.leadSeconds); // a server that had nothing to do has let go of memory, and is slower until it has it back
      return load(seconds);
    },
  );
  return table(
    ['', 'p50 ms', 'p99 ms', 'p99 to Express'],
    entries.map((entry) => [
      entry.row.name,
      milliseconds(medianOf(entry, (result) => result.p50)),
      milliseconds(medianOf(entry, (result) => result.p99)),
      ratio(ratioOf(entry, (result) => result.p99)),
    ]),
  );
}
