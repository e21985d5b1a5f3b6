import type { Actor } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { mayLetIn, outranks, Standing } from './delegation.js';
import type { Chain } from './grants.js';
import { notEnded } from './lists.js';
import { grantsOfActor, type RoleCore } from './role-core.js';
import { holdersNotBelow, mayEndTeams, teamsHolding } from './team-rights.js';

const CHUNK = 500; // scopes in one query

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
 * Checks that an actor may remove the scope of `chain`, or it and those below it: everybody else who holds something there must be below the
 * actor.
 *
 * @param scopes all that go; default the scope alone
 * @throws AuthTunaError `forbidden`
 */
export async function requireMayRemove(
  core: RoleCore,
  actor: Actor,
  chain: Chain,
  scopes: readonly string[] = chain.scopes.slice(0, 1),
): Promise<void> {
  const standing = new Standing(await grantsOfActor(core, actor), chain);
  for (let begin = 0; begin < scopes.length; begin += CHUNK)
    await requireMayTake(core, standing, scopes.slice(begin, begin + CHUNK));
  if (!(await mayEndTeams(core, actor, scopes))) throw outrankedBy();
}

async function requireMayLetInAt(
  core: RoleCore,
  standing: Standing,
  gained: readonly string[],
  above: Chain,
): Promise<void> {
  const assigned = await core.db.roleAssignment.findMany({
    where: { scope: { in: [...gained] } },
    distinct: ['roleId'],
    select: { roleId: true },
  });
  const ofTeams = await core.db.teamAssignment.findMany({
    where: { scope: { in: [...gained] } },
    distinct: ['roleId'],
    select: { roleId: true },
  });
  const ids = new Set([...assigned, ...ofTeams].map(({ roleId }) => roleId));
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
  const owners = await ownersOf(core, standing, lost);
  if (owners.length > 0 && standing.rank === -1) throw outrankedBy();
  const concerned = [...new Set([...chain.scopes, ...lost])];
  const counts = notEnded(core);
  const notBelow = roles.filter((role) => !standing.isAbove(role)).map(({ id }) => id);
  const losing = [...lost, ...(await teamsHolding(core, { scope: { in: [...lost] } }))];
  const some = (where: object) => ({ assignments: { some: { ...where, ...counts } } });
  const found = await core.db.user.findFirst({
    where: {
      id: { not: actor.userId },
      deletedAt: null,
      OR: [
        {
          AND: [
            { OR: [some({ scope: { in: losing } }), { id: { in: owners } }] },
            await holdersNotBelow(core, standing, concerned),
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

/** The other people who own scopes below that of the chain, of those that go. */
async function ownersOf(
  { db }: RoleCore,
  { actor, chain }: Standing,
  lost: readonly string[],
): Promise<string[]> {
  const below = lost.filter((scope) => !chain.scopes.includes(scope));
  if (below.length === 0) return [];
  const rows = await db.scopeNode.findMany({
    where: { id: { in: below }, ownerId: { not: null } },
    distinct: ['ownerId'],
    select: { ownerId: true },
  });
  return rows.flatMap(({ ownerId }) => (ownerId === null || ownerId === actor.userId ? [] : [ownerId]));
}

function outrankedBy(): AuthTunaError {
  return new AuthTunaError('forbidden', {
    message: 'This would take something from people of your rank or above it. They must give it up first.',
  });
}
