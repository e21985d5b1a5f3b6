import { createRequire } from 'node:module';
import { AuthTunaError, misconfigured } from '../errors.js';
import { inTime } from '../time.js';

/** @internal An optional peer must not be in the types that every host compiles. */
type RedisPackage = typeof import('redis');
/** @internal */
export type RedisClient = ReturnType<RedisPackage['createClient']>;

const CONNECT_MS = 2000;
const COMMAND_MS = 2000; // as the database is given
const MAX_PAUSE_MS = 5000;

/**
 * @internal The optional peer `redis`.
 *
 * @throws AuthTunaError `misconfigured` when it is not installed
 */
export function loadRedis(): RedisPackage {
  try {
    // Required rather than imported, because it may be missing and creating an AuthTuna is synchronous.
    return createRequire(import.meta.url)('redis') as RedisPackage;
  } catch (cause) {
    throw misconfigured('redisUrl needs the Redis client: npm install redis', cause);
  }
}

/**
 * A connection to `redisUrl`, opened by the first command and reopened by itself.
 *
 * While Redis is down every command is refused at once instead of waiting for it, so that who counts on it can fail closed. The log says
 * once that it went and once that it came back.
 */
export class Redis {
  readonly #logger: Pick<Console, 'error' | 'info'>;
  readonly #client: RedisClient;
  #opening: Promise<void> | null = null;
  #isDown = false;

  /** @throws AuthTunaError `misconfigured` when the package `redis` is not installed */
  constructor(url: string, logger: Pick<Console, 'error' | 'info'>) {
    this.#logger = logger;
    this.#client = loadRedis().createClient({
      url,
      disableOfflineQueue: true,
      socket: {
        connectTimeout: CONNECT_MS,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 10), MAX_PAUSE_MS),
      },
    });
  }

  /** @internal @throws AuthTunaError `unavailable` when Redis does not answer within 2 s */
  async run<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    try {
      return await inTime('Redis', COMMAND_MS, async () => {
        this.#opening ??= this.#open();
        await this.#opening;
        if (!this.#client.isReady) throw new Error('Redis is not connected');
        return command(this.#client);
      });
    } catch (error) {
      throw new AuthTunaError('unavailable', { retryAfterSeconds: 1 }, { cause: error });
    }
  }

  /** Ends the connection. */
  close(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }

  /** Resolves with the first success or failure; after a failure the client goes on trying. */
  #open(): Promise<void> {
    return new Promise((resolve) => {
      this.#client.on('ready', () => {
        this.#report(false);
        resolve();
      });
      this.#client.on('error', (error: unknown) => {
        this.#report(true, error);
        resolve();
      });
      this.#client.connect().catch(() => resolve()); // reported by 'error'; only `close` ends the attempts
    });
  }

  #report(isDown: boolean, error?: unknown): void {
    if (isDown === this.#isDown) return;
    this.#isDown = isDown;
    const logger = this.#logger;
    if (isDown)
      logger.error('Redis is not reachable; what is counted there is refused meanwhile.', { error });
    else logger.info('Redis is reachable again.');
  }
}
