import type { ApiKey } from '../../auth.js';
import type { AssignmentRow } from '../../core/access/role-catalog.js';
import { earlier } from '../../core/access/team-holdings.js';
import type { Topic } from '../../core/invalidation.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { KeyKind } from './format.js';

export type ApiKeyRow = Awaited<ReturnType<Db['apiKey']['findUniqueOrThrow']>>;

/** A key with the roles it may use: by assignments of its owner, and through teams. */
export interface ApiKeyWithGrants extends ApiKeyRow {
  grants: { roleId: string; scope: string; assignment: { expiresAt: Date | null; role: { name: string } } }[];
  teamGrants: {
    roleId: string;
    scope: string;
    membership: { expiresAt: Date | null };
    held: { expiresAt: Date | null; role: { name: string } };
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
  },
  teamGrants: {
    select: {
      roleId: true,
      scope: true,
      membership: { select: { expiresAt: true } },
      held: { select: { expiresAt: true, role: { select: { name: true } } } },
    },
  },
} as const;

/** A role that a key may use at a scope, until `expiresAt`. */
export interface KeyGrant extends AssignmentRow {
  name: string;
}

/** The roles of a limited key; one may stand there more than once, when its owner holds it in several ways. */
export function grantsOfKey({ grants, teamGrants }: ApiKeyWithGrants): KeyGrant[] {
  return [
    ...grants.map(({ roleId, scope, assignment }) => ({
      roleId,
      scope,
      expiresAt: assignment.expiresAt,
      name: assignment.role.name,
    })),
    ...teamGrants.map(({ roleId, scope, membership, held }) => ({
      roleId,
      scope,
      expiresAt: earlier(membership.expiresAt, held.expiresAt),
      name: held.role.name,
    })),
  ];
}

/** The public form: no digest is in it. */
export function toApiKey(row: ApiKeyWithGrants): ApiKey {
  return {
    id: row.id,
    userId: row.userId,
    name: row.name,
    kind: row.kind as KeyKind,
    start: row.start,
    grants: row.isLimited ? namesOf(grantsOfKey(row)) : null,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    lastUsedAt: row.lastUsedAt,
    revokedAt: row.revokedAt,
    exposedAt: row.exposedAt,
    allowedIps: row.allowedIps === '' ? [] : row.allowedIps.split(' '),
  };
}

/** The grants by name, without duplicates, sorted by scope. */
function namesOf(grants: readonly KeyGrant[]): { role: string; scope: string }[] {
  const byPlace = new Map(
    grants.map(({ name, scope }) => [`${scope} ${name}`, { role: name, scope }] as const),
  );
  return [...byPlace].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, grant]) => grant);
}

export function noKey(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such API key.' });
}

/** The topic that ends a remembered key. */
export function topicOf(keyId: string): Topic {
  return `api_key:${keyId}`;
}
