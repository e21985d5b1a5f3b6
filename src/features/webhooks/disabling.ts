import { SYSTEM } from '../../actor.js';
import { webhooksChanged } from '../../core/access/versions.js';
import type { Mail } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import { WEBHOOKS_TOPIC } from '../../core/webhook-queue.js';
import { isMissing } from '../../db/client.js';
import type { WebhookRow } from './webhook.js';

/** Disables a webhook whose receiver wants no more, or has failed for days, and mails the person who made it. */
export async function disableWebhook(
  core: Core,
  webhook: WebhookRow,
  reason: 'gone' | 'failing',
): Promise<void> {
  const { db, ledger } = core;
  const { id } = webhook;
  try {
    await ledger.commit({
      writes: [
        db.webhook.update({
          where: { id, disabledAt: null },
          data: { disabledAt: core.now(), disabledReason: reason },
        }),
        webhooksChanged(db),
      ],
      facts: [{ type: 'webhook.disabled', actor: SYSTEM, target: { type: 'webhook', id }, reason }],
      mails: await mailTo(core, webhook, reason),
      invalidates: [WEBHOOKS_TOPIC],
    });
  } catch (error) {
    if (!isMissing(error)) throw error; // disabled or deleted at the same moment
  }
}

async function mailTo({ config, db }: Core, webhook: WebhookRow, reason: string): Promise<Mail[]> {
  if (webhook.createdById === null) return [];
  const maker = await db.user.findUnique({ where: { id: webhook.createdById } });
  if (maker === null || maker.deletedAt !== null || maker.suspendedAt !== null) return [];
  return [
    {
      template: 'webhook-disabled',
      to: maker.email,
      languages: null,
      data: {
        name: maker.username,
        // Addresses of receivers often hold a key of their own.
        host: new URL(webhook.url).host,
        isGone: reason === 'gone',
        link: `${config.baseUrl}${config.paths.admin}/webhooks`,
      },
    },
  ];
}
