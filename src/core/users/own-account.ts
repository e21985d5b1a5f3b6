import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { isActive, type UserRow } from '../user.js';

/** The user, if the actor is that user or `SYSTEM`. For what no other person may change, such as second factors. @throws AuthTunaError `forbidden`, `not_found` */
export async function requireOwn(core: Runtime, userId: string, actor: Actor): Promise<UserRow> {
  if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || !isActive(user, core.now())) throw noUser();
  return user;
}
