import { isUniqueViolation } from '../../db/client.js';
import type { Redis } from '../../db/redis.js';
import type { Runtime } from '../runtime.js';

/** Where counters are kept: a value that is replaced only if it is still what was read. */
export interface CounterStore {
  read(id: string): Promise<string | null>;
  /** @returns false when another process was faster */
  replace(id: string, seen: string | null, next: string, lifetimeSeconds: number): Promise<boolean>;
}

/** Counters in the table `RateWindow`. */
export function databaseStore(runtime: Runtime): CounterStore {
  const { db } = runtime;
  return {
    async read(id) {
      return (await db.rateWindow.findUnique({ where: { key: id } }))?.state ?? null;
    },
    async replace(id, seen, next, lifetimeSeconds) {
      const expiresAt = new Date(runtime.now().getTime() + lifetimeSeconds * 1000);
      if (seen !== null) {
        const { count } = await db.rateWindow.updateMany({
          where: { key: id, state: seen },
          data: { state: next, expiresAt },
        });
        return count === 1;
      }
      try {
        await db.rateWindow.create({ data: { key: id, state: next, expiresAt } });
        return true;
      } catch (error) {
        if (isUniqueViolation(error)) return false;
        throw error;
      }
    },
  };
}

// Redis runs a script as one step. An empty string stands for "was not there".
const REPLACE = `
local present = redis.call('GET', KEYS[1])
if (present or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`;

/** Counters in Redis, which forgets them by itself. */
export function redisStore(redis: Redis): CounterStore {
  const keyOf = (id: string) => `authtuna:rate:${id}`;
  return {
    read: (id) => redis.run((client) => client.get(keyOf(id))),
    async replace(id, seen, next, lifetimeSeconds) {
      const replaced = await redis.run((client) =>
        client.eval(REPLACE, { keys: [keyOf(id)], arguments: [seen ?? '', next, String(lifetimeSeconds)] }),
      );
      return replaced === 1;
    },
  };
}
