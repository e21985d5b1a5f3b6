import type { Db } from '../../db/client.js';

const ROLES = 'roles_version';
const SCOPES = 'scopes_version';
const MOVES = 'scope_moves';
const TEAMS = 'teams_version';
const WEBHOOKS = 'webhooks_version';

/** Change counters for roles, the tree of scopes, team roles and webhooks. A cache entry is valid while its counter is unchanged. */
export interface Versions {
  roles: number;
  scopes: number;
  /** How often nodes changed places: moves, removals, and registrations below a name that was no row. */
  moves: number;
  /** How often what teams hold has changed. */
  teams: number;
  /** How often webhooks have changed. */
  webhooks: number;
}

/** The write that tells every process to compile the roles again; it belongs in every batch that changes a role. */
export function rolesChanged(db: Db) {
  return db.counter.update({ where: { name: ROLES }, data: { value: { increment: 1 } } });
}

/** The same for a batch that was decided by the roles of a version; it misses when any role has changed since. */
export function rolesChangedSince(db: Db, version: number) {
  return db.counter.update({ where: { name: ROLES, value: version }, data: { value: { increment: 1 } } });
}

/** For a batch that was decided by the roles of a version and changes none; it misses when any role has changed since. */
export function rolesUnchanged(db: Db, version: number) {
  return db.counter.update({ where: { name: ROLES, value: version }, data: { value: { increment: 0 } } });
}

/** For a batch that says something of a registered scope; it misses when the scope was removed meanwhile. */
export function scopeStays(db: Db, scope: string) {
  return db.scopeNode.update({ where: { id: scope }, data: { id: scope } });
}

/** The write that tells every process to ask again where scopes hang; it belongs in every batch that changes the tree. */
export function scopesChanged(db: Db) {
  return db.counter.update({ where: { name: SCOPES }, data: { value: { increment: 1 } } });
}

/** The same for a batch that was decided by the tree of a version; it misses when the tree has changed since. */
export function scopesChangedSince(db: Db, version: number) {
  return db.counter.update({ where: { name: SCOPES, value: version }, data: { value: { increment: 1 } } });
}

/** For a batch in which a node changes its place; first in it, and it misses when another node did so since. */
export function movesChangedSince(db: Db, version: number) {
  return db.counter.update({ where: { name: MOVES, value: version }, data: { value: { increment: 1 } } });
}

/** For a batch that was decided by where nodes hang; first in it, and it misses when one changed its place since. */
export function movesUnchanged(db: Db, version: number) {
  return db.counter.update({ where: { name: MOVES, value: version }, data: { value: { increment: 0 } } });
}

/** The write that tells every process to ask again what teams hold; it belongs in every batch that changes that. */
export function teamsChanged(db: Db) {
  return db.counter.update({ where: { name: TEAMS }, data: { value: { increment: 1 } } });
}

/** The write that tells every process to read the webhooks again; it belongs in every batch that changes one. */
export function webhooksChanged(db: Db) {
  return db.counter.update({ where: { name: WEBHOOKS }, data: { value: { increment: 1 } } });
}

/** All as of now, in one query. */
export async function readVersions(db: Db): Promise<Versions> {
  const rows = await db.counter.findMany({
    where: { name: { in: [ROLES, SCOPES, MOVES, TEAMS, WEBHOOKS] } },
  });
  const of = (name: string) => rows.find((row) => row.name === name)?.value ?? 0;
  return {
    roles: of(ROLES),
    scopes: of(SCOPES),
    moves: of(MOVES),
    teams: of(TEAMS),
    webhooks: of(WEBHOOKS),
  };
}
