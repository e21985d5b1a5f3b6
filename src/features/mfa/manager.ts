import { type Actor, isSystem } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Ledger, Write } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { codesKey, DELAYS, GUESSING, rateLimited, type Throttle } from '../../core/limits/throttle.js';
import type { Runtime } from '../../core/runtime.js';
import type { Proof, SessionManager, SessionWithToken } from '../../core/sessions/sessions.js';
import type {
  FactorProof,
  SecondFactor,
  SecondFactorName,
  SignIn,
  SignInOptions,
  SignInResult,
} from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import { isActive } from '../../core/user.js';
import type { PasswordHasher } from '../../crypto/password-hash.js';
import { newId } from '../../crypto/random.js';
import { issueSplitToken, parseSplitToken, secretMatches } from '../../crypto/split-token.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { deviceLabel, deviceOf } from '../../net/user-agent.js';
import { after } from '../../time.js';
import { type FactorResetDependencies, FactorResets } from './factor-reset.js';
import { newRecoveryCodes, parseRecoveryCode, printRecoveryCode } from './recovery-codes.js';
import { enrollment, matchingStep, newSeed } from './totp.js';

export interface MfaDependencies extends FactorResetDependencies {
  signIn: SignIn;
  /** For recovery codes: of high cost they need not be, since nobody chooses them. */
  hasher: PasswordHasher;
}

/** What an authenticator app is told. `qrCode` is a `data:` URI of an image. */
export interface TotpEnrollment {
  secret: string;
  otpauthUrl: string;
  qrCode: string;
}

/** A browser in which the second factor is not asked for. */
export interface TrustedDevice {
  id: string;
  device: string | null;
  createdAt: Date;
  expiresAt: Date;
}

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

/** A seed that was shown and that no code has confirmed yet. */
interface PendingSeed {
  seed: string;
  /** Milliseconds since 1970. */
  begunAt: number;
}

const ENROLLMENT_SECONDS = 600;
const MAX_PENDING = 3; // tabs that may show a seed at once; with the newest one the oldest ends
/** How long a browser is trusted. */
export const TRUST_SECONDS = 30 * 86_400;
const TELL_AFTER_FAILURES = 5; // from here on waits begin: more than a slip of the finger

/**
 * Second factors: authenticator apps, recovery codes, browsers that are trusted for a while, and getting back in without any of them.
 *
 * @see RFC 6238; NIST SP 800-63B-4 3.1.2, 3.1.5; docs/requirements.md TO-1 to TO-6, MB-1 to MB-5
 */
export class MfaManager implements SecondFactor {
  /** @internal */
  readonly concerns = { OR: [{ totp: { isNot: null } }, { factorReset: { isNot: null } }] };
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #sessions: SessionManager;
  readonly #signIn: SignIn;
  readonly #throttle: Throttle;
  readonly #hasher: PasswordHasher;
  readonly #resets: FactorResets;

  constructor(dependencies: MfaDependencies) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#sessions = dependencies.sessions;
    this.#signIn = dependencies.signIn;
    this.#throttle = dependencies.throttle;
    this.#hasher = dependencies.hasher;
    this.#resets = new FactorResets(dependencies);
  }

  /** For the first proof of a mailbox, and for an address that is given back. */
  removeAll(userId: string, since?: Date): Write[] {
    const { db } = this.#runtime;
    if (since !== undefined) {
      const added = { createdAt: { gte: since } };
      return [
        db.totp.deleteMany({ where: { userId, OR: [added, { confirmedAt: { gte: since } }] } }),
        db.recoveryCode.deleteMany({ where: { userId, ...added } }),
        db.trustedDevice.deleteMany({ where: { userId, ...added } }),
      ];
    }
    return [
      db.totp.deleteMany({ where: { userId } }),
      db.recoveryCode.deleteMany({ where: { userId } }),
      db.trustedDevice.deleteMany({ where: { userId } }),
      db.factorReset.deleteMany({ where: { userId } }),
    ];
  }

  /** The ways this manager knows; a removal that an administrator asked for happens here once it is due. */
  async factorsOf(userId: string): Promise<SecondFactorName[]> {
    const { db } = this.#runtime;
    const [totp, codes, wasReset] = await Promise.all([
      db.totp.findUnique({ where: { userId }, select: { confirmedAt: true } }),
      db.recoveryCode.count({ where: { userId, usedAt: null } }),
      this.#resets.takeEffect(userId),
    ]);
    if (wasReset) return [];
    const hasTotp = totp !== null && totp.confirmedAt !== null;
    return [...(hasTotp ? (['totp'] as const) : []), ...(codes > 0 ? (['recovery_code'] as const) : [])];
  }

  /** Whether this browser was told not to ask again. */
  async trusts(user: UserRow, deviceToken: string): Promise<boolean> {
    const parsed = parseSplitToken(deviceToken);
    if (parsed === null) return false;
    const row = await this.#runtime.db.trustedDevice.findUnique({ where: { id: parsed.id } });
    return (
      row !== null &&
      secretMatches(parsed.secretHash, row.secretHash) &&
      row.userId === user.id &&
      row.epoch === user.sessionEpoch &&
      row.expiresAt > this.#runtime.now()
    );
  }

  /** How the user's sign-in is protected. */
  async status(userId: string): Promise<MfaStatus> {
    const factors = await this.#signIn.factorsOf(userId);
    const { db } = this.#runtime;
    const [recoveryCodesLeft, trustedDevices, resetAt] = await Promise.all([
      db.recoveryCode.count({ where: { userId, usedAt: null } }),
      this.listTrustedDevices(userId),
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
   * so that nobody confirms a seed that somebody else has seen.
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` when an app is enrolled already
   */
  async beginTotp(userId: string, actor: Actor): Promise<TotpEnrollment> {
    const user = await this.#own(userId, actor);
    const { db, config, vault } = this.#runtime;
    const now = this.#runtime.now();
    const row = await db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const id = row?.id ?? newId(config.random);
    const seed = newSeed(config.random);
    const others = row === null ? [] : this.#pendingSeeds(row, actor);
    const pending: PendingSeed[] = [{ seed, begunAt: now.getTime() }, ...others].slice(0, MAX_PENDING);
    const sealed = vault.seal(JSON.stringify(pending), pendingPlaceOf(id, actor));
    try {
      if (row === null) await db.totp.create({ data: { id, userId, sealed, lastStep: 0, createdAt: now } });
      else
        await db.totp.update({
          where: { id, confirmedAt: null, sealed: row.sealed },
          data: { sealed, createdAt: now },
        });
    } catch (error) {
      if (!isUniqueViolation(error) && !isMissing(error)) throw error;
      return this.beginTotp(userId, actor); // another tab was first, and its seed is to stay
    }
    return enrollment(seed, config.mfa.issuer, user.email);
  }

  /**
   * The enrollment that this session began last, for a page to show again after a wrong code.
   *
   * @throws AuthTunaError `forbidden`, `not_found`; `invalid_token` when this session began nothing within ten minutes; `conflict` when an app is
   * enrolled already
   */
  async pendingTotp(userId: string, actor: Actor): Promise<TotpEnrollment> {
    const user = await this.#own(userId, actor);
    const row = await this.#runtime.db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const [newest] = row === null ? [] : this.#pendingSeeds(row, actor);
    if (newest === undefined) throw setupIsOver();
    return enrollment(newest.seed, this.#runtime.config.mfa.issuer, user.email);
  }

  /**
   * Confirms enrollment with a TOTP code, and makes recovery codes, which are shown this once.
   *
   * Every other session of the user ends; the actor's goes on under a new cookie (`session`).
   * @throws AuthTunaError `invalid_token` when this session began nothing within ten minutes; `invalid_credentials` for a wrong code;
   * `rate_limited`; `conflict` when an app is enrolled already, or the account changed at the same moment; `forbidden`, `not_found`;
   * `session_revoked` when the actor's has ended
   */
  async confirmTotp(
    userId: string,
    code: string,
    actor: Actor,
  ): Promise<{ recoveryCodes: string[]; session: SessionWithToken | null }> {
    const user = await this.#own(userId, actor);
    const { db, vault } = this.#runtime;
    const now = this.#runtime.now();
    await this.#throttle.reserve(codesKey(userId), GUESSING);
    const row = await db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const pending = row === null ? [] : this.#pendingSeeds(row, actor);
    if (row === null || pending.length === 0) throw setupIsOver();
    const [shown] = pending.flatMap(({ seed }) => {
      const step = stepOf(seed, code, now);
      return step === null ? [] : [{ seed, step }];
    });
    if (shown === undefined)
      throw new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });

    const codes = await this.#newCodes(userId);
    const session = await this.#commitChange(user, actor, {
      proof: { amr: ['otp'], assuranceLevel: 2 },
      writes: [
        db.totp.update({
          where: { id: row.id, confirmedAt: null },
          data: { sealed: vault.seal(shown.seed, placeOf(row.id)), confirmedAt: now, lastStep: shown.step },
        }),
        ...codes.writes,
        this.#throttle.clear(codesKey(userId)),
      ],
      facts: [
        { type: 'factor.added', actor, target: { type: 'user', id: userId }, data: { factor: 'totp' } },
      ],
      mail: 'factor-added',
    });
    return { recoveryCodes: codes.printed, session };
  }

  /**
   * Removes the authenticator app; with the last factor the recovery codes go too. Every other session of the user ends.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` when there is none, or no such user; `conflict` when the account changed at the
   * same moment; `session_revoked` when the actor's has ended
   */
  async disable(userId: string, actor: Actor): Promise<{ session: SessionWithToken | null }> {
    const user = await this.#own(userId, actor);
    const { db } = this.#runtime;
    const factors = await this.#signIn.factorsOf(userId);
    if (!factors.includes('totp')) throw new AuthTunaError('not_found', { message: 'No app is enrolled.' });
    const session = await this.#commitChange(user, actor, {
      proof: null,
      writes: [
        db.totp.delete({ where: { userId } }),
        ...(factors.includes('passkey') ? [] : [db.recoveryCode.deleteMany({ where: { userId } })]),
      ],
      facts: [
        { type: 'factor.removed', actor, target: { type: 'user', id: userId }, data: { factor: 'totp' } },
      ],
      mail: 'factor-removed',
    });
    return { session };
  }

  /**
   * New recovery codes, shown this once; the old ones are void.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` for a user without a second factor
   */
  async regenerateRecoveryCodes(userId: string, actor: Actor): Promise<string[]> {
    const user = await this.#own(userId, actor);
    if ((await this.#signIn.factorsOf(userId)).length === 0)
      throw new AuthTunaError('conflict', { message: 'Set up a second factor first.' });
    const codes = await this.#newCodes(userId);
    const { to, data } = noticeTo(this.#runtime, user, actor);
    await this.#ledger.commit({
      writes: codes.writes,
      facts: [{ type: 'recovery_codes.created', actor, target: { type: 'user', id: userId } }],
      mails: [{ template: 'factor-added', to, data: { ...data, factor: 'recovery_codes' } }],
    });
    return codes.printed;
  }

  /**
   * Whether this is a code of the user's app or an unused recovery code; either is spent by it.
   *
   * @throws AuthTunaError `rate_limited` after 5 failures, for 1, 2, 4 … 900 s; for codes of the app after 100 until a recovery code or a
   * passkey has proved who it is
   */
  async verify(userId: string, code: string, actor: Actor): Promise<boolean> {
    const user = await this.#runtime.db.user.findUnique({ where: { id: userId } });
    if (user === null) return false;
    try {
      const proof = await this.checkCode(user, code, actor);
      await this.#ledger.commit(proof);
      return true;
    } catch (error) {
      if (isMissing(error) || (error instanceof AuthTunaError && error.code === 'invalid_credentials'))
        return false;
      throw error;
    }
  }

  /** The ways in which a waiting sign-in can be completed. @throws AuthTunaError `invalid_token`, `account_suspended` */
  async factorsOfPending(pendingToken: string): Promise<readonly SecondFactorName[]> {
    return (await this.#signIn.pending(pendingToken)).factors;
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
    const pending = await this.#signIn.pending(pendingToken);
    const who = { ...actor, userId: pending.user.id };
    const proof = await this.checkCode(pending.user, code, who);
    const { trustDevice, ...signInOptions } = options;
    const device = trustDevice === true ? this.#trust(pending.user, who) : null;
    const result = await this.#signIn.finish(pending, proof, actor, {
      ...signInOptions,
      ...(device !== null && { writes: [device.write], facts: [device.fact] }),
    });
    return { result, trustedDevice: device?.token ?? null };
  }

  /**
   * @internal Checks a code and says what must be stored with what it allows. Failures are counted per user, whatever they were for.
   *
   * A recovery code names its row, so that no guess costs more than one hash. It has 80 random bits, more than any number of tries guesses,
   * so a hundred wrong codes do not close it, and it opens the app's codes again. A mail does not: whoever failed so often knows the password,
   * and the mailbox may be all that is missing.
   * @throws AuthTunaError `invalid_credentials`, `rate_limited`
   * @see NIST SP 800-63B-4 3.1.2.2, 3.2.2; docs/requirements.md TO-4, LG-5
   */
  async checkCode(user: UserRow, code: string, actor: Actor): Promise<FactorProof> {
    const recovery = parseRecoveryCode(code);
    const shared = await this.#throttle.attempt(codesKey(user.id), GUESSING);
    const isClosed = !shared.allowed && shared.isClosed;
    const attempt =
      isClosed && recovery !== null ? await this.#throttle.attempt(recoveryKey(user.id), DELAYS) : shared;
    if (!attempt.allowed) throw rateLimited(attempt.retryAfterSeconds);
    const proof =
      recovery === null
        ? await this.#checkTotp(user, code)
        : await this.#checkRecovery(user, recovery, actor);
    if (proof === null) {
      await this.#recordFailure(user, recovery === null ? 'totp' : 'recovery_codes', attempt, actor);
      throw new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });
    }
    const forgotten = this.#throttle.clear(codesKey(user.id), recoveryKey(user.id));
    return { ...proof, writes: [...proof.writes, forgotten] };
  }

  /** Browsers in which the user's second factor is not asked for. */
  async listTrustedDevices(userId: string): Promise<TrustedDevice[]> {
    const rows = await this.#runtime.db.trustedDevice.findMany({
      where: { userId, expiresAt: { gt: this.#runtime.now() } },
      include: { user: { select: { sessionEpoch: true } } },
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
    });
    return rows
      .filter((row) => row.epoch === row.user.sessionEpoch)
      .map(({ id, device, createdAt, expiresAt }) => ({ id, device, createdAt, expiresAt }));
  }

  /** Asks for the second factor in that browser again. @throws AuthTunaError `not_found`; `forbidden` for another's */
  async revokeTrustedDevice(userId: string, id: string, actor: Actor): Promise<void> {
    await this.#own(userId, actor);
    try {
      await this.#ledger.commit({
        writes: [this.#runtime.db.trustedDevice.delete({ where: { id, userId } })],
        facts: [{ type: 'device.untrusted', actor, target: { type: 'user', id: userId }, data: { id } }],
      });
    } catch (error) {
      throw isMissing(error) ? new AuthTunaError('not_found') : error;
    }
  }

  /**
   * Removes every factor of somebody who has lost them: for `SYSTEM` at once, for an administrator in 72 hours, unless the user stops it
   * by the link that is mailed.
   *
   * Needs `users:manage` and a rank above the user's. Nobody can read or set the factors of others.
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
    await this.#own(userId, actor);
    await this.#resets.cancel(userId, actor);
  }

  async #checkTotp(user: UserRow, code: string): Promise<FactorProof | null> {
    const { db, vault } = this.#runtime;
    const row = await db.totp.findUnique({ where: { userId: user.id } });
    if (row === null || row.confirmedAt === null) return null;
    const seed = vault.open(row.sealed, placeOf(row.id));
    if (seed === null) {
      this.#runtime.config.logger.error(
        'A TOTP seed could not be opened: it was sealed with a secret that is no longer in `secrets`, or is not of this row.',
        { totpId: row.id },
      );
      return null;
    }
    const step = stepOf(seed, code, this.#runtime.now());
    if (step === null || step <= row.lastStep) return null;
    const isOutdated = !vault.isCurrent(row.sealed);
    return {
      factor: 'totp',
      amr: ['otp'],
      writes: [
        db.totp.update({
          where: { id: row.id, confirmedAt: row.confirmedAt, lastStep: { lt: step } },
          data: { lastStep: step, ...(isOutdated && { sealed: vault.seal(seed, placeOf(row.id)) }) },
        }),
      ],
      facts: [],
      mails: [],
    };
  }

  async #checkRecovery(
    user: UserRow,
    { number, secret }: { number: number; secret: string },
    actor: Actor,
  ): Promise<FactorProof | null> {
    const { db } = this.#runtime;
    const userId = user.id;
    const row = await db.recoveryCode.findUnique({ where: { userId_number: { userId, number } } });
    if (row === null || row.usedAt !== null || !(await this.#hasher.verify(secret, row.hash))) return null;
    const left = (await db.recoveryCode.count({ where: { userId, usedAt: null } })) - 1;
    const { to, data } = noticeTo(this.#runtime, user, actor);
    return {
      factor: 'recovery_code',
      amr: ['recovery'],
      writes: [
        db.recoveryCode.update({
          where: { userId_number: { userId, number }, hash: row.hash, usedAt: null },
          data: { usedAt: this.#runtime.now() },
        }),
      ],
      facts: [{ type: 'recovery_code.used', actor, target: { type: 'user', id: userId }, data: { left } }],
      mails: [{ template: 'recovery-code-used', to, data: { ...data, left } }],
    };
  }

  /** What this session began to enroll within the last ten minutes, the newest first. */
  #pendingSeeds(row: { id: string; sealed: string }, actor: Actor): PendingSeed[] {
    const opened = this.#runtime.vault.open(row.sealed, pendingPlaceOf(row.id, actor));
    const oldest = after(this.#runtime.now(), -ENROLLMENT_SECONDS).getTime();
    const seeds = opened === null ? [] : (JSON.parse(opened) as PendingSeed[]);
    return seeds.filter(({ begunAt }) => begunAt > oldest);
  }

  /** The user hears of it when the failures are more than a slip: whoever gets this far knows the password. */
  async #recordFailure(
    user: UserRow,
    factor: 'totp' | 'recovery_codes',
    { tries, isLast }: { tries: number; isLast: boolean },
    actor: Actor,
  ): Promise<void> {
    const { to, data } = noticeTo(this.#runtime, user, actor);
    await this.#ledger.commit({
      writes: [],
      facts: [
        {
          type: 'factor.failed',
          outcome: 'failure',
          reason: 'invalid_credentials',
          actor,
          target: { type: 'user', id: user.id },
          data: { factor },
        },
      ],
      mails:
        tries === TELL_AFTER_FAILURES || isLast
          ? // Whoever guesses is not known to be the user, and does not choose the language.
            [{ template: 'factor-failed', to, data: { ...data, factor, isClosed: isLast }, languages: null }]
          : [],
    });
  }

  async #newCodes(userId: string): Promise<{ printed: string[]; writes: Write[] }> {
    const { db, config } = this.#runtime;
    const codes = newRecoveryCodes(config.random, config.mfa.recoveryCodeCount);
    const createdAt = this.#runtime.now();
    const data = [];
    for (const code of codes)
      data.push({ userId, number: code.number, hash: await this.#hasher.hash(code.secret), createdAt });
    return {
      printed: codes.map(printRecoveryCode),
      writes: [db.recoveryCode.deleteMany({ where: { userId } }), db.recoveryCode.createMany({ data })],
    };
  }

  #trust(user: UserRow, actor: Actor): { token: string; write: Write; fact: Fact } {
    const { db, config } = this.#runtime;
    const { token, id, secretHash } = issueSplitToken(config.random);
    const now = this.#runtime.now();
    const device = actor.userAgent === null ? null : deviceLabel(deviceOf(actor.userAgent));
    return {
      token,
      write: db.trustedDevice.create({
        data: {
          id,
          userId: user.id,
          secretHash,
          epoch: user.sessionEpoch,
          device,
          createdAt: now,
          expiresAt: after(now, TRUST_SECONDS),
        },
      }),
      fact: { type: 'device.trusted', actor, target: { type: 'user', id: user.id }, data: { id } },
    };
  }

  /** A change of factors: with it every other session ends, and the actor's goes on under a cookie that no copy has. */
  async #commitChange(
    user: UserRow,
    actor: Actor,
    change: {
      proof: Proof | null;
      writes: readonly Write[];
      facts: readonly Fact[];
      mail: 'factor-added' | 'factor-removed';
    },
  ): Promise<SessionWithToken | null> {
    const kept = await this.#sessions.prepareOnly(user, actor.sessionId, change.proof, 'factor_changed');
    const { to, data } = noticeTo(this.#runtime, user, actor);
    await this.#ledger.commitToAccount({
      writes: [
        ...change.writes,
        this.#runtime.db.trustedDevice.deleteMany({ where: { userId: user.id } }),
        ...kept.writes,
      ],
      facts: change.facts,
      mails: [{ template: change.mail, to, data: { ...data, factor: 'totp' } }],
      invalidates: [`user:${user.id}`],
    });
    return kept.result;
  }

  /** Factors are nobody's but the user's own; `SYSTEM` is for scripts. */
  async #own(userId: string, actor: Actor): Promise<UserRow> {
    if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
    const user = await this.#runtime.db.user.findUnique({ where: { id: userId } });
    if (user === null || !isActive(user, this.#runtime.now())) throw noUser();
    return user;
  }
}

function placeOf(id: string): string[] {
  return ['Totp', 'sealed', id];
}

/** What recovery codes are counted under while the count that they share with the app's codes is closed. */
function recoveryKey(userId: string): string {
  return `recovery:${userId}`;
}

/** Sealed for one session until it is confirmed. */
function pendingPlaceOf(id: string, actor: Actor): string[] {
  return [...placeOf(id), 'pending', actor.sessionId ?? ''];
}

function stepOf(seed: string, code: string, now: Date): number | null {
  const digits = code.replace(/\s/g, '');
  return /^\d{6}$/.test(digits) ? matchingStep(seed, digits, now) : null;
}

function enrolledAlready(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'An authenticator app is set up already.' });
}

function setupIsOver(): AuthTunaError {
  return new AuthTunaError('invalid_token', { message: 'The setup took too long. Begin again.' });
}

function noUser(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such user.' });
}
