import type { Actor } from '../actor.js';
import type { MailTransport } from '../config/options.js';
import type { Ledger } from '../core/changes/ledger.js';
import type { MailData } from '../core/changes/mail-data.js';
import type { Outbox } from '../core/changes/outbox.js';
import type { Job } from '../core/instances/jobs.js';
import { type Page, pageOf } from '../core/page.js';
import type { Runtime } from '../core/runtime.js';
import { type Db, isMissing } from '../db/client.js';
import { AuthTunaError } from '../errors.js';
import type { RenderedMail, Templates } from '../templates/templates.js';
import { after, inTime } from '../time.js';

/** A mail that was given up, for somebody to look at. */
export interface DeadLetter {
  id: string;
  template: string;
  /** Null when it was sealed with a secret that is no longer configured. */
  to: string | null;
  createdAt: Date;
  deadAt: Date;
  attempts: number;
  /** What the last attempt failed with; addresses, links and codes are left out. */
  lastError: string | null;
}

type Row = Awaited<ReturnType<Db['outboxMessage']['findUniqueOrThrow']>>;
type Outcome = 'sent' | 'dropped' | 'given up' | 'failed' | 'taken';

/** Why an attempt failed, and how old the mail may get before it is given up for that. */
interface Failure {
  summary: string;
  giveUpSeconds: number;
}

const PENDING = { sentAt: null, deadAt: null };
const OLDEST_FIRST: [{ createdAt: 'asc' }, { id: 'asc' }] = [{ createdAt: 'asc' }, { id: 'asc' }];
const JOB_SECONDS = 60;
// Long enough that the answer to the request that caused a mail is on its way before anything is rendered.
const NUDGE_MS = 50;
const ROWS_PER_READ = 50;
const BACK_OFF_SECONDS = [5, 30, 120, 600, 3600];
const GIVE_UP_SECONDS = 86_400;
// During a deployment an older instance may meet a mail whose secret or template only the newer one has.
const GIVE_UP_UNREADABLE_SECONDS = 900;
const SEND_SECONDS = 60;
const LOCK_SECONDS = 2 * SEND_SECONDS; // longer than an attempt may take; what a killed process held is free afterwards
const FAILURES_UNTIL_DOWN = 3;
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
  readonly #outbox: Outbox;
  readonly #templates: Templates;
  readonly #stop = new AbortController();
  #lastRound: Promise<unknown> = Promise.resolve();
  #nextRound: NodeJS.Timeout | null = null;
  #isClosed = false;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(runtime: Runtime, ledger: Ledger, templates: Templates) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#outbox = ledger.outbox;
    this.#templates = templates;
    this.#outbox.onQueued(() => this.nudge());
  }

  /**
   * Sends everything that is due. Rounds of one instance follow each other; after `signal` no further mail is begun.
   *
   * @returns how many mails were accepted by the transport
   */
  deliver(signal?: AbortSignal): Promise<number> {
    const isOver = () => this.#stop.signal.aborted || signal?.aborted === true;
    const round = this.#lastRound.then(() => this.#round(isOver));
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
  async deadLetters(query: { cursor?: string; limit?: number } = {}): Promise<Page<DeadLetter>> {
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#runtime.db.outboxMessage.findMany({
        where: { sentAt: null, deadAt: { not: null } }, // the index begins with sentAt
        orderBy: [{ deadAt: 'desc' }, { id: 'desc' }],
        take,
        ...(after !== null && { cursor: { id: after } }),
      });
      return rows.map((row) => ({
        id: row.id,
        template: row.template,
        to: this.#outbox.open(row)?.to ?? null,
        createdAt: row.createdAt,
        deadAt: row.deadAt ?? row.createdAt,
        attempts: row.attempts,
        lastError: row.lastError,
      }));
    });
  }

  /**
   * Tries a mail that was given up once more; one older than a day is given up again if that fails.
   *
   * @throws AuthTunaError `not_found` when it is not among the dead letters
   */
  async retry(id: string, actor: Actor): Promise<void> {
    const again = this.#runtime.db.outboxMessage.update({
      where: { id, deadAt: { not: null } },
      data: { deadAt: null, lockedUntil: null, attempts: 0, availableAt: this.#runtime.now() },
    });
    try {
      await this.#ledger.commit({
        writes: [again],
        facts: [{ type: 'mail.retried', actor, target: { type: 'mail', id } }],
      });
    } catch (error) {
      throw isMissing(error)
        ? new AuthTunaError('not_found', { message: 'There is no such dead letter.' })
        : error;
    }
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
    await this.#transport?.close?.();
  }

  get #transport(): MailTransport | undefined {
    return this.#runtime.config.mail?.transport;
  }

  async #round(isOver: () => boolean): Promise<number> {
    if (this.#nextRound !== null) clearTimeout(this.#nextRound);
    this.#nextRound = null;
    let sent = 0;
    let failuresInARow = 0;
    const leftAlone = new Set<string>(); // mailboxes that wait for a better time, or that another instance is busy with
    while (!isOver() && this.#transport !== undefined) {
      const now = this.#runtime.now();
      const due = await this.#runtime.db.outboxMessage.findMany({
        where: {
          ...PENDING,
          availableAt: { lte: now },
          OR: unlocked(now),
          recipient: { notIn: [...leftAlone] },
        },
        orderBy: OLDEST_FIRST,
        take: ROWS_PER_READ,
      });
      if (due.length === 0) break;
      for (const row of due) {
        if (leftAlone.has(row.recipient)) continue;
        const outcomes = await this.#attemptUpTo(row, isOver);
        sent += outcomes.filter((outcome) => outcome === 'sent').length;
        if (isOver()) break;
        const last = outcomes.at(-1);
        if (last === 'failed' || last === 'taken') leftAlone.add(row.recipient);
        if (last === 'failed') failuresInARow += 1;
        if (last === 'sent') failuresInARow = 0;
        // The server is down rather than one mailbox: the rest stays due and need not wait as long as those that were tried.
        if (failuresInARow === FAILURES_UNTIL_DOWN) return sent;
      }
    }
    return sent;
  }

  /** Attempts the mails of one mailbox up to this one, the oldest first, until one does not get through. */
  async #attemptUpTo(row: Row, isOver: () => boolean): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    while (!isOver()) {
      const oldest = await this.#runtime.db.outboxMessage.findFirst({
        where: { ...PENDING, recipient: row.recipient, createdAt: { lte: row.createdAt } },
        orderBy: OLDEST_FIRST,
      });
      if (oldest === null) break;
      const outcome = await this.#attempt(oldest);
      outcomes.push(outcome);
      if (outcome === 'failed' || outcome === 'taken' || oldest.id === row.id) break;
    }
    return outcomes;
  }

  async #attempt(row: Row): Promise<Outcome> {
    const { db } = this.#runtime;
    const now = this.#runtime.now();
    const lockedUntil = after(now, LOCK_SECONDS);
    const claim = await db.outboxMessage.updateMany({
      where: { id: row.id, ...PENDING, OR: unlocked(now) },
      data: { lockedUntil, attempts: { increment: 1 } },
    });
    if (claim.count !== 1) return 'taken';

    const result = await this.#send(row);
    if (typeof result === 'object') return this.#putOff(row, lockedUntil, result);
    await db.outboxMessage.updateMany({
      where: { id: row.id, lockedUntil },
      // The links in it are worth something to a thief, and to nobody else from now on.
      data: { sentAt: this.#runtime.now(), sealed: '', lockedUntil: null, lastError: null },
    });
    return result;
  }

  /** `sent` when the transport took it, `dropped` when it was never meant for it. */
  async #send(row: Row): Promise<Failure | 'sent' | 'dropped'> {
    const { mail: settings } = this.#runtime.config;
    const mail = this.#outbox.open(row);
    if (mail === null || settings === undefined)
      return {
        summary: 'it was sealed with a secret that is not configured',
        giveUpSeconds: GIVE_UP_UNREADABLE_SECONDS,
      };
    let rendered: RenderedMail;
    try {
      // The row was written from this very union; its name and its data belong together.
      const locale = this.#templates.localeFor(mail.languages ?? undefined);
      const data = { ...mail.data, to: mail.to, locale };
      rendered = this.#templates.renderMail(mail.template, data as MailData[typeof mail.template]);
    } catch (error) {
      return {
        summary: `it could not be rendered: ${summaryOf(error)}`,
        giveUpSeconds: GIVE_UP_UNREADABLE_SECONDS,
      };
    }
    if (mail.isStandIn === true) return 'dropped';
    const outgoing = { from: settings.from, to: mail.to, ...rendered, messageId: this.#messageIdOf(row.id) };
    try {
      await inTime('the transport', SEND_SECONDS * 1000, () => settings.transport.send(outgoing));
      return 'sent';
    } catch (error) {
      return { summary: summaryOf(error), giveUpSeconds: isPermanent(error) ? 0 : GIVE_UP_SECONDS };
    }
  }

  async #putOff(row: Row, lockedUntil: Date, failure: Failure): Promise<Outcome> {
    const { db, config } = this.#runtime;
    const now = this.#runtime.now();
    const attempts = row.attempts + 1;
    const next = after(now, BACK_OFF_SECONDS[Math.min(attempts, BACK_OFF_SECONDS.length) - 1] ?? 0);
    const facts = { id: row.id, template: row.template, attempts, lastError: failure.summary };
    const held = { id: row.id, lockedUntil };

    if (next > after(row.createdAt, failure.giveUpSeconds)) {
      await db.outboxMessage.updateMany({
        where: held,
        data: { deadAt: now, lockedUntil: null, lastError: failure.summary },
      });
      config.logger.error('A mail was given up; see mailer.deadLetters() and mailer.retry().', facts);
      return 'given up';
    }
    await db.$transaction([
      db.outboxMessage.updateMany({
        where: held,
        data: { availableAt: next, lockedUntil: null, lastError: failure.summary },
      }),
      // Later mails to this mailbox wait for it, and do not hurry it on.
      db.outboxMessage.updateMany({
        where: { ...PENDING, recipient: row.recipient, availableAt: { lt: next } },
        data: { availableAt: next },
      }),
    ]);
    config.logger.warn('A mail was not accepted; it is tried again later.', facts);
    if (next < after(now, JOB_SECONDS)) this.#nudgeAt(next, now);
    return 'failed';
  }

  /** A nudge of our own for what is due before the job comes round. */
  #nudgeAt(next: Date, now: Date): void {
    if (this.#isClosed) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.nudge();
      },
      next.getTime() - now.getTime() + 100, // timers may fire a little early
    ).unref();
    this.#timers.add(timer);
  }

  #messageIdOf(id: string): string {
    const { hostname } = new URL(this.#runtime.config.baseUrl);
    return `<${id}@${hostname.startsWith('[') ? 'localhost' : hostname}>`; // http: on [::1] is the only address there can be
  }
}

function unlocked(now: Date) {
  return [{ lockedUntil: null }, { lockedUntil: { lte: now } }];
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

function isPermanent(error: unknown): boolean {
  return error instanceof Error && (error as { permanent?: unknown }).permanent === true;
}

const MAX_SUMMARY = 200;
// Small words and enhanced status codes (RFC 3463). A transport may quote the mail in its message, and with it an address,
// a link or a code; none of these reads like a word.
const HARMLESS_WORD = /^[("']?(?:[A-Z]?[a-z]{1,14}|[A-Z]{2,4}|[245]\.\d\.\d{1,2}|[aI])[)"'.,:;!?]*$/;

/** What an error is about, without anything secret or personal. */
function summaryOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code, responseCode, command } = error as {
    code?: unknown;
    responseCode?: unknown;
    command?: unknown;
  };
  const labels = [code, responseCode, command].filter((label) => /^[A-Z0-9_ ]{2,32}$/.test(String(label)));
  const words = error.message.split(/\s+/).filter((word) => HARMLESS_WORD.test(word));
  return [...new Set([...labels.map(String), words.join(' ')])].join(' ').slice(0, MAX_SUMMARY).trim();
}
