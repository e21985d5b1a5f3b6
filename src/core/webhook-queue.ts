import type { Config } from '../config/config.js';
import { newId } from '../crypto/random.js';
import type { Db } from '../db/client.js';
import { readVersions } from './access/versions.js';
import type { Invalidation } from './invalidation.js';

/** The topic of every change of a webhook. */
export const WEBHOOKS_TOPIC = 'webhooks';

/** The part of an audit entry that webhooks are told. */
export interface ToldFact {
  id: string;
  at: Date;
  type: string;
  outcome: string;
  reason: string | null;
  actorId: string | null;
  impersonatorId: string | null;
  targetType: string | null;
  targetId: string | null;
  scope: string | null;
  /** JSON, as the audit log has it. */
  data: string | null;
}

interface Endpoint {
  id: string;
  /** Null: all types. */
  types: ReadonlySet<string> | null;
}

/**
 * Queues what webhooks are told, in the batch of the change that they are told of.
 *
 * Which webhooks there are is kept in memory. A change of a webhook is known at once in its own process, and elsewhere by the broadcast, by
 * the versions that decisions read anyway, or within `session.recheckSeconds`. So a commit asks the database nothing more than it did before.
 */
export class WebhookQueue {
  readonly #db: Db;
  readonly #config: Config;
  readonly #now: () => Date;
  #known: { version: number; endpoints: readonly Endpoint[] } | null = null;
  #confirmedAt = 0;
  #changes = 0;
  #listener: (() => void) | null = null;

  constructor(runtime: { config: Config; db: Db; invalidation: Invalidation; now: () => Date }) {
    this.#db = runtime.db;
    this.#config = runtime.config;
    this.#now = runtime.now;
    runtime.invalidation.subscribe((topics) => {
      if (topics.includes(WEBHOOKS_TOPIC) || topics.includes('all')) this.#forget();
    });
  }

  /** A version that was just read for another reason: what is known still holds, or is read again at the next commit. */
  noteVersion(version: number): void {
    if (this.#known?.version === version) this.#confirmedAt = this.#now().getTime();
    else if (this.#known !== null) this.#forget();
  }

  /** The writes for the batch of these facts: none where no webhook wants one of them. */
  async writes(db: Db, facts: readonly ToldFact[]) {
    const endpoints = await this.#endpoints();
    const data = facts.flatMap((fact) =>
      endpoints
        .filter(({ types }) => types === null || types.has(fact.type))
        .map(({ id }) => ({
          id: newId(this.#config.random),
          webhookId: id,
          type: fact.type,
          body: bodyOf(fact),
          createdAt: fact.at,
          availableAt: fact.at,
        })),
    );
    return data.length === 0 ? [] : [db.webhookDelivery.createMany({ data })];
  }

  /** The one that is told when deliveries were stored, so that they leave at once and not with the next round of a job. */
  onQueued(listener: () => void): void {
    this.#listener = listener;
  }

  announce(): void {
    this.#listener?.();
  }

  #forget(): void {
    this.#changes += 1;
    this.#known = null;
  }

  async #endpoints(): Promise<readonly Endpoint[]> {
    const age = this.#now().getTime() - this.#confirmedAt;
    const trustedMs = this.#config.session.recheckSeconds * 1000;
    if (this.#known !== null && age >= 0 && age < trustedMs) return this.#known.endpoints;
    const changes = this.#changes;
    const now = this.#now().getTime();
    const { webhooks: version } = await readVersions(this.#db);
    const endpoints = this.#known?.version === version ? this.#known.endpoints : await this.#load(version);
    if (changes === this.#changes) {
      this.#known = { version, endpoints };
      this.#confirmedAt = now;
    }
    return endpoints;
  }

  /** Version 0: there has never been one. */
  async #load(version: number): Promise<readonly Endpoint[]> {
    if (version === 0) return [];
    const rows = await this.#db.webhook.findMany({
      where: { disabledAt: null },
      select: { id: true, events: true },
    });
    return rows.map(({ id, events }) => ({
      id,
      types: events === '*' ? null : new Set(events.split(' ')),
    }));
  }
}

/** What a webhook is sent: facts of the audit entry, without the address and the device of the actor. */
function bodyOf(fact: ToldFact): string {
  const { id, at, type, outcome, reason, actorId, impersonatorId, targetType, targetId, scope, data } = fact;
  return JSON.stringify({
    type,
    timestamp: at.toISOString(),
    data: {
      id,
      outcome,
      reason,
      actorId,
      impersonatorId,
      target: targetType === null || targetId === null ? null : { type: targetType, id: targetId },
      scope,
      data: data === null ? null : JSON.parse(data),
    },
  });
}
