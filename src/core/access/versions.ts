import type { Db } from '../../db/client.js';

const ROLES = 'roles_version';
const SCOPES = 'scopes_version';

/** How often the roles and the tree of scopes have changed; whoever remembers either knows by this whether it is still so. */
export interface Versions {
  roles: number;
  scopes: number;
}

/** The write that tells every process to compile the roles again; it belongs into every batch that changes a role. */
export function rolesChanged(db: Db) {
  return db.counter.update({ where: { name: ROLES }, data: { value: { increment: 1 } } });
}

/** The write that tells every process to ask again where scopes hang; it belongs into every batch that changes the tree. */
export function scopesChanged(db: Db) {
  return db.counter.update({ where: { name: SCOPES }, data: { value: { increment: 1 } } });
}

/** Both as of now, in one query. */
export async function readVersions(db: Db): Promise<Versions> {
  const rows = await db.counter.findMany({ where: { name: { in: [ROLES, SCOPES] } } });
  const of = (name: string) => rows.find((row) => row.name === name)?.value ?? 0;
  return { roles: of(ROLES), scopes: of(SCOPES) };
}
