import type { Actor } from './actor.js';

/** What can happen. Names are `noun.past_participle`. */
export const EVENT_TYPES = [
  'user.created',
  'user.imported',
  'user.updated',
  'user.suspended',
  'user.unsuspended',
  'user.deleted',
  'user.restored',
  'user.deletion_requested',
  'user.deletion_canceled',
  'user.erased',
  'user.exported',
  'consent.given',
  'consent.withdrawn',
  'impersonation.started',
  'impersonation.ended',
  'user.signed_in',
  'user.sign_in_failed',
  'user.signed_out',
  'attack.suspected',
  'mail.retried',
  'user.verification_requested',
  'user.email_verified',
  'user.email_change_requested',
  'user.email_changed',
  'user.email_change_undone',
  'user.locked',
  'user.unlocked',
  'user.sign_in_link_requested',
  'user.sign_in_code_requested',
  'password.reset_requested',
  'password.reset',
  'password.changed',
  'password.change_required',
  'session.created',
  'session.revoked',
  'session.breached',
  'session.locked',
  'session.elevated',
  'session.suspicious',
  'permission.created',
  'permission.updated',
  'permission.deleted',
  'role.created',
  'role.updated',
  'role.deleted',
  'role.assigned',
  'role.unassigned',
  'factor.added',
  'factor.removed',
  'factor.failed',
  'factor.reset_requested',
  'factor.reset_canceled',
  'recovery_codes.created',
  'recovery_code.used',
  'device.trusted',
  'device.untrusted',
  'passkey.added',
  'passkey.renamed',
  'passkey.removed',
  'passkey.synced',
  'passkey.suspicious',
  'social.linked',
  'social.unlinked',
  'sso_connection.created',
  'sso_connection.updated',
  'sso_connection.deleted',
  'sso_connection.bypassed',
  'sso_domain.added',
  'sso_domain.verified',
  'sso_domain.updated',
  'sso_domain.removed',
  'sso_domain.lapsed',
  'hand_over.issued',
  'hand_over.accepted',
  'device_authorization.approved',
  'device_authorization.denied',
  'api_key.created',
  'api_key.rotated',
  'api_key.revoked',
  'api_key.exposed',
  'api_key.refused',
  'service_account.created',
  'access.denied',
  'webhook.created',
  'webhook.updated',
  'webhook.deleted',
  'webhook.secret_rotated',
  'webhook.disabled',
  'webhook.replayed',
  'audit.exported',
  'audit.pruned',
  'scope.registered',
  'scope.moved',
  'scope.removed',
  'scope.owner_changed',
  'org.created',
  'org.updated',
  'org.deleted',
  'org.transferred',
  'project.created',
  'project.updated',
  'project.moved',
  'project.deleted',
  'team.created',
  'team.updated',
  'team.moved',
  'team.deleted',
  'resource.created',
  'resource.updated',
  'resource.moved',
  'resource.deleted',
  'member.joined',
  'member.left',
  'member.removed',
  'invitation.created',
  'invitation.resent',
  'invitation.revoked',
  'invitation.accepted',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** One thing that happened: ids and facts, never a secret. */
export interface AuthEvent<T extends EventType = EventType> {
  type: T;
  at: Date;
  outcome: 'success' | 'failure' | 'denied';
  actor: Actor;
  /** What it happened to: `{ type: 'user', id }`, `{ type: 'role', id }`, … */
  target: { type: string; id: string } | null;
  scope: string | null;
  reason: string | null;
  data: Readonly<Record<string, unknown>> | null;
}

export type EventListener<T extends EventType> = (event: AuthEvent<T>) => void | Promise<void>;

/** The funnel out: tells listeners what has been stored. A listener that fails is logged and changes nothing. */
export class Events {
  readonly #listeners = new Map<string, Set<EventListener<EventType>>>();
  readonly #onFailure: (error: unknown, type: EventType) => void;

  constructor(onFailure: (error: unknown, type: EventType) => void) {
    this.#onFailure = onFailure;
  }

  /** @returns a function that ends the subscription */
  on<T extends EventType>(type: T | '*', listener: EventListener<T>): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    listeners.add(listener as EventListener<EventType>);
    return () => listeners.delete(listener as EventListener<EventType>);
  }

  emit(event: AuthEvent): void {
    for (const key of [event.type, '*']) {
      for (const listener of this.#listeners.get(key) ?? []) {
        try {
          Promise.resolve(listener(event)).catch((error: unknown) => this.#onFailure(error, event.type));
        } catch (error) {
          this.#onFailure(error, event.type);
        }
      }
    }
  }
}
