import type { RateLimit } from '../../config/rate-limits.js';
import { MAX_SKEW_SECONDS } from '../../time.js';

/** A limit whose uses are also kept apart from each other. */
export interface SpacedLimit extends RateLimit {
  gapSeconds?: number;
}

/** A limit of distinct things, and of those that are seen at one of the places it is counted over. */
export interface DistinctLimit extends RateLimit {
  limitOfPlace: number;
}

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
export interface Uses {
  /** When the last one passed, in ms. */
  last: number;
  /** [tenth, uses in it], oldest first. */
  tenths: [number, number][];
}

/** For distinct things: `member place`, and the tenth in which it was last seen there. */
export type Sightings = Record<string, number>;

/** Parts of a window that are counted together. */
export const TENTHS = 10;
const PLACES_PER_MEMBER = 4; // on average; bounds the row where few things are seen at very many places

export function tenthOf(now: number, limit: RateLimit): number {
  return Math.floor(now / ((limit.windowSeconds * 1000) / TENTHS));
}

/** When a whole window has passed since the end of a tenth, in ms. */
export function endOf(tenth: number, limit: RateLimit): number {
  return (tenth + 1 + TENTHS) * ((limit.windowSeconds * 1000) / TENTHS);
}

/** Whether a tenth counts at this moment. One that a clock made while it was far ahead is ignored. */
function counts(tenth: number, limit: RateLimit, now: number): boolean {
  return endOf(tenth, limit) > now && tenth <= tenthOf(now + MAX_SKEW_SECONDS * 1000, limit);
}

export function currentUses(state: string | null, limit: RateLimit, now: number): Uses {
  const uses = state === null ? { last: 0, tenths: [] } : (JSON.parse(state) as Uses);
  return {
    last: uses.last > now + MAX_SKEW_SECONDS * 1000 ? 0 : uses.last,
    tenths: uses.tenths.filter(([tenth]) => counts(tenth, limit, now)),
  };
}

export function currentSightings(state: string | null, limit: RateLimit, now: number): Sightings {
  const sightings = state === null ? {} : (JSON.parse(state) as Sightings);
  return Object.fromEntries(Object.entries(sightings).filter(([, tenth]) => counts(tenth, limit, now)));
}

/** The tenth after whose end there is room for a new sighting; null for now. */
export function tenthOfRoom(
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
export function waitFor(uses: Uses, limit: SpacedLimit, now: number): number {
  const gap = uses.last + (limit.gapSeconds ?? 0) * 1000 - now;
  let over = sumOf(uses) + 1 - limit.limit;
  for (const [tenth, count] of uses.tenths) {
    if (over <= 0) break;
    over -= count;
    if (over <= 0) return Math.max(gap, endOf(tenth, limit) - now);
  }
  return over > 0 ? limit.windowSeconds * 1000 : Math.max(0, gap); // a limit of 0 lets nothing pass
}

export function addUse(uses: Uses, limit: RateLimit, now: number): void {
  const tenth = tenthOf(now, limit);
  const newest = uses.tenths.at(-1);
  // A clock that was set back adds to the newest tenth, so that they stay in order.
  if (newest !== undefined && newest[0] >= tenth) newest[1] += 1;
  else uses.tenths.push([tenth, 1]);
  uses.last = now;
}

export function verdictOf(uses: Uses, limit: SpacedLimit, now: number): RateVerdict {
  const remaining = Math.max(0, limit.limit - sumOf(uses));
  const newest = uses.tenths.at(-1)?.[0] ?? tenthOf(now, limit);
  const wait = remaining > 0 ? endOf(newest, limit) - now : waitFor(uses, limit, now);
  return { allowed: true, limit: limit.limit, remaining, resetSeconds: Math.max(1, Math.ceil(wait / 1000)) };
}

function sumOf(uses: Uses): number {
  return uses.tenths.reduce((sum, [, count]) => sum + count, 0);
}
