import { type Actor, isSystem } from '../../actor.js';
import { planAssign, planUnassign } from '../../core/access/assignment-plans.js';
import { notEnded } from '../../core/access/lists.js';
import type { Core } from '../../core/core.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { requireAt } from './guard.js';
import { requireOrg, scopeOf } from './organization.js';

const OWNER = 'org_owner';
const AFTERWARDS = 'org_admin';

/** {@link OrgManager.transfer} */
export async function transferOrg(core: Core, id: string, toUserId: string, actor: Actor): Promise<void> {
  const scope = scopeOf(id);
  await requireAt(core, actor, 'org:delete', scope);
  await requireOrg(core, id);
  const held = await core.db.roleAssignment.findMany({
    where: { scope, ...notEnded(core) },
    include: { role: { select: { name: true, ownedBy: true } } },
  });
  const holds = (userId: string, name: string) =>
    held.some((row) => row.userId === userId && row.role.name === name && row.role.ownedBy === '');
  if (!held.some(({ userId }) => userId === toUserId))
    throw new AuthTunaError('conflict', {
      message: 'The new owner must be a member of the organization first.',
    });
  // An owner hands over what is their own; somebody above all owners replaces all of them.
  const owners = held.filter(({ userId }) => holds(userId, OWNER)).map(({ userId }) => userId);
  const isOwner = !isSystem(actor) && actor.userId !== null && owners.includes(actor.userId);
  const leaving = [...new Set(isOwner ? [actor.userId as string] : owners)].filter(
    (each) => each !== toUserId,
  );
  const plans = [
    ...(holds(toUserId, OWNER)
      ? []
      : [await planAssign(core, { userId: toUserId, role: OWNER, scope }, actor)]),
    ...(
      await Promise.all(
        leaving.map(async (userId) => [
          ...(holds(userId, AFTERWARDS)
            ? []
            : [await planAssign(core, { userId, role: AFTERWARDS, scope }, actor)]),
          await planUnassign(core, { userId, role: OWNER, scope }, actor),
        ]),
      )
    ).flat(),
  ];
  if (plans.length === 0) return;
  try {
    await core.ledger.commit({
      writes: plans.flatMap(({ change }) => change.writes),
      facts: [
        {
          type: 'org.transferred',
          actor,
          target: { type: 'org', id },
          scope,
          data: { toUserId, from: leaving },
        },
      ],
      invalidates: plans.flatMap(({ change }) => change.invalidates ?? []),
    });
  } catch (error) {
    if (isUniqueViolation(error))
      throw new AuthTunaError('conflict', { message: 'The owners changed at the same moment. Try again.' });
    throw (await plans.at(-1)?.refusalOf(error)) ?? error;
  }
}
