import type { AuditEntry } from '../../core/changes/audit.js';
import type { Core } from '../../core/core.js';
import type { Page, PageQuery } from '../../core/page.js';
import type { EventType } from '../../events.js';
import { deviceLabel, deviceOf } from '../../net/user-agent.js';

/** One line of "was this you?". */
export interface HistoryEntry {
  id: string;
  at: Date;
  type: string;
  outcome: string;
  /** False where somebody else did it, such as an administrator; where from is not said then. */
  isOwn: boolean;
  ip: string | null;
  device: string | null;
}

/** What people are shown of their own account. Each has a text in `templates/locales`. */
export const HISTORY_TYPES = [
  'user.created',
  'user.updated',
  'user.suspended',
  'user.unsuspended',
  'user.restored',
  'user.deletion_requested',
  'user.deletion_canceled',
  'user.exported',
  'user.signed_in',
  'user.sign_in_failed',
  'user.signed_out',
  'user.email_verified',
  'user.email_change_requested',
  'user.email_changed',
  'user.email_change_undone',
  'user.locked',
  'user.unlocked',
  'password.reset_requested',
  'password.reset',
  'password.changed',
  'password.change_required',
  'session.revoked',
  'session.breached',
  'session.locked',
  'session.elevated',
  'session.suspicious',
  'role.assigned',
  'role.unassigned',
  'factor.added',
  'factor.removed',
  'factor.failed',
  'factor.reset_requested',
  'factor.reset_canceled',
  'recovery_codes.created',
  'recovery_code.used',
  'device.trusted',
  'device.untrusted',
  'device_authorization.approved',
  'device_authorization.denied',
  'passkey.added',
  'passkey.renamed',
  'passkey.removed',
  'social.linked',
  'social.unlinked',
] as const satisfies readonly EventType[];

/** {@link AccountManager.history} */
export async function history(core: Core, userId: string, query: PageQuery): Promise<Page<HistoryEntry>> {
  const { items, nextCursor } = await core.audit.list({ ...query, userId, types: HISTORY_TYPES });
  // What the person did to others is no event of this account.
  const own = items.filter(({ targetType, targetId }) => targetType !== 'user' || targetId === userId);
  return { items: own.map((entry) => toHistory(entry, userId)), nextCursor };
}

function toHistory(entry: AuditEntry, userId: string): HistoryEntry {
  const { id, at, type, outcome, actorId, impersonatorId, ip, userAgent } = entry;
  const isOwn = impersonatorId === null && (actorId === null || actorId === userId);
  const device = isOwn && userAgent !== null ? deviceOf(userAgent) : null;
  const isKnown = device !== null && (device.browser !== null || device.os !== null);
  return {
    id,
    at,
    type,
    outcome,
    isOwn,
    ip: isOwn ? ip : null,
    device: isKnown ? deviceLabel(device) : null,
  };
}
