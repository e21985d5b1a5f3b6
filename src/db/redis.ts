import { AuthTunaError } from '../errors.js';
import { inTime } from '../time.js';
import { clusterClient, connectRedis, loadRedis, placeOf } from './redis-connect.js';
import type { RedisPlace } from './redis-place.js';

const COMMAND_MS = 2000; // as the database is given
const PAUSE_MS = 250; // between attempts to connect

/** The commands that are used: each names one key, so that a cluster knows its node. */
export interface RedisCommands {
  get(key: string): Promise<string | null>;
  eval(script: string, call: { keys: [string]; arguments: string[] }): Promise<unknown>;
}

interface Connection {
  readonly commands: RedisCommands;
  isOpen(): boolean;
  close(): void;
}

/**
 * A connection to `redisUrl`, opened by the first command, and by the next one after it was lost: to the master of that moment, where
 * sentinels know it.
 *
 * While Redis is down every command is refused at once instead of waiting for it, so that who counts on it can fail closed. The log says
 * once that it went and once that it came back.
 */
export class Redis {
  readonly #logger: Pick<Console, 'error' | 'info'>;
  readonly #place: RedisPlace;
  #connection: Connection | null = null;
  #opening: Promise<Connection> | null = null;
  /** Why the last attempt failed, until the next one may begin. */
  #failure: unknown = null;
  #isDown = false;
  #isClosed = false;

  /** @throws AuthTunaError `misconfigured` when the package `redis` is not installed */
  constructor(url: string, logger: Pick<Console, 'error' | 'info'>) {
    loadRedis();
    this.#logger = logger;
    this.#place = placeOf(url);
  }

  /** @throws AuthTunaError `unavailable` when Redis does not answer within 2 s */
  async run<T>(command: (commands: RedisCommands) => Promise<T>): Promise<T> {
    try {
      return await inTime('Redis', COMMAND_MS, async () => {
        const present = this.#connection;
        const { commands } = present?.isOpen() === true ? present : await this.#open();
        return command(commands);
      });
    } catch (error) {
      this.#lookAt(error);
      throw new AuthTunaError('unavailable', { retryAfterSeconds: 1 }, { cause: error });
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
    this.#connection = null;
  }

  async #open(): Promise<Connection> {
    if (this.#isClosed) throw new Error('the connection to Redis is closed');
    if (this.#failure !== null) throw this.#failure;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<Connection> {
    try {
      const connection =
        this.#place.kind === 'cluster' ? await this.#toCluster(this.#place) : await this.#toMaster();
      if (this.#isClosed) connection.close();
      else this.#connection = connection;
      this.#report(false);
      return connection;
    } catch (error) {
      this.#failure = error;
      setTimeout(() => {
        this.#failure = null;
      }, PAUSE_MS).unref();
      this.#report(true, error);
      throw error;
    }
  }

  async #toMaster(): Promise<Connection> {
    let connection: Connection | null = null;
    const client = await connectRedis(this.#place, (error) => this.#lost(connection, error));
    connection = {
      commands: client,
      isOpen: () => client.isOpen,
      close: () => {
        if (client.isOpen) client.destroy();
      },
    };
    return connection;
  }

  async #toCluster(place: RedisPlace & { kind: 'cluster' }): Promise<Connection> {
    const cluster = clusterClient(place);
    cluster.on('error', (error: unknown) => this.#report(true, error));
    cluster.on('node-error', (error: unknown) => this.#report(true, error));
    cluster.on('node-ready', () => this.#report(false));
    await cluster.connect();
    return { commands: cluster, isOpen: () => true, close: () => cluster.destroy() };
  }

  #lost(connection: Connection | null, error: unknown): void {
    if (connection === null || this.#connection !== connection) return; // not opened, replaced or closed
    this.#connection = null;
    connection.close();
    this.#report(true, error);
  }

  /** A server that stays connected and refuses what only a master does, or only the right node of a cluster. */
  #lookAt(error: unknown): void {
    const [, word] = /^(READONLY|MOVED)\b/.exec(error instanceof Error ? error.message : '') ?? [];
    if (word === undefined || this.#connection === null || this.#place.kind === 'cluster') return;
    const remedy =
      word === 'MOVED' ? 'belongs to a cluster: write redis+cluster:// in redisUrl' : 'is a replica';
    this.#lost(this.#connection, new Error(`the server ${remedy}`, { cause: error }));
  }

  #report(isDown: boolean, error?: unknown): void {
    if (isDown === this.#isDown || this.#isClosed) return;
    this.#isDown = isDown;
    const logger = this.#logger;
    if (isDown)
      logger.error('Redis is not reachable; what is counted there is refused meanwhile.', { error });
    else logger.info('Redis is reachable again.');
  }
}
