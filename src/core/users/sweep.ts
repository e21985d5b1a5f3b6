import { SYSTEM } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import { BATCH, type Sweep } from '../sweep.js';

/** How long a sign-up may wait for its address to be confirmed. After that its address and username are free again. */
export const UNCONFIRMED_SECONDS = 7 * 86_400;

type UnconfirmedCore = Runtime & { ledger: Ledger };

/**
 * Accounts whose address was never confirmed in the seven days since their sign-up.
 *
 * Only accounts that people made for themselves have a date by which they go; one that was imported or made by an administrator has none.
 * An account is kept for good once it was signed in to, holds a passkey or an identity of a provider, or somebody has decided about it
 * (a role, a suspension, a deletion).
 */
export function unconfirmedAccountSweep(core: UnconfirmedCore): Sweep {
  return {
    removes: 'accounts that were never confirmed',
    run: ({ now, signal }) => removeDue(core, { unconfirmedUntil: { lt: now } }, signal),
  };
}

async function removeDue(
  core: UnconfirmedCore,
  due: { unconfirmedUntil: { lt: Date } },
  signal: AbortSignal,
): Promise<number> {
  const { db } = core;
  const kept = {
    ...due,
    OR: [
      { emailVerifiedAt: { not: null } },
      { lastLoginAt: { not: null } },
      { suspendedAt: { not: null } },
      { deletedAt: { not: null } },
      { passkeys: { some: {} } },
      { socialAccounts: { some: {} } },
      { assignments: { some: { assignedById: { not: null } } } },
    ],
  };
  let removed = 0;
  while (!signal.aborted) {
    // Rows without a date are not read again.
    const released = await db.user.updateMany({
      where: kept,
      data: { unconfirmedUntil: null },
      limit: BATCH,
    });
    const users = await db.user.findMany({
      where: { ...due, NOT: { OR: kept.OR } },
      orderBy: [{ unconfirmedUntil: 'asc' }, { id: 'asc' }],
      take: BATCH,
    });
    for (const { id } of users) removed += (await remove(core, id)) ? 1 : 0;
    if (released.count < BATCH && users.length < BATCH) break;
  }
  return removed;
}

/** False for an account that was confirmed, used or referred to at the same moment. */
async function remove({ db, ledger, now }: UnconfirmedCore, id: string): Promise<boolean> {
  const where = { id, unconfirmedUntil: { lt: now() }, emailVerifiedAt: null, lastLoginAt: null };
  try {
    await ledger.commit({
      writes: [db.user.delete({ where })],
      facts: [
        {
          type: 'user.deleted',
          reason: 'never_confirmed',
          actor: SYSTEM,
          target: { type: 'user', id },
        },
      ],
    });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    if (!(error instanceof AuthTunaError) || error.code !== 'conflict') throw error;
    // A row of the host's own refers to the account, so somebody needs it.
    await db.user.updateMany({ where: { id }, data: { unconfirmedUntil: null } });
    return false;
  }
}
