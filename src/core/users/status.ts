import type { Actor } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { ownershipsEnded } from '../access/org-owners.js';
import { LAST_SUPERADMIN, SuperadminGuard } from '../access/superadmins.js';
import { scopesChanged } from '../access/versions.js';
import { accountChanged, type Write } from '../changes/ledger.js';
import type { Topic } from '../invalidation.js';
import { invalid, noUser } from '../refusals.js';
import type { UserRow } from '../user.js';
import { keysEnded } from './ended-keys.js';
import { requireMayEnd } from './own-account.js';
import { whyNotEnded } from './removal.js';
import { basicRoleWrites, requireUserRow, type UserCore } from './user-core.js';

/** {@link UserManager.suspend} */
export async function suspendUser(
  core: UserCore,
  id: string,
  reason: string,
  actor: Actor,
  until: Date | undefined,
): Promise<void> {
  if (actor.userId === id) throw new AuthTunaError('conflict', { message: 'You cannot suspend yourself.' });
  await core.access.requireAbove(actor, id, 'users:manage');
  const { user, superadmins, seen, held } = await observed(core, id);
  const now = core.now();
  if (until !== undefined && !(until > now)) throw invalid('until', 'in_past', 'must be in the future');
  await commit(core, user, { type: 'user.suspended', actor, reason }, [
    ...(held > 0 ? superadmins.removed(user, seen, held) : superadmins.unaffected(seen)),
    ...core.sessions.revokeAllWrites(user, { reason: 'suspended' }),
    core.tokens.revokeAll(id),
    core.db.user.update({
      where: { id },
      data: { suspendedAt: now, suspendedUntil: until ?? null, suspendedReason: reason, updatedAt: now },
    }),
  ]);
}

/** {@link UserManager.unsuspend} */
export async function unsuspendUser(core: UserCore, id: string, reason: string, actor: Actor): Promise<void> {
  await core.access.requireAbove(actor, id, 'users:manage');
  const { user, superadmins, seen, held } = await observed(core, id);
  if (user.suspendedAt === null) return;
  await commit(core, user, { type: 'user.unsuspended', actor, reason }, [
    // The counter comes before the user, in the same order as in `suspendUser`, so that two such batches cannot deadlock.
    ...superadmins.unaffected(seen),
    core.db.user.update({
      where: { id, suspendedAt: user.suspendedAt },
      data: { suspendedAt: null, suspendedUntil: null, suspendedReason: null, updatedAt: core.now() },
    }),
    ...(held > 0 ? superadmins.added({ id, suspendedAt: null }, seen, held) : []),
  ]);
}

/** {@link UserManager.delete} */
export async function deleteUser(core: UserCore, id: string, actor: Actor): Promise<void> {
  if (actor.userId === id) await requireMayEnd(id, actor);
  else await core.access.requireAbove(actor, id, 'users:manage');
  const { user, superadmins, seen, held } = await observed(core, id);
  const now = core.now();
  await commit(
    core,
    user,
    { type: 'user.deleted', actor },
    [
      ...(held > 0 ? superadmins.removed(user, seen, held) : superadmins.unaffected(seen)),
      core.db.user.update({ where: { id, deletedAt: null }, data: { deletedAt: now, updatedAt: now } }),
      ...(await ownershipsEnded(core.db, await core.roleStore.current(), id)),
      core.db.roleAssignment.deleteMany({ where: { userId: id } }),
      ...core.sessions.revokeAllWrites(user, { reason: 'deleted' }),
      core.tokens.revokeAll(id),
      ...belongingsEnded(core, id),
    ],
    ['scope:global'],
  );
}

/** {@link UserManager.restore} */
export async function restoreUser(core: UserCore, id: string, actor: Actor): Promise<void> {
  await core.access.requireAbove(actor, id, 'users:manage');
  const user = await core.db.user.findUnique({ where: { id } });
  if (user === null) throw noUser();
  if (user.deletedAt === null) return;
  const now = core.now();
  await commit(
    core,
    user,
    { type: 'user.restored', actor },
    [
      core.db.user.update({
        where: { id, deletedAt: user.deletedAt },
        data: { deletedAt: null, updatedAt: now },
      }),
      // Removes what was given while the account was being deleted.
      core.db.roleAssignment.deleteMany({ where: { userId: id } }),
      ...(user.kind === 'service' ? [] : await basicRoleWrites(core, id, actor.userId, now)),
      ...belongingsEnded(core, id),
    ],
    ['scope:global'],
  );
}

/** The writes that end the API keys of a user and leave the scopes that they own without an owner. */
function belongingsEnded(core: UserCore, id: string): Write[] {
  return [
    keysEnded(core, id, 'deleted'),
    core.db.scopeNode.updateMany({ where: { ownerId: id }, data: { ownerId: null } }),
    scopesChanged(core.db),
  ];
}

/** The user, and how many superadmin assignments they hold. The superadmin counter is read first, so a change since then is noticed. */
async function observed(core: UserCore, id: string) {
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [user, held] = await Promise.all([requireUserRow(core, id), superadmins.heldBy(id)]);
  return { user, superadmins, seen, held };
}

async function commit(
  core: UserCore,
  user: UserRow,
  fact: { type: EventType; actor: Actor; reason?: string },
  writes: Write[],
  topics: readonly Topic[] = [],
): Promise<void> {
  try {
    await core.ledger.commit({
      writes,
      facts: [{ ...fact, target: { type: 'user', id: user.id } }],
      invalidates: [`user:${user.id}`, ...topics],
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (fact.type === 'user.deleted') throw await whyNotEnded(core, user);
    if (await new SuperadminGuard(core).isLast(user))
      throw new AuthTunaError('conflict', { message: LAST_SUPERADMIN });
    throw accountChanged();
  }
}
