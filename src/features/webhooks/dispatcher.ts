import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { after } from '../../time.js';
import { Sender } from './sender.js';

const JOB_SECONDS = 60;
// Long enough that the answer to the request that caused an event is on its way.
const NUDGE_MS = 50;

/**
 * Decides when deliveries are sent: soon after they were stored, when an attempt is due again, and every minute for those that another
 * process left.
 */
export class Dispatcher {
  readonly #core: Core;
  readonly #sender: Sender;
  readonly #timers = new Set<NodeJS.Timeout>();
  #lastRound: Promise<unknown> = Promise.resolve();
  #next: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(core: Core) {
    this.#core = core;
    this.#sender = new Sender(core, (next) => this.#nudgeAt(next));
    core.webhooks.onQueued(() => this.nudge());
  }

  /** The round of every minute. */
  get job(): Job {
    return {
      name: 'webhooks.deliver',
      everySeconds: JOB_SECONDS,
      run: async (signal) => `${await this.#deliver(signal)} delivered`,
    };
  }

  /** Starts a round soon; however often it is asked, one round follows the one under way. */
  nudge(): void {
    if (this.#next !== null || this.#isClosed) return;
    this.#next = setTimeout(() => {
      this.#next = null;
      this.#deliver().catch((error: unknown) => {
        if (!this.#isClosed) this.#core.config.logger.error('A round of webhooks failed.', { error });
      });
    }, NUDGE_MS).unref();
  }

  /** Ends the timers and waits for what is being sent. What is left is sent by the next process. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#next !== null) clearTimeout(this.#next);
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#lastRound;
  }

  /** Rounds of one instance follow each other. */
  #deliver(signal?: AbortSignal): Promise<number> {
    const isOver = () => this.#isClosed || signal?.aborted === true;
    const round = this.#lastRound.then(() => this.#sender.round(isOver));
    this.#lastRound = round.catch(() => {});
    return round;
  }

  /** Starts a round at that time, where it is before the next run of the job. */
  #nudgeAt(next: Date): void {
    const now = this.#core.now();
    if (this.#isClosed || next >= after(now, JOB_SECONDS)) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.nudge();
      },
      next.getTime() - now.getTime() + 100, // timers may fire a little early
    ).unref();
    this.#timers.add(timer);
  }
}
