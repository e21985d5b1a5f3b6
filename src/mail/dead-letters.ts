import type { Actor } from '../actor.js';
import type { Ledger } from '../core/changes/ledger.js';
import { type Page, type PageQuery, pageOf } from '../core/page.js';
import { whenMissing } from '../core/refusals.js';
import type { Runtime } from '../core/runtime.js';
import { AuthTunaError } from '../errors.js';

/** A mail whose delivery was given up. It stays until an administrator retries it. */
export interface DeadLetter {
  id: string;
  template: string;
  /** Null when it was sealed with a secret that is no longer configured. */
  to: string | null;
  createdAt: Date;
  deadAt: Date;
  attempts: number;
  /** Why the last attempt failed; addresses, links and codes are left out. */
  lastError: string | null;
}

/** {@link Mailer.deadLetters} */
export function listDeadLetters(
  { db }: Runtime,
  { outbox }: Ledger,
  query: PageQuery,
): Promise<Page<DeadLetter>> {
  return pageOf(query, async ({ take, after }) => {
    const rows = await db.outboxMessage.findMany({
      where: { sentAt: null, deadAt: { not: null } }, // the index begins with sentAt
      orderBy: [{ deadAt: 'desc' }, { id: 'desc' }],
      take,
      ...(after !== null && { cursor: { id: after } }),
    });
    return rows.map((row) => ({
      id: row.id,
      template: row.template,
      to: outbox.open(row)?.to ?? null,
      createdAt: row.createdAt,
      deadAt: row.deadAt ?? row.createdAt,
      attempts: row.attempts,
      lastError: row.lastError,
    }));
  });
}

/** {@link Mailer.retry} */
export async function retryDeadLetter(
  runtime: Runtime,
  ledger: Ledger,
  id: string,
  actor: Actor,
): Promise<void> {
  const again = runtime.db.outboxMessage.update({
    where: { id, deadAt: { not: null } },
    data: { deadAt: null, lockedUntil: null, attempts: 0, availableAt: runtime.now() },
  });
  await ledger
    .commit({
      writes: [again],
      facts: [{ type: 'mail.retried', actor, target: { type: 'mail', id } }],
    })
    .catch(whenMissing(noDeadLetter));
}

function noDeadLetter(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such dead letter.' });
}
