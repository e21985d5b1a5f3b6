import type { Core } from '../../core/core.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { OutboundRules } from '../../net/outbound.js';

/** An address that is told of events. */
export interface Webhook {
  id: string;
  url: string;
  /** Types of events; `*` for all, those of the host's own among them. */
  events: string[] | '*';
  createdById: string | null;
  createdAt: Date;
  updatedAt: Date;
  /** Until when the secret before the present one signs as well; null where there is none. */
  previousSecretUntil: Date | null;
  /** Since when every delivery has failed; null after one that arrived. */
  failingSince: Date | null;
  /** When it was disabled; null while it is told of events. */
  disabledAt: Date | null;
  disabledReason: 'by_admin' | 'gone' | 'failing' | null;
}

/** A webhook with its secret, which is shown here and never again. */
export interface IssuedWebhook {
  webhook: Webhook;
  /** `whsec_…`, for the verification of signatures at the receiver. */
  secret: string;
}

/** An event on its way to a webhook, or arrived. */
export interface WebhookDelivery {
  /** The header `webhook-id`, the same in every attempt. */
  id: string;
  webhookId: string;
  type: string;
  /** What is sent, as JSON. */
  body: string;
  status: 'waiting' | 'delivered' | 'dead';
  createdAt: Date;
  /** When the next attempt is due, while it waits. */
  availableAt: Date;
  attempts: number;
  /** Status of the last answer; null where none came. */
  lastStatus: number | null;
  /** Why the last attempt failed; null after one that did not. */
  lastError: string | null;
  deliveredAt: Date | null;
  /** When it was given up. */
  deadAt: Date | null;
}

export type WebhookRow = Awaited<ReturnType<Db['webhook']['findUniqueOrThrow']>>;
export type DeliveryRow = Awaited<ReturnType<Db['webhookDelivery']['findUniqueOrThrow']>>;

/** Which addresses may be reached: https on the public internet, and in development this machine. */
export function webhookRules({ config }: Pick<Core, 'config'>): OutboundRules {
  return { allowLoopback: !config.isSecure, publicOnly: config.isSecure };
}

/** The public form of a webhook, without its secrets. */
export function toWebhook(row: WebhookRow, now: Date): Webhook {
  const { id, url, events, createdById, createdAt, updatedAt, failingSince, disabledAt } = row;
  const isOverlapping = row.previousUntil !== null && row.previousUntil > now;
  return {
    id,
    url,
    events: events === '*' ? '*' : events.split(' '),
    createdById,
    createdAt,
    updatedAt,
    previousSecretUntil: isOverlapping ? row.previousUntil : null,
    failingSince,
    disabledAt,
    disabledReason: row.disabledReason as Webhook['disabledReason'],
  };
}

/** The public form of a delivery. */
export function toDelivery(row: DeliveryRow): WebhookDelivery {
  const { id, webhookId, type, body, createdAt, availableAt, attempts, lastStatus, lastError } = row;
  const { deliveredAt, deadAt } = row;
  const status = deliveredAt !== null ? 'delivered' : deadAt !== null ? 'dead' : 'waiting';
  return {
    id,
    webhookId,
    type,
    body,
    status,
    createdAt,
    availableAt,
    attempts,
    lastStatus,
    lastError,
    deliveredAt,
    deadAt,
  };
}

/** The refusal for an id that is no webhook's. */
export function noWebhook(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such webhook.' });
}

/** The refusal for an id that is no delivery's. */
export function noDelivery(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such delivery.' });
}
