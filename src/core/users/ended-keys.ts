import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';

/** The columns of a write that ends a key and frees its slot. */
export function ended(reason: string, now: Date) {
  return { revokedAt: now, revokedReason: reason, slot: null, masterSlot: null };
}

/** The write that ends the API keys of a user: all, or those that were made since a moment. */
export function keysEnded({ db, now }: Runtime, userId: string, reason: string, since?: Date): Write {
  return db.apiKey.updateMany({
    where: { userId, revokedAt: null, ...(since !== undefined && { createdAt: { gte: since } }) },
    data: ended(reason, now()),
  });
}
