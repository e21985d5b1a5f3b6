import type { Actor } from '../../actor.js';
import { ownershipsEnded } from '../access/org-owners.js';
import { SuperadminGuard } from '../access/superadmins.js';
import { scopesChanged } from '../access/versions.js';
import type { Write } from '../changes/ledger.js';
import { noUser, whenMissing } from '../refusals.js';
import { standInFor } from '../tokens/recipient.js';
import type { UserRow } from '../user.js';
import { requireMayEnd } from './own-account.js';
import { removalOf, whyNotEnded } from './removal.js';
import type { UserCore } from './user-core.js';

/** {@link UserManager.erase} */
export async function eraseUser(core: UserCore, id: string, actor: Actor): Promise<void> {
  const { db } = core;
  if (actor.userId === id) await requireMayEnd(id, actor);
  else await core.access.requireAbove(actor, id, 'users:manage');
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [user, held] = await Promise.all([db.user.findUnique({ where: { id } }), superadmins.heldBy(id)]);
  if (user === null) throw noUser();
  await core.ledger
    .commit({
      writes: [
        ...(held > 0 ? superadmins.removed(user, seen, held) : superadmins.unaffected(seen)),
        db.user.update({ where: { id, email: user.email }, data: { sessionEpoch: { increment: 0 } } }),
        ...(await ownershipsEnded(db, await core.roleStore.current(), id)),
        db.roleAssignment.deleteMany({ where: { userId: id } }),
        // In the accounts of others the erased user acts no longer.
        ...core.sessions.revokeAllWrites(user, { reason: 'erased' }),
        ...tracesRemoved(core, user),
        ...(await removalOf(core, id)),
        scopesChanged(db),
      ],
      facts: [{ type: 'user.erased', actor, target: { type: 'user', id } }],
      invalidates: [`user:${id}`, 'scope:global'],
    })
    .catch(whenMissing(() => whyNotEnded(core, user)));
}

/** The writes that remove what names the person in rows that do not refer to the account. */
function tracesRemoved(core: UserCore, { id, email, emailVerifiedAt }: UserRow): Write[] {
  const { db, keys } = core;
  return [
    db.throttle.deleteMany({ where: { userId: id } }),
    db.outboxMessage.deleteMany({ where: { recipient: keys.lookup(`mail ${email}`) } }),
    db.roleAssignment.updateMany({ where: { assignedById: id }, data: { assignedById: null } }),
    db.teamAssignment.updateMany({ where: { assignedById: id }, data: { assignedById: null } }),
    // An address that was never confirmed may be another person's, and so is what that person was sent.
    ...(emailVerifiedAt === null
      ? []
      : [
          db.organizationInvitation.deleteMany({ where: { email } }),
          db.oneTimeToken.deleteMany({ where: { subject: standInFor(core, email).id } }),
        ]),
  ];
}
