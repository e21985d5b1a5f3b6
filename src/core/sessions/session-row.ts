import type { Db } from '../../db/client.js';
import type { AssignmentRow } from '../access/grants.js';

/** A signed-in device, as it is listed: no credential is in it, and its `id` is none. */
export interface Session {
  id: string;
  userId: string;
  kind: 'cookie' | 'bearer';
  createdAt: Date;
  lastSeenAt: Date;
  /** The latest it can end; activity does not move it. */
  expiresAt: Date;
  /** When the user last proved who they are. */
  authenticatedAt: Date;
  /** How, in values of RFC 8176 (`pwd`, `otp`, `hwk`, …). */
  amr: string[];
  /** 1 for one factor, 2 for two. */
  assuranceLevel: number;
  persistent: boolean;
  ip: string | null;
  /** For a person to recognize: "Firefox on Linux". */
  device: string | null;
  country: string | null;
  impersonatorId: string | null;
}

export type SessionRow = Awaited<ReturnType<Db['session']['findUniqueOrThrow']>>;
export type UserRow = Awaited<ReturnType<Db['user']['findUniqueOrThrow']>>;
/** A session with everything a request needs, from one read. */
export type LoadedSession = SessionRow & { user: UserRow & { assignments: AssignmentRow[] } };
