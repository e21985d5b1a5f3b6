import { connectionOf, loadAdapter } from '../../db/postgresql.js';
import type { Channel } from './channel.js';

const CHANNEL = 'authtuna';
const LIMIT_MS = 2000;

/**
 * LISTEN on a connection of its own, and NOTIFY on another. A pooler that hands connections around between statements (pgbouncer in transaction
 * mode) swallows notifications; then `databaseUrl` has to name the server itself, or `redisUrl` another way. Such a pooler does bring back
 * what the listening connection itself sends, so sending there would prove nothing.
 *
 * @throws AuthTunaError `misconfigured` when the optional peer `@prisma/adapter-pg` is not installed
 */
export function postgresqlChannel(url: string): Channel {
  const { PrismaPg } = loadAdapter();
  const { connection } = connectionOf(url);
  return {
    kind: 'postgresql',
    async open(onMessage, onLost) {
      const adapter = await new PrismaPg(
        { ...connection, max: 2, query_timeout: LIMIT_MS, application_name: 'authtuna broadcast' },
        { onPoolError: onLost, onConnectionError: onLost },
      ).connect();
      const pool = adapter.underlyingDriver();
      const opened: { release(isBroken: boolean): void }[] = [];
      let isOpen = true;
      const close = async () => {
        if (!isOpen) return;
        isOpen = false;
        for (const each of opened) each.release(true); // ends the connection rather than keeping it
        await pool.end();
      };
      const connect = async () => {
        const sql = await pool.connect();
        opened.push(sql);
        sql.on('error', onLost);
        sql.on('end', () => onLost());
        return sql;
      };
      try {
        const listener = await connect();
        listener.on('notification', ({ payload }) => onMessage(payload ?? ''));
        await listener.query(`LISTEN ${CHANNEL}`);
        const sender = await connect();
        let last: Promise<unknown> = Promise.resolve();
        return {
          send(payload) {
            // One statement after the other: the driver is about to stop queueing them itself.
            const sent = last.then(() => sender.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]));
            last = sent.catch(() => {});
            return sent.then(() => {});
          },
          close,
        };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}
