import { type Actor, isSystem, requireUnrestricted } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { credentialOf } from '../access/credential.js';
import { noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { isActive, type UserRow } from '../user.js';

/**
 * Checks that the actor is the user in person, or `SYSTEM`, for what people decide themselves: second factors, consents, ending the account.
 * An API key, a token with a scope and an administrator who acts as the user are refused.
 *
 * @throws AuthTunaError `forbidden`
 */
export function requireSelf(userId: string, actor: Actor): void {
  if (isSystem(actor)) return;
  const isLess = actor.apiKeyId !== undefined || credentialOf(actor)?.isScoped === true;
  if (actor.userId !== userId || isLess || actor.impersonatorId !== undefined)
    throw new AuthTunaError('forbidden');
}

/**
 * As `requireSelf`, for what ends the account.
 *
 * @throws AuthTunaError `forbidden`; `password_change_required` and `enrollment_required` for an actor who must do that first
 */
export async function requireMayEnd(userId: string, actor: Actor): Promise<void> {
  requireSelf(userId, actor);
  await requireUnrestricted(actor);
}

/** The user, if the actor is that user in person, or `SYSTEM`. @throws AuthTunaError `forbidden`, `not_found` */
export async function requireOwn(core: Runtime, userId: string, actor: Actor): Promise<UserRow> {
  requireSelf(userId, actor);
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || !isActive(user, core.now())) throw noUser();
  return user;
}
