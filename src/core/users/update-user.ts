import { type Actor, requireUnrestricted } from '../../actor.js';
import type { User } from '../../auth.js';
import { type ExtraColumns, isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import { requireHostColumns } from '../host-columns.js';
import type { UserRow } from '../user.js';
import { requireEmail, requireUsername } from './new-user.js';
import { requireUserRow, takenBy, type UserCore } from './user-core.js';

/** What is left out stays as it is. */
export interface UserChange<U extends User = User> {
  email?: string;
  username?: string | null;
  emailVerified?: boolean;
  /** The host's own columns. */
  data?: Partial<ExtraColumns<U>>;
}

/** {@link UserManager.update} */
export async function updateUser<U extends User>(
  core: UserCore,
  id: string,
  change: UserChange<U>,
  actor: Actor,
): Promise<void> {
  await requireUnrestricted(actor);
  if (actor.userId !== id) await core.access.requireAbove(actor, id, 'users:manage');
  // A user cannot confirm their own address by saying so; changing it is for the mailed link.
  else if (change.emailVerified !== undefined || change.email !== undefined)
    await core.access.require(actor, 'users:manage');
  const user = await requireUserRow(core, id);
  const email = change.email === undefined ? user.email : requireEmail(change.email);
  const username = requireUsername(change.username);
  requireHostColumns('user', change.data);
  const now = core.now();
  try {
    await core.ledger.commit({
      writes: [
        core.db.user.update({
          where: { id, email: user.email },
          data: {
            ...change.data,
            email,
            emailVerifiedAt: verifiedAt(user, email, change.emailVerified, now),
            ...(change.emailVerified === true && { unconfirmedUntil: null }),
            updatedAt: now,
            ...(change.username !== undefined && username),
          },
        }),
        ...(email === user.email ? [] : addressChanged(core, user, actor)),
        // A link that somebody else asked for must not become a way in because an administrator vouches for the address.
        ...(change.emailVerified === true && email === user.email
          ? [core.tokens.revokeAll(user.id, ['verify_email'])]
          : []),
      ],
      facts: [
        { type: 'user.updated', actor, target: { type: 'user', id }, data: { fields: Object.keys(change) } },
      ],
      invalidates: [`user:${id}`],
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw await takenBy(core, { id, email, username: username.username });
    throw isMissing(error) ? new AuthTunaError('conflict') : error;
  }
}

function verifiedAt(user: UserRow, email: string, isVerified: boolean | undefined, now: Date): Date | null {
  if (isVerified === undefined) return email === user.email ? user.emailVerifiedAt : null;
  return isVerified ? (user.emailVerifiedAt ?? now) : null;
}

/** Ends the sessions and the mailed links of the former address. */
function addressChanged(core: UserCore, user: UserRow, actor: Actor): Write[] {
  return [
    ...core.sessions.revokeAllWrites(user, { reason: 'email_changed' }),
    core.tokens.revokeAll(user.id),
    // A user's own change can be undone by the link in the former mailbox, because a thief may have made it. An administrator's cannot.
    ...(actor.userId === user.id ? [] : [core.tokens.revokeUndos(user.id)]),
  ];
}
