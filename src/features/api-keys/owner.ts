import { type Actor, isSystem, requireUnrestricted } from '../../actor.js';
import { credentialOf } from '../../core/access/credential.js';
import type { Core } from '../../core/core.js';
import { noUser } from '../../core/refusals.js';
import { isActive, type UserRow } from '../../core/user.js';
import { requireServiceManager } from '../../core/users/service-account.js';
import { AuthTunaError } from '../../errors.js';
import { noKey } from './api-key.js';

/**
 * The owner of a key that is to be made or replaced. The actor must be the owner, `SYSTEM`, or a manager of the service account: a person
 * who sees the key can act as its owner.
 *
 * @throws AuthTunaError `unauthenticated`; `forbidden`, also for an actor that came with an API key; `not_found`; `account_suspended`;
 *   `password_change_required` and `enrollment_required` for an actor who must do that first
 */
export async function requireHolder(core: Core, userId: string, actor: Actor): Promise<UserRow> {
  requireNoKey(actor);
  if (!isSystem(actor) && actor.userId === null) throw new AuthTunaError('unauthenticated');
  await requireUnrestricted(actor);
  const user = await core.db.user.findUnique({ where: { id: userId }, include: { serviceAccount: true } });
  const account = user?.serviceAccount ?? null;
  if (account !== null) await requireServiceManager(core, account, actor);
  else if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
  if (user === null || user.deletedAt !== null) throw noUser();
  if (!isActive(user, core.now())) throw new AuthTunaError('account_suspended');
  return user;
}

/**
 * Checks that the actor may end a key: as its owner, as a manager of the service account, or with `apikeys:manage` and a higher rank.
 *
 * @throws AuthTunaError `not_found` where the key is not the actor's to see; `unauthenticated`, `forbidden`
 */
export async function requireMayRevoke(core: Core, ownerId: string, actor: Actor): Promise<void> {
  requireNoKey(actor);
  if (isSystem(actor) || actor.userId === ownerId) return;
  if (actor.userId === null) throw new AuthTunaError('unauthenticated');
  const account = await core.db.serviceAccount.findUnique({ where: { userId: ownerId } });
  if (account !== null && (await core.access.can(actor.userId, 'apikeys:manage', account.scope)))
    return requireServiceManager(core, account, actor);
  if (!(await core.access.can(actor.userId, 'apikeys:manage'))) throw noKey();
  await core.access.requireAbove(actor, ownerId, 'apikeys:manage');
}

/** A key or a token that could make keys would outlive its own end, and its own limits. */
function requireNoKey(actor: Actor): void {
  const isPerson = actor.apiKeyId === undefined && credentialOf(actor) === undefined;
  if (!isPerson || actor.impersonatorId !== undefined) throw new AuthTunaError('forbidden');
}
