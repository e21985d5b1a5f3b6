import type { Actor } from '../../actor.js';
import { mayGive } from '../../core/access/assignment-plans.js';
import { requireKnown } from '../../core/access/scope-nodes.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Mail } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import { canonicalEmail, maskedEmail } from '../../core/identifiers.js';
import { type Page, type PageQuery, pageOf } from '../../core/page.js';
import { invalidEmail, whenMissing, whenTaken } from '../../core/refusals.js';
import { newId } from '../../crypto/random.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { after } from '../../time.js';
import { memberPermission, requireAt } from './guard.js';
import { requireAllowedAddress } from './members.js';

/** A role that was offered to a mailbox. The token of its link is in the mail and nowhere else. */
export interface Invitation {
  id: string;
  scope: string;
  email: string;
  role: string;
  invitedById: string | null;
  createdAt: Date;
  expiresAt: Date;
  acceptedAt: Date | null;
  revokedAt: Date | null;
}

export interface InvitationQuery extends PageQuery {
  /** Only those that can still be accepted. */
  isOpen?: boolean | undefined;
}

export type InvitationRow = Awaited<ReturnType<Db['organizationInvitation']['findUniqueOrThrow']>>;

/** What a link's one-time token is for. */
export const INVITATION = 'invitation';
const LIFETIME_SECONDS = 7 * 86_400;
const PER_ORG = { limit: 50, windowSeconds: 86_400 };
const PER_INVITER = { limit: 100, windowSeconds: 86_400 };
const PER_ADDRESS = { limit: 5, windowSeconds: 86_400 };

/** {@link OrgManager.invite} */
export async function invite(
  core: Core,
  scope: string,
  input: { email: string; role: string; message?: string | undefined },
  actor: Actor,
): Promise<Invitation> {
  await requireAt(core, actor, memberPermission(scope, 'invite'), scope);
  const email = canonicalEmail(input.email);
  if (email === null) throw invalidEmail(input.email);
  const { role } = input;
  await requireMayOffer(core, { scope, role, email }, actor);
  await requireAllowedAddress(core, scope, email);
  const { db, config } = core;
  const id = newId(config.random);
  const now = core.now();
  const row: InvitationRow = {
    id,
    scope,
    email,
    role,
    invitedById: actor.userId,
    message: input.message ?? null,
    createdAt: now,
    sentAt: now,
    expiresAt: after(now, LIFETIME_SECONDS),
    acceptedAt: null,
    revokedAt: null,
    openFor: `${scope} ${email}`,
  };
  const { writes, mails } = await letterOf(core, row, actor);
  await core.ledger
    .commit({
      writes: [
        // A new invitation takes the place of an open one: two links to one thing would be revoked one by one.
        db.organizationInvitation.updateMany({
          where: { openFor: row.openFor },
          data: { openFor: null, revokedAt: now },
        }),
        db.organizationInvitation.create({ data: row }),
        ...writes,
      ],
      facts: [factOf('invitation.created', row, actor)],
      mails,
    })
    .catch(whenTaken(changedMeanwhile));
  return toInvitation(row);
}

/** {@link OrgManager.resendInvitation} */
export async function resendInvitation(core: Core, id: string, actor: Actor): Promise<Invitation> {
  const before = await managedInvitation(core, id, actor);
  if (before.acceptedAt !== null || before.revokedAt !== null) throw isClosed();
  await requireMayOffer(core, before, actor);
  const now = core.now();
  // The person who sends it again is the one who offers the role from now on.
  const data = { sentAt: now, expiresAt: after(now, LIFETIME_SECONDS), invitedById: actor.userId };
  const row = { ...before, ...data };
  const { writes, mails } = await letterOf(core, row, actor);
  await core.ledger
    .commit({
      writes: [
        core.db.organizationInvitation.update({ where: { id, acceptedAt: null, revokedAt: null }, data }),
        ...writes,
      ],
      facts: [factOf('invitation.resent', row, actor)],
      mails,
    })
    .catch(whenMissing(isClosed));
  return toInvitation(row);
}

/** {@link OrgManager.revokeInvitation} */
export async function revokeInvitation(core: Core, id: string, actor: Actor): Promise<void> {
  const row = await managedInvitation(core, id, actor);
  if (row.revokedAt !== null) return;
  await core.ledger
    .commit({
      writes: [
        core.db.organizationInvitation.update({
          where: { id, acceptedAt: null, revokedAt: null },
          data: { revokedAt: core.now(), openFor: null },
        }),
        core.tokens.revokeAll(id, [INVITATION]),
      ],
      facts: [factOf('invitation.revoked', row, actor)],
    })
    .catch(whenMissing(isClosed));
}

/** {@link OrgManager.listInvitations} */
export async function listInvitations(
  core: Core,
  scope: string,
  query: InvitationQuery,
): Promise<Page<Invitation>> {
  memberPermission(scope, 'invite');
  const open = { acceptedAt: null, revokedAt: null, expiresAt: { gt: core.now() } };
  const { items, nextCursor } = await pageOf(query, ({ take, after: cursor }) =>
    core.db.organizationInvitation.findMany({
      where: { scope, ...(query.isOpen === true && open) },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take,
      ...(cursor !== null && { cursor: { id: cursor } }),
    }),
  );
  if (items.length === 0) await requireKnown(core, scope);
  return { items: items.map(toInvitation), nextCursor };
}

/** An invitation at a scope where the actor may invite. @throws AuthTunaError `not_found`, `forbidden` */
async function managedInvitation(core: Core, id: string, actor: Actor): Promise<InvitationRow> {
  const row = await core.db.organizationInvitation.findUnique({ where: { id } });
  if (row === null) throw new AuthTunaError('not_found');
  await requireAt(core, actor, memberPermission(row.scope, 'invite'), row.scope);
  return row;
}

/** The rule of giving the role, which an invitation promises. A refusal is recorded. @throws AuthTunaError `forbidden`, `not_found` */
export async function requireMayOffer(
  core: Core,
  offer: { scope: string; role: string; email?: string },
  actor: Actor,
): Promise<void> {
  if (await mayGive(core, offer, actor)) return;
  await core.audit.record({
    type: 'invitation.created',
    outcome: 'denied',
    actor,
    scope: offer.scope,
    data: { role: offer.role, ...(offer.email !== undefined && { masked: maskedEmail(offer.email) }) },
  });
  throw new AuthTunaError('forbidden');
}

/**
 * Counts an invitation for the organization that a scope is in, and for the person who sends it, who may have many organizations.
 *
 * @returns the scope of the organization
 * @throws AuthTunaError `rate_limited` for more than 50 a day of one organization, or 100 of one person
 */
export async function takeFromQuota(
  { scopeTree, limiter }: Core,
  scope: string,
  actor: Actor,
): Promise<string> {
  const ofInviter =
    actor.userId === null ? null : await limiter.take(`invitations by ${actor.userId}`, { ...PER_INVITER });
  if (ofInviter?.allowed === false)
    throw new AuthTunaError('rate_limited', { retryAfterSeconds: ofInviter.resetSeconds });
  const chain = await scopeTree.chainOf(scope, { fresh: true });
  const orgScope = chain?.scopes.find((each) => each.startsWith('org:')) ?? scope;
  const ofOrg = await limiter.take(`invitations ${orgScope}`, { ...PER_ORG });
  if (!ofOrg.allowed) throw new AuthTunaError('rate_limited', { retryAfterSeconds: ofOrg.resetSeconds });
  return orgScope;
}

/**
 * The link and its mail. A mailbox gets at most five a day, whichever organizations write to it; what is beyond is stored and not sent, so
 * that one organization does not learn of another's.
 *
 * @throws AuthTunaError `rate_limited` for more than 50 a day of one organization
 */
async function letterOf(
  core: Core,
  row: InvitationRow,
  actor: Actor,
): Promise<{ writes: readonly Write[]; mails: readonly Mail[] }> {
  const { limiter, tokens, config, db } = core;
  const orgScope = await takeFromQuota(core, row.scope, actor);
  const ofAddress = await limiter.take(`invitations to ${row.email}`, { ...PER_ADDRESS });
  const { token, writes } = tokens.issue({
    purpose: INVITATION,
    subject: row.id,
    lifetimeSeconds: LIFETIME_SECONDS,
  });
  const [node, inviter] = await Promise.all([
    db.scopeNode.findUnique({ where: { id: orgScope }, select: { name: true } }),
    actor.userId === null ? null : db.user.findUnique({ where: { id: actor.userId } }),
  ]);
  const mail: Mail = {
    template: 'invitation',
    to: row.email,
    languages: null,
    data: {
      organization: node?.name ?? orgScope,
      inviter: inviter === null ? null : (inviter.username ?? inviter.email),
      message: row.message,
      link: `${config.baseUrl}${config.paths.orgs}/invitations/accept?token=${token}`,
      expiresInSeconds: LIFETIME_SECONDS,
    },
  };
  return { writes, mails: ofAddress.allowed ? [mail] : [] };
}

export function toInvitation(row: InvitationRow): Invitation {
  const { id, scope, email, role, invitedById, createdAt, expiresAt, acceptedAt, revokedAt } = row;
  return { id, scope, email, role, invitedById, createdAt, expiresAt, acceptedAt, revokedAt };
}

/** A fact about an invitation. The address is masked: the log outlives the invitation. */
export function factOf(type: EventType, row: InvitationRow, actor: Actor): Fact {
  return {
    type,
    actor,
    target: { type: 'invitation', id: row.id },
    scope: row.scope,
    data: { role: row.role, masked: maskedEmail(row.email) },
  };
}

function isClosed(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'This invitation was accepted or revoked.' });
}

function changedMeanwhile(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'Somebody else invited the same person. Look again.' });
}
