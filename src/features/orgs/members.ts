import { type Actor, requireUnrestricted } from '../../actor.js';
import { planAssign, planUnassign } from '../../core/access/assignment-plans.js';
import { notEnded } from '../../core/access/lists.js';
import { requireKnown } from '../../core/access/scope-nodes.js';
import { withdraw } from '../../core/access/withdrawal.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { domainOf } from '../../core/identifiers.js';
import { type Page, type PageQuery, pageOf } from '../../core/page.js';
import { noUser } from '../../core/refusals.js';
import { type PublicUser, publicUser } from '../../core/user.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { memberPermission, requireAt } from './guard.js';
import { findOrg, wordsOf } from './organization.js';

/** Somebody who holds a role exactly at a scope. */
export interface Member {
  user: PublicUser;
  /** The names of the roles held there. */
  roles: string[];
  /** When the first of them was given. */
  since: Date;
}

export interface MemberQuery extends PageQuery {
  /** Part of an address or username, at most 64 characters. */
  search?: string | undefined;
}

/** {@link OrgManager.members} */
export async function membersOf(core: Core, scope: string, query: MemberQuery): Promise<Page<Member>> {
  memberPermission(scope, 'read');
  const held = { scope, ...notEnded(core) };
  const text = query.search?.toLowerCase() ?? '';
  // LIKE reads these as something else, and no address or username holds them.
  if (/[%\\]/.test(text)) return { items: [], nextCursor: null };
  const { items, nextCursor } = await pageOf(query, async ({ take, after }) =>
    core.db.user.findMany({
      where: {
        deletedAt: null,
        assignments: { some: held },
        ...(after !== null && { id: { gt: after } }),
        ...(text !== '' && { OR: [{ email: { contains: text } }, { username: { contains: text } }] }),
      },
      include: { assignments: { where: held, include: { role: { select: { name: true } } } } },
      orderBy: { id: 'asc' },
      take,
    }),
  );
  if (items.length === 0) await requireKnown(core, scope);
  return { items: items.map(toMember), nextCursor };
}

type MemberRow = Parameters<typeof publicUser>[0] & {
  assignments: { assignedAt: Date; role: { name: string } }[];
};

function toMember(row: MemberRow): Member {
  const times = row.assignments.map(({ assignedAt }) => assignedAt.getTime());
  return {
    user: publicUser(row),
    roles: row.assignments.map(({ role }) => role.name).sort(),
    since: new Date(Math.min(...times)),
  };
}

/** {@link OrgManager.addMember} */
export async function addMember(
  core: Core,
  scope: string,
  { userId, role }: { userId: string; role: string },
  actor: Actor,
): Promise<void> {
  await requireAt(core, actor, memberPermission(scope, 'invite'), scope);
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || user.deletedAt !== null) throw noUser();
  await requireAllowedAddress(core, scope, user.email);
  await core.roles.assign({ userId, role, scope }, actor);
}

/** {@link OrgManager.setRole} */
export async function setRole(
  core: Core,
  scope: string,
  { userId, role }: { userId: string; role: string },
  actor: Actor,
): Promise<void> {
  await requireAt(core, actor, memberPermission(scope, 'invite'), scope);
  const present = await rolesAt(core, userId, scope);
  if (present.length === 0) throw new AuthTunaError('not_found');
  const plans = [
    ...(present.includes(role) ? [] : [await planAssign(core, { userId, role, scope }, actor)]),
    ...(await Promise.all(
      present
        .filter((name) => name !== role)
        .map((name) => planUnassign(core, { userId, role: name, scope }, actor)),
    )),
  ];
  if (plans.length === 0) return;
  try {
    await core.ledger.commit({
      writes: plans.flatMap(({ change }) => change.writes),
      facts: plans.flatMap(({ change }) => change.facts),
      invalidates: [`user:${userId}`],
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw changedMeanwhile();
    throw (await plans.at(-1)?.refusalOf(error)) ?? error;
  }
}

/** {@link OrgManager.removeMember} */
export async function removeMember(core: Core, scope: string, userId: string, actor: Actor): Promise<void> {
  await requireAt(core, actor, memberPermission(scope, 'remove'), scope);
  const more = await invitationsEnded(core, scope, userId);
  await withdraw(core, { userId, scope }, actor, 'member.removed', more);
}

/**
 * Whether somebody took the user out of a place, or out of one above it, since then. Links and domains must not undo that; people who left by
 * themselves may come back.
 *
 * @param since default: as long as the audit log remembers
 */
export async function wasRemoved(core: Core, userId: string, scope: string, since?: Date): Promise<boolean> {
  const chain = await core.scopeTree.chainOf(scope, { fresh: true });
  const removal = await core.db.auditEntry.findFirst({
    where: {
      targetId: userId,
      ...(since !== undefined && { at: { gte: since } }),
      type: 'member.removed',
      outcome: 'success',
      scope: { in: [...(chain?.scopes ?? [scope])] },
    },
    select: { id: true },
  });
  return removal !== null;
}

/** {@link OrgManager.leave} */
export async function leave(core: Core, scope: string, actor: Actor): Promise<void> {
  memberPermission(scope, 'read');
  if (actor.userId === null) throw new AuthTunaError('unauthenticated');
  await requireUnrestricted(actor);
  const more = await invitationsEnded(core, scope, actor.userId);
  await withdraw(core, { userId: actor.userId, scope }, actor, 'member.left', more);
}

/** Open invitations of the person at the scope and below end with the membership: accepting one would be a way back in. */
async function invitationsEnded(core: Core, scope: string, userId: string): Promise<Write[]> {
  const { db } = core;
  const user = await db.user.findUnique({ where: { id: userId }, select: { email: true } });
  if (user === null) return [];
  const open = await db.organizationInvitation.findMany({
    where: { email: user.email, acceptedAt: null, revokedAt: null },
    select: { id: true, scope: true },
  });
  const chains = await Promise.all(
    open.map((invitation) => core.scopeTree.chainOf(invitation.scope, { fresh: true })),
  );
  const ids = open.filter((_row, index) => chains[index]?.scopes.includes(scope)).map(({ id }) => id);
  if (ids.length === 0) return [];
  return [
    db.organizationInvitation.updateMany({
      where: { id: { in: ids }, acceptedAt: null },
      data: { revokedAt: core.now(), openFor: null },
    }),
  ];
}

/** The names of the roles that a person holds exactly at a scope. */
async function rolesAt(core: Core, userId: string, scope: string): Promise<string[]> {
  const rows = await core.db.roleAssignment.findMany({
    where: { userId, scope, ...notEnded(core) },
    include: { role: { select: { name: true } } },
  });
  return rows.map(({ role }) => role.name);
}

/** Checks an address against the domains that the scope's organization allows. @throws AuthTunaError `conflict` */
export async function requireAllowedAddress(core: Core, scope: string, email: string): Promise<void> {
  const chain = await core.scopeTree.chainOf(scope, { fresh: true });
  const orgScope = chain?.scopes.find((each) => each.startsWith('org:'));
  const org = orgScope === undefined ? null : await findOrg(core, orgScope.slice('org:'.length));
  const allowed = wordsOf(org?.allowedEmailDomains ?? '');
  if (allowed.length > 0 && !allowed.includes(domainOf(email) ?? ''))
    throw new AuthTunaError('conflict', {
      message: `Members need an address of ${allowed.join(', ')}.`,
      reason: 'domain_not_allowed',
    });
}

function changedMeanwhile(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'The member changed at the same moment. Try again.' });
}
