import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { outranks, Standing } from '../access/delegation.js';
import type { Core } from '../core.js';

/** The kind of user that cannot sign in. */
export const SERVICE = 'service';

/**
 * Checks that an actor may look after a service account and hold its keys: `apikeys:manage` at the organization that owns it, and a rank there
 * above every role that the account holds there or above. A holder of a key of the account acts with those roles.
 *
 * @throws AuthTunaError `unauthenticated`, `forbidden`
 */
export async function requireServiceManager(
  { access, scopeTree }: Pick<Core, 'access' | 'scopeTree'>,
  account: { userId: string; scope: string },
  actor: Actor,
): Promise<void> {
  if (isSystem(actor)) return;
  await access.require(actor, 'apikeys:manage', account.scope);
  const [chain, grants, target] = await Promise.all([
    scopeTree.chainOf(account.scope, { fresh: true }),
    access.grantsOfActor(actor),
    access.standingOf(account.userId),
  ]);
  if (chain === null || grants === null || !outranks(new Standing(grants, chain), target))
    throw new AuthTunaError('forbidden');
}
