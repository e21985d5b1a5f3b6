import type { Actor } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { chunks } from './chunks.js';
import { mayLetIn, outranks, Standing } from './delegation.js';
import type { Chain } from './grants.js';
import { notEnded } from './lists.js';
import { grantsOfActor, type RoleCore } from './role-core.js';
import { nodesBelow } from './scope-nodes.js';
import { holdersNotBelow, mayEndTeams, teamsHolding } from './team-rights.js';

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
  if (lost.length > 0)
    await requireMayTake(core, standing, lost, await nodesBelow(core, chain.scopes[0] as string));
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
  // Where all below goes too, what somebody holds there is measured as it is taken.
  const staying = scopes.length === 1 ? await nodesBelow(core, chain.scopes[0] as string) : [];
  for (const some of chunks(scopes)) await requireMayTake(core, standing, some, staying);
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
 *
 * @param below the scopes that stay below that of the chain: people lose there too what they hold at those that go
 */
async function requireMayTake(
  core: RoleCore,
  standing: Standing,
  lost: readonly string[],
  below: readonly string[],
): Promise<void> {
  const { actor, chain } = standing;
  const roles = [...actor.catalog.all()];
  const defined = new Set(roles.filter((role) => role.owners.some((scope) => lost.includes(scope))));
  const owners: string[] = [];
  for (const owner of new Set(chain.owners)) {
    if (owner === null || owner === actor.userId) continue;
    const target = await core.access.standingOf(owner);
    const isConcerned =
      lost.some(
        (scope) => target.at(scope) !== undefined || owner === chain.owners[chain.scopes.indexOf(scope)],
      ) || target.assignedAnywhere().some((role) => defined.has(role));
    if (!isConcerned) continue;
    if (!outranks(standing, target)) throw outrankedBy();
    owners.push(owner);
  }
  const goneOwners = await ownersOf(core, standing, lost);
  if (goneOwners.length > 0 && standing.rank === -1) throw outrankedBy();
  owners.push(...goneOwners);
  const counts = notEnded(core);
  const notBelow = roles.filter((role) => !standing.isAbove(role)).map(({ id }) => id);
  const losing = [...lost, ...(await teamsHolding(core, { scope: { in: [...lost] } }))];
  const some = (where: object) => ({ assignments: { some: { ...where, ...counts } } });
  const losers = { OR: [some({ scope: { in: losing } }), { id: { in: owners } }] };
  const refuseFor = async (...conditions: object[]) => {
    const found = await core.db.user.findFirst({
      where: { id: { not: actor.userId }, deletedAt: null, AND: conditions },
      select: { id: true },
    });
    if (found !== null) throw outrankedBy();
  };
  await refuseFor(
    some({ roleId: { in: [...defined].map(({ id }) => id) } }),
    some({ roleId: { in: notBelow } }),
  );
  const ownersRank = actor.catalog.owner.roles.some((role) => role.isRanked && !standing.isAbove(role));
  for (const scopes of chunks([...chain.scopes, ...lost, ...below])) {
    await refuseFor(losers, await holdersNotBelow(core, standing, scopes));
    if (ownersRank) await refuseFor(losers, { id: { in: await ownersOf(core, standing, scopes) } });
  }
}

/** The other people who own one of these scopes, without those of the chain. */
async function ownersOf(
  { db }: RoleCore,
  { actor, chain }: Standing,
  scopes: readonly string[],
): Promise<string[]> {
  const below = scopes.filter((scope) => !chain.scopes.includes(scope));
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
