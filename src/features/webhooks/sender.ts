import type { Core } from '../../core/core.js';
import { AuthTunaError } from '../../errors.js';
import { outbound } from '../../net/outbound.js';
import { after } from '../../time.js';
import { disableWebhook } from './disabling.js';
import { signedHeaders } from './signature.js';
import { type DeliveryRow, type WebhookRow, webhookRules } from './webhook.js';

type Outcome = 'delivered' | 'failed' | 'dropped' | 'taken';

const PENDING = { deliveredAt: null, deadAt: null };
const ROWS_PER_READ = 100;
const AT_ONCE = 8; // webhooks that are sent to at the same time, so that one that hangs delays few others
const BACK_OFF_SECONDS = [5, 300, 1800, 7200, 18_000, 36_000];
const GIVE_UP_SECONDS = 3 * 86_400;
const DISABLE_SECONDS = 5 * 86_400;
const LOCK_SECONDS = 60; // longer than an attempt may take; what a killed process held is free afterwards
const FAILURES_UNTIL_DOWN = 3;
const GONE = 410;
const MAX_ERROR = 200;

/**
 * Sends the deliveries that are due, several webhooks at a time and to each one after the other.
 *
 * A delivery is held by one instance while it is sent. A process that dies in between leaves it to the next, under the same `webhook-id`: it is
 * repeated at worst, and never lost.
 */
export class Sender {
  readonly #core: Core;
  readonly #onPutOff: (next: Date) => void;

  /** @param onPutOff called with the time of the next attempt at a delivery that failed */
  constructor(core: Core, onPutOff: (next: Date) => void) {
    this.#core = core;
    this.#onPutOff = onPutOff;
  }

  /** Sends everything that is due, until `isOver`. Returns how many deliveries arrived. */
  async round(isOver: () => boolean): Promise<number> {
    let delivered = 0;
    const down = new Set<string>(); // webhooks that failed several times in a row, and wait for the next round
    while (!isOver()) {
      const now = this.#core.now();
      const due = await this.#core.db.webhookDelivery.findMany({
        where: { ...PENDING, availableAt: { lte: now }, OR: unlocked(now), webhookId: { notIn: [...down] } },
        orderBy: [{ availableAt: 'asc' }, { id: 'asc' }],
        take: ROWS_PER_READ,
      });
      if (due.length === 0) break;
      const queues = [...byWebhook(due)];
      const workers = Array.from({ length: Math.min(AT_ONCE, queues.length) }, async () => {
        for (let next = queues.shift(); next !== undefined && !isOver(); next = queues.shift()) {
          const [webhookId, rows] = next;
          const result = await this.#sendTo(rows, isOver);
          delivered += result.delivered;
          if (result.isDown) down.add(webhookId);
        }
      });
      await Promise.all(workers);
    }
    return delivered;
  }

  /** Deliveries of one webhook, one after the other. */
  async #sendTo(
    rows: readonly DeliveryRow[],
    isOver: () => boolean,
  ): Promise<{ delivered: number; isDown: boolean }> {
    let delivered = 0;
    let failuresInARow = 0;
    for (const row of rows) {
      if (isOver()) break;
      const outcome = await this.#attempt(row);
      if (outcome === 'delivered') delivered += 1;
      if (outcome === 'delivered') failuresInARow = 0;
      if (outcome === 'failed') failuresInARow += 1;
      if (failuresInARow === FAILURES_UNTIL_DOWN) return { delivered, isDown: true };
    }
    return { delivered, isDown: false };
  }

  async #attempt(row: DeliveryRow): Promise<Outcome> {
    const { db } = this.#core;
    const now = this.#core.now();
    const lockedUntil = after(now, LOCK_SECONDS);
    const claim = await db.webhookDelivery.updateMany({
      where: { id: row.id, ...PENDING, OR: unlocked(now) },
      data: { lockedUntil, attempts: { increment: 1 } },
    });
    if (claim.count !== 1) return 'taken';
    const held = { ...row, attempts: row.attempts + 1, lockedUntil };
    const webhook = await db.webhook.findUnique({ where: { id: row.webhookId } });
    if (webhook === null) {
      await db.webhookDelivery.deleteMany({ where: { id: row.id, lockedUntil } });
      return 'dropped';
    }
    if (webhook.disabledAt !== null) {
      await this.#giveUp(held, null, 'the webhook is disabled');
      return 'dropped';
    }
    const { status, error } = await this.#post(webhook, row, now);
    if (error === null) return this.#arrived(webhook, held, status);
    return this.#failed(webhook, held, status, error);
  }

  /** Posts once. `error` is null when the receiver has taken the delivery. */
  async #post(
    webhook: WebhookRow,
    { id, body }: DeliveryRow,
    at: Date,
  ): Promise<{ status: number | null; error: string | null }> {
    const signed = signedHeaders(this.#core, webhook, { id, body, at });
    if (signed === null)
      return { status: null, error: 'the secret was sealed with a secret that is not configured' };
    const headers = { 'content-type': 'application/json', 'user-agent': 'authtuna', ...signed };
    try {
      const { status } = await outbound(
        webhook.url,
        { method: 'POST', headers, body },
        webhookRules(this.#core),
      );
      const isTaken = status >= 200 && status < 300;
      return { status, error: isTaken ? null : `the answer was ${status}` };
    } catch (error) {
      return { status: null, error: reasonOf(error) };
    }
  }

  async #arrived(webhook: WebhookRow, row: DeliveryRow, status: number | null): Promise<Outcome> {
    const { db } = this.#core;
    await db.webhookDelivery.updateMany({
      where: { id: row.id, lockedUntil: row.lockedUntil },
      data: { deliveredAt: this.#core.now(), lockedUntil: null, lastStatus: status, lastError: null },
    });
    if (webhook.failingSince !== null)
      await db.webhook.updateMany({ where: { id: webhook.id }, data: { failingSince: null } });
    return 'delivered';
  }

  async #failed(
    webhook: WebhookRow,
    row: DeliveryRow,
    status: number | null,
    error: string,
  ): Promise<Outcome> {
    const { db, config } = this.#core;
    const now = this.#core.now();
    const next = after(now, BACK_OFF_SECONDS[Math.min(row.attempts, BACK_OFF_SECONDS.length) - 1] ?? 0);
    const facts = { id: row.id, webhook: webhook.id, attempts: row.attempts, error };
    if (status === GONE || next > after(row.createdAt, GIVE_UP_SECONDS)) {
      await this.#giveUp(row, status, error);
      config.logger.error('A delivery to a webhook was given up; see webhooks.replay().', facts);
    } else {
      await db.webhookDelivery.updateMany({
        where: { id: row.id, lockedUntil: row.lockedUntil },
        data: { availableAt: next, lockedUntil: null, lastStatus: status, lastError: error },
      });
      config.logger.warn('A delivery to a webhook failed; it is tried again later.', facts);
      this.#onPutOff(next);
    }
    if (webhook.failingSince === null)
      await db.webhook.updateMany({
        where: { id: webhook.id, failingSince: null },
        data: { failingSince: now },
      });
    const isLong = webhook.failingSince !== null && webhook.failingSince <= after(now, -DISABLE_SECONDS);
    if (status === GONE || isLong)
      await disableWebhook(this.#core, webhook, status === GONE ? 'gone' : 'failing');
    return 'failed';
  }

  async #giveUp(row: DeliveryRow, status: number | null, error: string): Promise<void> {
    await this.#core.db.webhookDelivery.updateMany({
      where: { id: row.id, lockedUntil: row.lockedUntil },
      data: { deadAt: this.#core.now(), lockedUntil: null, lastStatus: status, lastError: error },
    });
  }
}

function byWebhook(rows: readonly DeliveryRow[]): Map<string, DeliveryRow[]> {
  const queues = new Map<string, DeliveryRow[]>();
  for (const row of rows) queues.set(row.webhookId, [...(queues.get(row.webhookId) ?? []), row]);
  return queues;
}

function unlocked(now: Date) {
  return [{ lockedUntil: null }, { lockedUntil: { lte: now } }];
}

/** Why no answer came, in one line: `fetch` says no more than "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof AuthTunaError ? error.cause : error;
  if (!(cause instanceof Error)) return 'no answer came';
  if (cause.name === 'TimeoutError' || cause.name === 'AbortError') return 'no answer came in time';
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  const { code } = inner as { code?: unknown };
  const text = typeof code === 'string' ? code : inner.message;
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, MAX_ERROR);
}
