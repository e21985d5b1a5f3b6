import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { AuthTunaError, misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { FileAdapter } from './file-adapter.js';
import { PrismaClient } from './generated/sqlite/client.js';
import { BUSY_TIMEOUT_MS, isBusy, LockWaiter, WRITE_PROBE } from './lock-waiter.js';
import { startProblem } from './start-problem.js';

const MIGRATION_LIMIT_MS = 30_000;

/**
 * Opens a SQLite file (`file:./app.db`; its folder is created) or a libSQL server (`libsql://…?authToken=…`).
 *
 * Foreign keys are enforced by libsql without being told. A database in memory is refused: it loses its tables when a
 * transaction ends.
 * @throws AuthTunaError `misconfigured` for a URL of another kind
 */
export function openSqlite(url: string): DatabaseConnection {
  const isFile = url.startsWith('file:');
  if (!isFile && !url.startsWith('libsql:')) {
    throw misconfigured('databaseUrl must start with file:, libsql: or postgresql:');
  }
  if (url.includes(':memory:')) {
    throw misconfigured('databaseUrl cannot be in memory; use a file, for tests one in a temporary folder');
  }
  if (isFile) makeFolder(url);

  const adapter = isFile ? new FileAdapter(url, resolve(pathOf(url))) : new PrismaLibSql({ url });
  const client = new PrismaClient({ adapter });
  const sql = new PrismaLibSql({ url }).createClient({ url, timeout: BUSY_TIMEOUT_MS });
  const waiter = new LockWaiter(sql, WRITE_PROBE);

  return {
    dialect: 'sqlite',
    client,

    async prepare() {
      // Readers do not block the writer, nor it them. The mode is stored in the file.
      if (isFile)
        await waiter
          .run(MIGRATION_LIMIT_MS, () => sql.execute('PRAGMA journal_mode = WAL'))
          .catch(describeLock);
    },

    async exclusively(work) {
      const transaction = await waiter
        .run(MIGRATION_LIMIT_MS, async () => {
          // Rebuilding a table drops the old one, which would cascade to the rows that refer to it.
          await sql.execute('PRAGMA foreign_keys = OFF');
          return sql.transaction('write'); // BEGIN IMMEDIATE; takes this connection with it
        })
        .catch(describeLock);
      try {
        const result = await work({
          async query(statement, values = []) {
            const { columns, rows } = await transaction.execute({ sql: statement, args: [...values] });
            return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
          },
          script: (statements) => transaction.executeMultiple(statements),
        });
        const { rows } = await transaction.execute('PRAGMA foreign_key_check');
        if (rows.length > 0) throw new Error(`${rows.length} rows would refer to rows that are not there`);
        await transaction.commit();
        return result;
      } finally {
        transaction.close(); // rolls back unless committed
      }
    },

    async close() {
      if (adapter instanceof FileAdapter) adapter.isClosed = true;
      sql.close();
      await client.$disconnect();
    },
  };
}

/** @throws AuthTunaError `unavailable`, which says that another process holds the lock, or the error itself */
function describeLock(error: unknown): never {
  if (!isBusy(error)) throw error;
  throw new AuthTunaError(
    'unavailable',
    { retryAfterSeconds: 1 },
    {
      cause: new Error(
        `Another process has held the write lock of the SQLite file for ${MIGRATION_LIMIT_MS / 1000} s. End that process, or wait until its backup, VACUUM or transaction is over.`,
        { cause: error },
      ),
    },
  );
}

/** @throws AuthTunaError `misconfigured` where the folder cannot be made */
function makeFolder(url: string): void {
  try {
    mkdirSync(dirname(pathOf(url)), { recursive: true });
  } catch (error) {
    throw misconfigured(startProblem(error, url), error);
  }
}

function pathOf(url: string): string {
  if (url.startsWith('file://')) return fileURLToPath(url.split('?', 1)[0] ?? url);
  return decodeURIComponent(url.slice('file:'.length).split('?', 1)[0] ?? '');
}
