import type { MailData } from '../core/changes/mail-data.js';
import type { Outbox } from '../core/changes/outbox.js';
import type { Runtime } from '../core/runtime.js';
import type { Db } from '../db/client.js';
import type { RenderedMail, Templates } from '../templates/templates.js';
import { after, inTime } from '../time.js';
import { cureOf, isPermanent, summaryOf } from './failures.js';

type Row = Awaited<ReturnType<Db['outboxMessage']['findUniqueOrThrow']>>;
type Outcome = 'sent' | 'dropped' | 'given up' | 'failed' | 'taken';

/** Why an attempt failed, and how old the mail may get before it is given up for that. */
interface Failure {
  summary: string;
  giveUpSeconds: number;
  /** What a developer can do about it, for the log. */
  cure?: string;
}

const PENDING = { sentAt: null, deadAt: null };
const OLDEST_FIRST: [{ createdAt: 'asc' }, { id: 'asc' }] = [{ createdAt: 'asc' }, { id: 'asc' }];
const ROWS_PER_READ = 50;
const BACK_OFF_SECONDS = [5, 30, 120, 600, 3600];
const GIVE_UP_SECONDS = 86_400;
// During a deployment an older instance may meet a mail whose secret or template only the newer one has.
const GIVE_UP_UNREADABLE_SECONDS = 900;
const SEND_SECONDS = 60;
const LOCK_SECONDS = 2 * SEND_SECONDS; // longer than an attempt may take; what a killed process held is free afterwards
const FAILURES_UNTIL_DOWN = 3;

/**
 * Sends the mails that are due: one at a time, the oldest first, and to one mailbox always in the order they were written.
 *
 * A mail is held by one instance while it is sent. After a failure it is put off, and the later mails to its mailbox with it.
 */
export class Delivery {
  readonly #runtime: Runtime;
  readonly #outbox: Outbox;
  readonly #templates: Templates;
  readonly #onPutOff: (next: Date, now: Date) => void;

  /** @param onPutOff called with the time of the next attempt at a mail that failed */
  constructor(
    runtime: Runtime,
    outbox: Outbox,
    templates: Templates,
    onPutOff: (next: Date, now: Date) => void,
  ) {
    this.#runtime = runtime;
    this.#outbox = outbox;
    this.#templates = templates;
    this.#onPutOff = onPutOff;
  }

  /** Sends everything that is due, until `isOver`. Returns how many mails the transport accepted. */
  async round(isOver: () => boolean): Promise<number> {
    let sent = 0;
    let failuresInARow = 0;
    const leftAlone = new Set<string>(); // mailboxes that wait for a better time, or that another instance is busy with
    while (!isOver() && this.#runtime.config.mail !== undefined) {
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
      // From now on the links in it would serve a thief only.
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
      const cure = cureOf(error);
      return {
        summary: summaryOf(error),
        giveUpSeconds: isPermanent(error) ? 0 : GIVE_UP_SECONDS,
        ...(cure !== null && { cure }),
      };
    }
  }

  async #putOff(row: Row, lockedUntil: Date, failure: Failure): Promise<Outcome> {
    const { db, config } = this.#runtime;
    const now = this.#runtime.now();
    const attempts = row.attempts + 1;
    const next = after(now, BACK_OFF_SECONDS[Math.min(attempts, BACK_OFF_SECONDS.length) - 1] ?? 0);
    const { cure, summary: lastError } = failure;
    const facts = {
      id: row.id,
      template: row.template,
      attempts,
      lastError,
      ...(cure !== undefined && { cure }),
    };
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
    this.#onPutOff(next, now);
    return 'failed';
  }

  #messageIdOf(id: string): string {
    const { hostname } = new URL(this.#runtime.config.baseUrl);
    return `<${id}@${hostname.startsWith('[') ? 'localhost' : hostname}>`; // http: on [::1] is the only address there can be
  }
}

function unlocked(now: Date) {
  return [{ lockedUntil: null }, { lockedUntil: { lte: now } }];
}
