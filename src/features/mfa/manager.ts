import type { Actor } from '../../actor.js';
import { requireKnownFields } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SecondFactorName } from '../../core/sign-in/second-factors.js';
import { SIGN_IN_FIELDS, type SignInOptions, type SignInResult } from '../../core/sign-in/sign-in.js';
import { requireOwn } from '../../core/users/own-account.js';
import type { PasswordHasher } from '../../crypto/password-hash.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { AuthenticatorApp, type TotpEnrollment } from './authenticator-app.js';
import type { FactorCodes } from './codes.js';
import { FactorResets } from './factor-reset.js';
import { RecoveryCodes } from './recovery-code-sets.js';
import { TrustedBrowsers, type TrustedDevice } from './trusted-browsers.js';

/** How a user's sign-in is protected. */
export interface MfaStatus {
  totp: boolean;
  recoveryCodesLeft: number;
  /** All ways in which a second factor can be proved. */
  factors: SecondFactorName[];
  trustedDevices: TrustedDevice[];
  /** When an administrator's removal of the factors takes effect; null when none was asked for. */
  resetAt: Date | null;
}

/**
 * Second factors: authenticator apps, recovery codes, browsers that are trusted for a while, and getting back in without any of them.
 *
 * @see RFC 6238; NIST SP 800-63B-4 3.1.2, 3.1.5; docs/requirements.md TO-1 to TO-6, MB-1 to MB-5
 */
export class MfaManager {
  readonly #core: SignInCore;
  readonly #codes: FactorCodes;
  readonly #app: AuthenticatorApp;
  readonly #recoveryCodes: RecoveryCodes;
  readonly #browsers: TrustedBrowsers;
  readonly #resets: FactorResets;

  constructor(core: SignInCore, codes: FactorCodes, hasher: PasswordHasher) {
    this.#core = core;
    this.#codes = codes;
    this.#recoveryCodes = new RecoveryCodes(core, hasher);
    this.#app = new AuthenticatorApp(core, this.#recoveryCodes);
    this.#browsers = new TrustedBrowsers(core);
    this.#resets = new FactorResets(core);
  }

  /** How the user's sign-in is protected. */
  async status(userId: string): Promise<MfaStatus> {
    const factors = await this.#core.secondFactors.factorsOf(userId);
    const { db } = this.#core;
    const [recoveryCodesLeft, trustedDevices, resetAt] = await Promise.all([
      db.recoveryCode.count({ where: { userId, usedAt: null } }),
      this.#browsers.list(userId),
      this.#resets.effectiveAt(userId),
    ]);
    return {
      totp: factors.includes('totp'),
      recoveryCodesLeft,
      factors,
      trustedDevices,
      resetAt,
    };
  }

  /**
   * Begins enrollment of an authenticator app; it is no factor until a code confirms it, within ten minutes.
   *
   * Each call makes a seed of its own. What another tab of the same session shows stays good beside it; what another session began is void,
   * so that a user never confirms a seed that another person has seen.
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` when an app is enrolled already
   */
  beginTotp(userId: string, actor: Actor): Promise<TotpEnrollment> {
    return this.#app.begin(userId, actor);
  }

  /**
   * The enrollment that this session began last, for a page to show again after a wrong code.
   *
   * @throws AuthTunaError `forbidden`, `not_found`; `invalid_token` when this session began nothing within ten minutes; `conflict` when an app is
   * enrolled already
   */
  pendingTotp(userId: string, actor: Actor): Promise<TotpEnrollment> {
    return this.#app.pending(userId, actor);
  }

  /**
   * Confirms enrollment with a TOTP code, and makes recovery codes, which are shown this once.
   *
   * Every other session of the user ends; the actor's goes on under a new cookie (`session`).
   * @throws AuthTunaError `invalid_token` when this session began nothing within ten minutes; `invalid_credentials` for a wrong code;
   * `rate_limited`; `conflict` when an app is enrolled already, or the account changed at the same moment; `forbidden`, `not_found`;
   * `session_revoked` when the actor's has ended
   */
  confirmTotp(
    userId: string,
    code: string,
    actor: Actor,
  ): Promise<{ recoveryCodes: string[]; session: SessionWithToken | null }> {
    return this.#app.confirm(userId, code, actor);
  }

  /**
   * Removes the authenticator app; with the last factor the recovery codes go too. Every other session of the user ends.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` when there is none, or no such user; `conflict` when the account changed at the
   * same moment; `session_revoked` when the actor's has ended
   */
  disable(userId: string, actor: Actor): Promise<{ session: SessionWithToken | null }> {
    return this.#app.disable(userId, actor);
  }

  /**
   * New recovery codes, shown this once; the old ones are void.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` for a user without a second factor
   */
  regenerateRecoveryCodes(userId: string, actor: Actor): Promise<string[]> {
    return this.#recoveryCodes.regenerate(userId, actor);
  }

  /**
   * Whether this is a code of the user's app or an unused recovery code; either is spent by it.
   *
   * @throws AuthTunaError `rate_limited` after 5 failures, for 1, 2, 4 … 900 s; for codes of the app after 100 until a recovery code or a
   * passkey has proved who it is
   */
  async verify(userId: string, code: string, actor: Actor): Promise<boolean> {
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null) return false;
    try {
      const proof = await this.#codes.checkCode(user, code, actor);
      await this.#core.ledger.commit(proof);
      return true;
    } catch (error) {
      if (isMissing(error) || (error instanceof AuthTunaError && error.code === 'invalid_credentials'))
        return false;
      throw error;
    }
  }

  /** The ways in which a waiting sign-in can be completed. @throws AuthTunaError `invalid_token`, `account_suspended` */
  async factorsOfPending(pendingToken: string): Promise<readonly SecondFactorName[]> {
    return (await this.#core.signIn.pending(pendingToken)).factors;
  }

  /**
   * Completes a sign-in with a code of the app or a recovery code. A wrong one leaves the sign-in waiting.
   *
   * @param options.trustDevice do not ask again in this browser for 30 days; `trustedDevice` is the value of its cookie
   * @throws AuthTunaError `invalid_token` when the sign-in is over; `invalid_credentials`; `rate_limited`; `account_suspended`
   */
  async completeSignIn(
    pendingToken: string,
    code: string,
    actor: Actor,
    options: SignInOptions & { trustDevice?: boolean } = {},
  ): Promise<{ result: SignInResult; trustedDevice: string | null }> {
    requireKnownFields(options, [...SIGN_IN_FIELDS, 'trustDevice']);
    const pending = await this.#core.signIn.pending(pendingToken);
    const who = { ...actor, userId: pending.user.id };
    const proof = await this.#codes.checkCode(pending.user, code, who);
    const { trustDevice, ...signInOptions } = options;
    const device = trustDevice === true ? this.#browsers.trust(pending.user, who) : null;
    const result = await this.#core.signIn.finish(pending, proof, actor, {
      ...signInOptions,
      ...(device !== null && { writes: [device.write], facts: [device.fact] }),
    });
    return { result, trustedDevice: device?.token ?? null };
  }

  /** Browsers in which the user's second factor is not asked for. */
  listTrustedDevices(userId: string): Promise<TrustedDevice[]> {
    return this.#browsers.list(userId);
  }

  /** Asks for the second factor in that browser again. @throws AuthTunaError `not_found`; `forbidden` for another's */
  revokeTrustedDevice(userId: string, id: string, actor: Actor): Promise<void> {
    return this.#browsers.revoke(userId, id, actor);
  }

  /**
   * Removes every factor of somebody who has lost them: for `SYSTEM` at once, for an administrator in 72 hours, unless the user stops it
   * by the link that is mailed.
   *
   * Needs `users:manage` and a rank above the user's. No user can read or set the factors of another.
   * @returns when it takes effect
   * @throws AuthTunaError `forbidden`, `not_found`; `conflict` when it was asked for already
   * @see NIST SP 800-63B-4 4.2; docs/requirements.md MB-5
   */
  reset(userId: string, actor: Actor): Promise<Date> {
    return this.#resets.request(userId, actor);
  }

  /** Stops a removal of factors by the link of its mail. @throws AuthTunaError `invalid_token` */
  cancelReset(token: string, actor: Actor): Promise<void> {
    return this.#resets.cancelByLink(token, actor);
  }

  /** Stops the removal of one's own factors. @throws AuthTunaError `not_found`; `forbidden` for another's */
  async cancelOwnReset(userId: string, actor: Actor): Promise<void> {
    await requireOwn(this.#core, userId, actor);
    await this.#resets.cancel(userId, actor);
  }
}
