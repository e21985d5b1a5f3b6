import type { Actor } from '../../actor.js';
import type { Session } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import type { Fact } from '../changes/audit.js';
import type { Write } from '../changes/ledger.js';
import type { Mail } from '../changes/outbox.js';
import type { Core } from '../core.js';
import { whenMissing } from '../refusals.js';
import type { BearerTerms, Proof } from '../sessions/session-writes.js';
import { isActive, type PublicUser, publicUser, type UserRow } from '../user.js';
import { SERVICE } from '../users/service-account.js';
import { askHook } from './hooks.js';
import type { SecondFactorName, SecondFactors } from './second-factors.js';

/** What a sign-in comes to. Only `signed_in` is a session. */
export type SignInResult =
  | { status: 'signed_in'; user: PublicUser; session: Session; token: string }
  | { status: 'second_factor_required'; user: PublicUser; pendingToken: string; factors: SecondFactorName[] };

/** A second factor that was proved: how, and what must be stored together with what it allows. */
export interface FactorProof {
  factor: SecondFactorName;
  /** RFC 8176 values. */
  amr: readonly string[];
  /** Spends it; misses, and so undoes the batch, when another request spent it first. */
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
  /** The sessions that the browser brought along; they end when the new one begins. */
  presentedSessionIds?: readonly string[];
  /** Tokens instead of a cookie: what they are for. */
  bearer?: BearerTerms;
  /** When the user proved it, where that was before this request. Default: now. */
  authenticatedAt?: Date;
  /** Where the browser is; the session is compared with it later. */
  fingerprint?: string;
  /** Asked when the sign-in is found right, before anything is stored. @throws to refuse it */
  beforeStoring?: () => Promise<void>;
  /** What happens together with the sign-in: spending the token that proved it. */
  writes?: readonly Write[];
  facts?: readonly Fact[];
  mails?: readonly Mail[];
  /** The value of the `at_device` cookie: guesses in a browser that signed in before are counted apart from others. */
  browserCookie?: string | null;
  /** The cookie of a browser in which the second factor need not be asked for. */
  trustedBrowser?: string | null;
  /** A factor whose proof is not believed alone: another one must follow, and without another one the sign-in is refused. */
  doubtful?: SecondFactorName;
}

/** The fields of {@link SignInOptions}, for `requireKnownFields`. */
export const SIGN_IN_FIELDS: readonly string[] = Object.keys({
  rememberMe: true,
  presentedSessionIds: true,
  bearer: true,
  authenticatedAt: true,
  fingerprint: true,
  beforeStoring: true,
  writes: true,
  facts: true,
  mails: true,
  browserCookie: true,
  trustedBrowser: true,
  doubtful: true,
} satisfies Record<keyof SignInOptions, true>);

/** A feature that has a say in who may sign in, such as single sign-on of an organization. */
export interface SignInGate {
  /** Asked after the proof and before anything else is said. @throws to refuse the sign-in */
  admit(user: UserRow, proof: Proof, actor: Actor): Promise<GateVerdict>;
  /** Asked before a user takes another address, which `admit` may know nothing of. @throws to refuse the change */
  requireMayTake(newEmail: string, user: UserRow): Promise<void>;
}

/** What a gate says about a proof that it lets pass. */
export interface GateVerdict {
  /** A second factor must be proved, also in a browser in which it otherwise need not be. */
  needsSecondFactor?: boolean;
  /** The session ends after so many seconds, where the options would let it last longer. */
  sessionMaxSeconds?: number;
  /** Recorded with the session that comes of it. */
  facts?: readonly Fact[];
}

export const PENDING_SECONDS = 600;

/**
 * The one door: every way in ends here, and nothing else makes a session for a person who proved something.
 *
 * In this order: may the account be used, is the address confirmed, do gates and the host agree, is a second factor due, and only then a
 * session, with the epoch the user had when the proof began.
 */
export class SignIn {
  readonly secondFactors: SecondFactors;
  readonly #core: Core;
  readonly #gates: readonly SignInGate[];

  constructor(core: Core, offers: { secondFactors: SecondFactors; gates: readonly SignInGate[] }) {
    this.#core = core;
    this.secondFactors = offers.secondFactors;
    this.#gates = offers.gates;
  }

  /**
   * @param user the row as it was read *before* the proof was checked: after a sign-out everywhere since then the new session is dead at once
   * @throws AuthTunaError `account_suspended`, `email_not_verified`, `invalid_credentials` for a doubtful factor alone, and what a gate or
   *   `hooks.beforeSignIn` throws
   */
  async complete(
    user: UserRow,
    proof: Proof,
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    const verdicts = await this.#admit(user, proof, actor);
    const enrolled = proof.assuranceLevel >= 2 ? [] : await this.factorsOf(user.id);
    const factors = enrolled.filter((factor) => factor !== options.doubtful);
    if (options.doubtful !== undefined && factors.length === 0)
      throw new AuthTunaError('invalid_credentials');
    await options.beforeStoring?.();
    const mayTrust = options.doubtful === undefined && !verdicts.some((verdict) => verdict.needsSecondFactor);
    const isTrusted =
      factors.length > 0 && mayTrust && (await this.secondFactors.isTrusted(user, options.trustedBrowser));
    if (factors.length > 0 && !isTrusted) return this.#wait(user, proof, factors, options);
    return this.#begin(user, proof, actor, options, verdicts);
  }

  /** Asks everything that may refuse a proved sign-in. */
  async #admit(user: UserRow, proof: Proof, actor: Actor): Promise<GateVerdict[]> {
    const { config, now } = this.#core;
    // Somebody gave a service account an address and a credential, which changes nothing: it acts by its keys alone.
    if (user.kind === SERVICE) throw new AuthTunaError('invalid_credentials');
    if (!isActive(user, now())) throw new AuthTunaError('account_suspended');
    if (config.signUp.requireVerifiedEmail && user.emailVerifiedAt === null)
      throw new AuthTunaError('email_not_verified');
    const verdicts: GateVerdict[] = [];
    for (const gate of this.#gates) verdicts.push(await gate.admit(user, proof, actor));
    const asked = { user: publicUser(user), amr: proof.amr, ip: actor.ip };
    await askHook(config, 'beforeSignIn', (hooks) => hooks.beforeSignIn?.(asked));
    return verdicts;
  }

  /** Stores a sign-in that waits for its second factor. */
  async #wait(
    user: UserRow,
    proof: Proof,
    factors: SecondFactorName[],
    options: SignInOptions,
  ): Promise<SignInResult> {
    const pending = this.#core.tokens.issue({
      purpose: 'pending_sign_in',
      subject: user.id,
      lifetimeSeconds: PENDING_SECONDS,
      keepsOthers: true, // knowing the password must not be enough to end the owner's sign-in by beginning another
      data: {
        amr: proof.amr,
        epoch: user.sessionEpoch,
        rememberMe: options.rememberMe === true,
        ...(options.doubtful !== undefined && { doubtful: options.doubtful }),
      },
    });
    await this.#core.ledger.commit({
      writes: [...(options.writes ?? []), ...pending.writes],
      facts: options.facts ?? [],
      mails: options.mails ?? [],
    });
    return { status: 'second_factor_required', user: publicUser(user), pendingToken: pending.token, factors };
  }

  /** Stores the session. */
  async #begin(
    user: UserRow,
    proof: Proof,
    actor: Actor,
    options: SignInOptions,
    verdicts: readonly GateVerdict[],
  ): Promise<SignInResult> {
    const { db, sessions, ledger } = this.#core;
    const maxSeconds = Math.min(...verdicts.map(({ sessionMaxSeconds = Infinity }) => sessionMaxSeconds));
    const { write, result } = sessions.prepare(
      user,
      proof,
      { ...actor, userId: user.id },
      {
        ...options,
        maxSeconds,
      },
    );
    const now = this.#core.now();
    const presented = options.presentedSessionIds ?? [];
    await ledger.commit({
      writes: [
        ...(options.writes ?? []),
        write,
        db.user.update({
          where: { id: user.id },
          data: { lastLoginAt: now, unconfirmedUntil: null },
          select: { id: true },
        }),
        ...(presented.length === 0
          ? []
          : [
              db.session.updateMany({
                where: { id: { in: [...presented] }, revokedAt: null },
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
      invalidates: presented.map((id) => `session:${id}` as const),
    });
    await sessions.trim(user.id);
    return { status: 'signed_in', user: publicUser({ ...user, lastLoginAt: now }), ...result };
  }

  /** @throws AuthTunaError what a gate says against this address for this user */
  async requireMayTake(newEmail: string, user: UserRow): Promise<void> {
    for (const gate of this.#gates) await gate.requireMayTake(newEmail, user);
  }

  /** The ways in which a user can prove a second factor; empty when none is enrolled. */
  factorsOf(userId: string): Promise<SecondFactorName[]> {
    return this.secondFactors.factorsOf(userId);
  }

  /**
   * Looks at a sign-in that waits for its second factor, without spending it.
   *
   * @throws AuthTunaError `invalid_token` when it is over, spent, or every session was ended since; `account_suspended`
   */
  async pending(token: string): Promise<PendingSignIn> {
    const { db, tokens, now } = this.#core;
    const live = await tokens.peek(token, 'pending_sign_in');
    const user = await db.user.findUnique({ where: { id: live.subject } });
    const { amr, epoch, rememberMe, doubtful } = live.data as unknown as PendingData;
    if (user === null || user.sessionEpoch !== epoch) throw new AuthTunaError('invalid_token');
    if (!isActive(user, now())) throw new AuthTunaError('account_suspended');
    const factors = (await this.factorsOf(user.id)).filter((factor) => factor !== doubtful);
    return { id: live.id, user, amr, rememberMe, factors, spend: live.spend };
  }

  /**
   * Turns a waiting sign-in into a session: the waiting one and the factor's proof are spent in the batch that makes it.
   *
   * @throws AuthTunaError `invalid_credentials` when the factor is none of those asked for, or was spent at the same moment; what `complete`
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
    return this.complete(pending.user, { amr, assuranceLevel: 2 }, actor, {
      ...options,
      rememberMe: pending.rememberMe,
      writes: [
        pending.spend,
        ...proof.writes,
        this.secondFactors.endHold(pending.user.id),
        ...(options.writes ?? []),
      ],
      facts: [...proof.facts, ...(options.facts ?? [])],
      mails: [...proof.mails, ...(options.mails ?? [])],
    }).catch(whenMissing(() => new AuthTunaError('invalid_credentials')));
  }
}

interface PendingData {
  amr: string[];
  epoch: number;
  rememberMe: boolean;
  doubtful?: SecondFactorName;
}
