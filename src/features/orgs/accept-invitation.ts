import { type Actor, requireUnrestricted, SYSTEM } from '../../actor.js';
import { type AssignmentPlan, planAssign } from '../../core/access/assignment-plans.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { domainOf } from '../../core/identifiers.js';
import { whenMissing } from '../../core/refusals.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import { isActive } from '../../core/user.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { memberPermission } from './guard.js';
import { factOf, INVITATION, type InvitationRow } from './invitations.js';
import { requireAllowedAddress, wasRemoved } from './members.js';
import { findOrg, scopeOf } from './organization.js';

/** An invitation whose link was shown, and that can still be accepted. */
export interface OpenInvitation {
  live: LiveToken;
  row: InvitationRow;
}

/** Looks at the invitation of a link without accepting it. @throws AuthTunaError `invalid_token` */
export async function peekInvitation(core: Core, token: string): Promise<OpenInvitation> {
  const live = await core.tokens.peek(token, INVITATION).catch(async (error: unknown) => {
    const row = await former(core, token);
    const isOver = row !== null && row.acceptedAt === null && row.revokedAt !== null;
    throw isOver ? invitationOver() : error;
  });
  const row = await core.db.organizationInvitation.findUnique({ where: { id: live.subject } });
  const isOpen =
    row !== null && row.acceptedAt === null && row.revokedAt === null && row.expiresAt > core.now();
  if (!isOpen) throw invitationOver();
  return { live, row };
}

/** Where the invitation of a link was accepted by the account of this address; null otherwise. */
export async function scopeAccepted(core: Core, token: string, email: string): Promise<string | null> {
  const row = await former(core, token);
  return row !== null && row.acceptedAt !== null && row.email === email ? row.scope : null;
}

/** The invitation of a link, whatever became of it; null for one that there never was. */
async function former({ tokens, db }: Core, token: string): Promise<InvitationRow | null> {
  const found = await tokens.recall(token, INVITATION);
  return found === null ? null : db.organizationInvitation.findUnique({ where: { id: found.subject } });
}

/** Taken back, or replaced by a newer invitation. */
function invitationOver(): AuthTunaError {
  return new AuthTunaError('invalid_token', { reason: 'invitation_over' });
}

/** {@link OrgManager.acceptInvitation} */
export async function acceptInvitation(
  core: Core,
  token: string,
  actor: Actor,
): Promise<{ scope: string; role: string }> {
  if (actor.userId === null) throw new AuthTunaError('unauthenticated');
  await requireUnrestricted(actor);
  const { userId } = actor;
  const { live, row } = await peekInvitation(core, token);
  const user = await core.db.user.findUnique({ where: { id: userId } });
  // The link alone is nothing: it is forwarded, and mailboxes are read by others. Only the proven owner of the mailbox is meant.
  if (user === null || user.email !== row.email)
    throw new AuthTunaError('forbidden', {
      message: 'This invitation is for another address. Sign in with the account of that address.',
      reason: 'other_address',
    });
  if (user.emailVerifiedAt === null) throw new AuthTunaError('email_not_verified');
  const { scope, role } = row;
  await requireAllowedAddress(core, scope, row.email);
  const plan = await asInviter(core, row, (inviter) => planAssign(core, { userId, role, scope }, inviter));
  const spend: Write[] = [
    ...spendInvitation(core, { live, row }),
    // The mailbox is still the user's, and still proved.
    core.db.user.update({
      where: { id: userId, email: row.email, emailVerifiedAt: { not: null }, deletedAt: null },
      data: { sessionEpoch: { increment: 0 } },
    }),
  ];
  const accepted = factOf('invitation.accepted', row, actor);
  const change = {
    writes: [...spend, ...plan.change.writes],
    facts: [accepted, ...plan.change.facts],
    invalidates: [`user:${userId}` as const],
  };
  await core.ledger
    .commit(change)
    // The role is held already: the invitation is spent all the same, and an end that the role has is taken away.
    .catch(async (error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      await core.ledger.commit({ writes: spend, facts: [accepted] });
      if (await holdsWithoutEnd(core, plan)) return;
      await asInviter(core, row, (inviter) => core.roles.assign({ userId, role, scope }, inviter));
    })
    .catch(whenMissing(() => core.tokens.missed(live)));
  return { scope, role };
}

/** Whether the role of a plan is held there already, and has no end. */
export async function holdsWithoutEnd({ db }: Core, { place }: AssignmentPlan): Promise<boolean> {
  const { userId, role, scope } = place;
  const where = { userId_roleId_scope: { userId, roleId: role.id, scope } };
  return (await db.roleAssignment.findUnique({ where }))?.expiresAt === null;
}

/** The writes after which an invitation cannot be accepted again. */
export function spendInvitation(
  { db, now }: Pick<Core, 'db' | 'now'>,
  { live, row }: OpenInvitation,
): Write[] {
  return [
    live.spend,
    db.organizationInvitation.update({
      where: { id: row.id, acceptedAt: null, revokedAt: null },
      data: { acceptedAt: now(), openFor: null },
    }),
  ];
}

/** The assignment as its inviter makes it now: what they could no longer give is not given. @throws AuthTunaError `conflict` */
export async function asInviter<T>(
  core: Core,
  { scope, invitedById }: Pick<InvitationRow, 'scope' | 'invitedById'>,
  plan: (inviter: Actor) => Promise<T>,
): Promise<T> {
  const inviter: Actor = invitedById === null ? SYSTEM : { userId: invitedById, ip: null, userAgent: null };
  const noLonger = () =>
    new AuthTunaError('conflict', {
      message: 'The person who invited you may no longer give this role. Ask for a new invitation.',
      reason: 'inviter_lost_right',
    });
  if (invitedById !== null && !(await core.access.can(invitedById, memberPermission(scope, 'invite'), scope)))
    throw noLonger();
  try {
    return await plan(inviter);
  } catch (error) {
    const isRefused =
      error instanceof AuthTunaError &&
      ['forbidden', 'not_found', 'invalid_input', 'unauthenticated'].includes(error.code);
    throw isRefused ? noLonger() : error;
  }
}

const JOINED_ROLE = 'org_member';

/** {@link OrgManager.join} */
export async function joinByDomain(core: Core, orgId: string, actor: Actor): Promise<void> {
  if (actor.userId === null) throw new AuthTunaError('unauthenticated');
  await requireUnrestricted(actor);
  const org = await findOrg(core, orgId);
  const isJoinable = (await joinableFor(core, actor.userId)).includes(orgId);
  if (org === null || !isJoinable) throw new AuthTunaError('not_found');
  await requireAllowedAddress(core, scopeOf(orgId), (await core.users.get(actor.userId)).email);
  const plan = await planAssign(
    core,
    { userId: actor.userId, role: JOINED_ROLE, scope: scopeOf(orgId) },
    SYSTEM,
  );
  await core.ledger
    .commit({
      ...plan.change,
      facts: [
        {
          type: 'member.joined',
          actor,
          target: { type: 'user', id: actor.userId },
          scope: scopeOf(orgId),
          data: { role: JOINED_ROLE, by: 'domain' },
        },
      ],
    })
    .catch(async (error: unknown) => {
      if (isUniqueViolation(error)) return; // in already
      throw await plan.refusalOf(error);
    });
}

/**
 * Organizations that the user may join without an invitation: one of their connections has proved the domain of the user's verified address, and
 * the user was not removed from it.
 */
export async function joinableFor(core: Core, userId: string): Promise<string[]> {
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || !isActive(user, core.now()) || user.emailVerifiedAt === null) return [];
  const domain = domainOf(user.email);
  if (domain === null) return [];
  const proved = await core.db.ssoDomain.findUnique({
    where: { verifiedDomain: domain },
    include: { connection: { select: { scope: true } } },
  });
  const scope = proved?.connection.scope ?? '';
  const org = scope.startsWith('org:') ? await findOrg(core, scope.slice('org:'.length)) : null;
  if (org?.joinByDomain !== true || (await wasRemoved(core, userId, scope))) return [];
  return [org.id];
}
