import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { notBefore, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { changeWebhook, createWebhook, deleteWebhook, rotateWebhookSecret } from './changes.js';
import { Dispatcher } from './dispatcher.js';
import { deliveriesQuery, listQuery } from './schemas.js';
import {
  type IssuedWebhook,
  noDelivery,
  noWebhook,
  toDelivery,
  toWebhook,
  type Webhook,
  type WebhookDelivery,
} from './webhook.js';

export type { IssuedWebhook, Webhook, WebhookDelivery } from './webhook.js';

/**
 * Sends events to other services, signed as Standard Webhooks.
 *
 * What is to be sent is stored in the batch of the change, so nothing is lost: it is sent afterwards, and again after a failure. A receiver
 * can get a delivery twice, under the same `webhook-id`. Changes need `webhooks:manage`.
 */
export class WebhookManager {
  readonly #core: Core;
  readonly #dispatcher: Dispatcher;

  constructor(core: Core) {
    this.#core = core;
    this.#dispatcher = new Dispatcher(core);
  }

  /**
   * Tells an address of events from now on.
   *
   * @param input `events`: types such as `user.created`, at most 200, or `*` for all
   * @throws AuthTunaError `invalid_input`, also for an address that is not https or not on the public internet; `unauthenticated`, `forbidden`
   */
  create(input: { url: string; events: readonly string[] | '*' }, actor: Actor): Promise<IssuedWebhook> {
    return createWebhook(this.#core, input, actor);
  }

  /** @throws AuthTunaError `not_found` */
  async get(id: string): Promise<Webhook> {
    const webhook = await this.find(id);
    if (webhook === null) throw noWebhook();
    return webhook;
  }

  async find(id: string): Promise<Webhook | null> {
    const row = await this.#core.db.webhook.findUnique({ where: { id } });
    return row === null ? null : toWebhook(row, this.#core.now());
  }

  /** All webhooks, the newest first. @throws AuthTunaError `invalid_input` */
  list(query: PageQuery = {}): Promise<Page<Webhook>> {
    return pageOf(validate(listQuery, query) as PageQuery, async ({ take, after }) => {
      const { webhook } = this.#core.db;
      const last = after === null ? undefined : await webhook.findUnique({ where: { id: after } });
      const rows = await webhook.findMany({
        where: notBefore('createdAt', last),
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take,
      });
      return rows.map((row) => toWebhook(row, this.#core.now()));
    });
  }

  /**
   * Changes where it leads, what it is told of, or whether it is told at all (`enabled`).
   *
   * Deliveries that wait go to the new address. While a webhook is disabled, events are not kept for it.
   * @throws AuthTunaError `not_found`, `invalid_input`, `unauthenticated`, `forbidden`
   */
  update(
    id: string,
    change: { url?: string; events?: readonly string[] | '*'; enabled?: boolean },
    actor: Actor,
  ): Promise<Webhook> {
    return changeWebhook(this.#core, id, change, actor);
  }

  /** Deletes a webhook and its deliveries. @throws AuthTunaError `not_found`, `unauthenticated`, `forbidden` */
  delete(id: string, actor: Actor): Promise<void> {
    return deleteWebhook(this.#core, id, actor);
  }

  /**
   * Replaces the secret. The one before signs as well for `overlapSeconds`: default one day, at most 30 days, 0 for not at all.
   *
   * @throws AuthTunaError `not_found`, `invalid_input`, `unauthenticated`, `forbidden`; `conflict` when it changed at the same moment
   */
  rotateSecret(id: string, input: { overlapSeconds?: number }, actor: Actor): Promise<IssuedWebhook> {
    return rotateWebhookSecret(this.#core, id, input, actor);
  }

  /**
   * What was sent to a webhook, or waits, the newest first.
   *
   * Deliveries that arrived are kept for 7 days, and those that were given up for 30.
   * @throws AuthTunaError `not_found`, `invalid_input`
   */
  async deliveries(
    webhookId: string,
    query: PageQuery & { status?: WebhookDelivery['status'] } = {},
  ): Promise<Page<WebhookDelivery>> {
    const { status, ...window } = validate(deliveriesQuery, query);
    await this.get(webhookId);
    return pageOf(window as PageQuery, async ({ take, after }) => {
      const { webhookDelivery } = this.#core.db;
      const last = after === null ? undefined : await webhookDelivery.findUnique({ where: { id: after } });
      const rows = await webhookDelivery.findMany({
        where: {
          AND: [{ webhookId }, status === undefined ? {} : WITH_STATUS[status], notBefore('createdAt', last)],
        },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take,
      });
      return rows.map(toDelivery);
    });
  }

  /**
   * Sends a delivery again that arrived or was given up, under the same `webhook-id` and with a new timestamp. One older than three days is
   * given up again if that fails.
   *
   * @throws AuthTunaError `not_found`, also for a delivery that waits; `unauthenticated`, `forbidden`
   */
  async replay(deliveryId: string, actor: Actor): Promise<void> {
    const { access, db, ledger } = this.#core;
    await access.require(actor, 'webhooks:manage');
    const row = await db.webhookDelivery.findUnique({ where: { id: deliveryId } });
    if (row === null) throw noDelivery();
    await ledger
      .commit({
        writes: [
          db.webhookDelivery.update({
            where: { id: deliveryId, OR: [{ deliveredAt: { not: null } }, { deadAt: { not: null } }] },
            data: {
              deliveredAt: null,
              deadAt: null,
              lockedUntil: null,
              attempts: 0,
              availableAt: this.#core.now(),
            },
          }),
        ],
        facts: [
          {
            type: 'webhook.replayed',
            actor,
            target: { type: 'webhook', id: row.webhookId },
            data: { delivery: deliveryId },
          },
        ],
      })
      .catch(whenMissing(noDelivery));
    this.#dispatcher.nudge();
  }

  /** @internal */
  get jobs(): Job[] {
    return [this.#dispatcher.job];
  }

  /** @internal */
  close(): Promise<void> {
    return this.#dispatcher.close();
  }
}

const WITH_STATUS = {
  waiting: { deliveredAt: null, deadAt: null },
  delivered: { deliveredAt: { not: null } },
  dead: { deliveredAt: null, deadAt: { not: null } },
};
