import type { Db } from '../../db/client.js';
import type { Write } from '../changes/ledger.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { parseScope } from './scope-name.js';

const OWNER_ROLE = 'org_owner';
const ORG_PREFIX = 'org:';

/** The sentence for a change that would leave an organization without an owner. */
export const LAST_OWNER =
  'The last owner of an organization cannot leave. Make somebody else an owner first.';

/** Whether a role is the one whose holders own an organization. */
export function isOwnerRole(role: CompiledRole): boolean {
  return role.name === OWNER_ROLE && role.ownedBy === '';
}

/** Which assignments count among those of which an organization always keeps one: `org_owner`, without an end. */
export function ownerAssignments(catalog: RoleCatalog) {
  const role = catalog.find(OWNER_ROLE);
  return { roleId: role?.id ?? '', expiresAt: null, scope: { startsWith: ORG_PREFIX } };
}

/** The organization that counts this assignment among its owners; null for every other assignment, and where the scope is no organization of ours. */
export async function countingOrg(
  db: Db,
  { role, scope, expiresAt }: { role: CompiledRole; scope: string; expiresAt: Date | null },
): Promise<string | null> {
  if (!isOwnerRole(role) || expiresAt !== null) return null;
  const name = parseScope(scope);
  if (name?.type !== 'org') return null;
  const org = await db.organization.findUnique({ where: { id: name.id }, select: { id: true } });
  return org?.id ?? null;
}

/** For the batch that makes an owner. */
export function ownerAdded(db: Db, orgId: string): Write {
  return db.organization.update({ where: { id: orgId }, data: { ownerCount: { increment: 1 } } });
}

/** For the batch that takes an owner away; misses, and so undoes the batch, for the last one. */
export function ownerRemoved(db: Db, orgId: string): Write {
  return db.organization.update({
    where: { id: orgId, ownerCount: { gt: 1 } },
    data: { ownerCount: { decrement: 1 } },
  });
}

/** Whether the organization of a scope has one owner and no more. */
export async function hasOneOwner(db: Db, scope: string): Promise<boolean> {
  const name = parseScope(scope);
  if (name?.type !== 'org') return false;
  const org = await db.organization.findUnique({ where: { id: name.id }, select: { ownerCount: true } });
  return org !== null && org.ownerCount <= 1;
}

/**
 * For the batch that deletes a user: takes every ownership of an organization away, each with its count. The last write misses when the user
 * became an owner meanwhile; it stands behind the write that marks the user as deleted, who cannot become an owner after that.
 */
export async function ownershipsEnded(db: Db, catalog: RoleCatalog, userId: string): Promise<Write[]> {
  const owned = { userId, ...ownerAssignments(catalog) };
  const rows = await db.roleAssignment.findMany({ where: owned });
  const orgs = await db.organization.findMany({
    where: { id: { in: rows.map(({ scope }) => scope.slice(ORG_PREFIX.length)) } },
    select: { id: true },
  });
  return [
    ...rows.map(({ roleId, scope }) =>
      db.roleAssignment.delete({
        where: { userId_roleId_scope: { userId, roleId, scope }, expiresAt: null },
      }),
    ),
    ...orgs.map(({ id }) => ownerRemoved(db, id)),
    db.user.update({
      where: { id: userId, assignments: { none: ownerAssignments(catalog) } },
      data: { sessionEpoch: { increment: 0 } },
    }),
  ];
}

/** For the batch that makes somebody an owner, first in it: it waits for a deletion of the user, and misses after one. */
export function userStays(db: Db, userId: string): Write {
  return db.user.update({ where: { id: userId, deletedAt: null }, data: { sessionEpoch: { increment: 0 } } });
}

/** An organization of which the user is the only owner, or null. */
export async function soleOwnership(db: Db, catalog: RoleCatalog, userId: string): Promise<string | null> {
  const rows = await db.roleAssignment.findMany({ where: { userId, ...ownerAssignments(catalog) } });
  const ids = rows.map(({ scope }) => scope.slice(ORG_PREFIX.length));
  const org = await db.organization.findFirst({ where: { id: { in: ids }, ownerCount: { lte: 1 } } });
  return org?.id ?? null;
}
