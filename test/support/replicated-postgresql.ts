import { PrismaPg } from '@prisma/adapter-pg';
import { onTestFinished, vi } from 'vitest';
import { createPrimary, type PostgresqlServer } from '../../scripts/postgresql-server.js';
import { FaultProxy } from '../race/fault-proxy.js';
import type { TestDatabase } from './database.js';

export interface ReplicatedPostgresql {
  primary: PostgresqlServer;
  replica: PostgresqlServer;
  /** The way of the replica to the primary: while it is down, the replica falls behind. */
  replication: FaultProxy;
  /** The name by which apps reach the database: it leads to the primary, and to the replica once that is promoted. */
  address: FaultProxy;
  database: TestDatabase;
  /** Resolves when the replica has all that the primary has. */
  caughtUp(): Promise<void>;
  /** Makes the replica the primary, and leads the address to it. */
  promote(): Promise<void>;
}

/**
 * Two PostgreSQL servers of their own, a primary and a streaming replica, ended after the test.
 *
 * @param isSynchronous the primary answers a commit once the replica has it
 */
export async function startReplicated(
  options: { isSynchronous?: boolean } = {},
): Promise<ReplicatedPostgresql> {
  const {
    primary,
    replica: replicaOf,
    remove,
  } = await createPrimary(
    undefined,
    options.isSynchronous === true ? { synchronous_standby_names: 'replica', synchronous_commit: 'on' } : {},
  );
  onTestFinished(remove);
  const replication = new FaultProxy(primary.port);
  const address = new FaultProxy(primary.port);
  onTestFinished(() => Promise.all([replication.close(), address.close()]).then(() => {}));
  const replica = await replicaOf('replica', await replication.start());
  const port = await address.start();
  onTestFinished(() => Promise.all([primary.stop(), replica.stop()]).then(() => {}));
  await primary.start();
  await replica.start();
  const from = primary.urlOf('postgres');
  const to = replica.urlOf('postgres');
  await vi.waitFor(
    async () => {
      if ((await soleValue(from, 'SELECT count(*)::text FROM pg_stat_replication')) !== '1')
        throw new Error('the replica does not follow');
    },
    { timeout: 20_000 },
  );
  return {
    primary,
    replica,
    replication,
    address,
    database: {
      url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`,
      dialect: 'postgresql',
      drop: async () => {},
    },
    async caughtUp() {
      const position = await soleValue(from, 'SELECT pg_current_wal_insert_lsn()::text');
      await vi.waitFor(
        async () => {
          const isThere = `SELECT (pg_last_wal_replay_lsn() >= '${position}')::text`;
          if ((await soleValue(to, isThere)) !== 'true') throw new Error('the replica is behind');
        },
        { timeout: 10_000 },
      );
    },
    async promote() {
      await soleValue(to, 'SELECT pg_promote()::text');
      address.retarget(replica.port);
      address.up();
    },
  };
}

/** The single value of a query. */
async function soleValue(url: string, sql: string): Promise<unknown> {
  const connection = await new PrismaPg({ connectionString: url, max: 1 }).connect();
  try {
    const { rows } = await connection.queryRaw({ sql, args: [], argTypes: [] });
    return rows[0]?.[0];
  } finally {
    await connection.dispose();
  }
}
