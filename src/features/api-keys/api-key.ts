import type { ApiKey } from '../../auth.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { KeyKind } from './format.js';

export type ApiKeyRow = Awaited<ReturnType<Db['apiKey']['findUniqueOrThrow']>>;

/** A key with the roles it may use. */
export interface ApiKeyWithGrants extends ApiKeyRow {
  grants: {
    roleId: string;
    scope: string;
    assignment: { expiresAt: Date | null; role: { name: string } };
  }[];
}

/** Reads the roles along with a key. */
export const WITH_GRANTS = {
  grants: {
    select: {
      roleId: true,
      scope: true,
      assignment: { select: { expiresAt: true, role: { select: { name: true } } } },
    },
    orderBy: { scope: 'asc' },
  },
} as const;

/** The public form: no digest is in it. */
export function toApiKey(row: ApiKeyWithGrants): ApiKey {
  return {
    id: row.id,
    userId: row.userId,
    name: row.name,
    kind: row.kind as KeyKind,
    start: row.start,
    grants: row.isLimited
      ? row.grants.map(({ scope, assignment }) => ({ role: assignment.role.name, scope }))
      : null,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    lastUsedAt: row.lastUsedAt,
    revokedAt: row.revokedAt,
    exposedAt: row.exposedAt,
    allowedIps: row.allowedIps === '' ? [] : row.allowedIps.split(' '),
  };
}

/** What ends a key, for a write: its place among the keys of its owner is free again. */
export function ended(reason: string, now: Date) {
  return { revokedAt: now, revokedReason: reason, slot: null, masterSlot: null };
}

export function noKey(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such API key.' });
}

/** The topic that ends a remembered key. */
export function topicOf(keyId: string): string {
  return `api_key:${keyId}`;
}
