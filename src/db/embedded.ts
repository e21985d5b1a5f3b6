import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { PrismaClient } from './generated/sqlite/client.js';

// libsql waits 0 ms by default: of two processes writing one file, every third write was lost to SQLITE_BUSY.
const BUSY_TIMEOUT_MS = 5000;

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
  if (isFile) mkdirSync(dirname(pathOf(url)), { recursive: true });

  const adapter = new PrismaLibSql({ url, timeout: BUSY_TIMEOUT_MS });
  // Waiting inside libsql blocks the whole process, and with it the one of its callers that holds the lock.
  const sql = adapter.createClient({ url, timeout: 0 });
  const client = new PrismaClient({ adapter });

  return {
    dialect: 'sqlite',
    client,

    async prepare() {
      // Readers do not block the writer, nor it them. The mode is stored in the file.
      if (isFile) await whenFree(sql, () => sql.execute('PRAGMA journal_mode = WAL'));
    },

    async exclusively(work) {
      const transaction = await whenFree(sql, async () => {
        // Rebuilding a table drops the old one, which would cascade to the rows that refer to it.
        await sql.execute('PRAGMA foreign_keys = OFF');
        return sql.transaction('write'); // BEGIN IMMEDIATE; takes this connection with it
      });
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
      sql.close();
      await client.$disconnect();
    },
  };
}

/** Tries again while another connection writes, for at most half a minute. */
async function whenFree<T>(sql: { reconnect(): void }, attempt: () => Promise<T>): Promise<T> {
  for (let waits = 0; ; waits += 1) {
    try {
      return await attempt();
    } catch (error) {
      const isBusy = error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
      if (!isBusy || waits >= 1500) throw error;
      await setTimeout(20);
      sql.reconnect(); // a statement that was refused stays open, and no transaction commits beside it
    }
  }
}

function pathOf(url: string): string {
  if (url.startsWith('file://')) return fileURLToPath(url.split('?', 1)[0] ?? url);
  return decodeURIComponent(url.slice('file:'.length).split('?', 1)[0] ?? '');
}
