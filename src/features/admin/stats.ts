import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { rememberAtMost } from '../../remember.js';
import { after } from '../../time.js';

/** Numbers of one day, UTC. */
export interface DayStats {
  /** `2030-01-31` */
  day: string;
  signIns: number;
  failures: number;
  lockouts: number;
  signUps: number;
}

interface Totals {
  users: number;
  suspended: number;
  liveSessions: number;
}

export interface Stats extends Totals {
  /** The oldest first. */
  days: DayStats[];
}

const DAY = 86_400;
const COUNTED = ['user.signed_in', 'user.sign_in_failed', 'user.locked', 'user.created'] as const;

const MAX_DAYS = 1000; // remembered, for each of the four numbers
const TOTALS_SECONDS = 60;

/** Numbers for the first page. What is over is counted once; totals are up to a minute old, because counting a million rows takes its time. */
export class Statistics {
  readonly #core: SignInCore;
  readonly #past = rememberAtMost<number>(MAX_DAYS);
  #totals: { at: Date; value: Promise<Totals> } | null = null;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** People and sessions now, and what happened on each of the last days. */
  async of(days: number): Promise<Stats> {
    const midnight = new Date(`${this.#core.now().toISOString().slice(0, 10)}T00:00:00.000Z`);
    const starts = Array.from({ length: days }, (_, n) => after(midnight, (n - days + 1) * DAY));
    const [totals, ...counted] = await Promise.all([
      this.#current(),
      ...starts.map((start) => this.#day(start, start < midnight)),
    ]);
    return { ...totals, days: counted };
  }

  async #day(start: Date, isOver: boolean): Promise<DayStats> {
    const [signIns, failures, lockouts, signUps] = await Promise.all(
      COUNTED.map((type) => this.#count(type, start, isOver)),
    );
    const day = start.toISOString().slice(0, 10);
    return {
      day,
      signIns: signIns ?? 0,
      failures: failures ?? 0,
      lockouts: lockouts ?? 0,
      signUps: signUps ?? 0,
    };
  }

  async #count(type: string, start: Date, isOver: boolean): Promise<number> {
    const key = `${type} ${start.toISOString()}`;
    const known = isOver ? this.#past.get(key) : undefined;
    if (known !== undefined) return known;
    const at = { gte: start, lt: after(start, DAY) };
    const count = await this.#core.db.auditEntry.count({ where: { type, at } });
    if (isOver) this.#past.set(key, count);
    return count;
  }

  #current(): Promise<Totals> {
    const at = this.#core.now();
    const age = this.#totals === null ? Number.POSITIVE_INFINITY : at.getTime() - this.#totals.at.getTime();
    if (this.#totals !== null && age >= 0 && age < TOTALS_SECONDS * 1000) return this.#totals.value;
    const value = this.#countTotals(at);
    this.#totals = { at, value };
    value.catch(() => {
      this.#totals = null;
    });
    return value;
  }

  async #countTotals(at: Date): Promise<Totals> {
    const { db } = this.#core;
    const [users, suspended, liveSessions] = await Promise.all([
      db.user.count({ where: { deletedAt: null } }),
      db.user.count({ where: { deletedAt: null, suspendedAt: { not: null } } }),
      db.session.count({ where: { revokedAt: null, absoluteExpiresAt: { gt: at } } }),
    ]);
    return { users, suspended, liveSessions };
  }
}
