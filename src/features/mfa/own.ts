import { type Actor, isSystem } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { noUser } from '../../core/refusals.js';
import { isActive, type UserRow } from '../../core/user.js';
import { AuthTunaError } from '../../errors.js';

/** The user, if the actor is that user or `SYSTEM`: nobody else may touch a person's factors. @throws AuthTunaError `forbidden`, `not_found` */
export async function requireOwn(core: Core, userId: string, actor: Actor): Promise<UserRow> {
  if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || !isActive(user, core.now())) throw noUser();
  return user;
}
