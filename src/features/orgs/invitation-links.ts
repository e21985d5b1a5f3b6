import { type Actor, requireUnrestricted } from '../../actor.js';
import { planAssign } from '../../core/access/assignment-plans.js';
import { requireKnown } from '../../core/access/scope-nodes.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Core } from '../../core/core.js';
import { type Page, type PageQuery, pageOf } from '../../core/page.js';
import { issueSplitToken, parseSplitToken, secretMatches } from '../../crypto/split-token.js';
import { type Db, isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { after } from '../../time.js';
import { asInviter, holdsWithoutEnd } from './accept-invitation.js';
import { memberPermission, requireAt } from './guard.js';
import { requireMayOffer, takeFromQuota } from './invitations.js';
import { requireAllowedAddress, wasRemoved } from './members.js';

/** A link that offers a role to everybody who has it, a number of times. The secret in it is shown once and stored as a hash. */
export interface InvitationLink {
  id: string;
  scope: string;
  role: string;
  invitedById: string | null;
  /** How many people may accept. */
  maxUses: number;
  /** How many people did. */
  uses: number;
  createdAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
}

/** A new link, with the secret that is never shown again. */
export interface IssuedInvitationLink {
  invitationLink: InvitationLink;
  token: string;
  /** The address of the page where people accept. */
  url: string;
}

export interface InvitationLinkInput {
  role: string;
  maxUses: number;
  expiresInSeconds?: number | undefined;
}

export type LinkRow = Awaited<ReturnType<Db['organizationInvitationLink']['findUniqueOrThrow']>>;

const LIFETIME_SECONDS = 7 * 86_400;

/** {@link OrgManager.createInvitationLink} */
export async function createInvitationLink(
  core: Core,
  scope: string,
  { role, maxUses, expiresInSeconds = LIFETIME_SECONDS }: InvitationLinkInput,
  actor: Actor,
): Promise<IssuedInvitationLink> {
  await requireAt(core, actor, memberPermission(scope, 'invite'), scope);
  await requireMayOffer(core, { scope, role }, actor);
  await takeFromQuota(core, scope, actor);
  const { db, config } = core;
  const { id, token, secretHash } = issueSplitToken(config.random);
  const now = core.now();
  const row: LinkRow = {
    id,
    secretHash,
    scope,
    role,
    invitedById: actor.userId,
    maxUses,
    usesLeft: maxUses,
    createdAt: now,
    expiresAt: after(now, expiresInSeconds),
    revokedAt: null,
  };
  await core.ledger.commit({
    writes: [db.organizationInvitationLink.create({ data: row })],
    facts: [linkFact('invitation.created', row, actor)],
  });
  const url = `${config.baseUrl}${config.paths.orgs}/invitations/accept?token=${token}`;
  return { invitationLink: toInvitationLink(row), token, url };
}

/** {@link OrgManager.listInvitationLinks} */
export async function listInvitationLinks(
  core: Core,
  scope: string,
  query: PageQuery & { isOpen?: boolean | undefined },
): Promise<Page<InvitationLink>> {
  memberPermission(scope, 'invite');
  const open = { revokedAt: null, expiresAt: { gt: core.now() }, usesLeft: { gt: 0 } };
  const { items, nextCursor } = await pageOf(query, ({ take, after: cursor }) =>
    core.db.organizationInvitationLink.findMany({
      where: { scope, ...(query.isOpen === true && open) },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take,
      ...(cursor !== null && { cursor: { id: cursor } }),
    }),
  );
  if (items.length === 0) await requireKnown(core, scope);
  return { items: items.map(toInvitationLink), nextCursor };
}

/** {@link OrgManager.revokeInvitationLink} */
export async function revokeInvitationLink(core: Core, id: string, actor: Actor): Promise<void> {
  const row = await core.db.organizationInvitationLink.findUnique({ where: { id } });
  if (row === null) throw new AuthTunaError('not_found');
  await requireAt(core, actor, memberPermission(row.scope, 'invite'), row.scope);
  if (row.revokedAt !== null) return;
  await core.ledger
    .commit({
      writes: [
        core.db.organizationInvitationLink.update({
          where: { id, revokedAt: null },
          data: { revokedAt: core.now() },
        }),
      ],
      facts: [linkFact('invitation.revoked', row, actor)],
    })
    .catch(async (error: unknown) => {
      if (!isMissing(error)) throw error; // revoked or removed at the same moment
    });
}

/** The link of a token that can still be accepted; null for a token that is of no link. @throws AuthTunaError `invalid_token` */
export async function peekInvitationLink(core: Core, token: string): Promise<LinkRow | null> {
  const parsed = parseSplitToken(token);
  if (parsed === null) return null;
  const row = await core.db.organizationInvitationLink.findUnique({ where: { id: parsed.id } });
  if (row === null) return null;
  if (!secretMatches(parsed.secretHash, row.secretHash)) throw new AuthTunaError('invalid_token');
  requireOpen(core, row);
  return row;
}

/** The holder of the secret may know what became of the link. @throws AuthTunaError `invalid_token` */
function requireOpen({ now }: Core, row: LinkRow | null): void {
  if (row === null || row.revokedAt !== null || row.usesLeft <= 0)
    throw new AuthTunaError('invalid_token', { reason: 'invitation_over' });
  if (row.expiresAt <= now()) throw new AuthTunaError('invalid_token', { reason: 'expired' });
}

/** Gives the actor's user the role of a link, and counts it. A person who holds the role already uses nothing up. */
export async function acceptInvitationLink(
  core: Core,
  row: LinkRow,
  userId: string,
  actor: Actor,
): Promise<{ scope: string; role: string }> {
  await requireUnrestricted(actor);
  const { id, scope, role } = row;
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null) throw new AuthTunaError('unauthenticated');
  if (user.emailVerifiedAt === null) throw new AuthTunaError('email_not_verified');
  await requireAllowedAddress(core, scope, user.email);
  if (await wasRemoved(core, userId, scope, row.createdAt))
    throw new AuthTunaError('invalid_token', { reason: 'invitation_over' });
  const plan = await asInviter(core, row, (inviter) => planAssign(core, { userId, role, scope }, inviter));
  const writes = [
    // The database counts: of any number of people at once, no more than `maxUses` pass.
    core.db.organizationInvitationLink.update({
      where: { id, usesLeft: { gt: 0 }, revokedAt: null, expiresAt: { gt: core.now() } },
      data: { usesLeft: { decrement: 1 } },
    }),
    core.db.user.update({
      where: { id: userId, email: user.email, emailVerifiedAt: { not: null }, deletedAt: null },
      data: { sessionEpoch: { increment: 0 } },
    }),
  ];
  const accepted = linkFact('invitation.accepted', row, actor);
  await core.ledger
    .commit({
      writes: [...writes, ...plan.change.writes],
      facts: [accepted, ...plan.change.facts],
      invalidates: [`user:${userId}`],
    })
    .catch(async (error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      if (await holdsWithoutEnd(core, plan)) return;
      await core.ledger.commit({ writes, facts: [accepted] });
      await asInviter(core, row, (inviter) => core.roles.assign({ userId, role, scope }, inviter));
    })
    .catch(async (error: unknown) => {
      const left = await core.db.organizationInvitationLink.findUnique({ where: { id } });
      if (isMissing(error)) requireOpen(core, left);
      throw await plan.refusalOf(error);
    });
  return { scope, role };
}

export function toInvitationLink({ secretHash: _internal, usesLeft, ...link }: LinkRow): InvitationLink {
  return { ...link, uses: link.maxUses - usesLeft };
}

function linkFact(type: EventType, row: LinkRow, actor: Actor): Fact {
  return {
    type,
    actor,
    target: { type: 'invitation_link', id: row.id },
    scope: row.scope,
    data: { role: row.role, maxUses: row.maxUses },
  };
}
