import type { Session } from '../../auth.js';
import type { Db } from '../../db/client.js';
import { decodeFingerprint, deviceLabel } from '../../net/user-agent.js';
import type { AssignmentRow } from '../access/role-catalog.js';
import type { UserRow } from '../user.js';

export type SessionRow = Awaited<ReturnType<Db['session']['findUniqueOrThrow']>>;
/** A session with everything a request needs, from one read. */
export type LoadedSession = SessionRow & { user: UserRow & { assignments: AssignmentRow[] } };

/** The public form: salts, generation and fingerprint stay behind. */
export function toSession(row: SessionRow): Session {
  const fingerprint = decodeFingerprint(row.fingerprint);
  return {
    id: row.id,
    userId: row.userId,
    kind: row.kind === 'bearer' ? 'bearer' : 'cookie',
    createdAt: row.createdAt,
    lastSeenAt: row.lastSeenAt,
    expiresAt: row.absoluteExpiresAt,
    authenticatedAt: row.authenticatedAt,
    amr: row.amr.split(' '),
    assuranceLevel: row.assuranceLevel,
    persistent: row.persistent,
    ip: row.ip,
    device: fingerprint.browser === null && fingerprint.os === null ? null : deviceLabel(fingerprint),
    country: fingerprint.country,
    impersonatorId: row.impersonatorId,
  };
}
