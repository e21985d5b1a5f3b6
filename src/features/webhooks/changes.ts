import type { Actor } from '../../actor.js';
import { webhooksChanged } from '../../core/access/versions.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { invalid, whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { WEBHOOKS_TOPIC } from '../../core/webhook-queue.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { isAllowedUrl } from '../../net/outbound.js';
import { after } from '../../time.js';
import { createInput, rotateInput, updateInput } from './schemas.js';
import { newSecret, sealedAsPrevious, sealSecret } from './signature.js';
import {
  type IssuedWebhook,
  noWebhook,
  toWebhook,
  type Webhook,
  type WebhookRow,
  webhookRules,
} from './webhook.js';

const PERMISSION = 'webhooks:manage';

/** {@link WebhookManager.create} */
export async function createWebhook(
  core: Core,
  input: { url: string; events: readonly string[] | '*' },
  actor: Actor,
): Promise<IssuedWebhook> {
  const { url, events } = validate(createInput, input);
  await core.access.require(actor, PERMISSION);
  requireReachable(core, url);
  const { config, db } = core;
  const id = newId(config.random);
  const now = core.now();
  const secret = newSecret(config.random);
  const row: WebhookRow = {
    id,
    url,
    events: storedEvents(events),
    secret: sealSecret(core, id, secret),
    previousSecret: null,
    previousUntil: null,
    createdById: actor.userId,
    createdAt: now,
    updatedAt: now,
    failingSince: null,
    disabledAt: null,
    disabledReason: null,
  };
  await commit(core, id, actor, {
    type: 'webhook.created',
    writes: [db.webhook.create({ data: row })],
    data: { host: new URL(url).host, events },
  });
  return { webhook: toWebhook(row, now), secret };
}

/** {@link WebhookManager.update} */
export async function changeWebhook(
  core: Core,
  id: string,
  change: { url?: string; events?: readonly string[] | '*'; enabled?: boolean },
  actor: Actor,
): Promise<Webhook> {
  const { url, events, enabled } = validate(updateInput, change);
  await core.access.require(actor, PERMISSION);
  if (url !== undefined) requireReachable(core, url);
  const now = core.now();
  const data = {
    updatedAt: now,
    ...(url !== undefined && { url, failingSince: null }),
    ...(events !== undefined && { events: storedEvents(events) }),
    ...(enabled === true && { disabledAt: null, disabledReason: null, failingSince: null }),
    ...(enabled === false && { disabledAt: now, disabledReason: 'by_admin' }),
  };
  await commit(core, id, actor, {
    type: 'webhook.updated',
    writes: [core.db.webhook.update({ where: { id }, data })],
    data: {
      ...(url !== undefined && { host: new URL(url).host }),
      ...(events !== undefined && { events }),
      ...(enabled !== undefined && { enabled }),
    },
  });
  return toWebhook(await existing(core, id), now);
}

/** {@link WebhookManager.delete} */
export async function deleteWebhook(core: Core, id: string, actor: Actor): Promise<void> {
  await core.access.require(actor, PERMISSION);
  const { url } = await existing(core, id);
  const { webhook, webhookDelivery } = core.db;
  await commit(core, id, actor, {
    type: 'webhook.deleted',
    writes: [webhook.delete({ where: { id } }), webhookDelivery.deleteMany({ where: { webhookId: id } })],
    data: { host: new URL(url).host },
  });
}

/** {@link WebhookManager.rotateSecret} */
export async function rotateWebhookSecret(
  core: Core,
  id: string,
  input: { overlapSeconds?: number },
  actor: Actor,
): Promise<IssuedWebhook> {
  const { overlapSeconds } = validate(rotateInput, input);
  await core.access.require(actor, PERMISSION);
  const row = await existing(core, id);
  const now = core.now();
  const secret = newSecret(core.config.random);
  const previous = overlapSeconds === 0 ? null : sealedAsPrevious(core, row);
  const data = {
    secret: sealSecret(core, id, secret),
    previousSecret: previous,
    previousUntil: previous === null ? null : after(now, overlapSeconds),
    updatedAt: now,
  };
  await commit(core, id, actor, {
    type: 'webhook.secret_rotated',
    writes: [core.db.webhook.update({ where: { id, secret: row.secret }, data })],
    data: { overlapSeconds },
  }).catch((error: unknown) => {
    throw error instanceof AuthTunaError && error.code === 'not_found' ? changedMeanwhile() : error;
  });
  return { webhook: toWebhook({ ...row, ...data }, now), secret };
}

function commit(
  { db, ledger }: Core,
  id: string,
  actor: Actor,
  change: { type: EventType; writes: readonly Write[]; data: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { type, writes, data } = change;
  return ledger
    .commit({
      writes: [...writes, webhooksChanged(db)],
      facts: [{ type, actor, target: { type: 'webhook', id }, data }],
      invalidates: [WEBHOOKS_TOPIC],
    })
    .catch(whenMissing(noWebhook));
}

async function existing({ db }: Core, id: string): Promise<WebhookRow> {
  const row = await db.webhook.findUnique({ where: { id } });
  if (row === null) throw noWebhook();
  return row;
}

function storedEvents(events: readonly string[] | '*'): string {
  return events === '*' ? '*' : [...new Set(events)].join(' ');
}

/** Names are resolved when a delivery is sent: an address that is public today may not be so tomorrow. */
function requireReachable(core: Core, url: string): void {
  if (!isAllowedUrl(url, webhookRules(core)) || new URL(url).hash !== '')
    throw invalid(
      'url',
      'invalid_format',
      'must be an https: address on the public internet, without a name, a password or a #',
    );
}

function changedMeanwhile(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'The webhook changed at the same moment. Try again.' });
}
