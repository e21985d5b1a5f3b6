import { connectionOf, loadAdapter } from '../../db/postgresql.js';
import type { Channel } from './channel.js';

const CHANNEL = 'authtuna';
const LIMIT_MS = 2000;

/**
 * LISTEN and NOTIFY on a connection of its own. A pooler that hands connections around between statements (pgbouncer in transaction mode)
 * swallows notifications; then `databaseUrl` has to name the server itself, or `redisUrl` another way.
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
        { ...connection, max: 1, query_timeout: LIMIT_MS, application_name: 'authtuna broadcast' },
        { onPoolError: onLost, onConnectionError: onLost },
      ).connect();
      const pool = adapter.underlyingDriver();
      try {
        const sql = await pool.connect();
        sql.on('notification', ({ payload }) => onMessage(payload ?? ''));
        sql.on('error', onLost);
        sql.on('end', () => onLost());
        let isOpen = true;
        const close = async () => {
          if (!isOpen) return;
          isOpen = false;
          sql.release(true); // ends the connection rather than keeping it
          await pool.end();
        };
        try {
          await sql.query(`LISTEN ${CHANNEL}`);
        } catch (error) {
          await close();
          throw error;
        }
        let last: Promise<unknown> = Promise.resolve();
        return {
          send(payload) {
            // One statement after the other: the driver is about to stop queueing them itself.
            const sent = last.then(() => sql.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]));
            last = sent.catch(() => {});
            return sent.then(() => {});
          },
          close,
        };
      } catch (error) {
        if (!pool.ended) await pool.end();
        throw error;
      }
    },
  };
}
