import { connectRedis, loadRedis, placeOf, type RedisClient } from '../../db/redis-connect.js';
import type { Channel } from './channel.js';

/**
 * Redis publish and subscribe, two connections. In a cluster both lead to one node, which hands messages on to all others; where
 * sentinels know the master, both lead there.
 *
 * @throws AuthTunaError `misconfigured` when the optional peer `redis` is not installed
 */
export function redisChannel(url: string, name: string): Channel {
  loadRedis();
  const place = placeOf(url);
  return {
    kind: 'redis',
    async open(onMessage, onLost) {
      const publisher = await connectRedis(place, onLost);
      const clients: RedisClient[] = [publisher];
      const close = async () => {
        for (const client of clients) if (client.isOpen) client.destroy();
      };
      try {
        const subscriber = publisher.duplicate();
        clients.push(subscriber);
        subscriber.on('error', onLost).on('end', () => onLost());
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
