import type { Actor } from '../actor.js';
import type { Ledger } from '../core/changes/ledger.js';
import type { Job } from '../core/instances/jobs.js';
import { PAGE_FIELDS, type Page, type PageQuery } from '../core/page.js';
import { requireKnownFields } from '../core/refusals.js';
import type { Runtime } from '../core/runtime.js';
import type { Templates } from '../templates/templates.js';
import { after } from '../time.js';
import { type DeadLetter, listDeadLetters, retryDeadLetter } from './dead-letters.js';
import { Delivery } from './delivery.js';

export type { DeadLetter } from './dead-letters.js';

const JOB_SECONDS = 60;
// Long enough that the answer to the request that caused a mail is on its way before anything is rendered.
const NUDGE_MS = 50;
const CLOSE_SECONDS = 5;

/**
 * Delivers the mails that wait in the database.
 *
 * One at a time, the oldest first, and to one mailbox always in the order they were written: an earlier mail that failed is
 * tried again before a later one goes. A mail is held by one instance while it is sent; a process that dies in between
 * leaves it to the next, under the same Message-ID, so a mail is repeated at worst and never lost. After a failure it
 * is tried again after 5 s, 30 s, 2 min, 10 min and then every hour, for a day.
 */
export class Mailer {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #delivery: Delivery;
  readonly #stop = new AbortController();
  #lastRound: Promise<unknown> = Promise.resolve();
  #nextRound: NodeJS.Timeout | null = null;
  #isClosed = false;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(runtime: Runtime, ledger: Ledger, templates: Templates) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#delivery = new Delivery(runtime, ledger.outbox, templates, (next, now) => this.#nudgeAt(next, now));
    ledger.outbox.onQueued(() => this.nudge());
  }

  /**
   * Sends everything that is due. Rounds of one instance follow each other; after `signal` no further mail is begun.
   *
   * @returns how many mails were accepted by the transport
   */
  deliver(signal?: AbortSignal): Promise<number> {
    const isOver = () => this.#stop.signal.aborted || signal?.aborted === true;
    const round = this.#lastRound.then(() => {
      if (this.#nextRound !== null) clearTimeout(this.#nextRound);
      this.#nextRound = null;
      return this.#delivery.round(isOver);
    });
    this.#lastRound = round.catch(() => {});
    return round;
  }

  /** A round a minute, for mails that another process left and for those that wait for longer than a minute. */
  get jobs(): Job[] {
    return [
      {
        name: 'mail.deliver',
        everySeconds: JOB_SECONDS,
        run: async (signal) => {
          const sent = await Promise.race([this.deliver(signal), aborted(signal)]);
          return sent === undefined ? 'stopped' : `${sent} sent`;
        },
      },
    ];
  }

  /** Starts a round soon, for a caller who does not wait; however often it is asked, one round follows the one under way. */
  nudge(): void {
    if (this.#nextRound !== null || this.#isClosed) return;
    this.#nextRound = setTimeout(() => this.#begin(), NUDGE_MS);
  }

  #begin(): void {
    this.deliver().catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#runtime.config.logger.error('A round of mails failed.', { error });
    });
  }

  /** Mails that were given up, newest first. */
  async deadLetters(query: PageQuery = {}): Promise<Page<DeadLetter>> {
    requireKnownFields(query, PAGE_FIELDS);
    return listDeadLetters(this.#runtime, this.#ledger, query);
  }

  /**
   * Tries a mail that was given up once more; one older than a day is given up again if that fails.
   *
   * @throws AuthTunaError `not_found` when it is not among the dead letters
   */
  async retry(id: string, actor: Actor): Promise<void> {
    await retryDeadLetter(this.#runtime, this.#ledger, id, actor);
    this.nudge();
  }

  /** Sends what this process has queued, for at most 5 s, and closes the transport. What is left is sent by the next process. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#nextRound !== null) this.#begin();
    for (const timer of this.#timers) clearTimeout(timer);
    const timer = setTimeout(() => this.#stop.abort(), CLOSE_SECONDS * 1000);
    await Promise.race([this.#lastRound, aborted(this.#stop.signal)]);
    clearTimeout(timer);
    this.#stop.abort();
    await this.#runtime.config.mail?.transport.close?.();
  }

  /** Starts a round at that time, where it is before the next run of the job. */
  #nudgeAt(next: Date, now: Date): void {
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

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
