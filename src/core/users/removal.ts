import type { UserFilter } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { LAST_OWNER, ownerAssignments, soleOwnership } from '../access/org-owners.js';
import type { RoleStore } from '../access/role-store.js';
import { LAST_SUPERADMIN, SuperadminGuard, superadminAssignments } from '../access/superadmins.js';
import { accountChanged, type Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { UserRow } from '../user.js';
import type { UserCore } from './user-core.js';

/**
 * The writes that remove a user with everything that refers to the row: sessions, credentials, factors, identities and roles. Nothing else
 * deletes rows of users.
 *
 * They miss, and so undo the batch, for a user who counts as a superadmin or as an owner of an organization. Where that may be, writes before
 * these take it away together with its count.
 *
 * @param where what must still be so of the user
 * @param goingScopes scopes that go in the same batch, with all that is held there
 */
export async function removalOf(
  { db, roleStore, tokens }: Pick<UserCore, 'db' | 'roleStore' | 'tokens'>,
  id: string,
  { where = {}, goingScopes = [] }: { where?: UserFilter; goingScopes?: readonly string[] } = {},
): Promise<Write[]> {
  const catalog = await roleStore.current();
  const counted = [superadminAssignments(catalog), ownerAssignments(catalog)];
  return [
    // Waits for a batch that makes the user an owner, so that the last write sees the assignment.
    db.user.update({ where: { AND: [where], id }, data: { sessionEpoch: { increment: 0 } } }),
    ...tokens.removeAllOf(id),
    db.scopeNode.updateMany({ where: { ownerId: id }, data: { ownerId: null } }),
    db.user.delete({
      where: { id, assignments: { none: { OR: counted, scope: { notIn: [...goingScopes] } } } },
    }),
  ];
}

/** The refusal for ending the account of the last superadmin, or of the last owner of an organization; null for every other account. */
export async function lastOfItsKind(
  core: Runtime & { roleStore: RoleStore },
  user: UserRow,
): Promise<AuthTunaError | null> {
  if (await new SuperadminGuard(core).isLast(user))
    return new AuthTunaError('conflict', { message: LAST_SUPERADMIN });
  const orgId = await soleOwnership(core.db, await core.roleStore.current(), user.id);
  return orgId === null ? null : new AuthTunaError('conflict', { message: LAST_OWNER, orgId });
}

/** Why a batch missed that was to end an account. */
export async function whyNotEnded(core: UserCore, user: UserRow): Promise<AuthTunaError> {
  return (await lastOfItsKind(core, user)) ?? accountChanged();
}
