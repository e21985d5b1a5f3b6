import { AuthTunaError } from '../errors.js';
import type { Actor } from '../events.js';
import type { Ledger, Write } from './ledger.js';
import type { OneTimeTokens } from './one-time-tokens.js';
import type { Runtime } from './runtime.js';
import type { Session, UserRow } from './session-row.js';
import type { Proof, SessionManager } from './sessions.js';
import { isActive, type PublicUser, publicUser } from './user-row.js';

export type SecondFactorName = 'totp' | 'recovery_code' | 'passkey';

/** What a sign-in comes to. Only `signed_in` is a session. */
export type SignInResult =
  | { status: 'signed_in'; user: PublicUser; session: Session; token: string }
  | { status: 'second_factor_required'; user: PublicUser; pendingToken: string; factors: SecondFactorName[] };

/** A way to prove a second factor; its feature says who has enrolled in it. */
export interface SecondFactor {
  /** The ways this user can pass; empty when not enrolled. */
  factorsOf(userId: string): Promise<SecondFactorName[]>;
}

export interface SignInOptions {
  rememberMe?: boolean;
  /** The session that the browser brought along; it ends with the new one's beginning. */
  presentedSessionId?: string | null;
  /** Where the browser is, as the session is compared with later. */
  fingerprint?: string;
  /** What happens together with the sign-in: spending the token that proved it. */
  writes?: readonly Write[];
}

const PENDING_SECONDS = 600;

/**
 * The one door: every way in ends here, and nothing else makes a session for a person who proved something.
 *
 * In this order: may the account be used, is the address confirmed, does the host agree, is a second factor due, and only then a session,
 * with the epoch the user had when the proof began.
 */
export class SignIn {
  readonly secondFactors: SecondFactor[] = [];
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #sessions: SessionManager;
  readonly #tokens: OneTimeTokens;

  constructor(runtime: Runtime, ledger: Ledger, sessions: SessionManager, tokens: OneTimeTokens) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#sessions = sessions;
    this.#tokens = tokens;
  }

  /**
   * @param user the row as it was read *before* the proof was checked: a sign-out everywhere since then makes the new session stillborn
   * @throws AuthTunaError `account_suspended`, `email_not_verified`, and whatever `hooks.beforeSignIn` throws
   */
  async complete(
    user: UserRow,
    proof: Proof,
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    const { config } = this.#runtime;
    if (!isActive(user, this.#runtime.now())) throw new AuthTunaError('account_suspended');
    if (config.signUp.requireVerifiedEmail && user.emailVerifiedAt === null)
      throw new AuthTunaError('email_not_verified');
    await config.hooks.beforeSignIn?.({ user: publicUser(user), amr: proof.amr, ip: actor.ip });

    const factors =
      proof.assuranceLevel >= 2
        ? []
        : (await Promise.all(this.secondFactors.map((factor) => factor.factorsOf(user.id)))).flat();
    if (factors.length > 0) {
      const pending = this.#tokens.issue({
        purpose: 'pending_sign_in',
        subject: user.id,
        lifetimeSeconds: PENDING_SECONDS,
        data: { amr: proof.amr, epoch: user.sessionEpoch, rememberMe: options.rememberMe === true },
      });
      await this.#ledger.commit({ writes: [...(options.writes ?? []), ...pending.writes], facts: [] });
      return {
        status: 'second_factor_required',
        user: publicUser(user),
        pendingToken: pending.token,
        factors,
      };
    }

    const { write, result } = this.#sessions.prepare(user, proof, { ...actor, userId: user.id }, options);
    const now = this.#runtime.now();
    const presented = options.presentedSessionId ?? null;
    await this.#ledger.commit({
      writes: [
        ...(options.writes ?? []),
        write,
        this.#runtime.db.user.update({ where: { id: user.id }, data: { lastLoginAt: now } }),
        ...(presented === null
          ? []
          : [
              this.#runtime.db.session.updateMany({
                where: { id: presented, revokedAt: null },
                data: { revokedAt: now, revokedReason: 'signed_in_again' },
              }),
            ]),
      ],
      facts: [
        {
          type: 'user.signed_in',
          actor: { ...actor, userId: user.id, sessionId: result.session.id },
          target: { type: 'user', id: user.id },
          data: { amr: proof.amr },
        },
      ],
      invalidates: presented === null ? [] : [`session:${presented}`],
    });
    await this.#sessions.trim(user.id);
    return { status: 'signed_in', user: publicUser({ ...user, lastLoginAt: now }), ...result };
  }
}
