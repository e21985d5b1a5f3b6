import { newId } from '../../crypto/random.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after, MAX_SKEW_SECONDS } from '../../time.js';
import type { Runtime } from '../runtime.js';

/** Work that is done again and again, by one of all instances at a time. */
export interface Job {
  /** Unique; names its lease. */
  name: string;
  everySeconds: number;
  /** Does it, and says in a few words what was done. Stops early, with what it has, when the signal is aborted. */
  run(signal: AbortSignal): Promise<string>;
}

/** What a job did last, on whichever instance. */
export interface JobStatus {
  name: string;
  everySeconds: number;
  /** Whether an instance holds it right now. */
  isRunning: boolean;
  /** When the last run that came to an end began; null before the first. */
  lastRunAt: Date | null;
  /** What that run said it did, or that it failed. */
  lastNote: string | null;
}

const LEASE_SECONDS = 60; // how long a crashed holder keeps others out
const RENEW_MS = 15_000; // several chances to renew before others step in
const FIRST_LOOK_SECONDS = 60; // a process that starts looks within a minute whether something is overdue
const MAX_NOTE = 500;

/**
 * Runs jobs: each by one instance among many at a time, which holds its row among the leases and renews it while it works.
 *
 * Taking a lease is one conditional write, so of any number of instances one runs. A holder that died is replaced when its lease has
 * expired, and one that was paused for so long is told to stop through its signal.
 */
export class JobManager {
  readonly #runtime: Runtime;
  readonly #holder: string;
  readonly #jobs = new Map<string, Job>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #underWay = new Map<
    string,
    { answer: Promise<string>; stop: AbortController; onlyIfDue: boolean }
  >();
  #isStarted = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#holder = newId(runtime.config.random);
  }

  /** Registers a job; it runs from `start()` on. @throws TypeError when the name is taken */
  add(job: Job): void {
    if (this.#jobs.has(job.name)) throw new TypeError(`a job named ${job.name} is there already`);
    this.#jobs.set(job.name, job);
    if (this.#isStarted) this.#schedule(job, true);
  }

  /** Begins to run jobs when they are due. Done by `ready()`; the timers keep no process alive. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const job of this.#jobs.values()) this.#schedule(job, true);
  }

  /** Ends the timers, tells what runs to stop, and waits for it. Done by `close()`. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    const running = [...this.#underWay.values()];
    for (const { stop } of running) stop.abort();
    await Promise.allSettled(running.map(({ answer }) => answer));
  }

  /**
   * Runs a job now, due or not.
   *
   * @returns what it says it did
   * @throws AuthTunaError `not_found` for an unknown name, `conflict` while another instance runs it; otherwise what the job throws
   */
  async run(name: string): Promise<string> {
    const job = this.#jobs.get(name);
    if (job === undefined) throw new AuthTunaError('not_found', { message: `There is no job ${name}.` });
    // A look of the timer may have found nothing due, or have begun before what the caller wants done.
    const look = this.#underWay.get(name);
    if (look?.onlyIfDue === true) await look.answer.catch(() => {});
    const note = await this.#attempt(job, { onlyIfDue: false });
    if (note === null)
      throw new AuthTunaError('conflict', { message: `Another instance runs ${name} right now.` });
    return note;
  }

  /** What each job did last, in the order they were registered. */
  async status(): Promise<JobStatus[]> {
    const names = [...this.#jobs.keys()];
    const rows = await this.#runtime.db.lease.findMany({ where: { name: { in: names } } });
    const now = this.#runtime.now();
    return [...this.#jobs.values()].map(({ name, everySeconds }) => {
      const row = rows.find((lease) => lease.name === name);
      return {
        name,
        everySeconds,
        isRunning: row !== undefined && isHeld(row, now),
        lastRunAt: row?.lastRunAt ?? null,
        lastNote: row?.lastNote ?? null,
      };
    });
  }

  #schedule(job: Job, isFirst: boolean): void {
    if (!this.#isStarted) return;
    // Instances that start together, after a deployment, do not all ask at the same moment.
    const share = this.#runtime.config.random.bytes(4).readUInt32BE() / 2 ** 32;
    const seconds = isFirst
      ? share * Math.min(job.everySeconds, FIRST_LOOK_SECONDS)
      : job.everySeconds * (0.9 + 0.2 * share);
    const timer = setTimeout(async () => {
      try {
        await this.#attempt(job, { onlyIfDue: true });
      } catch (error) {
        this.#runtime.config.logger.error(`The job ${job.name} failed.`, { error });
      }
      this.#schedule(job, false);
    }, seconds * 1000);
    timer.unref();
    this.#timers.set(job.name, timer);
  }

  /** What the job said, or null when it is not due or not ours to run. */
  async #attempt(job: Job, options: { onlyIfDue: boolean }): Promise<string | null> {
    const present = this.#underWay.get(job.name);
    if (present !== undefined) return present.answer;
    const stop = new AbortController();
    const answer = this.#runWithLease(job, stop, options);
    const settled = answer.then((note) => note ?? '');
    settled.catch(() => {}); // the caller handles the error
    this.#underWay.set(job.name, { answer: settled, stop, ...options });
    try {
      return await answer;
    } finally {
      this.#underWay.delete(job.name);
    }
  }

  async #runWithLease(
    job: Job,
    stop: AbortController,
    options: { onlyIfDue: boolean },
  ): Promise<string | null> {
    const { db, config } = this.#runtime;
    const startedAt = await this.#take(job, options);
    if (startedAt === null) return null;
    const mine = { name: job.name, holder: this.#holder };
    const renewal = setInterval(() => {
      db.lease
        .updateMany({ where: mine, data: { expiresAt: after(this.#runtime.now(), LEASE_SECONDS) } })
        .then(({ count }) => count === 0 && stop.abort())
        .catch((error: unknown) =>
          config.logger.warn(`The lease of ${job.name} was not renewed.`, { error }),
        );
    }, RENEW_MS);
    renewal.unref();
    let note: string | null = null;
    try {
      note = await job.run(stop.signal);
      return note;
    } finally {
      clearInterval(renewal);
      const data = {
        expiresAt: this.#runtime.now(),
        lastRunAt: startedAt,
        lastNote: note === null ? 'failed; the log says why' : note.slice(0, MAX_NOTE),
      };
      await db.lease.updateMany({ where: mine, data }).catch((error: unknown) => {
        config.logger.warn(`The lease of ${job.name} could not be given back; it expires by itself.`, {
          error,
        });
      });
    }
  }

  /** Takes the lease if it is free. Returns the time, or null when another instance holds it. */
  async #take(job: Job, options: { onlyIfDue: boolean }): Promise<Date | null> {
    const { db } = this.#runtime;
    const now = this.#runtime.now();
    const lease = { holder: this.#holder, expiresAt: after(now, LEASE_SECONDS) };
    const row = await db.lease.findUnique({ where: { name: job.name } });
    if (row === null) {
      try {
        await db.lease.create({ data: { name: job.name, ...lease } });
        return now;
      } catch (error) {
        if (isUniqueViolation(error)) return null;
        throw error;
      }
    }
    // Timers of instances drift, so a run counts as due a little early rather than a whole round late.
    const wasLately =
      row.lastRunAt !== null &&
      row.lastRunAt > after(now, -0.8 * job.everySeconds) &&
      row.lastRunAt < after(now, MAX_SKEW_SECONDS);
    if (isHeld(row, now) || (options.onlyIfDue && wasLately)) return null;
    const { count } = await db.lease.updateMany({
      where: { name: job.name, holder: row.holder, expiresAt: row.expiresAt },
      data: lease,
    });
    return count === 1 ? now : null;
  }
}

/** An end that no lease can have was written by a wrong clock and is ignored. */
function isHeld({ expiresAt }: { expiresAt: Date }, now: Date): boolean {
  return expiresAt > now && expiresAt <= after(now, LEASE_SECONDS + MAX_SKEW_SECONDS);
}
