import { LRUCache } from 'lru-cache';
import { isUniqueViolation } from '../db/client.js';
import { AuthTunaError } from '../errors.js';
import { InOrder } from './in-order.js';
import type { Write } from './ledger.js';
import { after, type Runtime } from './runtime.js';

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

/**
 * Guesses at a secret: five at once, then one after 1, 2, 4 … 900 seconds, and no more after a hundred.
 *
 * @see NIST SP 800-63B-4 3.2.2; security.md LG-4, LG-5, TO-4
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
 * A try is a conditional write to one row: it happens only while the row is as it was read and no wait is running. Who loses that race
 * looks again. Within one process tries at one key go one after the other, and a wait that is running is remembered for a second, so that
 * a flood is answered from memory.
 * @see security.md 3.10
 */
export class Throttle {
  readonly #runtime: Runtime;
  readonly #waits = new LRUCache<string, { until: number; isClosed: boolean; believedUntil: number }>({
    max: REMEMBERED_KEYS,
  });
  readonly #inOrder = new InOrder();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Counts a try, or refuses it while a wait is running. A refused try is not counted. After a success the caller adds `clear(key)` to its batch.
   *
   * @param key what is guessed at, in clear: `login:<userId>`, `totp:<userId>`; stored as a keyed digest
   * @throws AuthTunaError `rate_limited` with `retryAfterSeconds`; `unavailable` when it cannot be counted
   */
  async reserve(key: string, policy: ThrottlePolicy): Promise<void> {
    const verdict = await this.attempt(key, policy);
    if (!verdict.allowed) throw rateLimited(verdict.retryAfterSeconds);
  }

  /** Like {@link Throttle.reserve}, for a caller that does something of its own about a refusal. */
  attempt(key: string, policy: ThrottlePolicy): Promise<ThrottleVerdict> {
    const id = this.#idOf(key);
    return this.#inOrder.run(id, () => this.#attempt(id, policy));
  }

  /** The write that forgets every failure of a key, for the batch of the success or the unlocking. */
  clear(key: string): Write {
    const id = this.#idOf(key);
    this.#waits.delete(id);
    return this.#runtime.db.throttle.deleteMany({ where: { key: id } });
  }

  async #attempt(id: string, policy: ThrottlePolicy): Promise<ThrottleVerdict> {
    const { db } = this.#runtime;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const now = this.#runtime.now();
      const remembered = this.#remembered(id, now);
      if (remembered !== null) return remembered;

      const row = await db.throttle.findUnique({ where: { key: id } });
      if (row === null) {
        try {
          await db.throttle.create({ data: { key: id, ...countOf(1, 1, now, policy) } });
          return { allowed: true, tries: 1, isLast: policy.maxConsecutive === 1 };
        } catch (error) {
          if (isUniqueViolation(error)) continue;
          throw error;
        }
      }
      const isClosed = policy.maxConsecutive !== undefined && row.consecutive >= policy.maxConsecutive;
      if (isClosed || row.blockedUntil > now)
        return this.#refuse(id, row.blockedUntil, isClosed, now, policy);

      const isForgotten = row.seenAt < after(now, -policy.forgetSeconds);
      const failures = isForgotten ? 1 : row.failures + 1;
      const { count } = await db.throttle.updateMany({
        where: {
          key: id,
          failures: row.failures,
          consecutive: row.consecutive,
          seenAt: row.seenAt,
          blockedUntil: { lte: now },
        },
        data: countOf(failures, row.consecutive + 1, now, policy),
      });
      if (count === 1)
        return { allowed: true, tries: failures, isLast: row.consecutive + 1 === policy.maxConsecutive };
    }
    throw new AuthTunaError('unavailable', { retryAfterSeconds: 1 });
  }

  #refuse(id: string, until: Date, isClosed: boolean, now: Date, policy: ThrottlePolicy): ThrottleVerdict {
    // One that is closed says no more than one that waits: whoever guesses need not know that the hundred are up.
    const end = isClosed ? after(now, policy.maxDelaySeconds) : until;
    const believedUntil = now.getTime() + REMEMBER_SECONDS * 1000;
    this.#waits.set(id, { until: end.getTime(), isClosed, believedUntil });
    return { allowed: false, retryAfterSeconds: secondsUntil(end.getTime(), now), isClosed };
  }

  #remembered(id: string, now: Date): ThrottleVerdict | null {
    const wait = this.#waits.get(id);
    if (wait === undefined || wait.until <= now.getTime() || wait.believedUntil <= now.getTime()) return null;
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

function countOf(failures: number, consecutive: number, now: Date, policy: ThrottlePolicy) {
  return {
    failures,
    consecutive: policy.maxConsecutive === undefined ? 0 : consecutive,
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
