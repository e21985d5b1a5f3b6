import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Change, Ledger, Write } from '../../core/changes/ledger.js';
import { activityOf, type Mail, noticeTo } from '../../core/changes/outbox.js';
import { canonicalEmail, canonicalUsername, maskedEmail } from '../../core/identifiers.js';
import { GUESSING, type Throttle } from '../../core/limits/throttle.js';
import type { Runtime } from '../../core/runtime.js';
import type { Proof, SessionManager, SessionWithToken } from '../../core/sessions/sessions.js';
import type { SignIn, SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignInThrottle } from '../../core/sign-in/sign-in-throttle.js';
import type { MailQuota } from '../../core/tokens/mail-quota.js';
import { type LiveToken, type OneTimeTokens, TOKEN_SECONDS } from '../../core/tokens/one-time-tokens.js';
import { mailTo, type Recipient, standInFor } from '../../core/tokens/recipient.js';
import type { UserRow } from '../../core/user.js';
import { isActive, type PublicUser, publicUser } from '../../core/user.js';
import type { MailboxProof } from '../../core/users/address-ownership.js';
import type { PasswordManager } from '../../core/users/passwords.js';
import type { PreparedUser, UserManager } from '../../core/users/users.js';
import { equalInConstantTime, sha256 } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import type { ExtraColumns } from '../../db/client.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { type StepUp, type StepUpMethods, stepUpKey } from './step-up.js';

export interface AuthDependencies<U extends User> {
  runtime: Runtime;
  ledger: Ledger;
  users: UserManager<U>;
  passwords: PasswordManager;
  sessions: SessionManager;
  signIn: SignIn;
  tokens: OneTimeTokens;
  mailboxProof: MailboxProof;
  mailQuota: MailQuota;
  throttle: Throttle;
  signInThrottle: SignInThrottle;
  stepUp: StepUp;
}

export interface SignUpInput<U extends User = User> {
  email: string;
  username?: string;
  password?: string;
  data?: Partial<ExtraColumns<U>>;
}

/** A way in that is not a password, stored together with the account it opens. */
export interface SignUpCredential {
  writesFor(userId: string): readonly Write[];
  proof: Proof;
}

/** What a mailed link allows, as its page names it. */
export interface LinkSubject {
  /** The account's address, masked: whoever holds the link need not be its owner. */
  email: string;
  /** For a change of address: the one that takes effect, in full. */
  newEmail: string | null;
}

/** How somebody shows that they made the account whose address they confirm. */
export interface MakerProof {
  /** The value that only the browser had in which the account was made. */
  browserId?: string | null;
  /** The one that was chosen at sign-up. */
  password?: string;
}

/** What the page of a verification link says before it is spent. */
export interface VerificationView {
  /** Masked: whoever holds the link need not be its owner. */
  email: string;
  username: string | null;
  createdAt: Date;
  hasPassword: boolean;
  /** Nothing shows that whoever looks is the one who signed up. */
  needsProof: boolean;
}

/** What a mailed link is for. */
export type LinkPurpose = keyof typeof TOKEN_SECONDS;

/** Sign-up, sign-in, passwords and addresses. */
export class AuthManager<U extends User = User> {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #users: UserManager<U>;
  readonly #passwords: PasswordManager;
  readonly #sessions: SessionManager;
  readonly #signIn: SignIn;
  readonly #tokens: OneTimeTokens;
  readonly #mailboxProof: MailboxProof;
  readonly #mailQuota: MailQuota;
  readonly #throttle: Throttle;
  readonly #signInThrottle: SignInThrottle;
  readonly #stepUp: StepUp;

  constructor(dependencies: AuthDependencies<U>) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#users = dependencies.users;
    this.#passwords = dependencies.passwords;
    this.#sessions = dependencies.sessions;
    this.#signIn = dependencies.signIn;
    this.#tokens = dependencies.tokens;
    this.#mailboxProof = dependencies.mailboxProof;
    this.#mailQuota = dependencies.mailQuota;
    this.#throttle = dependencies.throttle;
    this.#signInThrottle = dependencies.signInThrottle;
    this.#stepUp = dependencies.stepUp;
  }

  /**
   * Makes an account for whoever asks, and mails the link that confirms its address where that is required. The owner of an address that
   * has an account already is told so by mail.
   *
   * @throws AuthTunaError `forbidden` when sign-up is closed; `invalid_input`; `weak_password`; `conflict` with `field` for a taken address
   * or username: whether an *address* is taken is nobody's business, see {@link AuthManager.register}
   */
  async signUp(
    input: SignUpInput<U>,
    actor: Actor,
    { credential, browserId }: { credential?: SignUpCredential; browserId?: string | null } = {},
  ): Promise<U> {
    const { signUp, hooks } = this.#runtime.config;
    if (input.password === undefined && credential === undefined) throw invalid('password', 'is required');
    if (!signUp.enabled) throw new AuthTunaError('forbidden', { message: 'Sign-up is closed.' });
    if (signUp.username === 'required' && input.username === undefined)
      throw invalid('username', 'is required');
    if (signUp.username === 'off' && input.username !== undefined)
      throw invalid('username', 'is not used here');
    const prepared = await this.#users.prepare(input, actor);
    const domain = prepared.email.slice(prepared.email.lastIndexOf('@') + 1);
    if (signUp.allowedEmailDomains !== undefined && !signUp.allowedEmailDomains.includes(domain))
      throw invalid('email', 'addresses of this domain cannot sign up');
    await hooks.beforeSignUp?.({
      email: prepared.email,
      ...(prepared.username !== null && { username: prepared.username }),
    });
    const { writes, mail } = signUp.requireVerifiedEmail
      ? this.#verification(prepared, browserId == null ? null : sha256(browserId))
      : { writes: [], mail: this.#welcome(prepared) };
    const mayMail = await this.#mailQuota.reserve({ purpose: 'sign_up', address: prepared.email, actor });
    const more = [...(mayMail ? writes : []), ...(credential?.writesFor(prepared.id) ?? [])];
    if (signUp.requireVerifiedEmail) await this.#refuseTaken(prepared, actor, more.length, mayMail);
    await this.#users.store(prepared, actor, { writes: more, mails: mayMail ? [mail] : [] });
    return this.#users.get(prepared.id);
  }

  /**
   * Sign-up for a stranger: signs in at once, or, where the address must be confirmed first, says the same for a new address and a known one.
   *
   * @param options.browserId a value that only the asking browser has: there the mailed link confirms the address without asking further
   * @throws AuthTunaError as `signUp`, but for a taken address only where sign-up signs in
   */
  async register(
    input: SignUpInput<U>,
    actor: Actor,
    { browserId, ...signInOptions }: SignInOptions & { browserId?: string | null } = {},
    credential?: SignUpCredential,
  ): Promise<SignInResult | { status: 'verification_required' }> {
    const { requireVerifiedEmail } = this.#runtime.config.signUp;
    try {
      const user = await this.signUp(input, actor, {
        ...(credential !== undefined && { credential }),
        ...(browserId !== undefined && { browserId }),
      });
      if (!requireVerifiedEmail)
        return await this.#signInAfterSignUp(user.id, actor, signInOptions, credential?.proof);
    } catch (error) {
      const isTakenAddress =
        error instanceof AuthTunaError && error.code === 'conflict' && error.details.field === 'email';
      if (!requireVerifiedEmail || !isTakenAddress) throw error;
    }
    return { status: 'verification_required' };
  }

  /**
   * A taken username is told to whoever asks, whatever the address is; a taken address to its owner alone, by as much work as a new account
   * takes: as many questions, and one batch of as many statements.
   */
  async #refuseTaken(
    prepared: PreparedUser,
    actor: Actor,
    furtherWrites: number,
    mayMail: boolean,
  ): Promise<void> {
    const { db, config } = this.#runtime;
    const username = prepared.username === null ? null : canonicalUsername(prepared.username);
    if (username !== null) {
      const holder = await db.user.findFirst({
        where: { OR: [{ username: username.username }, { usernameKey: username.key }] },
      });
      if (holder !== null)
        throw new AuthTunaError('conflict', { message: 'This username is taken.', field: 'username' });
    }
    const owner = await db.user.findUnique({ where: { email: prepared.email } });
    if (owner === null) return;
    const now = this.#runtime.now();
    // Expired as it is made: it allows nothing, weighs what a row of the account would, and goes with the next clean-up.
    const ballast = () =>
      db.oneTimeToken.create({
        data: {
          id: newId(config.random),
          purpose: 'stand_in',
          subject: prepared.id,
          secretHash: '',
          createdAt: now,
          expiresAt: now,
        },
      });
    const recipient = owner.deletedAt === null ? owner : standInFor(this.#runtime, owner.email);
    await this.#ledger.commit({
      writes: Array.from({ length: prepared.writes.length + furtherWrites }, ballast),
      facts: [
        {
          type: 'user.created',
          outcome: 'failure',
          reason: 'email_taken',
          actor,
          target: { type: 'user', id: owner.id },
        },
      ],
      mails: mayMail ? [this.#alreadyRegistered(recipient)] : [],
    });
    await this.#users.find(prepared.id);
    throw new AuthTunaError('conflict', { message: 'This email address is taken.', field: 'email' });
  }

  /**
   * Signs in with an address or username and a password.
   *
   * @throws AuthTunaError `invalid_credentials` for an unknown user, a wrong password and a user without one, alike in answer and time;
   * only after the right password: `account_suspended`, `email_not_verified`; `rate_limited` after too many failures, alike for known and
   * unknown; `unavailable` when too many sign-ins are waiting
   */
  async login(
    input: { login: string; password: string; rememberMe?: boolean },
    actor: Actor,
    options: Omit<SignInOptions, 'rememberMe'> = {},
  ): Promise<SignInResult> {
    const user = await this.#users.rowByLogin(input.login);
    const admitted = await this.#signInThrottle.admit(input.login, user, actor, options.deviceCookie);
    if (!(await this.#passwords.verify(user?.id ?? null, input.password)) || user === null) {
      await this.#ledger.commit({
        writes: [],
        facts: [
          {
            type: 'user.sign_in_failed',
            outcome: 'failure',
            reason: 'invalid_credentials',
            actor,
            // What was typed may be a password in the wrong field, so it is kept as a keyed digest and a mask.
            data: {
              login: this.#runtime.keys.lookup(`login ${input.login.toLowerCase()}`),
              masked: input.login.includes('@') ? maskedEmail(input.login) : '***',
            },
            ...(user !== null && { target: { type: 'user', id: user.id } }),
          },
        ],
      });
      throw new AuthTunaError('invalid_credentials');
    }
    const successWrites = await admitted();
    try {
      return await this.#signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, {
        ...options,
        ...(input.rememberMe !== undefined && { rememberMe: input.rememberMe }),
        writes: [...successWrites, ...(options.writes ?? [])],
      });
    } catch (error) {
      if (error instanceof AuthTunaError) {
        const target = { type: 'user', id: user.id };
        await this.#ledger.commit({
          writes: successWrites, // the password was right, whatever else was not
          facts: [{ type: 'user.sign_in_failed', outcome: 'failure', reason: error.code, actor, target }],
        });
      }
      throw error;
    }
  }

  /** A session for a user who has just signed up, where no address has to be confirmed first. */
  async #signInAfterSignUp(
    userId: string,
    actor: Actor,
    options: SignInOptions,
    proof: Proof = { amr: ['pwd'], assuranceLevel: 1 },
  ): Promise<SignInResult> {
    const user = await this.#users.row(userId);
    if (user === null) throw new AuthTunaError('not_found');
    return this.#signIn.complete(user, proof, actor, options);
  }

  /** Ends the session; one that has ended already is fine. */
  async logout(sessionId: string, actor: Actor): Promise<void> {
    await this.#sessions.end(sessionId, 'signed_out', {
      type: 'user.signed_out',
      actor,
      target: { type: 'session', id: sessionId },
    });
  }

  /** What a user can prove themselves with anew: password and code together where there are both, or a passkey alone. */
  stepUpMethods(userId: string): Promise<StepUpMethods> {
    return this.#stepUp.methodsOf(userId);
  }

  /**
   * Raises a session by a fresh proof, at the highest level its user has; also one that waits for it because its device changed. It goes on
   * under the new cookie that is returned; the old one, and every copy of it, is dead at once and never exchanged for the new one.
   *
   * @param options.fingerprint where the browser is now, believed from here on
   * @throws AuthTunaError `invalid_input` when the password is missing; `second_factor_required` when the code is, or only a passkey will do;
   * `invalid_credentials`, also when two step-ups meet; `rate_limited`; `recent_login_required` for an account that has neither, which signs in
   * again instead; `session_revoked`; `forbidden` for a session that an administrator has as another user
   */
  stepUp(
    sessionId: string,
    proof: { password?: string; code?: string },
    actor: Actor,
    options: { fingerprint?: string } = {},
  ): Promise<SessionWithToken> {
    return this.#stepUp.stepUp(sessionId, proof, actor, options);
  }

  /**
   * Changes one's own password; every other session and every mailed link ends. The session named by `keepSessionId` goes on under the new
   * cookie that is returned, and its old cookie is dead at once.
   *
   * @throws AuthTunaError `invalid_credentials` for a wrong current password; `rate_limited` after five; `weak_password`; `invalid_input` when the
   * new one is the old one; `not_found`; `session_revoked` when the one to keep has ended; `conflict` when the account changed at the same moment
   */
  async changePassword(
    userId: string,
    input: { currentPassword: string; newPassword: string; keepSessionId?: string },
    actor: Actor,
  ): Promise<SessionWithToken | null> {
    const user = await this.#users.row(userId);
    if (user === null || user.deletedAt !== null) throw new AuthTunaError('not_found');
    const bucket = changeKey(userId);
    await this.#throttle.reserve(bucket, GUESSING);
    if (!(await this.#passwords.verify(userId, input.currentPassword))) {
      await this.#ledger.commit({
        writes: [],
        facts: [
          {
            type: 'password.changed',
            outcome: 'failure',
            reason: 'invalid_credentials',
            actor,
            target: { type: 'user', id: userId },
          },
        ],
      });
      throw new AuthTunaError('invalid_credentials', { message: 'The current password is not correct.' });
    }
    await this.#throttle.clear(bucket);
    if (input.newPassword.normalize('NFKC') === input.currentPassword.normalize('NFKC'))
      throw invalid('newPassword', 'must be another one');
    await this.#passwords.check(input.newPassword, user);
    const hash = await this.#passwords.hash(input.newPassword);
    const proof = { amr: ['pwd'], assuranceLevel: 1 } as const;
    const kept = await this.#sessions.prepareOnly(user, input.keepSessionId, proof, 'password_changed');
    await this.#ledger.commitToAccount({
      writes: [...this.#passwords.replaceWrites(userId, hash), ...kept.writes],
      facts: [{ type: 'password.changed', actor, target: { type: 'user', id: userId } }],
      mails: [{ template: 'password-changed', ...noticeTo(this.#runtime, user, actor) }],
      invalidates: [`user:${userId}`],
    });
    return kept.result;
  }

  /**
   * Mails the link that confirms an address again. Does the same for addresses without an account, with a confirmed one, or unusable ones: nothing.
   *
   * @throws AuthTunaError `invalid_input` for what is no address
   */
  async requestEmailVerification(email: string, actor: Actor): Promise<void> {
    const address = addressOf(email);
    const mayMail = await this.#mailQuota.reserve({ purpose: 'verify_email', address, actor });
    const user = await this.#recipient(address);
    const unconfirmed = user?.emailVerifiedAt === null ? user : null;
    const recipient = unconfirmed ?? standInFor(this.#runtime, address);
    // Bound to the browser that signed up, if to any; never to the one that asks, which may be the owner's who knows nothing of the sign-up.
    const former = await this.#runtime.db.oneTimeToken.findFirst({
      where: { purpose: 'verify_email', subject: recipient.id },
      orderBy: { createdAt: 'desc' },
    });
    const { browser } = JSON.parse(former?.data ?? '{}') as { browser?: string };
    const issued = mayMail ? this.#verification(recipient, browser ?? null) : null;
    await this.#request('user.verification_requested', recipient, user, actor, issued);
  }

  /**
   * Confirms an address by the token of its mail. The account keeps whatever it was made with.
   *
   * Who may have made it is anybody, so a page for the owner of the mailbox asks for `proof`: a session of the account, the browser that signed
   * up, or the password. Left out, the token alone is believed.
   * @throws AuthTunaError `invalid_token`; `invalid_credentials` when nothing is proved; `rate_limited`; of racing callers one succeeds
   * @see "Pre-hijacked accounts", USENIX Security 2022
   */
  async verifyEmail(token: string, actor: Actor, proof?: MakerProof): Promise<PublicUser> {
    const live = await this.#tokens.peek(token, 'verify_email');
    const user = await this.#subject(live);
    if (proof !== undefined) await this.#requireMaker(live, user, actor, proof);
    const now = this.#runtime.now();
    await this.#spend(live, {
      writes: [
        this.#runtime.db.user.update({
          where: { id: user.id, email: String(live.data.email), deletedAt: null },
          data: { emailVerifiedAt: now, updatedAt: now },
        }),
      ],
      facts: [{ type: 'user.email_verified', actor, target: { type: 'user', id: user.id } }],
      mails: [this.#welcome(user)],
      invalidates: [`user:${user.id}`],
    });
    return publicUser({ ...user, emailVerifiedAt: now });
  }

  /**
   * Confirms an address for an owner who did not make the account, or cannot show it: with a new password, and without whatever was put on the
   * account before, as a reset does.
   *
   * @throws AuthTunaError `invalid_token`, also when the address is confirmed already; `weak_password`; of racing callers one succeeds
   */
  async claimAccount(input: { token: string; newPassword: string }, actor: Actor): Promise<void> {
    const live = await this.#tokens.peek(input.token, 'verify_email');
    const user = await this.#subject(live);
    if (user.emailVerifiedAt !== null || user.email !== live.data.email)
      throw new AuthTunaError('invalid_token');
    await this.#passwords.check(input.newPassword, user);
    const hash = await this.#passwords.hash(input.newPassword);
    const target = { type: 'user', id: user.id };
    await this.#spend(live, {
      writes: [
        ...this.#mailboxProof.beside(user),
        ...this.#passwords.replaceWrites(user.id, hash),
        ...this.#sessions.revokeAllWrites(user, { reason: 'mailbox_proved' }),
        ...this.#signInThrottle.unlockWrites(user),
      ],
      facts: [
        { type: 'user.email_verified', actor, target },
        { type: 'password.reset', actor, target },
      ],
      mails: [this.#welcome(user)],
      invalidates: [`user:${user.id}`],
    });
  }

  /** Looks at a verification link without spending it. @throws AuthTunaError `invalid_token` */
  async inspectVerification(
    token: string,
    actor: Actor,
    browserId: string | null,
  ): Promise<VerificationView> {
    const live = await this.#tokens.peek(token, 'verify_email');
    const user = await this.#subject(live);
    const password = await this.#runtime.db.password.findUnique({ where: { userId: user.id } });
    return {
      email: maskedEmail(user.email),
      username: user.username,
      createdAt: user.createdAt,
      hasPassword: password !== null,
      needsProof: !isMaker(live, user, actor, browserId),
    };
  }

  /** Otherwise an impostor's password would open the account as soon as the owner of the address clicks. */
  async #requireMaker(live: LiveToken, user: UserRow, actor: Actor, proof: MakerProof): Promise<void> {
    if (isMaker(live, user, actor, proof.browserId ?? null)) return;
    const refused = () =>
      new AuthTunaError('invalid_credentials', {
        message: 'Enter the password that you chose when you signed up.',
      });
    if (proof.password === undefined) throw refused();
    const bucket = `verify-email:${user.id}`;
    await this.#throttle.reserve(bucket, GUESSING);
    if (!(await this.#passwords.verify(user.id, proof.password))) {
      const target = { type: 'user', id: user.id };
      await this.#ledger.commit({
        writes: [],
        facts: [
          {
            type: 'user.email_verified',
            outcome: 'failure',
            reason: 'invalid_credentials',
            actor,
            target,
          },
        ],
      });
      throw refused();
    }
    await this.#throttle.clear(bucket);
  }

  /** Mails a link to choose a new password, where there is an account; says nothing about it. @throws AuthTunaError `invalid_input` */
  async requestPasswordReset(email: string, actor: Actor): Promise<void> {
    const address = addressOf(email);
    const mayMail = await this.#mailQuota.reserve({ purpose: 'reset_password', address, actor });
    const user = await this.#recipient(address);
    const recipient = user ?? standInFor(this.#runtime, address);
    const issued = mayMail ? await this.#reset(recipient) : null;
    await this.#request('password.reset_requested', recipient, user, actor, issued);
  }

  /**
   * Sets a new password by the token of a mail. Ends every session and every other mailed link, signs nobody in and leaves second factors as
   * they are; an address that was never confirmed is confirmed by it, and loses what was put on the account before.
   *
   * @throws AuthTunaError `invalid_token`; `weak_password`; of racing callers one succeeds
   */
  async resetPassword(input: { token: string; newPassword: string }, actor: Actor): Promise<void> {
    const live = await this.#peekUnchanged(input.token, 'reset_password');
    const user = await this.#subject(live);
    await this.#passwords.check(input.newPassword, user);
    const hash = await this.#passwords.hash(input.newPassword);
    await this.#spend(live, {
      writes: [
        ...this.#mailboxProof.beside(user),
        ...this.#passwords.replaceWrites(user.id, hash),
        ...this.#sessions.revokeAllWrites(user, { reason: 'password_reset' }),
        // The guesses were at the old one.
        ...this.#signInThrottle.unlockWrites(user),
        this.#throttle.clear(changeKey(user.id)),
        this.#throttle.clear(stepUpKey(user.id)),
      ],
      facts: [{ type: 'password.reset', actor, target: { type: 'user', id: user.id } }],
      mails: [{ template: 'password-changed', ...noticeTo(this.#runtime, user, actor) }],
      invalidates: [`user:${user.id}`],
    });
  }

  /**
   * Begins a change of one's own address: the new mailbox gets a link and nothing changes before it is opened. When the address belongs to
   * another account, its owner is told so, and the caller is not.
   *
   * @throws AuthTunaError `invalid_input`; `not_found`; `forbidden` for an address whose organization demands its single sign-on
   */
  async requestEmailChange(userId: string, input: { newEmail: string }, actor: Actor): Promise<void> {
    const { db } = this.#runtime;
    const newEmail = addressOf(input.newEmail, 'newEmail');
    const user = await this.#users.row(userId);
    if (user === null || user.deletedAt !== null) throw new AuthTunaError('not_found');
    if (newEmail === user.email) throw invalid('newEmail', 'is your address already');
    await this.#signIn.requireMayTake(newEmail, user);
    const target = { type: 'user', id: userId };
    const holder = await db.user.findUnique({ where: { email: newEmail } });
    if (!(await this.#mailQuota.reserve({ purpose: 'change_email', address: newEmail, actor }))) {
      await this.#ledger.commit({
        writes: [],
        facts: [
          { type: 'user.email_change_requested', outcome: 'denied', reason: 'mail_quota', actor, target },
        ],
      });
      return;
    }
    // An address that has an owner costs the same work: a token and a mail, of which nothing comes for the one who asked.
    const subject = holder === null ? user : standInFor(this.#runtime, newEmail);
    const { writes, link } = await this.#issue('change_email', '/change-email/confirm', subject, {
      newEmail,
      sessionId: actor.sessionId ?? null,
    });
    const isTaken = holder !== null;
    const data = { name: user.username, newEmail, link, expiresInSeconds: TOKEN_SECONDS.change_email };
    await this.#ledger.commit({
      writes,
      facts: [
        {
          type: 'user.email_change_requested',
          actor,
          target,
          ...(isTaken && { outcome: 'failure', reason: 'email_taken' }),
        },
      ],
      mails: [
        isTaken
          ? {
              ...this.#alreadyRegistered(
                holder.deletedAt === null ? holder : standInFor(this.#runtime, newEmail),
              ),
              languages: null, // another's mailbox
            }
          : { template: 'email-change-confirm', to: newEmail, data },
      ],
    });
  }

  /**
   * Makes the new address the account's, by the token that was mailed to it. Every session but the one that asked ends, and the former
   * address gets a link that takes it back for seven days.
   *
   * @throws AuthTunaError `invalid_token`; `conflict` when another account took the address meanwhile; `forbidden` as when it was asked for
   */
  async confirmEmailChange(token: string, actor: Actor): Promise<PublicUser> {
    const live = await this.#peekUnchanged(token, 'change_email');
    const user = await this.#subject(live);
    const newEmail = String(live.data.newEmail);
    await this.#signIn.requireMayTake(newEmail, user);
    const { sessionId } = live.data;
    const now = this.#runtime.now();
    const asking =
      typeof sessionId === 'string'
        ? await this.#runtime.db.session.findUnique({ where: { id: sessionId } })
        : null;
    const undo = this.#tokens.issue({
      purpose: 'undo_email_change',
      subject: this.#tokens.undoSubject(user),
      lifetimeSeconds: TOKEN_SECONDS.undo_email_change,
      data: {
        userId: user.id,
        oldEmail: user.email,
        wasProved: user.emailVerifiedAt !== null,
        changedAt: now.toISOString(),
        addedSince: (asking?.createdAt ?? now).toISOString(), // a thief prepares the ground before taking the address
      },
    });
    const notice = noticeTo(this.#runtime, user, actor).data;
    await this.#spend(live, {
      writes: [
        this.#runtime.db.user.update({
          where: { id: user.id, email: user.email, deletedAt: null },
          data: { email: newEmail, emailVerifiedAt: now, updatedAt: now },
        }),
        ...this.#sessions.revokeAllWrites(user, {
          reason: 'email_changed',
          ...(typeof sessionId === 'string' && { except: sessionId }),
        }),
        this.#tokens.revokeAll(user.id),
        ...undo.writes,
      ],
      facts: [{ type: 'user.email_changed', actor, target: { type: 'user', id: user.id } }],
      mails: [
        {
          template: 'email-changed-old',
          to: user.email,
          data: {
            name: user.username,
            newEmail,
            link: this.#tokens.link('/change-email/undo', undo.token),
            expiresInSeconds: TOKEN_SECONDS.undo_email_change,
            activity: activityOf(this.#runtime, actor),
          },
        },
        { template: 'email-changed-new', to: newEmail, data: notice },
      ],
      invalidates: [`user:${user.id}`],
    });
    return publicUser({ ...user, email: newEmail, emailVerifiedAt: now });
  }

  /**
   * Gives an account its former address back, by the token that was mailed there, and ends every session and the way back to every later
   * address. What was put on the account since the session began that asked for the change goes with it: password, second factors, passkeys,
   * linked identities. An older password must be changed at the next sign-in. Where nobody had proved the former address, everything goes.
   *
   * @throws AuthTunaError `invalid_token`; `conflict` when another account has the address by now
   */
  async undoEmailChange(token: string, actor: Actor): Promise<void> {
    const { db } = this.#runtime;
    const live = await this.#tokens.peek(token, 'undo_email_change');
    const user = await this.#users.row(String(live.data.userId));
    if (user === null || user.deletedAt !== null) throw new AuthTunaError('invalid_token');
    const now = this.#runtime.now();
    const changedAt = new Date(String(live.data.changedAt));
    const addedSince = new Date(String(live.data.addedSince));
    await this.#spend(live, {
      writes: [
        db.user.update({
          where: { id: user.id, email: user.email },
          data: {
            email: String(live.data.oldEmail),
            emailVerifiedAt: now,
            mustChangePassword: true,
            updatedAt: now,
          },
        }),
        ...this.#mailboxProof.removeAdded(user.id, live.data.wasProved === true ? addedSince : undefined),
        this.#tokens.revokeUndos(user.id, changedAt), // or a thief who passed through two addresses takes it back from the first of them
        ...this.#sessions.revokeAllWrites(user, { reason: 'email_change_undone' }),
        this.#tokens.revokeAll(user.id),
      ],
      facts: [{ type: 'user.email_change_undone', actor, target: { type: 'user', id: user.id } }],
      invalidates: [`user:${user.id}`],
    });
  }

  /** Opens an account again that too many wrong passwords have closed, by the token of its mail. @throws AuthTunaError `invalid_token` */
  async unlock(token: string, actor: Actor): Promise<void> {
    const live = await this.#tokens.peek(token, 'unlock');
    const user = await this.#subject(live);
    await this.#spend(live, {
      writes: this.#signInThrottle.unlockWrites(user),
      facts: [{ type: 'user.unlocked', actor, target: { type: 'user', id: user.id } }],
    });
  }

  /** What the page of a mailed link says before it is spent. @throws AuthTunaError `invalid_token` */
  async inspectLink(token: string, purpose: LinkPurpose): Promise<LinkSubject> {
    const dependsOnState = purpose === 'reset_password' || purpose === 'change_email';
    const live = dependsOnState
      ? await this.#peekUnchanged(token, purpose)
      : await this.#tokens.peek(token, purpose);
    const { oldEmail, newEmail } = live.data;
    const email = typeof oldEmail === 'string' ? oldEmail : (await this.#subject(live)).email;
    return { email: maskedEmail(email), newEmail: typeof newEmail === 'string' ? newEmail : null };
  }

  /** The account of an address, as far as mails may be sent there. */
  async #recipient(email: string): Promise<UserRow | null> {
    const user = await this.#runtime.db.user.findUnique({ where: { email } });
    return user !== null && isActive(user, this.#runtime.now()) ? user : null;
  }

  /** Stores what was asked for by address; where no mail is due, the same rows. */
  async #request(
    type: EventType,
    recipient: Recipient,
    user: UserRow | null,
    actor: Actor,
    issued: { writes: readonly Write[]; mail: Mail } | null,
  ): Promise<void> {
    const { keys } = this.#runtime;
    await this.#ledger.commit({
      writes: issued?.writes ?? [],
      facts: [
        {
          type,
          actor,
          ...((issued === null || recipient.isStandIn) && { outcome: 'denied' as const }),
          ...(user === null
            ? {
                data: {
                  email: keys.lookup(`login ${recipient.email}`),
                  masked: maskedEmail(recipient.email),
                },
              }
            : { target: { type: 'user', id: user.id } }),
        },
      ],
      mails: issued === null ? [] : [issued.mail],
    });
  }

  #verification(user: Recipient, browser: string | null): { writes: Write[]; mail: Mail } {
    const { token, writes } = this.#tokens.issue({
      purpose: 'verify_email',
      subject: user.id,
      lifetimeSeconds: TOKEN_SECONDS.verify_email,
      data: { email: user.email, ...(browser !== null && { browser }) },
    });
    return {
      writes,
      mail: {
        template: 'verification',
        ...mailTo(user),
        data: {
          name: user.username,
          link: this.#tokens.link('/verify-email', token),
          expiresInSeconds: TOKEN_SECONDS.verify_email,
        },
      },
    };
  }

  async #reset(user: Recipient): Promise<{ writes: Write[]; mail: Mail }> {
    const { writes, link } = await this.#issue('reset_password', '/reset-password', user);
    return {
      writes,
      mail: {
        template: 'password-reset',
        ...mailTo(user),
        data: { name: user.username, link, expiresInSeconds: TOKEN_SECONDS.reset_password },
      },
    };
  }

  /** A token that dies when password or address change, and its link. */
  async #issue(
    purpose: LinkPurpose,
    path: string,
    user: Recipient,
    data: Readonly<Record<string, unknown>> = {},
  ): Promise<{ writes: Write[]; link: string }> {
    const dependsOn = await this.#passwords.stateOf(user.id);
    const { token, writes } = this.#tokens.issue({
      purpose,
      subject: user.id,
      lifetimeSeconds: TOKEN_SECONDS[purpose],
      data,
      ...(dependsOn !== null && { dependsOn }),
    });
    return { writes, link: this.#tokens.link(path, token) };
  }

  #peekUnchanged(token: string, purpose: LinkPurpose): Promise<LiveToken> {
    return this.#tokens.peek(token, purpose, { dependsOn: (userId) => this.#passwords.stateOf(userId) });
  }

  async #subject(live: LiveToken): Promise<UserRow> {
    const user = await this.#users.row(live.subject);
    if (user === null || !isActive(user, this.#runtime.now())) throw new AuthTunaError('invalid_token');
    return user;
  }

  /** Spends a token together with what it allows. */
  async #spend(live: LiveToken, change: Change): Promise<void> {
    try {
      await this.#ledger.commit({ ...change, writes: [live.spend, ...change.writes] });
    } catch (error) {
      if (isMissing(error)) throw await this.#tokens.missed(live);
      if (isUniqueViolation(error))
        throw new AuthTunaError('conflict', { message: 'This email address is taken.', field: 'email' });
      throw error;
    }
  }

  #welcome(user: { email: string; username: string | null }): Mail {
    const { baseUrl } = this.#runtime.config;
    return { template: 'welcome', to: user.email, data: { name: user.username, link: baseUrl } };
  }

  #alreadyRegistered(user: Recipient): Mail {
    const { baseUrl, paths } = this.#runtime.config;
    const auth = baseUrl + paths.auth;
    return {
      template: 'already-registered',
      ...mailTo(user),
      data: { name: user.username, loginLink: `${auth}/login`, resetLink: `${auth}/forgot-password` },
    };
  }

  /** The user as its own pages show it. */
  async userInfo(userId: string): Promise<PublicUser | null> {
    const row = await this.#users.row(userId);
    return row === null ? null : publicUser(row);
  }
}

/** A session of the account, or the browser in which it was made; of a confirmed address nothing has to be shown any more. */
function isMaker(live: LiveToken, user: UserRow, actor: Actor, browserId: string | null): boolean {
  const { browser } = live.data;
  const isSameBrowser =
    typeof browser === 'string' && browserId !== null && equalInConstantTime(sha256(browserId), browser);
  return isSameBrowser || actor.userId === user.id || user.emailVerifiedAt !== null;
}

/** Of its own: slips at changing a password must not delay the next sign-in. */
function changeKey(userId: string): string {
  return `change-password:${userId}`;
}

function addressOf(input: string, field = 'email'): string {
  const email = canonicalEmail(input);
  if (email === null) throw invalid(field, 'must be one plain email address');
  return email;
}

function invalid(field: string, message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { errors: [{ field, message }] });
}
