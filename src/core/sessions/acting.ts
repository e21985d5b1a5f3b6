import { outranksEverywhere } from '../access/delegation.js';
import { GLOBAL_CHAIN, Grants } from '../access/grants.js';
import { endedBecause, type LifetimeFrom } from './lifetime.js';
import type { SessionRead } from './session-reader.js';

/**
 * The time, in milliseconds, until which an administrator may act as the person of a session. `Infinity` for an ordinary session, 0 when the
 * right is gone.
 *
 * That right ends with the session that acting was begun from, with `users:impersonate`, and with a rank above every role of the person.
 * @see docs/requirements.md AD-5
 */
export function mayActUntil(
  { row, held, own, catalog }: SessionRead,
  now: Date,
  lifetimeFrom: LifetimeFrom,
): number {
  if (row.impersonatorId === null) return Infinity;
  if (own === null || own.row.userId !== row.impersonatorId || own.row.impersonatorId !== null) return 0;
  if (own.row.lockedAt !== null || endedBecause(own.row, now, lifetimeFrom) !== null) return 0;
  const administrator = new Grants(own.row.userId, own.held, catalog, now.getTime());
  const person = new Grants(row.userId, held, catalog, now.getTime());
  const mayAct =
    administrator.allow('users:impersonate', GLOBAL_CHAIN) && outranksEverywhere(administrator, person);
  return mayAct ? Math.min(own.row.absoluteExpiresAt.getTime(), administrator.expiresAt) : 0;
}
