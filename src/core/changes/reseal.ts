import type { ModelName } from '../../db/client.js';
import type { Runtime } from '../runtime.js';

const BATCH = 200; // short enough that no request waits long behind one

/** A column whose values are sealed for their row; see crypto/vault. */
export interface SealedColumn {
  model: ModelName;
  column: string;
  /** What stands in reports: `authenticator apps`. */
  name: string;
  place(id: string): string[];
}

/** The mails that wait. */
export const SEALED_MAILS: SealedColumn = {
  model: 'outboxMessage',
  column: 'sealed',
  name: 'waiting mails',
  place: (id) => ['OutboxMessage', 'sealed', id],
};

export interface Resealed {
  /** How many values of each column were sealed anew, by its name. */
  sealed: Record<string, number>;
  /** Values that no secret of the list opens. */
  unreadable: number;
}

interface SealedTable {
  findMany(args: object): PromiseLike<{ id: string }[]>;
  updateMany(args: object): PromiseLike<{ count: number }>;
}

/**
 * Seals everything again that an older secret sealed, in batches. It may be stopped and begun again at any time: what is sealed with the
 * newest secret is left alone, and a value that changes meanwhile keeps its change.
 */
export async function reseal(
  { db, vault, keys }: Runtime,
  columns: readonly SealedColumn[],
): Promise<Resealed> {
  const current = { startsWith: `v1.${keys.current('enc').kid}.` };
  const result: Resealed = { sealed: {}, unreadable: 0 };
  for (const { model, column, name, place } of columns) {
    const table = db[model] as unknown as SealedTable;
    let done = 0;
    for (let last = ''; ; ) {
      const rows = await table.findMany({
        where: { id: { gt: last }, NOT: { [column]: current }, [column]: { startsWith: 'v1.' } },
        orderBy: { id: 'asc' },
        take: BATCH,
      });
      for (const row of rows) {
        const sealed = (row as unknown as Record<string, string>)[column] ?? '';
        const opened = vault.open(sealed, place(row.id));
        if (opened === null) {
          result.unreadable += 1;
          continue;
        }
        const { count } = await table.updateMany({
          where: { id: row.id, [column]: sealed },
          data: { [column]: vault.seal(opened, place(row.id)) },
        });
        done += count;
      }
      last = rows.at(-1)?.id ?? '';
      if (rows.length < BATCH) break;
    }
    result.sealed[name] = done;
  }
  return result;
}

/** What was made with an older secret and can be renewed only when it is used. */
export async function madeWithOlderSecrets({ db, keys, now }: Runtime) {
  const { kid } = keys.current('pepper');
  const hash = { startsWith: 'hmac384-bcrypt$' };
  const older = { hash, NOT: { hash: { startsWith: `hmac384-bcrypt$nfkc$${kid}$` } } };
  const [passwords, recoveryCodes, sessions] = await Promise.all([
    db.password.count({ where: older }),
    db.recoveryCode.count({ where: { ...older, usedAt: null } }),
    db.session.count({
      where: { revokedAt: null, absoluteExpiresAt: { gt: now() }, NOT: { salt: { startsWith: `${kid}:` } } },
    }),
  ]);
  return { passwords, 'recovery codes': recoveryCodes, sessions };
}
