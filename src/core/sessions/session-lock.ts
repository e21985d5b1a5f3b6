import { isMissing } from '../../db/client.js';
import type { Fact } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { LoadedSession } from './session-row.js';

const DAY_MS = 86_400_000;

/** Whether a step-up was asked of the session within the last day by a sign that honest changes of network give as well. */
export function wasAskedToday(row: LoadedSession, now: Date): boolean {
  return row.networkLockedAt !== null && now.getTime() - row.networkLockedAt.getTime() < DAY_MS;
}

/**
 * Locks a session until a step-up, once, however many requests ask for it.
 *
 * @param isNetworkOnly an honest change of network looks the same: such a lock comes once a day at most
 */
export async function lockSession(
  { db, ledger }: Pick<Runtime, 'db'> & { ledger: Ledger },
  row: LoadedSession,
  fact: Omit<Fact, 'type' | 'outcome'>,
  now: Date,
  { isNetworkOnly }: { isNetworkOnly: boolean },
): Promise<void> {
  const lock = db.session.update({
    where: { id: row.id, generation: row.generation, lockedAt: null, revokedAt: null },
    data: { lockedAt: now, ...(isNetworkOnly && { networkLockedAt: now }) },
    select: { id: true },
  });
  const locked: Fact = { ...fact, type: 'session.locked', outcome: 'denied' };
  try {
    await ledger.commit({ writes: [lock], facts: [locked], invalidates: [`session:${row.id}`] });
  } catch (error) {
    if (!isMissing(error)) throw error; // somebody else locked or ended it first
  }
}
