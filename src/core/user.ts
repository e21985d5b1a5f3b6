import type { User } from '../auth.js';
import { type Db, OUR_USER_COLUMNS } from '../db/client.js';

/** A user as it is stored, with the columns that only this library reads. */
export type UserRow = Awaited<ReturnType<Db['user']['findUniqueOrThrow']>>;

/** A user as the host sees it: every column, the host's own among them, but those that only this library reads. */
export type PublicUser = User;

interface InternalColumns {
  sessionEpoch: number;
  usernameKey: string | null;
  unconfirmedUntil: Date | null;
}

/** The row without internal columns and loaded relations. */
export function publicUser(row: User & InternalColumns): PublicUser {
  const {
    sessionEpoch: _epoch,
    usernameKey: _key,
    unconfirmedUntil: _unconfirmed,
    ...rest
  } = row as User & InternalColumns & { assignments?: unknown; password?: unknown; sessions?: unknown };
  const { assignments: _assignments, password: _password, sessions: _sessions, ...user } = rest;
  return user;
}

/** Gives of a user what may leave the server: our columns, and those of the host that `user.publicColumns` lists. */
export function sentUser(user: object, publicColumns: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(user).filter(([column]) => OUR_USER_COLUMNS.has(column) || publicColumns.includes(column)),
  );
}

/**
 * Gives the user a `toJSON` that leaves out what {@link sentUser} leaves out, so that `res.json(req.user)` sends no column that the host did
 * not list. Code on the server still reads every column.
 */
export function withSafeJson<T extends object>(user: T, publicColumns: readonly string[]): T {
  return Object.defineProperty(user, 'toJSON', {
    value: () => sentUser(user, publicColumns),
    enumerable: false,
    configurable: true,
    writable: true,
  });
}

/** Whether the account may be used: not deleted, and not suspended, or suspended until a time that has passed. */
export function isActive(
  user: Pick<User, 'deletedAt' | 'suspendedAt' | 'suspendedUntil'>,
  now: Date,
): boolean {
  return user.deletedAt === null && !isSuspended(user, now);
}

function isSuspended(user: Pick<User, 'suspendedAt' | 'suspendedUntil'>, now: Date): boolean {
  return user.suspendedAt !== null && (user.suspendedUntil === null || user.suspendedUntil > now);
}
