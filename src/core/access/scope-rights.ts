import type { Actor } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { mayLetIn, outranks, Standing } from './delegation.js';
import type { Chain } from './grants.js';
import { notEnded } from './lists.js';
import { grantsOfActor, type RoleCore } from './role-core.js';

/**
 * Checks that an actor may hang the scope of `chain` below `above`. To hang it there is to give it to all who hold something above the new
 * place, and to take it from all who hold something above the old place only.
 *
 * @throws AuthTunaError `forbidden`
 */
export async function requireMayMove(
  core: RoleCore,
  actor: Actor,
  chain: Chain,
  above: Chain,
): Promise<void> {
  const standing = new Standing(await grantsOfActor(core, actor), chain);
  const gained = above.scopes.filter((scope) => !chain.scopes.includes(scope));
  const lost = chain.scopes.slice(1).filter((scope) => !above.scopes.includes(scope));
  await requireMayLetInAt(core, standing, gained, above);
  await requireMayTake(core, standing, lost);
}

/**
 * Checks that an actor may remove the scope of `chain`: everybody else who holds something there must be below the actor.
 *
 * @throws AuthTunaError `forbidden`
 */
export async function requireMayRemove(core: RoleCore, actor: Actor, chain: Chain): Promise<void> {
  const standing = new Standing(await grantsOfActor(core, actor), chain);
  await requireMayTake(core, standing, chain.scopes.slice(0, 1));
}

async function requireMayLetInAt(
  { db }: RoleCore,
  standing: Standing,
  gained: readonly string[],
  above: Chain,
): Promise<void> {
  const assigned = await db.roleAssignment.findMany({
    where: { scope: { in: [...gained] } },
    distinct: ['roleId'],
    select: { roleId: true },
  });
  const ids = new Set(assigned.map(({ roleId }) => roleId));
  const arriving = [...standing.actor.catalog.all()].filter(
    (role) =>
      ids.has(role.id) ||
      // Assignments that stopped counting when the scope was taken away from below their role's owner count again.
      role.owners.some((scope) => gained.includes(scope)),
  );
  const isOwned = above.owners.some(
    (owner, index) => owner !== null && gained.includes(above.scopes[index] as string),
  );
  if (!mayLetIn(standing, arriving, isOwned)) throw new AuthTunaError('forbidden');
}

/**
 * Everybody who holds a role at one of these scopes, owns one of them, or holds a role that one of them defined, must be below the actor. Holders
 * of such a role are measured by all that they hold anywhere, since they may hold it below the scope.
 */
async function requireMayTake(core: RoleCore, standing: Standing, lost: readonly string[]): Promise<void> {
  const { actor, chain } = standing;
  const roles = [...actor.catalog.all()];
  const defined = new Set(roles.filter((role) => role.owners.some((scope) => lost.includes(scope))));
  for (const owner of new Set(chain.owners)) {
    if (owner === null || owner === actor.userId) continue;
    const target = await core.access.standingOf(owner);
    const isConcerned =
      lost.some(
        (scope) => target.at(scope) !== undefined || owner === chain.owners[chain.scopes.indexOf(scope)],
      ) || target.assignedAnywhere().some((role) => defined.has(role));
    if (isConcerned && !outranks(standing, target)) throw outrankedBy();
  }
  const counts = notEnded(core);
  const notBelow = roles.filter((role) => !standing.isAbove(role)).map(({ id }) => id);
  const some = (where: object) => ({ assignments: { some: { ...where, ...counts } } });
  const found = await core.db.user.findFirst({
    where: {
      id: { not: actor.userId },
      deletedAt: null,
      OR: [
        {
          AND: [
            some({ scope: { in: [...lost] } }),
            some({ scope: { in: [...chain.scopes] }, roleId: { in: notBelow } }),
          ],
        },
        {
          AND: [
            some({ roleId: { in: [...defined].map(({ id }) => id) } }),
            some({ roleId: { in: notBelow } }),
          ],
        },
      ],
    },
    select: { id: true },
  });
  if (found !== null) throw outrankedBy();
}

function outrankedBy(): AuthTunaError {
  return new AuthTunaError('forbidden', {
    message: 'This would take something from people of your rank or above it. They must give it up first.',
  });
}
