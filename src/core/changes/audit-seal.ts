import { equalInConstantTime, hmac, sha256 } from '../../crypto/digest.js';
import type { Key } from '../../crypto/key-ring.js';
import type { Db } from '../../db/client.js';
import { AUDIT_COLUMNS, type AuditRow } from './audit-entry.js';

/** A seal as it is stored. */
export type SealRow = Awaited<ReturnType<Db['auditSeal']['findUniqueOrThrow']>>;

/** What a seal says, without the digests that vouch for it. */
export type SealContents = Pick<SealRow, 'number' | 'previous' | 'from' | 'to' | 'count' | 'contents'>;

const ROW_MAC_CHARACTERS = 16; // 96 bits: an insider who edits entries cannot try values without the key

/** By time, and by id within a millisecond. The database's own order of texts differs between installations. */
export function inOrder(a: Pick<AuditRow, 'at' | 'id'>, b: Pick<AuditRow, 'at' | 'id'>): number {
  return a.at.getTime() - b.at.getTime() || (a.id < b.id ? -1 : 1);
}

/** Keyed digest of one entry, with every column. */
export function rowMac(key: Key, row: AuditRow): string {
  const values = AUDIT_COLUMNS.map((name) => row[name]); // a date writes itself as ISO 8601
  return hmac(key.bytes, `entry ${JSON.stringify(values)}`)
    .toString('base64url')
    .slice(0, ROW_MAC_CHARACTERS);
}

/** The line of a seal that names entries and vouches for each. */
export function contentsOf(key: Key, rows: readonly AuditRow[]): string {
  return rows.map((row) => `${row.id}:${rowMac(key, row)}`).join(' ');
}

export function sealMac(key: Key, seal: SealContents): string {
  const { number, previous, from, to, count, contents } = seal;
  return macOf(key, ['seal', number, previous, from, to, count, sha256(contents)]);
}

/** Vouches for the removal of the entries of a seal: without the key, entries cannot be made to look removed by age. */
export function prunedMac(key: Key, seal: Pick<SealRow, 'number' | 'mac'>): string {
  return macOf(key, ['pruned', seal.number, seal.mac]);
}

export function isSame(mac: string | null, expected: string): boolean {
  return mac !== null && equalInConstantTime(mac, expected);
}

function macOf(key: Key, parts: readonly unknown[]): string {
  return hmac(key.bytes, JSON.stringify(parts)).toString('base64url');
}
