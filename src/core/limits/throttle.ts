import { type Db, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { rememberAtMost } from '../../remember.js';
import { after, MAX_SKEW_SECONDS } from '../../time.js';
import type { Write } from '../changes/ledger.js';
import { InOrder } from '../concurrency/in-order.js';
import type { Runtime } from '../runtime.js';

/** How failures of one kind slow down the next try. Durations in seconds. */
export interface ThrottlePolicy {
  /** Tries that pass without waiting. */
  freeFailures: number;
  /** The wait after the last free one; it doubles from there. */
  firstDelaySeconds: number;
  /** The longest wait. */
  maxDelaySeconds: number;
  /** A pause this long starts the count again; at most 86 400, after which rows are swept. */
  forgetSeconds: number;
  /** After so many without a success in between nothing passes any more, however long the pause, until `clear`. */
  maxConsecutive?: number;
}

/**
 * What a try comes to. `tries`: without a success in between, this one counted. `isLast`: unless it succeeds, none is let through after it.
 * `isClosed`: no wait opens it again, only `clear` does.
 */
export type ThrottleVerdict =
  | { allowed: true; tries: number; isLast: boolean }
  | { allowed: false; retryAfterSeconds: number; isClosed: boolean };

/** One of the counts of a try: what is guessed at, in clear, and how failures at it slow down the next. */
export interface Count {
  key: string;
  policy: ThrottlePolicy;
  /** The account that is guessed at, which decides who may end the wait; none for a name that no account has. */
  userId?: string | null | undefined;
}

/** A try at one key: its row, and what that becomes by it. */
interface Try extends Count {
  id: string;
  row: ThrottleRow | null;
  next: Omit<ThrottleRow, 'key'>;
}

type ThrottleRow = Awaited<ReturnType<Db['throttle']['findUniqueOrThrow']>>;

/**
 * Guesses at a secret: five at once, then one after 1, 2, 4 … 900 seconds, and no more after a hundred.
 *
 * @see NIST SP 800-63B-4 3.2.2; docs/requirements.md LG-4, LG-5, TO-4
 */
export const GUESSING: ThrottlePolicy = Object.freeze({
  freeFailures: 5,
  firstDelaySeconds: 1,
  maxDelaySeconds: 900,
  forgetSeconds: 86_400,
  maxConsecutive: 100,
});

const { maxConsecutive: _hundred, ...delays } = GUESSING;
/** The delays alone: for what is too long to be guessed in any number of tries. */
export const DELAYS: ThrottlePolicy = Object.freeze(delays);

/** What guesses at a user's codes are counted under, at every door that takes one, so that they cannot be spread. */
export function codesKey(userId: string): string {
  return `mfa:${userId}`;
}

const REMEMBERED_KEYS = 10_000;
const REMEMBER_SECONDS = 1; // how long another instance's `clear` may go unnoticed here
const MAX_ROUNDS = 200; // every lost round is somebody else's step towards the block, so this is never reached by honest means

/**
 * Counts tries *before* the secret is looked at, so that of many at one instant only as many get through as may.
 *
 * A try is a conditional write to a row: it happens only while the row is as it was read and no wait is running. Who loses that race
 * looks again. Within one process tries at one key go one after the other, and a wait that is running is remembered for a second, so that
 * a flood is answered from memory.
 * @see docs/requirements.md 3.10
 */
export class Throttle {
  readonly #runtime: Runtime;
  readonly #waits = rememberAtMost<{ until: number; isClosed: boolean; believedFrom: number }>(
    REMEMBERED_KEYS,
  );
  /** What has failures, as far as is known here. Anything else is counted as the first, and asked about only where it turns out not to be. */
  readonly #failed = rememberAtMost<true>(REMEMBERED_KEYS);
  readonly #inOrder = new InOrder();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Counts a try, or refuses it while a wait is running. A refused try is not counted. After a success the caller adds `clear(key)` to its batch.
   *
   * @param key what is guessed at, in clear: `mfa:<userId>`, `step-up:<userId>`; stored as a keyed digest
   * @param userId the account that is guessed at; null for a name that no account has
   * @throws AuthTunaError `rate_limited` with `retryAfterSeconds`; `unavailable` when it cannot be counted
   */
  async reserve(key: string, policy: ThrottlePolicy, userId: string | null = null): Promise<void> {
    const verdict = await this.attempt(key, policy, userId);
    if (!verdict.allowed) throw rateLimited(verdict.retryAfterSeconds);
  }

  /** Like {@link Throttle.reserve}, for a caller that does something of its own about a refusal. */
  async attempt(key: string, policy: ThrottlePolicy, userId: string | null = null): Promise<ThrottleVerdict> {
    return (await this.attemptAll([{ key, policy, userId }])).verdict;
  }

  /**
   * Like {@link Throttle.attempt}, for a try that counts under several keys. When one of them refuses it is counted under none, but for those
   * at which it was counted when other tries at the same moment made that one refuse.
   *
   * @returns the verdict of the first that refuses, or of the last when none does, and whose it is
   */
  attemptAll(counts: readonly Count[]): Promise<{ key: string; verdict: ThrottleVerdict }> {
    const identified = counts.map((count) => ({ ...count, id: this.#idOf(count.key) }));
    // Everybody waits for turns in the same order, so that no two wait for each other.
    const ids = identified.map(({ id }) => id).sort();
    const inTurn = ids.reduceRight(
      (work, id) => () => this.#inOrder.run(id, work),
      () => this.#attemptAll(identified),
    );
    return inTurn();
  }

  /** The write that forgets every failure of these keys, for the batch of the success or the unlocking. */
  clear(...keys: string[]): Write {
    const ids = keys.map((key) => this.#idOf(key));
    for (const id of ids) {
      this.#waits.delete(id);
      this.#failed.delete(id);
    }
    return this.#runtime.db.throttle.deleteMany({ where: { key: { in: ids } } });
  }

  async #attemptAll(
    counts: readonly (Count & { id: string })[],
  ): Promise<{ key: string; verdict: ThrottleVerdict }> {
    let waiting = counts;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const now = this.#runtime.now();
      for (const { id, key } of waiting) {
        const remembered = this.#remembered(id, now);
        if (remembered !== null) return { key, verdict: remembered };
      }

      const isLikelyFirst = round === 0 && !waiting.some(({ id }) => this.#failed.has(id));
      const rows = isLikelyFirst
        ? []
        : await this.#runtime.db.throttle.findMany({ where: { key: { in: waiting.map(({ id }) => id) } } });
      const tries = waiting.map((count): Try => {
        const row = rows.find(({ key }) => key === count.id) ?? null;
        return { ...count, row, next: { ...nextOf(row, count.policy, now), userId: count.userId ?? null } };
      });
      for (const { id, key, policy, row } of tries) {
        if (row === null) continue;
        const isClosed = policy.maxConsecutive !== undefined && row.consecutive >= policy.maxConsecutive;
        const isWaiting = isBlocked(row, policy, now);
        if (!isClosed && !isWaiting) continue;
        const until = isClosed && !isWaiting ? await this.#waitOfClosed(row, policy, now) : row.blockedUntil;
        return { key, verdict: this.#refuse(id, until, isClosed, now) };
      }

      const stored = await this.#store(tries);
      for (const { id } of waiting) this.#failed.set(id, true);
      waiting = waiting.slice(stored);
      const last = tries.at(-1);
      if (waiting.length === 0 && last !== undefined) {
        const isLast = last.next.consecutive === last.policy.maxConsecutive;
        return { key: last.key, verdict: { allowed: true, tries: last.next.failures, isLast } };
      }
    }
    throw new AuthTunaError('unavailable', { retryAfterSeconds: 1 });
  }

  /** Stores tries in their order, up to one whose row is no longer as it was read; how many it stored. */
  async #store(tries: readonly Try[]): Promise<number> {
    const { db } = this.#runtime;
    if (tries.length > 1 && tries.every(({ row }) => row === null)) {
      const data = tries.map(({ id, next }) => ({ key: id, ...next }));
      return (await isStored(db.throttle.createMany({ data }))) ? tries.length : 0;
    }
    let stored = 0;
    for (const { id, row, next } of tries) {
      if (row === null) {
        if (!(await isStored(db.throttle.create({ data: { key: id, ...next }, select: { key: true } }))))
          break;
      } else {
        // Only while the row is as it was read, when no wait was running.
        const { count } = await db.throttle.updateMany({ where: row, data: next });
        if (count !== 1) break;
      }
      stored += 1;
    }
    return stored;
  }

  #refuse(id: string, until: Date, isClosed: boolean, now: Date): ThrottleVerdict {
    this.#waits.set(id, { until: until.getTime(), isClosed, believedFrom: now.getTime() });
    return { allowed: false, retryAfterSeconds: secondsUntil(until.getTime(), now), isClosed };
  }

  /**
   * The end of the wait that one which is closed names. It begins with a try, as if that had been one more failure, and counts down: a person
   * who guesses does not learn that the hundred are up.
   */
  async #waitOfClosed(row: ThrottleRow, policy: ThrottlePolicy, now: Date): Promise<Date> {
    const blockedUntil = after(now, policy.maxDelaySeconds);
    await this.#runtime.db.throttle.updateMany({
      where: { key: row.key, blockedUntil: row.blockedUntil },
      data: { blockedUntil },
    });
    return blockedUntil;
  }

  #remembered(id: string, now: Date): ThrottleVerdict | null {
    const wait = this.#waits.get(id);
    if (wait === undefined || wait.until <= now.getTime()) return null;
    const age = now.getTime() - wait.believedFrom;
    if (age < 0 || age >= REMEMBER_SECONDS * 1000) return null;
    return { allowed: false, retryAfterSeconds: secondsUntil(wait.until, now), isClosed: wait.isClosed };
  }

  #idOf(key: string): string {
    return this.#runtime.keys.lookup(`throttle ${key}`);
  }
}

/** 429 with the wait in whole seconds. */
export function rateLimited(retryAfterSeconds: number): AuthTunaError {
  return new AuthTunaError('rate_limited', { retryAfterSeconds });
}

/** Whether a wait is running. One that is longer than any was begun by a clock that was wrong, and is ignored. */
function isBlocked({ blockedUntil }: ThrottleRow, { maxDelaySeconds }: ThrottlePolicy, now: Date): boolean {
  return blockedUntil > now && blockedUntil <= after(now, maxDelaySeconds + MAX_SKEW_SECONDS);
}

/** False when somebody else was first. */
async function isStored(insert: PromiseLike<unknown>): Promise<boolean> {
  try {
    await insert;
    return true;
  } catch (error) {
    if (isUniqueViolation(error)) return false;
    throw error;
  }
}

/** What a row, or none, becomes by one more try. */
function nextOf(
  row: ThrottleRow | null,
  policy: ThrottlePolicy,
  now: Date,
): Omit<ThrottleRow, 'key' | 'userId'> {
  const isForgotten = row === null || row.seenAt < after(now, -policy.forgetSeconds);
  const failures = isForgotten ? 1 : row.failures + 1;
  return {
    failures,
    consecutive: policy.maxConsecutive === undefined ? 0 : (row?.consecutive ?? 0) + 1,
    blockedUntil: after(now, delayAfter(failures, policy)),
    seenAt: now,
  };
}

/** Seconds to wait after that many failures. */
function delayAfter(failures: number, policy: ThrottlePolicy): number {
  const beyond = failures - policy.freeFailures;
  if (beyond < 0) return 0;
  return Math.min(policy.maxDelaySeconds, policy.firstDelaySeconds * 2 ** beyond);
}

function secondsUntil(time: number, now: Date): number {
  return Math.max(1, Math.ceil((time - now.getTime()) / 1000));
}
