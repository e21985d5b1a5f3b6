import { LRUCache } from 'lru-cache';
import type { RateLimit } from '../../config/rate-limits.js';
import type { Redis } from '../../db/redis.js';
import { AuthTunaError } from '../../errors.js';
import { rememberAtMost } from '../../remember.js';
import { InOrder } from '../concurrency/in-order.js';
import type { Runtime } from '../runtime.js';
import { type CounterStore, databaseStore, redisStore } from './counter-store.js';
import {
  addUse,
  currentSightings,
  currentUses,
  type DistinctLimit,
  endOf,
  type RateVerdict,
  type SpacedLimit,
  TENTHS,
  tenthOf,
  tenthOfRoom,
  verdictOf,
  waitFor,
} from './rate-window.js';

export type { DistinctLimit, RateVerdict, SpacedLimit } from './rate-window.js';

/** Something that is counted once however often it is seen, and where it was. */
export interface Sighting {
  member: string;
  place: string;
}

/** `isNew`: it was not seen there within the window before. */
export type DistinctVerdict = { allowed: true; isNew: boolean } | { allowed: false; resetSeconds: number };

const REMEMBERED_KEYS = 10_000;
const REMEMBER_MS = 1000; // a refusal is repeated from memory at most this long
const REMEMBERED_CHARACTERS = 4_000_000;
const MAX_ROUNDS = 200;

/**
 * Named things that may happen only so often: exact under any parallelism, in the database or, where `redisUrl` is set, in Redis.
 *
 * Within one process uses of one key go one after the other; between processes the store settles who was first. A refusal is remembered for
 * a second, so that a flood is answered from memory.
 */
export class RateLimiter {
  readonly #runtime: Runtime;
  readonly #store: CounterStore;
  readonly #refusals = rememberAtMost<{ verdict: RateVerdict; from: number; until: number }>(REMEMBERED_KEYS);
  /** What each counter was when it was last read or written here: where that is still so, it need not be read again. */
  readonly #last = new LRUCache<string, string>({
    maxSize: REMEMBERED_CHARACTERS,
    sizeCalculation: (state, id) => state.length + id.length,
  });
  readonly #inOrder = new InOrder();

  constructor(runtime: Runtime, redis: Redis | null = null) {
    this.#runtime = runtime;
    this.#store = redis === null ? databaseStore(runtime) : redisStore(redis);
  }

  /**
   * Uses the limit once, if it may be used.
   *
   * @param key what is limited, and for whom, in clear: `route mailRequest 203.0.113.7/32`; stored as a keyed digest
   * @throws AuthTunaError `unavailable` when it cannot be counted: who cannot count does not let pass
   */
  take(key: string, limit: SpacedLimit): Promise<RateVerdict> {
    const id = this.#idOf(key, limit);
    return this.#inOrder.run(id, async () => {
      const remembered = this.#remembered(id);
      if (remembered !== null) return remembered;
      let wait = 0;
      const verdict = await this.#change(id, limit, (state, now) => {
        const uses = currentUses(state, limit, now);
        wait = waitFor(uses, limit, now);
        if (wait > 0) return { verdict: this.#refusal(limit, wait) };
        addUse(uses, limit, now);
        return { verdict: verdictOf(uses, limit, now), next: JSON.stringify(uses) };
      });
      if (!verdict.allowed) this.#remember(id, verdict, wait);
      return verdict;
    });
  }

  /** Takes one use back that had no effect. */
  async giveBack(key: string, limit: SpacedLimit): Promise<void> {
    const id = this.#idOf(key, limit);
    this.#refusals.delete(id);
    await this.#inOrder.run(id, () =>
      this.#change(id, limit, (state, now) => {
        const uses = currentUses(state, limit, now);
        const newest = uses.tenths.at(-1);
        if (newest === undefined) return { verdict: null };
        newest[1] -= 1;
        if (newest[1] === 0) uses.tenths.pop();
        uses.last = 0;
        return { verdict: null, next: JSON.stringify(uses) };
      }),
    );
  }

  /**
   * Counts distinct things: passes for one that was seen at its place within the window already, and for a new one while there are fewer than
   * `limit` of them, and fewer than `limitOfPlace` at its place.
   *
   * One counter holds all places, so that both limits are asked and used in one step.
   */
  takeDistinct(key: string, sighting: Sighting, limit: DistinctLimit): Promise<DistinctVerdict> {
    const id = this.#idOf(key, limit);
    const [member, place] = this.#namesOf(sighting);
    const entry = `${member} ${place}`;
    return this.#inOrder.run(id, () =>
      this.#change<DistinctVerdict>(id, limit, (state, now) => {
        const sightings = currentSightings(state, limit, now);
        const isNew = sightings[entry] === undefined;
        const free = isNew ? tenthOfRoom(sightings, member, place, limit) : null;
        if (free !== null) {
          const { resetSeconds } = this.#refusal(limit, endOf(free, limit) - now);
          return { verdict: { allowed: false, resetSeconds } };
        }
        const tenth = tenthOf(now, limit);
        const verdict = { allowed: true, isNew } as const;
        if (sightings[entry] === tenth) return { verdict };
        return { verdict, next: JSON.stringify({ ...sightings, [entry]: tenth }) };
      }),
    );
  }

  /** Forgets that one of the distinct things was seen at that place. */
  async forgetDistinct(key: string, sighting: Sighting, limit: DistinctLimit): Promise<void> {
    const id = this.#idOf(key, limit);
    const entry = this.#namesOf(sighting).join(' ');
    await this.#inOrder.run(id, () =>
      this.#change(id, limit, (state, now) => {
        const { [entry]: forgotten, ...others } = currentSightings(state, limit, now);
        return forgotten === undefined ? { verdict: null } : { verdict: null, next: JSON.stringify(others) };
      }),
    );
  }

  async #change<V>(
    id: string,
    limit: RateLimit,
    step: (state: string | null, now: number) => { verdict: V; next?: string },
  ): Promise<V> {
    const remembered = this.#last.get(id);
    let state = remembered ?? (await this.#read(id));
    let mayBeOld = remembered !== undefined;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const { verdict, next } = step(state, this.#runtime.now().getTime());
      if (next === undefined && !mayBeOld) return verdict;
      if (next !== undefined) {
        const lifetime = limit.windowSeconds * (1 + 2 / TENTHS);
        if (await this.#store.replace(id, state, next, Math.ceil(lifetime))) {
          this.#last.set(id, next);
          return verdict;
        }
      }
      state = await this.#read(id);
      mayBeOld = false;
    }
    throw new AuthTunaError('unavailable', { retryAfterSeconds: 1 });
  }

  async #read(id: string): Promise<string | null> {
    const state = await this.#store.read(id);
    if (state === null) this.#last.delete(id);
    else this.#last.set(id, state);
    return state;
  }

  #refusal(limit: RateLimit, waitMs: number): RateVerdict {
    const resetSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    return { allowed: false, limit: limit.limit, remaining: 0, resetSeconds };
  }

  #remember(id: string, verdict: RateVerdict, waitMs: number): void {
    const now = this.#runtime.now().getTime();
    this.#refusals.set(id, { verdict, from: now, until: now + Math.min(waitMs, REMEMBER_MS) });
  }

  #remembered(id: string): RateVerdict | null {
    const refusal = this.#refusals.get(id);
    const now = this.#runtime.now().getTime();
    return refusal === undefined || now >= refusal.until || now < refusal.from ? null : refusal.verdict;
  }

  /** The window is part of it: numbers of tenths mean something else in another window. */
  #idOf(key: string, limit: RateLimit): string {
    return this.#runtime.keys.lookup(`rate ${limit.windowSeconds} ${key}`);
  }

  /** Keyed digests of 72 and 48 bits, compared among a few hundred. */
  #namesOf({ member, place }: Sighting): [member: string, place: string] {
    const { keys } = this.#runtime;
    return [keys.lookup(`member ${member}`).slice(0, 12), keys.lookup(`place ${place}`).slice(0, 8)];
  }
}
