import type { Db } from '../../db/client.js';

/** One line of the audit log, as it is listed. */
export interface AuditEntry {
  id: string;
  at: Date;
  type: string;
  outcome: string;
  reason: string | null;
  actorId: string | null;
  impersonatorId: string | null;
  sessionId: string | null;
  apiKeyId: string | null;
  targetType: string | null;
  targetId: string | null;
  scope: string | null;
  ip: string | null;
  userAgent: string | null;
  requestId: string | null;
  data: Record<string, unknown> | null;
}

/** An entry as it is stored. */
export type AuditRow = Awaited<ReturnType<Db['auditEntry']['findUniqueOrThrow']>>;

/** The columns of an entry, in the order in which seals and exports write them. */
export const AUDIT_COLUMNS = [
  'id',
  'at',
  'type',
  'outcome',
  'reason',
  'actorId',
  'impersonatorId',
  'sessionId',
  'apiKeyId',
  'targetType',
  'targetId',
  'scope',
  'ip',
  'userAgent',
  'requestId',
  'data',
] as const satisfies readonly (keyof AuditEntry)[];

export function toEntry(row: AuditRow): AuditEntry {
  const data = row.data === null ? null : (JSON.parse(row.data) as Record<string, unknown>);
  return Object.fromEntries(
    AUDIT_COLUMNS.map((name) => [name, name === 'data' ? data : row[name]]),
  ) as unknown as AuditEntry;
}
