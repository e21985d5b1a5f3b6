import type { Actor } from '../../actor.js';
import { requireKnownFields } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { SIGN_IN_FIELDS, type SignInOptions, type SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput } from '../../core/sign-in/sign-up.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { consumeCode, requestCode } from './email-code.js';
import { browserCode, consumeLink, inspectLink, type LinkView, requestLink } from './magic-link.js';

/** Signing in by a mail: with a link, or with a six-digit code. */
export class PasswordlessManager {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /**
   * Mails a link that signs in. To an address without an account, where sign-up is open, it mails one that makes an account; the caller
   * learns nothing of either.
   *
   * @param browserId a value that only the asking browser has; the link signs in there, and elsewhere only with `browserCode(browserId)`.
   * Left out, or with `bindToBrowser: false`, the link signs in anywhere.
   * @param options.returnTo a path of this site to which the sign-in leads
   * @returns null, or until when the mail is held back because mails were asked for too often: for every address alike
   * @throws AuthTunaError `invalid_input` for what is no address; `not_found` when links are off
   */
  async requestLink(
    email: string,
    actor: Actor,
    browserId?: string,
    options: { returnTo?: string | null } = {},
  ): Promise<HeldMail | null> {
    requireKnownFields(options, ['returnTo']);
    return requestLink(this.#core, email, actor, browserId, options.returnTo);
  }

  /**
   * The eight letters and digits for the asking browser to show: with them its links work in another browser. Null where links are not bound.
   *
   * Derived, not stored, and the same whatever address was asked for, so that it says nothing about any account.
   */
  browserCode(browserId: string): string | null {
    return browserCode(this.#core, browserId);
  }

  /** Looks at a link without spending it. @throws AuthTunaError `invalid_token` */
  inspectLink(token: string, browserId?: string): Promise<LinkView> {
    return inspectLink(this.#core, token, browserId);
  }

  /**
   * Signs in by a link. In the asking browser the token is enough; in another one the code that is shown there is needed.
   *
   * Who proves the mailbox of an unconfirmed account for the first time gets it without whatever was put on it before. A link for an address
   * without an account makes one, with `username` and `data` as `auth.signUp` takes them.
   * @throws AuthTunaError `invalid_token`, also after five wrong codes; `invalid_credentials` for a wrong or missing code;
   * `account_suspended`; for a sign-up as `auth.signUp`, and the link can be tried again; of racing callers one succeeds
   */
  async consumeLink(
    input: { token: string; code?: string } & Pick<SignUpInput, 'username' | 'data'>,
    actor: Actor,
    options: SignInOptions & { browserId?: string } = {},
  ): Promise<SignInResult> {
    requireKnownFields(input, ['token', 'code', 'username', 'data']);
    requireKnownFields(options, [...SIGN_IN_FIELDS, 'browserId']);
    return consumeLink(this.#core, input, actor, options);
  }

  /** Mails a six-digit code, where there is an account; says nothing about it. @throws AuthTunaError `invalid_input`; `not_found` when codes are off */
  requestCode(email: string, actor: Actor): Promise<HeldMail | null> {
    return requestCode(this.#core, email, actor);
  }

  /**
   * Signs in by the code of a mail. It is accepted once, and dead after five wrong ones.
   *
   * @throws AuthTunaError `invalid_credentials` for a wrong, spent, old or exhausted code and an unknown address, alike in answer and time;
   * `rate_limited` in an unknown browser after a hundred wrong ones of any number of mails, until the mailbox opens them again by a link;
   * `account_suspended`
   */
  async consumeCode(
    input: { email: string; code: string },
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    requireKnownFields(input, ['email', 'code']);
    requireKnownFields(options, SIGN_IN_FIELDS);
    return consumeCode(this.#core, input, actor, options);
  }
}
