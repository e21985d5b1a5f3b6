import { setImmediate, setTimeout } from 'node:timers/promises';
import type { PrismaLibSql } from '@prisma/adapter-libsql';

type Client = ReturnType<PrismaLibSql['createClient']>;

/**
 * How long libsql itself waits for a file that another process writes, during which this process does nothing else: long enough for one
 * short write.
 */
export const BUSY_TIMEOUT_MS = 20;
const RETRY_MS = 20;

/**
 * Runs statements on one connection, and tries a statement again while another connection holds the write lock of the file.
 *
 * libsql leaves a refused statement open until it is collected as garbage. Beside such a statement nothing commits, reads come from an old
 * snapshot, and even closing the connection lets go of no lock. So a connection that refused a statement is replaced before anything else
 * happens, on every way out; until the lock is free, only a probe asks for it, whose statements libsql always finishes.
 */
export class LockWaiter {
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

export const WRITE_PROBE = 'BEGIN IMMEDIATE; COMMIT';
export const READ_PROBE = 'SELECT 1 FROM sqlite_schema';

type Reopened = Pick<Client, 'closed' | 'executeMultiple'> & { reconnect(): void | Promise<void> };

/** Where the file cannot be opened right now, perhaps for want of a descriptor, the next attempt finds it not open and tries again. */
export async function reopen(client: Reopened): Promise<void> {
  try {
    await client.reconnect();
  } catch {}
}

/** Whether another connection holds the lock of the file. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
}

function isNotOpen(error: unknown): boolean {
  return error instanceof Error && /connection is not open/i.test(error.message);
}
