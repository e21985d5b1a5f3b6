import type { SealedColumn } from '../../core/changes/reseal.js';
import type { Runtime } from '../../core/runtime.js';
import { hmac } from '../../crypto/digest.js';
import type { Random } from '../../crypto/random.js';
import type { WebhookRow } from './webhook.js';

const PREFIX = 'whsec_';
const SECRET_BYTES = 32; // Standard Webhooks asks for 24 to 64

/** A new secret: `whsec_` and base64. */
export function newSecret(random: Random): string {
  return PREFIX + random.bytes(SECRET_BYTES).toString('base64');
}

/** Seals the present secret of a webhook for its row. */
export function sealSecret({ vault }: Runtime, id: string, secret: string): string {
  return vault.seal(secret, SEALED_WEBHOOK_SECRETS.place(id));
}

/** Moves the present secret of a webhook to the column of the one before it. Null where it cannot be opened. */
export function sealedAsPrevious({ vault }: Runtime, { id, secret }: WebhookRow): string | null {
  const opened = vault.open(secret, SEALED_WEBHOOK_SECRETS.place(id));
  return opened === null ? null : vault.seal(opened, SEALED_PREVIOUS_SECRETS.place(id));
}

/**
 * The headers of one attempt, signed by every secret that is valid now, the newest first. Null where the present secret cannot be opened.
 *
 * @see Standard Webhooks: `v1,<base64 HMAC-SHA-256 of id.timestamp.body>`
 */
export function signedHeaders(
  { vault }: Runtime,
  row: WebhookRow,
  message: { id: string; body: string; at: Date },
): Record<string, string> | null {
  const { id, secret, previousSecret, previousUntil } = row;
  const current = vault.open(secret, SEALED_WEBHOOK_SECRETS.place(id));
  if (current === null) return null;
  const isOverlapping = previousSecret !== null && previousUntil !== null && previousUntil > message.at;
  const previous = isOverlapping ? vault.open(previousSecret, SEALED_PREVIOUS_SECRETS.place(id)) : null;
  const timestamp = String(Math.floor(message.at.getTime() / 1000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  const signatures = [current, previous]
    .filter((each) => each !== null)
    .map((each) => `v1,${hmac(Buffer.from(each.slice(PREFIX.length), 'base64'), signed).toString('base64')}`);
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

/** The secrets of webhooks. */
export const SEALED_WEBHOOK_SECRETS: SealedColumn = {
  model: 'webhook',
  column: 'secret',
  name: 'webhook secrets',
  place: (id) => ['Webhook', 'secret', id],
};

/** The secrets before these, while they overlap. */
export const SEALED_PREVIOUS_SECRETS: SealedColumn = {
  model: 'webhook',
  column: 'previousSecret',
  name: 'replaced webhook secrets',
  place: (id) => ['Webhook', 'previousSecret', id],
};
