import type { Actor } from '../../actor.js';
import { requireKnownFields } from '../../core/refusals.js';
import type { Proof, SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { SIGN_IN_FIELDS, type SignInOptions } from '../../core/sign-in/sign-in.js';
import { SIGN_UP_FIELDS, type SignUpInput, type SignUpWay } from '../../core/sign-in/sign-up.js';
import {
  type AuthenticationOptions,
  beginAssertion,
  type CeremonyHolder,
  finishAssertion,
  HOLDER_FIELDS,
  type PasskeyOutcome,
} from './assertion.js';
import { deletePasskey, listPasskeys, type Passkey, renamePasskey } from './own-passkeys.js';
import { beginRegistration, finishRegistration, type RegistrationOptions } from './registration.js';
import type { AuthenticationResponse, RegistrationResponse } from './schemas.js';
import { beginSignUp, finishSignUp } from './sign-up.js';

export type { AuthenticationOptions, CeremonyHolder, PasskeyOutcome } from './assertion.js';
export type { Passkey } from './own-passkeys.js';
export type { RegistrationOptions } from './registration.js';

/**
 * Passkeys: adding them, signing in with them, renaming and deleting them.
 *
 * The challenge is a one-time token, so it exists once, in the database, for one ceremony of one browser, and trying it spends it. Only
 * discoverable credentials are made and asked for, so the options do not reveal who has an account.
 * @see W3C WebAuthn Level 3; docs/requirements.md PK-1 to PK-6
 */
export class PasskeyManager {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** A user's passkeys, the newest first. */
  list(userId: string): Promise<Passkey[]> {
    return listPasskeys(this.#core, userId);
  }

  /** How many unused recovery codes the user has. A user without any is offered some with the first passkey. */
  recoveryCodesLeft(userId: string): Promise<number> {
    return this.#core.db.recoveryCode.count({ where: { userId, usedAt: null } });
  }

  /**
   * The argument of `navigator.credentials.create()`, for a user who is signed in. The challenge lives five minutes.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` when the user has 20 passkeys
   */
  beginRegistration(userId: string, actor: Actor): Promise<RegistrationOptions> {
    return beginRegistration(this.#core, userId, actor);
  }

  /**
   * Stores a passkey. With the first second factor of a user all other sessions end; the actor's goes on under a new cookie (`session`).
   *
   * @param options.name default: the name of the authenticator's model
   * @throws AuthTunaError `invalid_credentials` with `failure`; `conflict` for a credential that is known, or the 21st, or when the account changed
   * at the same moment; `forbidden`, `not_found`; `session_revoked` when the actor's has ended
   */
  async finishRegistration(
    userId: string,
    response: RegistrationResponse,
    actor: Actor,
    options: { name?: string } = {},
  ): Promise<{ passkey: Passkey; session: SessionWithToken | null }> {
    requireKnownFields(options, ['name']);
    return finishRegistration(this.#core, userId, response, actor, options.name);
  }

  /**
   * The argument of `navigator.credentials.create()`, for a sign-up without a password. It is the same whether the address is taken or not.
   *
   * @throws AuthTunaError as `auth.signUp`, before the browser is asked for anything
   */
  async beginSignUp(details: SignUpInput, browser: string): Promise<RegistrationOptions> {
    requireKnownFields(details, SIGN_UP_FIELDS);
    return beginSignUp(this.#core, details, browser);
  }

  /**
   * Finishes the ceremony of a sign-up: returns the details it began with, and the way that stores the passkey together with the account.
   *
   * @throws AuthTunaError as `finishRegistration`
   */
  async finishSignUp(
    response: RegistrationResponse,
    browser: string,
    actor: Actor,
    options: { name?: string } = {},
  ): Promise<{ details: SignUpInput; way: SignUpWay & { proof: Proof } }> {
    requireKnownFields(options, ['name']);
    return finishSignUp(this.#core, response, browser, actor, options.name);
  }

  /** The argument of `navigator.credentials.get()`, the same for everybody. The challenge lives five minutes. */
  async beginSignIn(holder: CeremonyHolder): Promise<AuthenticationOptions> {
    requireKnownFields(holder, HOLDER_FIELDS[holder.kind]);
    return beginAssertion(this.#core, holder);
  }

  /**
   * Ends a ceremony: signs in, completes a sign-in that waits for its second factor, or raises the session.
   *
   * An authenticator whose counter went back may have been copied. Alone it is not enough to sign in.
   * @throws AuthTunaError `invalid_credentials` with `failure`; `invalid_token` when the waiting sign-in is over; `account_suspended`
   */
  async finishSignIn(
    response: AuthenticationResponse,
    holder: CeremonyHolder,
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<PasskeyOutcome> {
    requireKnownFields(holder, HOLDER_FIELDS[holder.kind]);
    requireKnownFields(options, SIGN_IN_FIELDS);
    return finishAssertion(this.#core, response, holder, actor, options);
  }

  /** @throws AuthTunaError `not_found`, also for somebody else's passkey; `forbidden` for an actor who is not the user */
  rename(userId: string, id: string, name: string, actor: Actor): Promise<Passkey> {
    return renamePasskey(this.#core, userId, id, name, actor);
  }

  /**
   * Removes a passkey. Every other session ends; the actor's goes on under a new cookie (`session`).
   *
   * @throws AuthTunaError `not_found`; `forbidden` for another's; `conflict` when it is the user's last way in, or the account changed at the same
   * moment; `session_revoked` when the actor's has ended
   */
  async delete(userId: string, id: string, actor: Actor): Promise<{ session: SessionWithToken | null }> {
    return { session: await deletePasskey(this.#core, userId, id, actor) };
  }
}
