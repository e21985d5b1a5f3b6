import { setImmediate } from 'node:timers/promises';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { BUSY_TIMEOUT_MS, isBusy, LockWaiter, READ_PROBE, reopen, WRITE_PROBE } from './lock-waiter.js';
import { OpenFile } from './open-file.js';

const LIMIT_MS = 2000; // docs/requirements.md DB-1: slower than this counts as down
const TURN_MS = 1; // longer than most statements take

/**
 * Two connections to one file: reads never queue behind a write that waits for the lock of the file, since readers and the writer do not
 * block each other in WAL mode. A read outside a batch sees all that was committed before it.
 */
export class FileAdapter extends PrismaLibSql {
  readonly #turns = new Turns();
  readonly #reads: ReadAdapter;
  readonly #file: OpenFile;
  /** Prisma connects again by itself when something is asked after the end; nothing would close that. */
  isClosed = false;

  /** @param path of the file, absolute */
  constructor(url: string, path: string) {
    super({ url, timeout: BUSY_TIMEOUT_MS });
    this.#file = new OpenFile(path);
    this.#reads = new ReadAdapter(url, this.#turns, this.#file);
  }

  override async connect(): ReturnType<PrismaLibSql['connect']> {
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
    client.execute = (async (...statement: Parameters<Client['execute']>) => {
      this.#file.check();
      return waiter.run(LIMIT_MS, () => execute(...statement));
    }) as Client['execute'];
    client.transaction = async () => {
      this.#file.check();
      await waiter.run(LIMIT_MS, () => execute('BEGIN IMMEDIATE'));
      return new Batch(client, executeNow, this.#turns) as unknown as Transaction;
    };
    return client;
  }
}

/** The connection of a {@link FileAdapter} for reads. */
class ReadAdapter extends PrismaLibSql {
  readonly #turns: Turns;
  readonly #file: OpenFile;

  constructor(url: string, turns: Turns, file: OpenFile) {
    super({ url, timeout: BUSY_TIMEOUT_MS });
    this.#turns = turns;
    this.#file = file;
  }

  override createClient(config: ClientConfig) {
    const client = super.createClient(config);
    const waiter = new LockWaiter(client, READ_PROBE);
    const execute = inTurn(client.execute.bind(client), this.#turns);
    client.execute = (async (...statement: Parameters<Client['execute']>) => {
      this.#file.check();
      return waiter.run(LIMIT_MS, () => execute(...statement));
    }) as Client['execute'];
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
 * A statement on a file blocks the event loop, and the next statement follows it at once: the twenty statements of a sign-in would hold up
 * the requests that are answered from memory. So statements let the rest of the event loop run after `TURN_MS`.
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
