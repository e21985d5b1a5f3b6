import { SYSTEM } from '../../actor.js';
import { isMissing, type UserFilter } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { SuperadminGuard } from '../access/superadmins.js';
import { BATCH, type Sweep } from '../sweep.js';
import { removalOf } from './removal.js';
import type { UserCore } from './user-core.js';

/** How long a sign-up may wait for its address to be confirmed. After that its address and username are free again. */
export const UNCONFIRMED_SECONDS = 7 * 86_400;

/**
 * Accounts whose address was never confirmed in the seven days since their sign-up.
 *
 * Only accounts that people made for themselves have a date by which they go; one that was imported or made by an administrator has none.
 * An account is kept for good once it was signed in to, holds a passkey, an API key, an identity of a provider, any role but the first, or
 * a scope of its own, or somebody has decided about it (a suspension, a deletion).
 */
export function unconfirmedAccountSweep(core: UserCore): Sweep {
  return {
    removes: 'accounts that were never confirmed',
    run: ({ now, signal }) => removeDue(core, { unconfirmedUntil: { lt: now } }, signal),
  };
}

async function removeDue(core: UserCore, due: UserFilter, signal: AbortSignal): Promise<number> {
  const { db } = core;
  const kept = await keptOf(core);
  let removed = 0;
  while (!signal.aborted) {
    // Rows without a date are not read again.
    const released = await db.user.updateMany({
      where: { AND: [due, kept] },
      data: { unconfirmedUntil: null },
      limit: BATCH,
    });
    const users = await db.user.findMany({
      where: { AND: [due, { NOT: kept }] },
      orderBy: [{ unconfirmedUntil: 'asc' }, { id: 'asc' }],
      take: BATCH,
    });
    const owners = await ownersAmong(
      core,
      users.map(({ id }) => id),
    );
    let isMoving = released.count > 0;
    for (const { id } of users) {
      if (signal.aborted) break;
      const answer = owners.has(id) ? 'needed' : await remove(core, id, { AND: [due, { NOT: kept }] });
      if (answer === 'needed') await db.user.updateMany({ where: { id }, data: { unconfirmedUntil: null } });
      if (answer === 'removed') removed += 1;
      isMoving ||= answer !== 'changed';
    }
    if (!isMoving || (released.count < BATCH && users.length < BATCH)) break;
  }
  return removed;
}

/** Accounts that are in use. */
async function keptOf({ roleStore }: UserCore): Promise<UserFilter> {
  const role = (await roleStore.current()).find('user');
  const first = { roleId: role?.id ?? '', scope: 'global', expiresAt: null };
  return {
    OR: [
      { emailVerifiedAt: { not: null } },
      { lastLoginAt: { not: null } },
      { suspendedAt: { not: null } },
      { deletedAt: { not: null } },
      { sessions: { some: {} } },
      { passkeys: { some: {} } },
      { socialAccounts: { some: {} } },
      { apiKeys: { some: {} } },
      { assignments: { some: { NOT: first } } },
    ],
  };
}

/** Those of the users who own a registered scope. */
async function ownersAmong({ db }: UserCore, ids: readonly string[]): Promise<ReadonlySet<string | null>> {
  const rows = await db.scopeNode.findMany({
    where: { ownerId: { in: [...ids] } },
    distinct: ['ownerId'],
    select: { ownerId: true },
  });
  return new Set(rows.map(({ ownerId }) => ownerId));
}

/** `changed` for an account that was confirmed or used at the same moment, `needed` for one to which a row of the host's own refers. */
async function remove(
  core: UserCore,
  id: string,
  where: UserFilter,
): Promise<'removed' | 'changed' | 'needed'> {
  const superadmins = new SuperadminGuard(core);
  try {
    await core.ledger.commit({
      writes: [
        // Misses when somebody became a superadmin since, who may be this user.
        ...superadmins.unaffected(await superadmins.observe()),
        ...(await removalOf(core, id, { where })),
      ],
      facts: [
        {
          type: 'user.deleted',
          reason: 'never_confirmed',
          actor: SYSTEM,
          target: { type: 'user', id },
        },
      ],
      invalidates: [`user:${id}`],
    });
    return 'removed';
  } catch (error) {
    if (isMissing(error)) return 'changed';
    if (!(error instanceof AuthTunaError) || error.code !== 'conflict') throw error;
    return 'needed';
  }
}
