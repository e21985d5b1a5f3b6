import type { Actor } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { SuperadminGuard } from '../access/superadmins.js';
import { scopesChanged } from '../access/versions.js';
import { accountChanged } from '../changes/ledger.js';
import { noUser } from '../refusals.js';
import type { UserCore } from './user-core.js';

/** {@link UserManager.erase} */
export async function eraseUser(core: UserCore, id: string, actor: Actor): Promise<void> {
  const { db, keys } = core;
  if (actor.userId !== id) await core.access.requireAbove(actor, id, 'users:manage');
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [user, held] = await Promise.all([db.user.findUnique({ where: { id } }), superadmins.heldBy(id)]);
  if (user === null) throw noUser();
  try {
    await core.ledger.commit({
      writes: [
        ...(held > 0 ? superadmins.removed(user, seen, held) : superadmins.unaffected(seen)),
        db.oneTimeToken.deleteMany({ where: { subject: id } }),
        db.outboxMessage.deleteMany({ where: { recipient: keys.lookup(`mail ${user.email}`) } }),
        db.roleAssignment.updateMany({ where: { assignedById: id }, data: { assignedById: null } }),
        db.scopeNode.updateMany({ where: { ownerId: id }, data: { ownerId: null } }),
        // In the accounts of others the erased user acts no longer.
        db.session.updateMany({
          where: { impersonatorId: id, revokedAt: null },
          data: { revokedAt: core.now(), revokedReason: 'erased' },
        }),
        // Sessions, credentials, factors, identities and roles refer to the user, and go with it.
        db.user.delete({ where: { id, email: user.email } }),
        scopesChanged(db),
      ],
      facts: [{ type: 'user.erased', actor, target: { type: 'user', id } }],
      invalidates: [`user:${id}`, 'scope:global'],
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (!(await superadmins.isLast(user))) throw accountChanged();
    throw new AuthTunaError('conflict', { message: 'The last superadmin cannot be removed.' });
  }
}
