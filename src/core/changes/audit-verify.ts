import type { Key } from '../../crypto/key-ring.js';
import type { Runtime } from '../runtime.js';
import type { AuditRow } from './audit-entry.js';
import { inOrder, isSame, prunedMac, rowMac, type SealRow, sealMac } from './audit-seal.js';

/** Which part of the log is looked at; by default all of it. */
export interface AuditVerification {
  from?: Date;
  to?: Date;
  /** A seal that was kept elsewhere (`audit.onSeal`): it must be in the chain as it was. */
  seal?: { number: number; mac: string };
}

/** `entries` were found as they were sealed; or `firstBad` is the id of the first entry, or the number of the first seal, that is not. */
export type AuditVerdict =
  | { ok: true; entries: number }
  | { ok: false; firstBad: string; reason: AuditFault };

/**
 * What is wrong.
 *
 * | reason | the entry, or the seal |
 * | --- | --- |
 * | `edited` | was changed after it was sealed |
 * | `deleted` | is gone |
 * | `inserted` | was added to a time that was sealed already |
 * | `reordered` | stands at another place than it was sealed at |
 * | `seal_changed` | `seal:<number>` does not fit what it says, or the seal before it |
 * | `seal_missing` | `seal:<number>` is gone from the chain |
 * | `unknown_secret` | `seal:<number>` was made with a secret that is not configured |
 */
export type AuditFault =
  | 'edited'
  | 'deleted'
  | 'inserted'
  | 'reordered'
  | 'seal_changed'
  | 'seal_missing'
  | 'unknown_secret';

const SEALS = 50;

/** Walks the chain of seals and compares every entry with the digest that was made of it. */
export async function verifyAudit(runtime: Runtime, options: AuditVerification): Promise<AuditVerdict> {
  const { db } = runtime;
  const { from, to, seal: kept } = options;
  let entries = 0;
  let previous: SealRow | null = null;
  for (;;) {
    const seals: SealRow[] = await db.auditSeal.findMany({
      where: {
        ...(previous !== null && { number: { gt: previous.number } }),
        ...(from !== undefined && { to: { gte: from } }),
        ...(to !== undefined && { from: { lt: to } }),
      },
      orderBy: { number: 'asc' },
      take: SEALS,
    });
    for (const seal of seals) {
      const fault =
        (await faultOfSeal(runtime, seal, previous, from !== undefined)) ??
        (await faultOfEntries(runtime, seal));
      if (fault !== null) return { ok: false, ...fault };
      entries += seal.prunedMac === null ? seal.count : 0;
      previous = seal;
    }
    if (seals.length < SEALS) break;
  }
  if (kept !== undefined) {
    const row = await db.auditSeal.findUnique({ where: { number: kept.number } });
    const isPruned = row === null && (await isBeforeChain(runtime, kept.number));
    if (row === null && !isPruned) return { ok: false, ...sealFault(kept.number, 'seal_missing') };
    if (row !== null && !isSame(row.mac, kept.mac))
      return { ok: false, ...sealFault(kept.number, 'seal_changed') };
  }
  return { ok: true, entries };
}

type Fault = { firstBad: string; reason: AuditFault };

const sealFault = (number: number, reason: AuditFault): Fault => ({ firstBad: `seal:${number}`, reason });

async function faultOfSeal(
  { keys }: Runtime,
  seal: SealRow,
  previous: SealRow | null,
  beginsInside: boolean,
): Promise<Fault | null> {
  const key = keys.find('audit', seal.kid);
  if (key === null) return sealFault(seal.number, 'unknown_secret');
  const isPruned = seal.prunedMac !== null;
  if (previous === null) {
    // Seals are removed only together with their entries, and the last of them stays and says so.
    if (!beginsInside && seal.number !== 1 && !isPruned) return sealFault(seal.number - 1, 'seal_missing');
  } else {
    if (seal.number !== previous.number + 1) return sealFault(previous.number + 1, 'seal_missing');
    if (seal.previous !== previous.mac || seal.from.getTime() !== previous.to.getTime())
      return sealFault(seal.number, 'seal_changed');
  }
  // The contents went with the entries; then the digest vouches for the removal, and for the seal that is named in it.
  const isRight = isPruned
    ? isSame(seal.prunedMac, prunedMac(key, seal))
    : isSame(seal.mac, sealMac(key, seal));
  return isRight ? null : sealFault(seal.number, 'seal_changed');
}

async function faultOfEntries(runtime: Runtime, seal: SealRow): Promise<Fault | null> {
  const { db, keys } = runtime;
  if (seal.prunedMac !== null) {
    const left = await db.auditEntry.findFirst({ where: { at: { lte: seal.to } }, orderBy: { at: 'asc' } });
    return left === null ? null : { firstBad: left.id, reason: 'inserted' };
  }
  const key = keys.find('audit', seal.kid) as Key; // the seal itself was checked with it
  const rows = await db.auditEntry.findMany({ where: { at: { gt: seal.from, lte: seal.to } } });
  rows.sort(inOrder);
  const sealed = seal.contents.split(' ').map((part) => part.split(':') as [id: string, mac: string]);
  const isSealed = new Set(sealed.map(([id]) => id));
  for (let index = 0; index < Math.max(rows.length, sealed.length); index += 1) {
    const row = rows[index];
    const [id, mac] = sealed[index] ?? [];
    if (row !== undefined && !isSealed.has(row.id)) return { firstBad: row.id, reason: 'inserted' };
    if (id === undefined) return { firstBad: row?.id ?? '', reason: 'inserted' };
    if (row?.id !== id) return misplaced(runtime, key, { id, mac: mac ?? '', instead: row });
    if (!isSame(mac ?? null, rowMac(key, row))) return { firstBad: id, reason: 'edited' };
  }
  return null;
}

/** Which entry moved, where another one stands `instead` of the one that was sealed here. */
async function misplaced(
  { db }: Runtime,
  key: Key,
  { id, mac, instead }: { id: string; mac: string; instead: AuditRow | undefined },
): Promise<Fault> {
  const row = await db.auditEntry.findUnique({ where: { id } });
  if (row === null) return { firstBad: id, reason: 'deleted' };
  const isUnchanged = isSame(mac, rowMac(key, row)); // then the other one came before it
  return { firstBad: isUnchanged && instead !== undefined ? instead.id : id, reason: 'reordered' };
}

/** Whether the chain begins behind that number, because what was before it was removed by age. */
async function isBeforeChain({ db, keys }: Runtime, number: number): Promise<boolean> {
  const first = await db.auditSeal.findFirst({ orderBy: { number: 'asc' } });
  const key = first === null ? null : keys.find('audit', first.kid);
  return (
    first !== null && key !== null && number < first.number && isSame(first.prunedMac, prunedMac(key, first))
  );
}
