import { sendEach } from './support/load.js';
import { mebibytes, table, whole } from './support/report.js';
import { startServer } from './support/servers.js';

const RECHECK_SECONDS = 300; // so that none is dropped while the others arrive

export const title = 'Memory per cached session';

/**
 * What the session cache keeps, from the growth between two fill levels: whatever a server needs anyway cancels out.
 *
 * The sessions are made by an earlier process at the same address, so that making them leaves nothing behind.
 */
export async function measure({ databases, log, short, peersOnly }) {
  if (peersOnly) return 'Not measured: only the peers took part.';
  const [few, most] = short ? [100, 500] : [5_000, 20_000];
  log(`making ${most} sessions`);
  const maker = await startServer(databases, 'authtuna', { database: 'sqlite', sessions: most });
  const requests = maker.requests.me;
  const { port, databaseUrl } = maker;
  await maker.stop();

  const server = await startServer(databases, 'authtuna', {
    databaseUrl,
    port,
    sessions: 0,
    recheckSeconds: RECHECK_SECONDS,
  });
  try {
    log('filling the cache');
    await sendEach(port, requests.slice(0, few));
    const before = await server.ask('memory');
    await sendEach(port, requests.slice(few));
    const after = await server.ask('memory');
    const each = (number) => whole((after[number] - before[number]) / (most - few));
    return table(
      ['sessions', 'resident bytes each', 'heap bytes each', 'resident MiB at the end'],
      // A few hundred sessions fit into pages that are there already, which says nothing.
      [[whole(most), short ? '–' : each('rss'), each('heapUsed'), mebibytes(after.rss)]],
    );
  } finally {
    await server.stop();
  }
}
