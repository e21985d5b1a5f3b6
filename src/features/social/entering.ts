import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Write } from '../../core/changes/ledger.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput, SignUpWay } from '../../core/sign-in/sign-up.js';
import type { MissingDetail } from '../../core/sign-in/sign-up-rules.js';
import { requestVerification } from '../../core/sign-in/verification.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { isActive, type UserRow } from '../../core/user.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';
import type { Profile, SocialProvider } from '../../oauth-client/provider.js';
import { type IdentityRow, type LinkedIdentities, orConflict } from './identities.js';
import type { ProviderAnswer } from './journey.js';
import { decideSignIn } from './linking.js';
import type { OrganizationProviders } from './organizations.js';

/** How a person confirms an address that the provider has not proved. */
export interface Confirmation {
  /** Gives a value that only this browser has: here the mailed link confirms the address with one press. */
  browserId(): string;
  /** Where the mailed link leads, a path of this site. */
  returnTo: string;
  /** Told where a message was sent, or until when it is held back. */
  onMailed?: ((address: string, held: HeldMail | null) => void) | undefined;
}

/** What a newcomer filled in, and the write that spends the token by which it was asked for. */
export interface NewcomerDetails extends Pick<SignUpInput, 'username' | 'data'> {
  spend?: Write;
}

const AMR = ['social'];
/** A session that began at an organization's own provider. */
const SSO_AMR = ['social', 'sso'];

/** Signing in with what a provider says of a person: by a known identity, by an address, or by a new account. */
export class Entering<U extends User = User> {
  readonly #core: SignInCore<U>;
  readonly #identities: LinkedIdentities;
  readonly #organizations: OrganizationProviders;

  constructor(core: SignInCore<U>, identities: LinkedIdentities, organizations: OrganizationProviders) {
    this.#core = core;
    this.#identities = identities;
    this.#organizations = organizations;
  }

  /**
   * Signs in, or gives what the account of a newcomer still needs: then nothing is made.
   *
   * {@link SocialManager.finishSignIn}
   */
  async enter(
    provider: SocialProvider,
    answer: ProviderAnswer,
    actor: Actor,
    options: SignInOptions,
    confirmation: Confirmation,
  ): Promise<SignInResult | { status: 'details_required'; missing: MissingDetail[] }> {
    const { db } = this.#core;
    const { profile } = answer;
    const known = await db.socialAccount.findUnique({
      where: { provider_subject: { provider: provider.id, subject: profile.subject } },
      include: { user: true },
    });
    if (known === null && profile.email !== null)
      await this.#organizations.lookAgain(provider.id, profile.email);
    // Before anything is said about an account: an organization learns nothing about addresses that are not its own.
    const demanded =
      known === null && profile.email !== null
        ? await this.#organizations.requireMember(provider.id, profile.email)
        : null;
    const isDemanded = demanded?.required === true;
    if (isDemanded && demanded.provider !== provider.id) throw this.#organizations.demand(demanded);
    const user =
      known?.user ??
      (profile.email === null ? null : await db.user.findUnique({ where: { email: profile.email } }));
    const action = decideSignIn({
      identity: known === null ? 'unknown' : 'known',
      address: profile.email === null ? 'none' : profile.emailVerified ? 'proven' : 'claimed',
      account:
        user === null
          ? 'none'
          : user.deletedAt !== null
            ? 'deleted'
            : user.emailVerifiedAt === null
              ? 'unproven'
              : 'proven',
      isSameAddress: user !== null && user.email === profile.email,
      mayLink: await this.#mayLink(provider),
      isDemanded,
    });
    // To a stranger with an unproved address one that has an account answers as one that has none; its owner is told by mail.
    const isAlike = action === 'confirm_address' && this.#core.config.signUp.requireVerifiedEmail;
    if ((action === 'create' || isAlike) && profile.email !== null) {
      await this.#core.signUp.requireAdmitted(profile.email, wayOf(provider));
      const missing = this.#core.signUp.missing({});
      if (missing.length > 0) return { status: 'details_required', missing };
      return this.enterAnew(provider, answer, {}, actor, options, confirmation);
    }
    const entered = await this.#prepareEntry(action, provider, answer, known, user, actor, confirmation);
    return this.#complete(provider, answer, entered, actor, options).catch(async (error: unknown) => {
      if (!isUnconfirmed(error)) throw error;
      const asking = { browserId: confirmation.browserId(), returnTo: confirmation.returnTo };
      const held = await requestVerification(this.#core, entered.email, actor, asking);
      confirmation.onMailed?.(entered.email, held);
      throw error;
    });
  }

  /** Makes the account of a newcomer, now that the details are there. {@link SocialManager.completeSignUp} */
  async enterAnew(
    provider: SocialProvider,
    answer: ProviderAnswer,
    details: NewcomerDetails,
    actor: Actor,
    options: SignInOptions,
    confirmation: Confirmation,
  ): Promise<SignInResult> {
    let held: HeldMail | null = null;
    const onHeld = (each: HeldMail) => {
      held = each;
    };
    try {
      const made = await this.#create(provider, answer, details, actor, { ...confirmation, onHeld });
      return await this.#complete(provider, answer, made, actor, options);
    } catch (error) {
      // The sign-up has mailed the link, or told the owner of the address.
      if (isUnconfirmed(error)) confirmation.onMailed?.(answer.profile.email ?? '', held);
      throw error;
    }
  }

  async #complete(
    provider: SocialProvider,
    { claims }: ProviderAnswer,
    user: UserRow,
    actor: Actor,
    options: SignInOptions,
  ): Promise<SignInResult> {
    const amr = provider.id.startsWith(SSO_PREFIX) ? SSO_AMR : AMR;
    await this.#organizations.requireMember(provider.id, user.email);
    const result = await this.#core.signIn.complete(user, { amr, assuranceLevel: 1 }, actor, options);
    await this.#organizations.applyRoles(provider.id, user.id, claims);
    return result;
  }

  /** Does what was decided, and gives the account to sign in to. */
  async #prepareEntry(
    action: ReturnType<typeof decideSignIn>,
    provider: SocialProvider,
    answer: ProviderAnswer,
    known: IdentityRow | null,
    user: UserRow | null,
    actor: Actor,
    confirmation: Confirmation,
  ): Promise<UserRow> {
    const { profile, tokens } = answer;
    if ((action === 'enter' || action === 'prove_and_enter') && known !== null && user !== null) {
      const seen = this.#core.db.socialAccount.update({
        // Kept tokens that were refreshed meanwhile must not be overwritten with those of before.
        where: { id: known.id, ...(provider.keepTokens && { tokens: known.tokens }) },
        data: this.#identities.seen(provider, profile, tokens, known),
      });
      if (action === 'enter') {
        await this.#identities.commit({ writes: [seen], facts: [] });
        return user;
      }
      const others = this.#core.db.socialAccount.deleteMany({
        where: { userId: user.id, id: { not: known.id } },
      });
      const proved = await orConflict(() =>
        this.#core.ownership.bySignIn(user, others, actor, this.#identities),
      );
      await this.#identities.commit({ writes: [seen], facts: [] });
      return proved.user;
    }
    if ((action === 'link_and_enter' || action === 'claim_and_enter') && user !== null) {
      if (!isActive(user, this.#core.now())) throw new AuthTunaError('account_suspended');
      const owner = action === 'link_and_enter' ? user : await this.#claim(user, actor);
      await this.#identities.link(owner, provider, profile, tokens, actor, [
        // The address is still theirs and still proved.
        this.#core.db.user.update({
          where: { id: owner.id, email: owner.email, emailVerifiedAt: owner.emailVerifiedAt },
          data: { updatedAt: this.#core.now() },
        }),
      ]);
      return owner;
    }
    if (action === 'ask_address') throw noAddress(provider, profile);
    const mustConfirm =
      user !== null &&
      isActive(user, this.#core.now()) &&
      user.emailVerifiedAt === null &&
      profile.emailVerified &&
      this.#core.config.signUp.requireVerifiedEmail;
    if (mustConfirm) {
      // Anybody may have made this account. The mailed link lets the owner of the address have it, without what others put on it.
      const held = await requestVerification(this.#core, user.email, actor);
      confirmation.onMailed?.(user.email, held);
    }
    throw new AuthTunaError('conflict', {
      message: `There is an account with this address already. Sign in as before, then link ${provider.name} in your account.`,
      reason: mustConfirm ? 'address_unconfirmed' : 'sign_in_then_link',
    });
  }

  /** The mailbox is proved for the first time, by its organization: everything that was left on the account goes. */
  async #claim(user: UserRow, actor: Actor): Promise<UserRow> {
    const others = this.#core.db.socialAccount.deleteMany({ where: { userId: user.id } });
    const proved = await orConflict(() =>
      this.#core.ownership.bySignIn(user, others, actor, this.#identities),
    );
    return proved.user;
  }

  async #mayLink(provider: SocialProvider): Promise<boolean> {
    if (provider.ofTenant) return this.#organizations.mayLink(provider.id);
    const { linkVerifiedEmails } = this.#core.config.social;
    return typeof linkVerifiedEmails === 'boolean'
      ? linkVerifiedEmails
      : linkVerifiedEmails.includes(provider.id);
  }

  async #create(
    provider: SocialProvider,
    { profile, tokens }: ProviderAnswer,
    { username, data, spend }: NewcomerDetails,
    actor: Actor,
    { browserId, returnTo, onHeld }: Confirmation & Required<Pick<SignUpWay, 'onHeld'>>,
  ): Promise<UserRow> {
    const { signUp, db, config } = this.#core;
    const mustConfirm = !profile.emailVerified && config.signUp.requireVerifiedEmail;
    const email = profile.email ?? '';
    const { id } = await signUp
      .create({ email, username, data }, actor, {
        ...wayOf(provider),
        isMailboxProved: profile.emailVerified,
        ...(mustConfirm && { browserId: browserId(), returnTo }),
        onHeld,
        writesFor: (userId) => [
          db.socialAccount.create({ data: this.#identities.newRow(userId, provider, profile, tokens) }),
          ...(spend === undefined ? [] : [spend]),
        ],
      })
      .catch((error: unknown) => {
        if (mustConfirm && isTakenAddress(error)) throw new AuthTunaError('email_not_verified');
        // The same person in two tabs: the second finds what the first made.
        throw error instanceof AuthTunaError &&
          error.code === 'conflict' &&
          error.details.field !== 'username'
          ? new AuthTunaError('conflict', {
              message: 'This account was made at the same moment. Sign in again.',
            })
          : error;
      });
    return this.#row(id);
  }

  async #row(id: string): Promise<UserRow> {
    const row = await this.#core.users.row(id);
    if (row === null) throw new AuthTunaError('not_found');
    return row;
  }
}

function isUnconfirmed(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'email_not_verified';
}

function isTakenAddress(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'conflict' && error.details.field === 'email';
}

function wayOf(provider: SocialProvider): Pick<SignUpWay, 'by'> {
  return { by: provider.ofTenant ? 'organization' : 'provider' };
}

function noAddress({ name }: SocialProvider, { missingPermission }: Profile): AuthTunaError {
  const why =
    missingPermission === undefined
      ? `${name} shared no email address`
      : `${name} did not show your email address, because this app lacks a permission there: ${missingPermission}`;
  return new AuthTunaError('invalid_input', {
    message: `${why}. Sign up with your address, then link ${name} in your account.`,
    reason: missingPermission === undefined ? 'no_email' : 'no_permission',
    errors: [{ field: 'email', rule: 'email_not_shared', message: `is not shared by ${name}` }],
  });
}
