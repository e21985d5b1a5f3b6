import { type Actor, SYSTEM } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Mail } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import { ended } from '../../core/users/ended-keys.js';
import { isMissing } from '../../db/client.js';
import { noKey, topicOf } from './api-key.js';
import type { KeyFormat } from './format.js';
import { exposedMail } from './mails.js';
import { requireMayRevoke } from './owner.js';
import type { KeyVerifier } from './verifier.js';

/** {@link ApiKeyManager.revoke} */
export async function revokeKey(core: Core, id: string, actor: Actor): Promise<void> {
  const row = await core.db.apiKey.findUnique({ where: { id } });
  if (row === null) throw noKey();
  await requireMayRevoke(core, row.userId, actor);
  await endKey(core, id, 'revoked', {
    type: 'api_key.revoked',
    actor,
    target: { type: 'api_key', id },
    data: { userId: row.userId },
  });
}

/** {@link ApiKeyManager.revokeLeaked} */
export async function revokeLeakedKey(
  core: Core,
  { format, verifier }: { format: KeyFormat; verifier: KeyVerifier },
  key: string,
  actor: Actor,
): Promise<boolean> {
  const parsed = format.parse(key);
  if (parsed === null || !(await verifier.mayAskAbout(parsed.id))) return false;
  const row = await core.db.apiKey.findUnique({ where: { id: parsed.id }, include: { user: true } });
  const now = core.now();
  const isPrevious = row?.previousUntil != null && row.previousUntil > now;
  const isKey =
    row !== null && (row.hash === parsed.hash || (isPrevious && row.previousHash === parsed.hash));
  // A publishable key is made to be read by everybody.
  if (!isKey || row.kind === 'publishable' || row.revokedAt !== null || row.expiresAt <= now) return false;
  return endKey(
    core,
    row.id,
    'leaked',
    {
      type: 'api_key.revoked',
      reason: 'leaked',
      // The holder of the key need not be its owner, so the audit log must not name the owner as the actor.
      actor: { ...SYSTEM, ip: actor.ip, userAgent: actor.userAgent },
      target: { type: 'api_key', id: row.id },
      data: { userId: row.userId },
    },
    await exposedMail(core, row.user, { ...row, isRevoked: true }, actor),
  );
}

/** Ends a key once. @returns whether this call did */
async function endKey(
  core: Core,
  id: string,
  reason: string,
  fact: Fact,
  mails: readonly Mail[] = [],
): Promise<boolean> {
  try {
    await core.ledger.commit({
      writes: [core.db.apiKey.update({ where: { id, revokedAt: null }, data: ended(reason, core.now()) })],
      facts: [fact],
      mails,
      invalidates: [topicOf(id)],
    });
    return true;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return false;
  }
}

/**
 * Notes that a key was sent in the address of a request, where logs and browser histories keep it: once for each key, with a mail to its owner.
 */
export async function exposeKey(core: Core, id: string, actor: Actor): Promise<void> {
  const row = await core.db.apiKey.findUnique({ where: { id }, include: { user: true } });
  if (row === null || row.kind === 'publishable' || row.exposedAt !== null) return;
  const mails = await exposedMail(core, row.user, { ...row, isRevoked: false }, actor);
  try {
    await core.ledger.commit({
      writes: [
        core.db.apiKey.update({
          where: { id, exposedAt: null },
          data: { exposedAt: core.now() },
        }),
      ],
      facts: [
        {
          type: 'api_key.exposed',
          outcome: 'denied',
          reason: 'query_parameter',
          actor,
          target: { type: 'api_key', id },
          data: { userId: row.userId },
        },
      ],
      mails,
      invalidates: [topicOf(id)],
    });
  } catch (error) {
    if (!isMissing(error)) throw error; // another request noted it first
  }
}
