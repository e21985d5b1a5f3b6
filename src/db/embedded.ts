import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { AuthTunaError, misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { PrismaClient } from './generated/sqlite/client.js';

// How long libsql itself waits for a file that another process writes, during which this process does nothing else: long enough for a write.
const BUSY_TIMEOUT_MS = 20;
const RETRY_MS = 20;
const LIMIT_MS = 2000; // docs/requirements.md DB-1: slower than this counts as down
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

  const adapter = isFile ? new FileAdapter(url) : new PrismaLibSql({ url });
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
/**
 * Two connections to one file: reads never queue behind a write that waits for the lock of the file, since readers and the writer do not
 * block each other in WAL mode. A read outside a batch sees all that was committed before it.
 */
class FileAdapter extends PrismaLibSql {
  readonly #turns = new Turns();
  readonly #reads: ReadAdapter;
  /** Prisma connects again by itself when something is asked after the end; nothing would close that. */
  isClosed = false;

  constructor(url: string) {
    super({ url, timeout: BUSY_TIMEOUT_MS });
    this.#reads = new ReadAdapter(url, this.#turns);
  }

  override async connect() {
    const writes = await super.connect();
    const reads = await this.#reads.connect();
    const queryWriter = writes.queryRaw.bind(writes);
    const disposeWriter = writes.dispose.bind(writes);
    writes.queryRaw = (query) =>
      query.sql.startsWith('SELECT') ? reads.queryRaw(query) : queryWriter(query);
    writes.dispose = async () => {
      await reads.dispose();
      await disposeWriter();
    };
    return writes;
  }

  /**
   * A batch takes the right to write when it begins: a batch that began as a reader is refused at its first write, at once, when another
   * connection wrote meanwhile. It stays on this connection: libsql would leave the connection to the batch and open another one for what
   * follows, and close neither before they are collected as garbage.
   */
  override createClient(config: ClientConfig) {
    if (this.isClosed) throw new Error('the database was closed');
    const client = super.createClient(config);
    const waiter = new LockWaiter(client, WRITE_PROBE);
    const executeNow: Client['execute'] = client.execute.bind(client);
    const execute = inTurn(executeNow, this.#turns);
    client.execute = ((...statement: Parameters<Client['execute']>) =>
      waiter.run(LIMIT_MS, () => execute(...statement))) as Client['execute'];
    client.transaction = async () => {
      await waiter.run(LIMIT_MS, () => execute('BEGIN IMMEDIATE'));
      return new Batch(client, executeNow, this.#turns) as unknown as Transaction;
    };
    return client;
  }
}

/** The connection of a {@link FileAdapter} for reads. */
class ReadAdapter extends PrismaLibSql {
  readonly #turns: Turns;

  constructor(url: string, turns: Turns) {
    super({ url, timeout: BUSY_TIMEOUT_MS });
    this.#turns = turns;
  }

  override createClient(config: ClientConfig) {
    const client = super.createClient(config);
    const waiter = new LockWaiter(client, READ_PROBE);
    const execute = inTurn(client.execute.bind(client), this.#turns);
    client.execute = ((...statement: Parameters<Client['execute']>) =>
      waiter.run(LIMIT_MS, () => execute(...statement))) as Client['execute'];
    return client;
  }
}

type ClientConfig = Parameters<PrismaLibSql['createClient']>[0];

function inTurn(execute: Client['execute'], turns: Turns): Client['execute'] {
  return (async (...statement: Parameters<Client['execute']>) => {
    await turns.next();
    return execute(...statement);
  }) as Client['execute'];
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
  #wasRefused = false;

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
      this.#wasRefused = isBusy(error);
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

  /** Where a statement was refused, or rolling back is, the connection is replaced too: what came next would otherwise belong to this batch. */
  async rollback(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    try {
      await this.#execute('ROLLBACK');
    } catch {
      this.#wasRefused = true;
    }
    if (this.#wasRefused && !this.#client.closed) await reopen(this.#client);
  }
}

/**
 * Runs statements on one connection, and tries a statement again while another connection holds the write lock of the file.
 *
 * libsql leaves a refused statement open until it is collected as garbage. Beside such a statement nothing commits, reads come from an old
 * snapshot, and even closing the connection lets go of no lock. So a connection that refused a statement is replaced before anything else
 * happens, on every way out; until the lock is free, only a probe asks for it, whose statements libsql always finishes.
 */
class LockWaiter {
  readonly #client: Reopened;
  readonly #probe: string;
  #isLocked = false;

  constructor(client: Reopened, probe: string) {
    this.#client = client;
    this.#probe = probe;
  }

  /** Resolves with what `attempt` gives, or rejects with its error after `limitMs` of being refused. */
  async run<T>(limitMs: number, attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      try {
        if (this.#isLocked) await this.#client.executeMultiple(this.#probe);
        this.#isLocked = false;
        return await attempt();
      } catch (error) {
        if (!isBusy(error) && !isNotOpen(error)) throw error;
        if (!this.#isLocked && !this.#client.closed) await reopen(this.#client);
        this.#isLocked = isBusy(error);
        if (performance.now() >= deadline || this.#client.closed) throw error;
        await setTimeout(RETRY_MS);
        // An attempt blocks for as long as a timer waits: several that tried again from timers would leave nothing else to run.
        await setImmediate();
      }
    }
  }
}

const WRITE_PROBE = 'BEGIN IMMEDIATE; COMMIT';
const READ_PROBE = 'SELECT 1 FROM sqlite_schema';

type Reopened = Pick<Client, 'closed' | 'executeMultiple'> & { reconnect(): void | Promise<void> };

/** Where the file cannot be opened right now, perhaps for want of a descriptor, the next attempt finds it not open and tries again. */
async function reopen(client: Reopened): Promise<void> {
  try {
    await client.reconnect();
  } catch {}
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
