import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import { maskedEmail } from '../../core/identifiers.js';
import { requireKnownFields } from '../../core/refusals.js';
import type { Proof, SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { SIGN_IN_FIELDS, type SignInOptions, type SignInResult } from '../../core/sign-in/sign-in.js';
import {
  SIGN_UP_FIELDS,
  SIGN_UP_WAY_FIELDS,
  type SignUpInput,
  type SignUpWay,
} from '../../core/sign-in/sign-up.js';
import { requestVerification } from '../../core/sign-in/verification.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { type LinkPurpose, returnToOf } from '../../core/tokens/mailed-links.js';
import { type PublicUser, publicUser } from '../../core/user.js';
import { validate } from '../../core/validate.js';
import { confirmEmailChange, requestEmailChange, undoEmailChange } from './change-email.js';
import { changePassword, hasPassword } from './change-password.js';
import { login } from './login.js';
import { type RegisterResult, register } from './register.js';
import { requestPasswordReset, resetPassword } from './reset-password.js';
import { signUpBody } from './schemas.js';
import { type CodeChecker, StepUp, type StepUpMethods } from './step-up.js';
import {
  claimAccount,
  inspectVerification,
  MAKER_PROOF_FIELDS,
  type MakerProof,
  type VerificationView,
  verifyAndSignIn,
  verifyEmail,
} from './verify-email.js';

/** What a mailed link allows, as its page names it. */
export interface LinkSubject {
  /** The account's address, masked: the holder of the link need not be its owner. */
  email: string;
  /** For a change of address: the one that takes effect, in full. */
  newEmail: string | null;
  /** Where the person wanted to go who asked for the link. */
  returnTo: string | null;
}

/** Sign-up, sign-in, passwords and addresses. */
export class AuthManager<U extends User = User> {
  readonly #core: SignInCore<U>;
  readonly #stepUp: StepUp;

  constructor(core: SignInCore<U>, codes: CodeChecker) {
    this.#core = core;
    this.#stepUp = new StepUp(core, codes);
  }

  /**
   * Makes an account, and mails the link that confirms its address where that is required. The owner of an address that has an account
   * already is told so by mail.
   *
   * @throws AuthTunaError `forbidden` when sign-up is closed; `invalid_input` with every field that is wrong; `weak_password`; `conflict`
   * with `field` for a taken address or username: whether an *address* is taken must not reach a stranger, see {@link AuthManager.register}
   */
  signUp(input: SignUpInput & { password: string }, actor: Actor): Promise<U> {
    return this.#core.signUp.create(validate(signUpBody, input), actor, { by: 'password' });
  }

  /**
   * Signs a stranger up: signs in at once, or, where the address must be confirmed first, says the same for a new address and a known one.
   *
   * @param way.browserId a value that only the asking browser has: there the mailed link confirms the address without asking further
   * @throws AuthTunaError as `signUp`, but for a taken address only where sign-up signs in
   */
  async register(
    input: SignUpInput,
    actor: Actor,
    way: SignUpWay & { proof?: Proof } = { by: 'password' },
    options: SignInOptions = {},
  ): Promise<RegisterResult> {
    requireKnownFields(input, SIGN_UP_FIELDS);
    requireKnownFields(way, [...SIGN_UP_WAY_FIELDS, 'proof']);
    requireKnownFields(options, SIGN_IN_FIELDS);
    return register(this.#core, input, actor, way, options);
  }

  /**
   * Signs in with an address or username and a password.
   *
   * @throws AuthTunaError `invalid_credentials` for an unknown user, a wrong password and a user without one, alike in answer and time;
   * only after the right password: `account_suspended`, `email_not_verified`, which mails the link that confirms the address (with
   * `retryAfterSeconds` where it is held back); `rate_limited` after too many failures, alike for known and
   * unknown; `unavailable` when too many sign-ins are waiting
   */
  async login(
    input: { login: string; password: string; rememberMe?: boolean },
    actor: Actor,
    options: Omit<SignInOptions, 'rememberMe'> = {},
  ): Promise<SignInResult> {
    requireKnownFields(input, ['login', 'password', 'rememberMe']);
    requireKnownFields(options, SIGN_IN_FIELDS);
    return login(this.#core, input, actor, options);
  }

  /** Ends the session; one that has ended already is fine. */
  async logout(sessionId: string, actor: Actor): Promise<void> {
    const target = { type: 'session', id: sessionId };
    await this.#core.sessions.end(sessionId, 'signed_out', { type: 'user.signed_out', actor, target });
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
  async stepUp(
    sessionId: string,
    proof: { password?: string; code?: string },
    actor: Actor,
    options: { fingerprint?: string } = {},
  ): Promise<SessionWithToken> {
    requireKnownFields(proof, ['password', 'code']);
    requireKnownFields(options, ['fingerprint']);
    return this.#stepUp.stepUp(sessionId, proof, actor, options);
  }

  /**
   * Changes one's own password, or sets the first one, for which no current password is asked; every other session and every mailed link ends. The session named by `keepSessionId` goes on under the new
   * cookie that is returned, and its old cookie is dead at once.
   *
   * @throws AuthTunaError `invalid_credentials` for a wrong current password; `rate_limited` after five; `weak_password`; `invalid_input` when the
   * new one is the old one; `not_found`; `session_revoked` when the one to keep has ended; `conflict` when the account changed at the same moment
   */
  async changePassword(
    userId: string,
    input: { currentPassword?: string | undefined; newPassword: string; keepSessionId?: string },
    actor: Actor,
  ): Promise<SessionWithToken | null> {
    requireKnownFields(input, ['currentPassword', 'newPassword', 'keepSessionId']);
    return changePassword(this.#core, userId, input, actor);
  }

  /**
   * Mails the link that confirms an address again; to one that is confirmed already, a mail that says so. An address without an account gets
   * none.
   *
   * @returns null, or until when the mail is held back because mails were asked for too often: for every address alike
   * @throws AuthTunaError `invalid_input` for what is no address
   */
  requestEmailVerification(email: string, actor: Actor): Promise<HeldMail | null> {
    return requestVerification(this.#core, email, actor);
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
    requireKnownFields(proof ?? {}, MAKER_PROOF_FIELDS);
    return verifyEmail(this.#core, token, actor, proof);
  }

  /**
   * Confirms an address as `verifyEmail` does with a proof, and signs in; null where the browser is signed in already, or the sign-in was
   * refused.
   *
   * @throws AuthTunaError as `verifyEmail`
   */
  async verifyAndSignIn(
    token: string,
    actor: Actor,
    proof: MakerProof,
    options: SignInOptions,
  ): Promise<SignInResult | null> {
    requireKnownFields(proof, MAKER_PROOF_FIELDS);
    requireKnownFields(options, SIGN_IN_FIELDS);
    return verifyAndSignIn(this.#core, token, actor, proof, options);
  }

  /** What became of a link that is dead; null for one of which nothing can be said. It allows nothing. */
  linkOutcome(token: string, purpose: 'verify_email' | 'change_email') {
    return this.#core.links.outcomeOf(token, purpose);
  }

  /**
   * Confirms an address for an owner who did not make the account, or cannot show it: with a new password, and without whatever was put on the
   * account before, as a reset does.
   *
   * @throws AuthTunaError `invalid_token`, also when the address is confirmed already; `weak_password`; of racing callers one succeeds
   */
  async claimAccount(input: { token: string; newPassword: string }, actor: Actor): Promise<void> {
    requireKnownFields(input, ['token', 'newPassword']);
    return claimAccount(this.#core, input, actor);
  }

  /** Looks at a verification link without spending it. @throws AuthTunaError `invalid_token` */
  inspectVerification(token: string, actor: Actor, browserId: string | null): Promise<VerificationView> {
    return inspectVerification(this.#core, token, actor, browserId);
  }

  /**
   * Mails a link to choose a new password, where there is an account; says nothing about it.
   *
   * @param options.returnTo a path of this site to which the sign-in leads afterwards
   * @returns as `requestEmailVerification`
   * @throws AuthTunaError `invalid_input`
   */
  async requestPasswordReset(
    email: string,
    actor: Actor,
    options: { returnTo?: string | null } = {},
  ): Promise<HeldMail | null> {
    requireKnownFields(options, ['returnTo']);
    return requestPasswordReset(this.#core, email, actor, options.returnTo);
  }

  /**
   * Sets a new password by the token of a mail. Ends every session and every other mailed link, does not sign the user in, and leaves second factors as
   * they are; an address that was never confirmed is confirmed by it, and loses what was put on the account before.
   *
   * @throws AuthTunaError `invalid_token`; `weak_password`; of racing callers one succeeds
   */
  async resetPassword(input: { token: string; newPassword: string }, actor: Actor): Promise<void> {
    requireKnownFields(input, ['token', 'newPassword']);
    return resetPassword(this.#core, input, actor);
  }

  /**
   * Begins a change of one's own address: the new mailbox gets a link and nothing changes before it is opened. When the address belongs to
   * another account, its owner is told so, and the caller is not.
   *
   * @returns as `requestEmailVerification`
   * @throws AuthTunaError `invalid_input`; `not_found`; `forbidden` for an address whose organization demands its single sign-on
   */
  async requestEmailChange(
    userId: string,
    input: { newEmail: string },
    actor: Actor,
  ): Promise<HeldMail | null> {
    requireKnownFields(input, ['newEmail']);
    return requestEmailChange(this.#core, userId, input, actor);
  }

  /**
   * Makes the new address the account's, by the token that was mailed to it. Every session but the one that asked ends, and the former
   * address gets a link that takes it back for seven days.
   *
   * @throws AuthTunaError `invalid_token`; `conflict` when another account took the address meanwhile; `forbidden` as when it was asked for
   */
  confirmEmailChange(token: string, actor: Actor): Promise<PublicUser> {
    return confirmEmailChange(this.#core, token, actor);
  }

  /**
   * Gives an account its former address back, by the token that was mailed there, and ends every session and the way back to every later
   * address. What was put on the account since the session began that asked for the change goes with it: password, second factors, passkeys,
   * linked identities. An older password must be changed at the next sign-in. Where the former address was never proved, all of them go.
   *
   * @throws AuthTunaError `invalid_token`; `conflict` when another account has the address by now
   */
  undoEmailChange(token: string, actor: Actor): Promise<void> {
    return undoEmailChange(this.#core, token, actor);
  }

  /** Opens an account again that too many wrong passwords have closed, by the token of its mail. @throws AuthTunaError `invalid_token` */
  async unlock(token: string, actor: Actor): Promise<void> {
    const { links, signInThrottle } = this.#core;
    const live = await links.peek(token, 'unlock');
    const user = await links.subjectOf(live);
    await links.spend(live, {
      writes: signInThrottle.unlockWrites(user),
      facts: [{ type: 'user.unlocked', actor, target: { type: 'user', id: user.id } }],
    });
  }

  /** What the page of a mailed link says before it is spent. @throws AuthTunaError `invalid_token` */
  async inspectLink(token: string, purpose: LinkPurpose): Promise<LinkSubject> {
    const { links } = this.#core;
    const live = await links.peek(token, purpose);
    const { oldEmail, newEmail } = live.data;
    const email = typeof oldEmail === 'string' ? oldEmail : (await links.subjectOf(live)).email;
    return {
      email: maskedEmail(email),
      newEmail: typeof newEmail === 'string' ? newEmail : null,
      returnTo: returnToOf(live),
    };
  }

  /** Whether the user has a password. */
  hasPassword(userId: string): Promise<boolean> {
    return hasPassword(this.#core, userId);
  }

  /** The user as its own pages show it; null when there is none. */
  async userInfo(userId: string): Promise<PublicUser | null> {
    const row = await this.#core.users.row(userId);
    return row === null ? null : publicUser(row);
  }
}
