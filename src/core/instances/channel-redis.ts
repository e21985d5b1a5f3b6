import { loadRedis } from '../../db/redis.js';
import type { Channel } from './channel.js';

const LIMIT_MS = 2000;

/**
 * Redis publish and subscribe (`redis://…`, `rediss://…`), two connections.
 *
 * @throws AuthTunaError `misconfigured` when the optional peer `redis` is not installed
 */
export function redisChannel(url: string, name: string): Channel {
  const { createClient } = loadRedis();
  return {
    kind: 'redis',
    async open(onMessage, onLost) {
      const publisher = createClient({
        url,
        disableOfflineQueue: true, // what cannot be sent now is stale later
        socket: { connectTimeout: LIMIT_MS, reconnectStrategy: false },
      });
      const subscriber = publisher.duplicate();
      const clients = [publisher, subscriber];
      for (const client of clients) client.on('error', onLost).on('end', () => onLost());
      const close = async () => {
        for (const client of clients) if (client.isOpen) client.destroy();
      };
      try {
        await publisher.connect();
        await subscriber.connect();
        await subscriber.subscribe(name, onMessage);
      } catch (error) {
        await close();
        throw error;
      }
      return {
        send: async (payload) => {
          await publisher.publish(name, payload);
        },
        close,
      };
    },
  };
}
