import type { Actor } from '../../actor.js';
import type { Session } from '../../auth.js';
import { isMissing, type UserFilter } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Fact } from '../changes/audit.js';
import type { Ledger, Write } from '../changes/ledger.js';
import type { Mail } from '../changes/outbox.js';
import type { Runtime } from '../runtime.js';
import type { Proof, SessionManager } from '../sessions/sessions.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import type { UserRow } from '../user.js';
import { isActive, type PublicUser, publicUser } from '../user.js';

export type SecondFactorName = 'totp' | 'recovery_code' | 'passkey';

/** What a sign-in comes to. Only `signed_in` is a session. */
export type SignInResult =
  | { status: 'signed_in'; user: PublicUser; session: Session; token: string }
  | { status: 'second_factor_required'; user: PublicUser; pendingToken: string; factors: SecondFactorName[] };

/** A way to prove a second factor; its feature says who has enrolled in it. */
export interface SecondFactor {
  /** @internal For whom `factorsOf` has anything to say or to do but for recovery codes, which are no factor alone. It is asked about nobody else. */
  readonly concerns: UserFilter;
  /** The ways this user can pass; empty when not enrolled. */
  factorsOf(userId: string): Promise<SecondFactorName[]>;
  /** Whether the user said in this browser, after a full sign-in, that it need not be asked for again. */
  trusts?(user: UserRow, deviceToken: string): Promise<boolean>;
}

/** A second factor that was proved: how, and what must be stored together with what it allows. */
export interface FactorProof {
  factor: SecondFactorName;
  /** RFC 8176 values. */
  amr: readonly string[];
  /** Spends it; misses, and so undoes the batch, when somebody else spent it first. */
  writes: readonly Write[];
  facts: readonly Fact[];
  mails: readonly Mail[];
}

/** A sign-in that waits for its second factor. */
export interface PendingSignIn {
  /** Of the row behind the token; no credential. */
  id: string;
  user: UserRow;
  amr: readonly string[];
  rememberMe: boolean;
  factors: readonly SecondFactorName[];
  spend: Write;
}

export interface SignInOptions {
  rememberMe?: boolean;
  /** The session that the browser brought along; it ends with the new one's beginning. */
  presentedSessionId?: string | null;
  /** Where the browser is, as the session is compared with later. */
  fingerprint?: string;
  /** What happens together with the sign-in: spending the token that proved it. */
  writes?: readonly Write[];
  facts?: readonly Fact[];
  mails?: readonly Mail[];
  /** The value of the `at_device` cookie: a browser that signed in before is counted apart from strangers. */
  deviceCookie?: string | null;
  /** The cookie of a browser in which the second factor need not be asked for. */
  trustedDevice?: string | null;
  /** A factor whose proof is not believed alone: another one must follow, and without another one the sign-in is refused. */
  doubtful?: SecondFactorName;
}

/** What a gate has to say about a proof that it lets pass. */
export interface GateVerdict {
  /** A second factor must be proved, also in a browser in which it otherwise need not be. */
  needsSecondFactor?: boolean;
  /** Recorded with the session that comes of it. */
  facts?: readonly Fact[];
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
  /** Asked after the proof and before anything else is said; one that throws refuses the sign-in. */
  readonly gates: ((user: UserRow, proof: Proof, actor: Actor) => Promise<GateVerdict>)[] = [];
  /** Asked before a user takes another address, which may be one that those gates know nothing of; one that throws refuses it. */
  readonly addressGates: ((user: UserRow, newEmail: string) => Promise<void>)[] = [];
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
   * @throws AuthTunaError `account_suspended`, `email_not_verified`, `invalid_credentials` for a doubtful factor alone, and whatever a gate or
   *   `hooks.beforeSignIn` throws
   */
  async complete(
    user: UserRow,
    proof: Proof,
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    const { config, db } = this.#runtime;
    if (!isActive(user, this.#runtime.now())) throw new AuthTunaError('account_suspended');
    if (config.signUp.requireVerifiedEmail && user.emailVerifiedAt === null)
      throw new AuthTunaError('email_not_verified');
    const verdicts: GateVerdict[] = [];
    for (const gate of this.gates) verdicts.push(await gate(user, proof, actor));
    await config.hooks.beforeSignIn?.({ user: publicUser(user), amr: proof.amr, ip: actor.ip });

    const enrolled = proof.assuranceLevel >= 2 ? [] : await this.factorsOf(user.id);
    const factors = enrolled.filter((factor) => factor !== options.doubtful);
    if (options.doubtful !== undefined && factors.length === 0)
      throw new AuthTunaError('invalid_credentials');
    const mayTrust = options.doubtful === undefined && !verdicts.some((verdict) => verdict.needsSecondFactor);
    if (factors.length > 0 && !(mayTrust && (await this.#isTrusted(user, options)))) {
      const pending = this.#tokens.issue({
        purpose: 'pending_sign_in',
        subject: user.id,
        lifetimeSeconds: PENDING_SECONDS,
        keepsOthers: true, // whoever knows the password must not end the owner's sign-in by beginning another
        data: {
          amr: proof.amr,
          epoch: user.sessionEpoch,
          rememberMe: options.rememberMe === true,
          ...(options.doubtful !== undefined && { doubtful: options.doubtful }),
        },
      });
      await this.#ledger.commit({
        writes: [...(options.writes ?? []), ...pending.writes],
        facts: options.facts ?? [],
        mails: options.mails ?? [],
      });
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
        db.user.update({ where: { id: user.id }, data: { lastLoginAt: now }, select: { id: true } }),
        ...(presented === null
          ? []
          : [
              db.session.updateMany({
                where: { id: presented, revokedAt: null },
                data: { revokedAt: now, revokedReason: 'signed_in_again' },
              }),
            ]),
      ],
      facts: [
        ...(options.facts ?? []),
        ...verdicts.flatMap(({ facts }) => facts ?? []),
        {
          type: 'user.signed_in',
          actor: { ...actor, userId: user.id, sessionId: result.session.id },
          target: { type: 'user', id: user.id },
          data: { amr: proof.amr },
        },
      ],
      mails: options.mails ?? [],
      invalidates: presented === null ? [] : [`session:${presented}`],
    });
    await this.#sessions.trim(user.id);
    return { status: 'signed_in', user: publicUser({ ...user, lastLoginAt: now }), ...result };
  }

  /** @internal @throws AuthTunaError what `addressGates` say */
  async requireMayTake(newEmail: string, user: UserRow): Promise<void> {
    for (const gate of this.addressGates) await gate(user, newEmail);
  }

  /** The ways in which a user can prove a second factor; empty when none is enrolled. */
  async factorsOf(userId: string): Promise<SecondFactorName[]> {
    // Most people have enrolled in nothing, and one question says so for every factor.
    const concerned = await this.#runtime.db.user.findFirst({
      where: { id: userId, OR: this.secondFactors.map(({ concerns }) => concerns) },
      select: { id: true },
    });
    if (concerned === null) return [];
    const found: SecondFactorName[] = [];
    // In turn: the first may find that all factors are to be removed today, and removes them.
    for (const factor of this.secondFactors) found.push(...(await factor.factorsOf(userId)));
    return found.every((factor) => factor === 'recovery_code') ? [] : found; // codes stand in for a factor and are none
  }

  /**
   * Looks at a sign-in that waits for its second factor, without spending it.
   *
   * @throws AuthTunaError `invalid_token` when it is over, spent, or every session was ended since; `account_suspended`
   */
  async pending(token: string): Promise<PendingSignIn> {
    const live = await this.#tokens.peek(token, 'pending_sign_in');
    const user = await this.#runtime.db.user.findUnique({ where: { id: live.subject } });
    const { amr, epoch, rememberMe, doubtful } = live.data as unknown as PendingData;
    if (user === null || user.sessionEpoch !== epoch) throw new AuthTunaError('invalid_token');
    if (!isActive(user, this.#runtime.now())) throw new AuthTunaError('account_suspended');
    const factors = (await this.factorsOf(user.id)).filter((factor) => factor !== doubtful);
    return { id: live.id, user, amr, rememberMe, factors, spend: live.spend };
  }

  /**
   * Turns a waiting sign-in into a session: the waiting one and the factor's proof are spent in the batch that makes it.
   *
   * @throws AuthTunaError `invalid_credentials` when the factor is none of those asked for, or was spent at the same moment; whatever `complete`
   *   throws
   */
  async finish(
    pending: PendingSignIn,
    proof: FactorProof,
    actor: Actor,
    options: Omit<SignInOptions, 'rememberMe' | 'doubtful'> = {},
  ): Promise<SignInResult> {
    if (!pending.factors.includes(proof.factor)) throw new AuthTunaError('invalid_credentials');
    const amr = [...new Set([...pending.amr, ...proof.amr])];
    try {
      return await this.complete(pending.user, { amr, assuranceLevel: 2 }, actor, {
        ...options,
        rememberMe: pending.rememberMe,
        writes: [pending.spend, ...proof.writes, ...(options.writes ?? [])],
        facts: [...proof.facts, ...(options.facts ?? [])],
        mails: [...proof.mails, ...(options.mails ?? [])],
      });
    } catch (error) {
      throw isMissing(error) ? new AuthTunaError('invalid_credentials') : error;
    }
  }

  async #isTrusted(user: UserRow, { trustedDevice }: SignInOptions): Promise<boolean> {
    if (trustedDevice === undefined || trustedDevice === null) return false;
    for (const factor of this.secondFactors) {
      if ((await factor.trusts?.(user, trustedDevice)) === true) return true;
    }
    return false;
  }
}

interface PendingData {
  amr: string[];
  epoch: number;
  rememberMe: boolean;
  doubtful?: SecondFactorName;
}
