import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { whenMissing } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { requireOwn } from '../../core/users/own-account.js';
import { hasOtherWayIn } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';

/** A passkey as its owner sees it. */
export interface Passkey {
  id: string;
  name: string;
  /** How a browser can reach it: `internal`, `hybrid`, `usb`, … */
  transports: string[];
  /** Copied between devices by its provider. */
  isBackedUp: boolean;
  createdAt: Date;
  lastUsedAt: Date | null;
}

/** {@link PasskeyManager.list} */
export async function listPasskeys({ db }: SignInCore, userId: string): Promise<Passkey[]> {
  const rows = await db.passkey.findMany({
    where: { userId },
    orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
  });
  return rows.map(toPasskey);
}

/** {@link PasskeyManager.rename} */
export async function renamePasskey(
  core: SignInCore,
  userId: string,
  id: string,
  name: string,
  actor: Actor,
): Promise<Passkey> {
  await requireOwn(core, userId, actor);
  const change = {
    writes: [core.db.passkey.update({ where: { id, userId }, data: { name } })],
    facts: [
      {
        type: 'passkey.renamed',
        actor,
        target: { type: 'user', id: userId },
        data: { passkeyId: id },
      } as const,
    ],
  };
  await core.ledger.commit(change).catch(whenMissing(noPasskey));
  const row = await core.db.passkey.findUnique({ where: { id } });
  if (row === null) throw noPasskey();
  return toPasskey(row);
}

/** {@link PasskeyManager.delete} */
export async function deletePasskey(
  core: SignInCore,
  userId: string,
  id: string,
  actor: Actor,
): Promise<SessionWithToken | null> {
  // The row is read first: raising its epoch below misses if another way in was taken away meanwhile.
  const user = await requireOwn(core, userId, actor);
  const rows = await core.db.passkey.findMany({ where: { userId } });
  const row = rows.find((candidate) => candidate.id === id);
  if (row === undefined) throw noPasskey();
  if (!(await hasOtherWayIn(core, userId, { passkeyId: id })))
    throw new AuthTunaError('conflict', {
      message: 'This is the only way to sign in to this account. Add another one first.',
      reason: 'last_way_in',
    });
  const { to, data } = noticeTo(core, user, actor);
  return core.secondFactors.commitChange(user, actor, {
    proof: null,
    writes: [core.db.passkey.delete({ where: { id, userId } })],
    facts: [
      { type: 'passkey.removed', actor, target: { type: 'user', id: userId }, data: { passkeyId: id } },
    ],
    mails: [{ template: 'passkey-removed', to, data: { ...data, passkeyName: row.name } }],
    ...(rows.length === 1 && { removed: 'passkey' }),
  });
}

export function toPasskey(row: Omit<Passkey, 'transports'> & { transports: string }): Passkey {
  const { id, name, transports, isBackedUp, createdAt, lastUsedAt } = row;
  return { id, name, transports: transports.split(' ').filter(Boolean), isBackedUp, createdAt, lastUsedAt };
}

function noPasskey(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such passkey.' });
}
