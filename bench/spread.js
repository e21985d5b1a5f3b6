import { rowsOf } from './rows.js';
import { saturated } from './throughput.js';

export const title = 'Requests per second, 10,000 sessions spread out';

/**
 * As `throughput`, with requests spread over ten thousand people: a thousand sessions a second are due for a look at the database (V is ten
 * seconds). The lead is longer than that, or all of them would be due when a window begins.
 */
export async function measure({ databases, log, short, peersOnly, names, before }) {
  if (short) return 'Not in the short form: making ten thousand sessions alone takes longer.';
  const rows = rowsOf('spread', { short, peersOnly, names, before });
  return saturated(rows, { databases, log, warmUpSeconds: 5, leadSeconds: 11, rounds: 4, seconds: 10 });
}
