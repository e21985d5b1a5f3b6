import type { Actor } from '../../actor.js';
import { GUESSING } from '../../core/limits/throttle.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SecondFactorName } from '../../core/sign-in/second-factors.js';
import type { FactorProof } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import { isActive } from '../../core/user.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';

/** Checks codes of a second factor; the mfa feature has them. */
export interface CodeChecker {
  checkCode(user: UserRow, code: string, actor: Actor): Promise<FactorProof>;
}

/** What somebody can prove themselves with. A code is one of an app or a recovery code. */
export interface StepUpMethods {
  password: boolean;
  code: boolean;
  /** What the code's field is called: without an app only recovery codes are left. */
  codeField: 'totp' | 'recoveryCode';
  passkeys: boolean;
  /** Ids of the providers whose identities are linked: without any of the above, a fresh sign-in there is the proof. */
  providers: readonly string[];
}

/**
 * Step-up: proving anew who one is, at the highest level the account has, without signing out.
 *
 * The session goes on under a new cookie; the old one, and every copy of it, is dead at once and never exchanged for the new.
 * @see RFC 9470; sessions.md, hard rotation; docs/requirements.md SS-14, MB-3
 */
export class StepUp {
  readonly #core: SignInCore;
  readonly #codes: CodeChecker;

  constructor(core: SignInCore, codes: CodeChecker) {
    this.#core = core;
    this.#codes = codes;
  }

  /** What the user is asked for: password and code together where there are both, or a passkey alone. */
  async methodsOf(userId: string): Promise<StepUpMethods> {
    const { db } = this.#core;
    const [factors, password, passkeys, identities] = await Promise.all([
      this.#core.signIn.factorsOf(userId),
      db.password.findUnique({ where: { userId } }),
      db.passkey.count({ where: { userId } }),
      db.socialAccount.findMany({ where: { userId }, select: { provider: true } }),
    ]);
    const code = factors.includes('totp') || factors.includes('recovery_code');
    const hasFactor = factors.length > 0;
    // A password alone is no proof where a second factor is enrolled, so it is not asked for where no code could follow.
    return {
      password: password !== null && (code || !hasFactor),
      code,
      codeField: factors.includes('totp') || !code ? 'totp' : 'recoveryCode',
      passkeys: passkeys > 0,
      providers: identities.map(({ provider }) => provider),
    };
  }

  /** {@link AuthManager.stepUp} */
  async stepUp(
    sessionId: string,
    input: { password?: string; code?: string },
    actor: Actor,
    options: { fingerprint?: string } = {},
  ): Promise<SessionWithToken> {
    const session = await this.#core.db.session.findUnique({
      where: { id: sessionId },
      include: { user: true },
    });
    if (session === null || !isActive(session.user, this.#core.now()))
      throw new AuthTunaError('session_revoked');
    if (session.impersonatorId !== null) throw new AuthTunaError('forbidden'); // a user who acts as another person cannot prove to be that person
    const { user } = session;
    const asked = await this.methodsOf(user.id);
    const factors = await this.#core.signIn.factorsOf(user.id);
    if (!asked.password && !asked.code) throw this.#needsOther(factors);
    if (asked.password && input.password === undefined)
      throw new AuthTunaError('invalid_input', {
        errors: [{ field: 'password', rule: 'required', message: 'is required' }],
      });
    if (asked.code && input.code === undefined) throw this.#needsOther(factors);

    if (asked.password) await this.#checkPassword(user, input.password as string, sessionId, actor);
    const code = asked.code ? await this.#codes.checkCode(user, input.code as string, actor) : null;
    const amr = [...(asked.password ? ['pwd'] : []), ...(code?.amr ?? [])];
    const { write, result } = await this.#core.sessions.prepareElevation(
      sessionId,
      { amr, assuranceLevel: code === null ? 1 : 2 },
      { ...options, replaces: true },
    );
    try {
      await this.#core.ledger.commit({
        writes: [this.#core.throttle.clear(stepUpKey(user.id)), ...(code?.writes ?? []), write],
        facts: [
          ...(code?.facts ?? []),
          {
            type: 'session.elevated',
            actor,
            target: { type: 'session', id: sessionId },
            data: { amr },
          },
        ],
        mails: code?.mails ?? [],
        invalidates: [`session:${sessionId}`],
      });
    } catch (error) {
      throw isMissing(error) ? new AuthTunaError('invalid_credentials') : error; // the code was spent, or the session raised, at the same moment
    }
    return result;
  }

  async #checkPassword(user: UserRow, password: string, sessionId: string, actor: Actor): Promise<void> {
    await this.#core.throttle.reserve(stepUpKey(user.id), GUESSING, user.id);
    if (await this.#core.passwords.verify(user.id, password)) return;
    await this.#core.ledger.commit({
      writes: [],
      facts: [
        {
          type: 'session.elevated',
          outcome: 'failure',
          reason: 'invalid_credentials',
          actor,
          target: { type: 'session', id: sessionId },
        },
      ],
    });
    throw new AuthTunaError('invalid_credentials', {
      message: 'The password is not correct.',
      field: 'password',
    });
  }

  #needsOther(factors: readonly SecondFactorName[]): AuthTunaError {
    const stepUp = `${this.#core.config.paths.auth}/step-up`;
    return factors.length > 0
      ? new AuthTunaError('second_factor_required', { factors, stepUp })
      : new AuthTunaError('recent_login_required', {
          message: 'Sign out and in again to continue.',
          factors,
        });
  }
}

/** What guesses at the password of a step-up are counted under. */
export function stepUpKey(userId: string): string {
  return `step-up:${userId}`;
}
