import { createRequire } from 'node:module';
import { AuthTunaError, misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { PrismaClient } from './generated/postgresql/client.js';

const LIMIT_MS = 2000; // docs/requirements.md DB-1: slower than this counts as down
const DEFAULT_CONNECTIONS = 10;
const MIGRATION_LOCK = 4_812_960_573; // any number that no other program uses

/**
 * Opens a PostgreSQL database (`postgresql://user:password@host/name`).
 *
 * `connection_limit` in the URL bounds the pool (10), `schema` names a schema other than `public`. Connecting and every
 * statement may take 2 s.
 * @throws AuthTunaError `misconfigured` when the optional peer `@prisma/adapter-pg` is not installed
 */
export function openPostgresql(url: string): DatabaseConnection {
  const { PrismaPg } = loadAdapter();
  const { connection, max, schema } = connectionOf(url);
  const pool = { ...connection, max, statement_timeout: LIMIT_MS, query_timeout: LIMIT_MS };
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  const listeners = { onPoolError: () => {}, onConnectionError: () => {} };
  const client = new PrismaClient({ adapter: new PrismaPg(pool, { schema, ...listeners }) });

  return {
    dialect: 'postgresql',
    client,
    prepare: async () => {},

    async exclusively(work) {
      const adapter = await new PrismaPg({ ...connection, max: 1 }, listeners).connect();
      try {
        const sql = await adapter
          .underlyingDriver()
          .connect()
          .catch((error: unknown) => {
            throw unreachable(url, error);
          });
        try {
          await sql.query('BEGIN');
          await sql.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
          const result = await work({
            query: async (statement, values = []) => (await sql.query(statement, [...values])).rows,
            script: async (statements) => {
              await sql.query(statements);
            },
          });
          await sql.query('COMMIT');
          return result;
        } finally {
          sql.release(true); // ends the connection, and with it a transaction that was not committed
        }
      } finally {
        await adapter.underlyingDriver().end();
      }
    },

    close: () => client.$disconnect(),
  };
}

/** Where the server is stands in the cause, which visitors never see; the password of the URL nowhere. */
function unreachable(url: string, error: unknown): AuthTunaError {
  const { host } = new URL(url);
  const why = error instanceof Error ? error.message : String(error);
  const cause = new Error(
    `The PostgreSQL at ${host} of databaseUrl cannot be used: ${why}. A password with @ : / # or ? in it must be percent-encoded in the URL.`,
    { cause: error },
  );
  return new AuthTunaError('unavailable', {}, { cause });
}

/** How to reach the server of a URL, for the pool and for connections beside it. */
export function connectionOf(url: string) {
  const address = new URL(url);
  const max = Number(address.searchParams.get('connection_limit') ?? DEFAULT_CONNECTIONS);
  const schema = address.searchParams.get('schema') ?? undefined;
  // Prisma's parameters of old; the driver would send them to the server, which does not know them.
  for (const name of ['connection_limit', 'schema', 'pool_timeout', 'connect_timeout', 'pgbouncer']) {
    address.searchParams.delete(name);
  }
  const connection = {
    connectionString: address.href,
    connectionTimeoutMillis: LIMIT_MS,
    keepAlive: true,
    // Unquoted names of the migrations are looked up here; the client qualifies its own.
    ...(schema && { options: `-c search_path=${schema}` }),
  };
  return { connection, max, schema };
}

/** The optional peer, with the sentence that helps when it is not there. */
export function loadAdapter(): typeof import('@prisma/adapter-pg') {
  try {
    // Required rather than imported, because it may be missing and creating an AuthTuna is synchronous.
    return createRequire(import.meta.url)('@prisma/adapter-pg') as typeof import('@prisma/adapter-pg');
  } catch (cause) {
    throw misconfigured('PostgreSQL needs its adapter: npm install @prisma/adapter-pg', cause);
  }
}
