import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { noUser } from '../refusals.js';
import { outranks, Standing } from './delegation.js';
import type { Chain } from './grants.js';
import { asConflict, freshChain, grantsOfActor, type RoleCore } from './role-core.js';
import { scopesChanged } from './versions.js';

/**
 * Makes somebody the owner of a registered scope, or leaves it without one. To give ownership is to give what the role `owner` contains, and
 * to take it needs a rank from above the scope, unless it is the actor's own.
 *
 * @throws AuthTunaError `not_found` for an unknown scope or user; `forbidden`; `conflict` when the owner changed at the same moment
 */
export async function changeOwner(
  core: RoleCore,
  scope: string,
  toUserId: string | null,
  actor: Actor,
): Promise<void> {
  const { db } = core;
  const chain = await freshChain(core, scope);
  const node = await core.scopeTree.rowOf(scope);
  if (node === null) throw new AuthTunaError('not_found');
  if (toUserId !== null) {
    const user = await db.user.findUnique({ where: { id: toUserId } });
    if (user === null || user.deletedAt !== null) throw noUser();
  }
  if (node.ownerId === toUserId) return;
  if (!isSystem(actor)) await requireMayChange(core, actor, chain, node.ownerId, toUserId);
  await core.ledger
    .commit({
      writes: [
        db.scopeNode.update({ where: { id: scope, ownerId: node.ownerId }, data: { ownerId: toUserId } }),
        scopesChanged(db),
      ],
      facts: [
        {
          type: 'scope.owner_changed',
          actor,
          target: { type: 'scope', id: scope },
          scope,
          data: { from: node.ownerId, to: toUserId },
        },
      ],
      invalidates: [`scope:${scope}`],
    })
    .catch(async (error: unknown) => {
      throw asConflict(error);
    });
}

async function requireMayChange(
  core: RoleCore,
  actor: Actor,
  chain: Chain,
  from: string | null,
  to: string | null,
): Promise<void> {
  const standing = new Standing(await grantsOfActor(core, actor), chain);
  const { owner } = standing.actor.catalog;
  const mayGive = to === null || owner.roles.every((role) => standing.covers(role));
  const mayTake =
    from === null || from === actor.userId || outranks(standing, await core.access.standingOf(from));
  if (!mayGive || !mayTake) throw new AuthTunaError('forbidden');
}
