import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { PrismaClient } from './generated/sqlite/client.js';

// How long libsql itself waits for a file that another process writes, during which this process does nothing else: long enough for a write.
const BUSY_TIMEOUT_MS = 20;
const RETRY_MS = 20;
const LIMIT_MS = 2000; // security.md DB-1: slower than this counts as down
const MIGRATION_LIMIT_MS = 30_000;
const TURN_MS = 1; // longer than most statements take

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

  const adapter = new PatientLibSql({ url, timeout: BUSY_TIMEOUT_MS });
  const client = new PrismaClient({ adapter });
  const sql = new PrismaLibSql({ url }).createClient({ url, timeout: 0 });

  return {
    dialect: 'sqlite',
    client,

    async prepare() {
      // Readers do not block the writer, nor it them. The mode is stored in the file.
      if (isFile) await whenFree(sql, MIGRATION_LIMIT_MS, () => sql.execute('PRAGMA journal_mode = WAL'));
    },

    async exclusively(work) {
      const transaction = await whenFree(sql, MIGRATION_LIMIT_MS, async () => {
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
      adapter.isClosed = true;
      sql.close();
      await client.$disconnect();
    },
  };
}

/**
 * Waits for other writers without holding up the process, and takes the right to write when a batch begins: a batch that began as a reader
 * is refused at its first write, at once, when anybody wrote meanwhile.
 *
 * A batch on a file stays on the connection of everything else. libsql would leave that connection to the batch and open another one for what
 * follows, and none is closed before the garbage is collected: every batch would cost an open file, and a busy server a gigabyte.
 */
class PatientLibSql extends PrismaLibSql {
  /** Prisma connects again by itself when something is asked after the end; nobody would close that. */
  isClosed = false;

  override createClient(config: Parameters<PrismaLibSql['createClient']>[0]) {
    if (this.isClosed) throw new Error('the database was closed');
    const client = super.createClient(config);
    const turns = new Turns();
    const executeNow: Client['execute'] = client.execute.bind(client);
    const execute = (async (...statement: Parameters<Client['execute']>) => {
      if (client.protocol === 'file') await turns.next();
      return executeNow(...statement);
    }) as Client['execute'];
    const transaction = client.transaction.bind(client);
    client.execute = ((...statement: Parameters<typeof execute>) =>
      whenFree(client, LIMIT_MS, () => execute(...statement))) as typeof client.execute;
    client.transaction = async () => {
      if (client.protocol !== 'file') return whenFree(client, LIMIT_MS, () => transaction('write'));
      await whenFree(client, LIMIT_MS, () => execute('BEGIN IMMEDIATE'));
      return new Batch(client, executeNow, turns) as unknown as Transaction;
    };
    return client;
  }
}

/**
 * A statement on a file runs on the thread of everything else, and each is followed by the next without leaving it: a sign-in of twenty would
 * hold up whoever is answered from memory. So statements give way to the rest of the event loop when they have had it for `TURN_MS`.
 */
class Turns {
  #began: number | null = null;

  async next(): Promise<void> {
    while (this.#began !== null && performance.now() - this.#began >= TURN_MS) await setImmediate();
    if (this.#began !== null) return;
    this.#began = performance.now();
    void setImmediate().then(() => {
      this.#began = null;
    });
  }
}

type Client = ReturnType<PrismaLibSql['createClient']>;
type Transaction = Awaited<ReturnType<Client['transaction']>>;

/** What Prisma's adapter asks of a transaction. It lets nothing else onto the connection until one of the two ends was reached. */
class Batch {
  readonly #client: Client;
  readonly #execute: Client['execute'];
  readonly #turns: Turns;
  #state: 'open' | 'failed' | 'ended' = 'open';

  constructor(client: Client, execute: Client['execute'], turns: Turns) {
    this.#client = client;
    this.#execute = execute;
    this.#turns = turns;
  }

  /** After a failure SQLite may have ended the transaction by itself; what came next would be written alone. */
  async execute(statement: Parameters<Client['execute']>[0]) {
    await this.#turns.next();
    if (this.#state !== 'open') throw new Error(`a statement came to a batch that has ${this.#state}`);
    try {
      return await this.#execute(statement);
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  async commit(): Promise<void> {
    try {
      await this.execute('COMMIT');
      this.#state = 'ended';
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** A connection that cannot be told is closed, which undoes as well; whatever came next would otherwise belong to this batch. */
  async rollback(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    try {
      await this.#execute('ROLLBACK');
    } catch {
      if (!this.#client.closed) await reopen(this.#client);
    }
  }
}

/** Tries again while another connection writes. */
async function whenFree<T>(sql: Reopened, limitMs: number, attempt: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) && !isNotOpen(error)) throw error;
      if (performance.now() - began >= limitMs) throw error;
      await setTimeout(RETRY_MS);
      if (sql.closed) throw error;
      await reopen(sql); // a statement that was refused stays open, and no transaction commits beside it
    }
  }
}

type Reopened = Pick<Client, 'closed'> & { reconnect(): void | Promise<void> };

/** Where the file cannot be opened right now, for want of a descriptor perhaps, the next attempt finds it not open and tries again. */
async function reopen(sql: Reopened): Promise<void> {
  try {
    await sql.reconnect();
  } catch {}
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
}

function isNotOpen(error: unknown): boolean {
  return error instanceof Error && /connection is not open/i.test(error.message);
}

function pathOf(url: string): string {
  if (url.startsWith('file://')) return fileURLToPath(url.split('?', 1)[0] ?? url);
  return decodeURIComponent(url.slice('file:'.length).split('?', 1)[0] ?? '');
}
