import type { Config } from '../config/config.js';
import { KeyRing } from '../crypto/key-ring.js';
import { Vault } from '../crypto/vault.js';
import type { Db } from '../db/client.js';
import { Events } from '../events.js';
import { Invalidation } from './invalidation.js';
import { WebhookQueue } from './webhook-queue.js';

/** What every manager is given: built once, handed down, never global. */
export interface Runtime {
  readonly config: Config;
  readonly db: Db;
  /** The same database with the time limit of a start, for work of many rows that no request waits for. */
  readonly bulkDb: Db;
  readonly keys: KeyRing;
  readonly vault: Vault;
  readonly events: Events;
  readonly invalidation: Invalidation;
  readonly webhooks: WebhookQueue;
  now(): Date;
}

export function createRuntime(config: Config, db: Db, bulkDb = db): Runtime {
  const keys = new KeyRing(config.secrets);
  const invalidation = new Invalidation();
  const now = () => config.clock.now();
  return {
    config,
    db,
    bulkDb,
    keys,
    vault: new Vault(keys, config.random),
    events: new Events((error, type) => config.logger.error(`A listener of ${type} failed.`, { error })),
    invalidation,
    webhooks: new WebhookQueue({ config, db, invalidation, now }),
    now,
  };
}
