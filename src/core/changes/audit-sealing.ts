import { SYSTEM } from '../../actor.js';
import { isUniqueViolation } from '../../db/client.js';
import { after } from '../../time.js';
import type { Job } from '../instances/jobs.js';
import type { Runtime } from '../runtime.js';
import type { AuditRow } from './audit-entry.js';
import { contentsOf, inOrder, prunedMac, type SealRow, sealMac } from './audit-seal.js';
import type { Ledger } from './ledger.js';

const SEAL_SECONDS = 10;
// Younger entries may still be on their way: written by a slow statement, or by an instance whose clock is behind.
const SETTLE_SECONDS = 60;
const ROWS = 1000; // of a seal: its line of contents has about 40 bytes for each
const DAY = 86_400;
const BEGINNING = new Date(0);

/** The jobs of the audit log: sealing what has settled, and removing what is old. */
export function auditJobs(runtime: Runtime, ledger: Ledger): Job[] {
  return [
    {
      name: 'audit.seal',
      everySeconds: SEAL_SECONDS,
      run: async (signal) => `${await sealAudit(runtime, signal)} entries sealed`,
    },
    {
      name: 'audit.clean-up',
      everySeconds: 3600,
      run: async (signal) => `${await pruneAudit(runtime, ledger, signal)} entries removed`,
    },
  ];
}

/**
 * Seals every entry that is older than a minute, a thousand at a time.
 *
 * Each batch is one insert under the next number. Of two sealers that meet in spite of the lease one fails at it, and a sealer that was
 * killed leaves a chain that the next one continues.
 * @see docs/requirements.md AU-4
 */
async function sealAudit(runtime: Runtime, signal: AbortSignal): Promise<number> {
  const { db, keys, config } = runtime;
  let previous: SealRow | null = await db.auditSeal.findFirst({ orderBy: { number: 'desc' } });
  let sealed = 0;
  while (!signal.aborted) {
    const now = runtime.now();
    const from: Date = previous?.to ?? BEGINNING;
    const rows = await nextRows(runtime, from, after(now, -SETTLE_SECONDS));
    const to = rows.at(-1)?.at;
    if (to === undefined) break;
    const key = keys.current('audit');
    const contents = {
      number: (previous?.number ?? 0) + 1,
      previous: previous?.mac ?? '',
      from,
      to,
      count: rows.length,
      contents: contentsOf(key, rows),
    };
    const seal: SealRow = {
      ...contents,
      kid: key.kid,
      mac: sealMac(key, contents),
      sealedAt: now,
      prunedMac: null,
    };
    try {
      await db.auditSeal.create({ data: seal, select: { number: true } });
    } catch (error) {
      if (isUniqueViolation(error)) break; // another sealer made that link of the chain
      throw error;
    }
    sealed += rows.length;
    previous = seal;
    if (config.audit.onSeal !== undefined) await tell(runtime, seal);
  }
  return sealed;
}

/** The next entries in order, whole milliseconds of them, so that a seal ends at a time. */
async function nextRows({ db }: Runtime, from: Date, until: Date): Promise<AuditRow[]> {
  if (until <= from) return [];
  const rows = await db.auditEntry.findMany({
    where: { at: { gt: from, lte: until } },
    orderBy: { at: 'asc' },
    take: ROWS + 1,
  });
  const last = rows.at(-1);
  if (rows.length <= ROWS || last === undefined) return rows.sort(inOrder);
  const whole = rows.filter(({ at }) => at < last.at);
  // A whole batch of one millisecond: its seal holds all of that millisecond, however many there are.
  const read = whole.length > 0 ? whole : await db.auditEntry.findMany({ where: { at: last.at } });
  return read.sort(inOrder);
}

async function tell({ config }: Runtime, { number, mac, to, count }: SealRow): Promise<void> {
  try {
    await config.audit.onSeal?.({ number, mac, to, entries: count });
  } catch (error) {
    config.logger.error('audit.onSeal failed; the seal is stored all the same.', { number, error });
  }
}

/**
 * Removes entries that are older than `audit.retentionDays`, whole seals at a time and from the beginning.
 *
 * The last of these seals stays, without contents, as the beginning of the chain.
 */
async function pruneAudit(runtime: Runtime, ledger: Ledger, signal: AbortSignal): Promise<number> {
  const { db, config, keys } = runtime;
  const before = after(runtime.now(), -config.audit.retentionDays * DAY);
  let removed = 0;
  let last: SealRow | null = null;
  while (!signal.aborted) {
    const seal = await db.auditSeal.findFirst({ where: { prunedMac: null }, orderBy: { number: 'asc' } });
    if (seal === null || seal.to >= before) break;
    const key = keys.find('audit', seal.kid);
    if (key === null) {
      config.logger.warn(
        'Old audit entries stay: their seal was made with a secret that is not configured.',
        {
          number: seal.number,
        },
      );
      break;
    }
    const [, , { count }] = await db.$transaction([
      db.auditSeal.update({
        where: { number: seal.number, prunedMac: null },
        data: { contents: '', prunedMac: prunedMac(key, seal) },
        select: { number: true },
      }),
      db.auditSeal.deleteMany({ where: { number: { lt: seal.number } } }),
      db.auditEntry.deleteMany({ where: { at: { gt: seal.from, lte: seal.to } } }),
    ]);
    removed += count;
    last = seal;
  }
  if (last !== null)
    await ledger.commit({
      writes: [],
      facts: [
        {
          type: 'audit.pruned',
          actor: SYSTEM,
          data: { entries: removed, until: last.to, seal: last.number },
        },
      ],
    });
  return removed;
}
