import type { ErrorCode } from '../../errors.js';
import { after } from '../../time.js';
import { isActive } from '../user.js';
import type { LoadedSession } from './session-row.js';

/** Whether idle time counts from the last use of a session or from its sign-in. */
export type LifetimeFrom = 'last_activity' | 'creation';

/** Why a session is over whatever cookie is shown, or null: ended, signed out everywhere, user suspended or deleted, or too old. */
export function endedBecause(row: LoadedSession, now: Date, lifetimeFrom: LifetimeFrom): ErrorCode | null {
  if (row.revokedAt !== null || isOutOfEpoch(row) || !isActive(row.user, now)) return 'session_revoked';
  if (row.absoluteExpiresAt <= now || idleDeadline(row, lifetimeFrom) <= now) return 'unauthenticated';
  return null;
}

/** When a session ends unless it is used before. */
export function idleDeadline(
  row: Pick<LoadedSession, 'createdAt' | 'lastSeenAt' | 'idleSeconds'>,
  lifetimeFrom: LifetimeFrom,
): Date {
  return after(lifetimeFrom === 'creation' ? row.createdAt : row.lastSeenAt, row.idleSeconds);
}

/** Whether the user signed out everywhere after this session began. */
export function isOutOfEpoch(row: LoadedSession): boolean {
  return row.epoch !== row.user.sessionEpoch;
}

/** Milliseconds; 0 for a session whose cookie was never replaced for good. */
export function hardRotatedAt(row: Pick<LoadedSession, 'hardRotatedAt'>): number {
  return row.hardRotatedAt?.getTime() ?? 0;
}
