import { LRUCache } from 'lru-cache';
import type { RateLimit } from '../../config/rate-limits.js';
import { isUniqueViolation } from '../../db/client.js';
import type { Redis } from '../../db/redis.js';
import { AuthTunaError } from '../../errors.js';
import { InOrder } from '../concurrency/in-order.js';
import type { Runtime } from '../runtime.js';

/** A limit whose uses are also kept apart from each other. */
export interface SpacedLimit extends RateLimit {
  gapSeconds?: number;
}

/** A limit of distinct things, and of those that are seen at one of the places it is counted over. */
export interface DistinctLimit extends RateLimit {
  limitOfPlace: number;
}

/** Something that is counted once however often it is seen, and where it was. */
export interface Sighting {
  member: string;
  place: string;
}

/** `isNew`: it was not seen there within the window before. */
export type DistinctVerdict = { allowed: true; isNew: boolean } | { allowed: false; resetSeconds: number };

/** How a limit stands after it was asked. */
export interface RateVerdict {
  allowed: boolean;
  limit: number;
  /** How many more would pass now. */
  remaining: number;
  /** Until the next one frees up, when none is left; until all are free otherwise. */
  resetSeconds: number;
}

/**
 * What passed lately. Uses are counted by tenths of the window; a tenth counts until all of it lies outside, so that no window, wherever
 * it begins, ever holds more than the limit, at a constant size of the row.
 */
interface Uses {
  /** When the last one passed, in ms. */
  last: number;
  /** [tenth, uses in it], oldest first. */
  tenths: [number, number][];
}

/** For distinct things: `member place`, and the tenth in which it was last seen there. */
type Sightings = Record<string, number>;

/** Where counters are kept: a value that is replaced only if it is still what was read. */
interface CounterStore {
  read(id: string): Promise<string | null>;
  /** @returns false when somebody else was faster */
  replace(id: string, seen: string | null, next: string, lifetimeSeconds: number): Promise<boolean>;
}

const TENTHS = 10;
const REMEMBERED_KEYS = 10_000;
const REMEMBER_MS = 1000; // a refusal is repeated from memory at most this long
const REMEMBERED_CHARACTERS = 4_000_000;
const PLACES_PER_MEMBER = 4; // on average; bounds the row where few things are seen at very many places
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
  readonly #refusals = new LRUCache<string, { verdict: RateVerdict; from: number; until: number }>({
    max: REMEMBERED_KEYS,
  });
  /** What each counter was when it was last read or written here: where that is still so, it need not be read again. */
  readonly #last = new LRUCache<string, string>({
    max: REMEMBERED_KEYS,
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

function tenthOf(now: number, limit: RateLimit): number {
  return Math.floor(now / ((limit.windowSeconds * 1000) / TENTHS));
}

/** When a whole window has passed since the end of a tenth, in ms. */
function endOf(tenth: number, limit: RateLimit): number {
  return (tenth + 1 + TENTHS) * ((limit.windowSeconds * 1000) / TENTHS);
}

function currentUses(state: string | null, limit: RateLimit, now: number): Uses {
  const uses = state === null ? { last: 0, tenths: [] } : (JSON.parse(state) as Uses);
  return { last: uses.last, tenths: uses.tenths.filter(([tenth]) => endOf(tenth, limit) > now) };
}

function currentSightings(state: string | null, limit: RateLimit, now: number): Sightings {
  const sightings = state === null ? {} : (JSON.parse(state) as Sightings);
  return Object.fromEntries(Object.entries(sightings).filter(([, tenth]) => endOf(tenth, limit) > now));
}

/** The tenth after whose end there is room for a new sighting; null for now. */
function tenthOfRoom(
  sightings: Sightings,
  member: string,
  place: string,
  { limit, limitOfPlace }: DistinctLimit,
): number | null {
  /** When each of the distinct things was last seen anywhere. */
  const members = new Map<string, number>();
  const here: number[] = [];
  for (const [entry, tenth] of Object.entries(sightings)) {
    const [name = '', where] = entry.split(' ');
    members.set(name, Math.max(tenth, members.get(name) ?? 0));
    if (where === place) here.push(tenth);
  }
  const ends: number[] = [];
  if (here.length >= limitOfPlace) ends.push(Math.min(...here));
  if (!members.has(member) && members.size >= limit) ends.push(Math.min(...members.values()));
  const all = Object.values(sightings);
  if (all.length >= limit * PLACES_PER_MEMBER) ends.push(Math.min(...all));
  return ends.length === 0 ? null : Math.max(...ends);
}

/** Milliseconds until one more may pass; 0 for now. */
function waitFor(uses: Uses, limit: SpacedLimit, now: number): number {
  const gap = uses.last + (limit.gapSeconds ?? 0) * 1000 - now;
  let over = sumOf(uses) + 1 - limit.limit;
  for (const [tenth, count] of uses.tenths) {
    if (over <= 0) break;
    over -= count;
    if (over <= 0) return Math.max(gap, endOf(tenth, limit) - now);
  }
  return over > 0 ? limit.windowSeconds * 1000 : Math.max(0, gap); // a limit of 0 lets nothing pass
}

function addUse(uses: Uses, limit: RateLimit, now: number): void {
  const tenth = tenthOf(now, limit);
  const newest = uses.tenths.at(-1);
  // A clock that was set back adds to the newest tenth, so that they stay in order.
  if (newest !== undefined && newest[0] >= tenth) newest[1] += 1;
  else uses.tenths.push([tenth, 1]);
  uses.last = now;
}

function verdictOf(uses: Uses, limit: SpacedLimit, now: number): RateVerdict {
  const remaining = Math.max(0, limit.limit - sumOf(uses));
  const newest = uses.tenths.at(-1)?.[0] ?? tenthOf(now, limit);
  const wait = remaining > 0 ? endOf(newest, limit) - now : waitFor(uses, limit, now);
  return { allowed: true, limit: limit.limit, remaining, resetSeconds: Math.max(1, Math.ceil(wait / 1000)) };
}

function sumOf(uses: Uses): number {
  return uses.tenths.reduce((sum, [, count]) => sum + count, 0);
}

function databaseStore(runtime: Runtime): CounterStore {
  const { db } = runtime;
  return {
    async read(id) {
      return (await db.rateWindow.findUnique({ where: { key: id } }))?.state ?? null;
    },
    async replace(id, seen, next, lifetimeSeconds) {
      const expiresAt = new Date(runtime.now().getTime() + lifetimeSeconds * 1000);
      if (seen !== null) {
        const { count } = await db.rateWindow.updateMany({
          where: { key: id, state: seen },
          data: { state: next, expiresAt },
        });
        return count === 1;
      }
      try {
        await db.rateWindow.create({ data: { key: id, state: next, expiresAt } });
        return true;
      } catch (error) {
        if (isUniqueViolation(error)) return false;
        throw error;
      }
    },
  };
}

// Redis runs a script as one step. An empty string stands for "was not there".
const REPLACE = `
local present = redis.call('GET', KEYS[1])
if (present or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`;

function redisStore(redis: Redis): CounterStore {
  const keyOf = (id: string) => `authtuna:rate:${id}`;
  return {
    read: (id) => redis.run((client) => client.get(keyOf(id))),
    async replace(id, seen, next, lifetimeSeconds) {
      const replaced = await redis.run((client) =>
        client.eval(REPLACE, { keys: [keyOf(id)], arguments: [seen ?? '', next, String(lifetimeSeconds)] }),
      );
      return replaced === 1;
    },
  };
}
