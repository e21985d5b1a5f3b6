import type { Actor } from '../../actor.js';
import { removeTree } from '../../core/access/scope-removal.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { requireKnownFields } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { SIGN_IN_FIELDS, type SignInOptions, type SignInResult } from '../../core/sign-in/sign-in.js';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import { acceptInvitation, joinableFor, joinByDomain, peekInvitation } from './accept-invitation.js';
import { createOrg } from './create-org.js';
import { requireAt } from './guard.js';
import {
  acceptInvitationLink,
  createInvitationLink,
  type InvitationLink,
  type IssuedInvitationLink,
  listInvitationLinks,
  peekInvitationLink,
  revokeInvitationLink,
  toInvitationLink,
} from './invitation-links.js';
import {
  type Invitation,
  type InvitationQuery,
  invite,
  listInvitations,
  resendInvitation,
  revokeInvitation,
  toInvitation,
} from './invitations.js';
import {
  addMember,
  leave,
  type Member,
  type MemberQuery,
  membersOf,
  removeMember,
  setRole,
} from './members.js';
import {
  findOrg,
  findOrgByName,
  findOrgBySlug,
  type NewOrganization,
  type Organization,
  type OrganizationChange,
  requireOrg,
  scopeOf,
  toOrganization,
} from './organization.js';
import {
  invitationInput,
  invitedSignUp,
  linkInput,
  memberInput,
  orgChange,
  orgInput,
  transferInput,
} from './schemas.js';
import { signUpInvited } from './sign-up.js';
import { transferOrg } from './transfer-org.js';
import { updateOrg } from './update-org.js';

export interface OrgQuery extends PageQuery {
  /** Only organizations in which this user holds a role. */
  userId?: string | undefined;
  /** Part of a name or slug, at most 64 characters. */
  search?: string | undefined;
}

/**
 * Organizations and the people in them. A member is a person who holds a role exactly at a scope: at the organization, at a project, at a
 * team.
 *
 * Everything asks for permissions, never for names of roles. A scope that the actor may not even see is `not_found`.
 */
export class OrgManager<O extends Organization = Organization> {
  readonly #core: SignInCore;
  readonly #dependents: readonly ScopeDependent[];

  constructor(core: SignInCore, dependents: readonly ScopeDependent[]) {
    this.#core = core;
    this.#dependents = dependents;
  }

  /**
   * Founds an organization; the actor's user becomes its `org_owner`. Needs `org:create`.
   *
   * @param input.slug default: made of the name, with a random end where that is taken
   * @param input.ownerId the user who becomes the owner instead; needs the right to assign `org_owner` at `global`
   * @param input.data columns of your own
   * @throws AuthTunaError `invalid_input`; `conflict` with `field` for a slug that is taken or reserved; `forbidden`, also for
   *   a service account as the owner; `not_found` for an unknown owner
   */
  async create(input: NewOrganization<O>, actor: Actor): Promise<O> {
    return toOrganization(await createOrg(this.#core, validate(orgInput, input), actor)) as O;
  }

  /** @throws AuthTunaError `not_found` */
  async get(id: string): Promise<O> {
    return toOrganization(await requireOrg(this.#core, id)) as O;
  }

  async find(id: string): Promise<O | null> {
    const row = await findOrg(this.#core, id);
    return row === null ? null : (toOrganization(row) as O);
  }

  /** By its slug, or one that it had in the last 90 days. */
  async findBySlug(slug: string): Promise<O | null> {
    const row = await findOrgBySlug(this.#core, slug);
    return row === null ? null : (toOrganization(row) as O);
  }

  /** @internal By id or slug. */
  async findByName(idOrSlug: string): Promise<O | null> {
    const row = await findOrgByName(this.#core, idOrSlug);
    return row === null ? null : (toOrganization(row) as O);
  }

  /** By id. @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 */
  async list(query: OrgQuery = {}): Promise<Page<O>> {
    requireKnownFields(query, ['userId', 'search', ...PAGE_FIELDS]);
    const { userId, search = '' } = query;
    const text = search.toLowerCase();
    if (/[%\\]/.test(text)) return { items: [], nextCursor: null };
    const ids = userId === undefined ? null : await this.#orgsOf(userId);
    const { items, nextCursor } = await pageOf(query, ({ take, after }) =>
      this.#core.db.organization.findMany({
        where: {
          AND: [
            ids === null ? {} : { id: { in: ids } },
            after === null ? {} : { id: { gt: after } },
            text === '' ? {} : { OR: [{ name: { contains: search } }, { slug: { contains: text } }] },
          ],
        },
        orderBy: { id: 'asc' },
        take,
      }),
    );
    return { items: items.map((row) => toOrganization(row) as O), nextCursor };
  }

  /**
   * Changes an organization. A slug that is replaced goes on leading to it for 90 days, and no other organization can take it meanwhile. Needs
   * `org:manage`.
   *
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`, `conflict`
   */
  async update(id: string, change: OrganizationChange<O>, actor: Actor): Promise<O> {
    return toOrganization(await updateOrg(this.#core, id, validate(orgChange, change), actor)) as O;
  }

  /**
   * Deletes an organization with all projects, teams and resources below it, all roles held or defined there, its invitations and its
   * single sign-on. People and their accounts stay. Needs `org:delete`, and a rank above everybody else who holds something there.
   *
   * @throws AuthTunaError `not_found`, `forbidden`, `conflict`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const scope = scopeOf(id);
    await requireAt(this.#core, actor, 'org:delete', scope);
    const { name, slug } = await requireOrg(this.#core, id);
    await removeTree(this.#core, this.#dependents, scope, actor, {
      writes: [],
      facts: [{ type: 'org.deleted', actor, target: { type: 'org', id }, scope, data: { name, slug } }],
    });
  }

  /**
   * Makes another member the owner. The actor steps down to `org_admin`; an actor who is above all owners replaces them all. Needs
   * `org:delete`, and the right to assign `org_owner`.
   *
   * @throws AuthTunaError `not_found`; `forbidden`; `conflict` for somebody who is no member
   */
  async transfer(id: string, to: { toUserId: string }, actor: Actor): Promise<void> {
    await transferOrg(this.#core, id, validate(transferInput, to).toUserId, actor);
  }

  /** The people who hold a role exactly at a scope, by id. @throws AuthTunaError `invalid_input`; `not_found` for an unknown scope */
  async members(scope: string, query: MemberQuery = {}): Promise<Page<Member>> {
    requireKnownFields(query, ['search', ...PAGE_FIELDS]);
    return membersOf(this.#core, scope, query);
  }

  /**
   * Gives a person a role at a scope without asking them. Needs `<type>:members:invite` there, and the right to assign the role.
   *
   * @throws AuthTunaError `not_found` for a scope that the actor cannot see, an unknown user or role; `forbidden`; `conflict` for an address
   * that the organization does not allow
   */
  async addMember(scope: string, member: { userId: string; role: string }, actor: Actor): Promise<void> {
    return addMember(this.#core, scope, validate(memberInput, member), actor);
  }

  /**
   * Gives a member this role at the scope instead of all that they hold exactly there. Needs `<type>:members:invite`, and the right to assign
   * the role and to take the others.
   *
   * @throws AuthTunaError `not_found` for somebody who is no member; `forbidden`; `conflict` for the last owner
   */
  async setRole(scope: string, member: { userId: string; role: string }, actor: Actor): Promise<void> {
    return setRole(this.#core, scope, validate(memberInput, member), actor);
  }

  /**
   * Takes everything from a person that they hold at the scope and below: roles, teams, ownership, open invitations. Needs
   * `<type>:members:remove`, and a rank above all of it.
   *
   * @throws AuthTunaError `not_found` for somebody who holds nothing there; `forbidden`; `conflict` for the last owner
   */
  removeMember(scope: string, userId: string, actor: Actor): Promise<void> {
    return removeMember(this.#core, scope, userId, actor);
  }

  /** As `removeMember`, for the actor's own user; needs no permission. @throws AuthTunaError `not_found`; `conflict` for the last owner */
  leave(scope: string, actor: Actor): Promise<void> {
    return leave(this.#core, scope, actor);
  }

  /**
   * Offers a role at a scope to a mailbox, by a link that is good for seven days. An open invitation of the same mailbox to the same scope ends.
   * Nothing tells whether the mailbox has an account or is a member already. Needs `<type>:members:invite`, and the right to assign the
   * role.
   *
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `conflict` for an address that the organization does not allow;
   * `rate_limited` beyond 50 a day of one organization
   */
  async invite(
    scope: string,
    invitation: { email: string; role: string; message?: string },
    actor: Actor,
  ): Promise<Invitation> {
    return invite(this.#core, scope, validate(invitationInput, invitation), actor);
  }

  /** All invitations to a scope, the newest first. @throws AuthTunaError `invalid_input`; `not_found` for an unknown scope */
  async listInvitations(scope: string, query: InvitationQuery = {}): Promise<Page<Invitation>> {
    requireKnownFields(query, ['isOpen', ...PAGE_FIELDS]);
    return listInvitations(this.#core, scope, query);
  }

  /** Mails a new link; the old one ends, and the seven days begin again. @throws AuthTunaError `not_found`, `forbidden`, `conflict`, `rate_limited` */
  resendInvitation(id: string, actor: Actor): Promise<Invitation> {
    return resendInvitation(this.#core, id, actor);
  }

  /** @throws AuthTunaError `not_found`, `forbidden`; `conflict` for one that was accepted */
  revokeInvitation(id: string, actor: Actor): Promise<void> {
    return revokeInvitation(this.#core, id, actor);
  }

  /**
   * Makes a link that offers a role at a scope to everybody who has it, to `maxUses` people in all (1 to 1,000). Needs `<type>:members:invite`,
   * and the right to assign the role. The token is in the answer and never shown again.
   *
   * @param input.expiresInSeconds 300 to 2,592,000 (30 days); default 604,800 (seven days)
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `rate_limited` beyond 50 invitations a day of one organization
   */
  async createInvitationLink(
    scope: string,
    input: { role: string; maxUses: number; expiresInSeconds?: number },
    actor: Actor,
  ): Promise<IssuedInvitationLink> {
    return createInvitationLink(this.#core, scope, validate(linkInput, input), actor);
  }

  /** All invitation links to a scope, the newest first. @throws AuthTunaError `invalid_input`; `not_found` for an unknown scope */
  async listInvitationLinks(
    scope: string,
    query: PageQuery & { isOpen?: boolean } = {},
  ): Promise<Page<InvitationLink>> {
    requireKnownFields(query, ['isOpen', ...PAGE_FIELDS]);
    return listInvitationLinks(this.#core, scope, query);
  }

  /** Ends a link; people who accepted it stay. @throws AuthTunaError `not_found`, `forbidden` */
  revokeInvitationLink(id: string, actor: Actor): Promise<void> {
    return revokeInvitationLink(this.#core, id, actor);
  }

  /**
   * Gives the actor's user the role that an invitation or an invitation link offers, while the person who made it may still give the role. An
   * invitation is for the account whose verified address was invited, a link for every account with a verified address.
   *
   * @throws AuthTunaError `invalid_token`, for a link that was used up as well; `forbidden` for another account; `email_not_verified`;
   * `conflict` when the inviter lost the right, and for an address that the organization does not allow
   */
  async acceptInvitation(token: string, actor: Actor): Promise<{ scope: string; role: string }> {
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    const link = await peekInvitationLink(this.#core, token);
    return link === null
      ? acceptInvitation(this.#core, token, actor)
      : acceptInvitationLink(this.#core, link, actor.userId, actor);
  }

  /**
   * Makes the account of an invited mailbox that has none, gives it the role that the invitation offers, and signs in: all or nothing. The
   * token proves the mailbox, so no other mail has to confirm it. Works where sign-up is closed to strangers.
   *
   * @throws AuthTunaError `invalid_token`; `conflict` with `field: 'email'` where the mailbox has an account by now, and without it where
   * the inviter lost the right; otherwise as `auth.signUp`, and the invitation can be tried again
   */
  async signUp(
    input: {
      token: string;
      password: string;
      username?: string | null;
      data?: Readonly<Record<string, unknown>>;
    },
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    requireKnownFields(options, SIGN_IN_FIELDS);
    const { username, data, ...details } = validate(invitedSignUp, input);
    return signUpInvited(
      this.#core,
      { ...details, ...(username != null && { username }), ...(data !== undefined && { data }) },
      actor,
      options,
    );
  }

  /** What the link of an invitation offers, without accepting it. @throws AuthTunaError `invalid_token` */
  async peekInvitation(token: string): Promise<Invitation> {
    return toInvitation((await peekInvitation(this.#core, token)).row);
  }

  /** The role and the scope that a link offers, without accepting it; null for a token of no link. @throws AuthTunaError `invalid_token` */
  async peekInvitationLink(token: string): Promise<InvitationLink | null> {
    const row = await peekInvitationLink(this.#core, token);
    return row === null ? null : toInvitationLink(row);
  }

  /** Organizations that a user may join without an invitation. */
  async joinable(userId: string): Promise<Page<O>> {
    const rows = await Promise.all((await joinableFor(this.#core, userId)).map((id) => this.get(id)));
    return { items: rows, nextCursor: null };
  }

  /**
   * Makes the actor's user an `org_member` of an organization that lets people of a proved domain join.
   *
   * @throws AuthTunaError `not_found` where that is not so, as for an unknown organization
   */
  join(id: string, actor: Actor): Promise<void> {
    return joinByDomain(this.#core, id, actor);
  }

  async #orgsOf(userId: string): Promise<string[]> {
    const grants = await this.#core.access.grantsOf(userId);
    const scopes = grants?.scopes ?? [];
    return scopes.filter((scope) => scope.startsWith('org:')).map((scope) => scope.slice('org:'.length));
  }

  /** @internal @throws AuthTunaError `not_found`, `forbidden` */
  async requireAt(actor: Actor, permission: string, scope: string): Promise<void> {
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    await requireAt(this.#core, actor, permission, scope);
  }
}
