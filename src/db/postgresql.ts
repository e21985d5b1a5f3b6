import { createRequire } from 'node:module';
import { AuthTunaError, misconfigured } from '../errors.js';
import type { DatabaseConnection } from './connection.js';
import { PrismaClient } from './generated/postgresql/client.js';
import { IS_REPLICA, startProblem } from './start-problem.js';

const LIMIT_MS = 2000; // docs/requirements.md DB-1: slower than this counts as down
const DEFAULT_CONNECTIONS = 10;
const MIGRATION_LOCK = 4_812_960_573; // any number that no other program uses

/**
 * Opens a PostgreSQL database (`postgresql://user:password@host/name`).
 *
 * `connection_limit` in the URL bounds the pool (10), `schema` names a schema other than `public`. Connecting and every
 * statement may take 2 s. `pgbouncer=true` sets nothing at the start of a connection, which PgBouncer refuses.
 * @throws AuthTunaError `misconfigured` when the optional peer `@prisma/adapter-pg` is not installed
 */
export function openPostgresql(url: string): DatabaseConnection {
  const { PrismaPg } = loadAdapter();
  const { connection, max, schema, isPooled } = connectionOf(url);
  const pool = {
    ...connection,
    max,
    query_timeout: LIMIT_MS,
    // PgBouncer refuses a connection that sets it at the start.
    ...(!isPooled && { statement_timeout: LIMIT_MS }),
  };
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
          // Unquoted names of the migrations are looked up here; the client qualifies its own.
          if (schema !== undefined) await setSchema(sql, schema);
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

/** The reason stands in the cause, which visitors never see. */
function unreachable(url: string, error: unknown): AuthTunaError {
  return new AuthTunaError(
    'unavailable',
    {},
    { cause: new Error(startProblem(error, url), { cause: error }) },
  );
}

interface Queries {
  query(text: string, values?: string[]): Promise<{ rows: unknown[] }>;
}

interface NewConnection extends Queries {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Makes the schema, and looks names up there until the transaction ends. Names of any letters are right: they are quoted. */
async function setSchema(sql: Queries, schema: string): Promise<void> {
  const name = `"${schema.replaceAll('"', '""')}"`;
  const { rows } = await sql.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema]);
  // Asked first, because IF NOT EXISTS needs the right to make schemas even where there is nothing to make.
  if (rows.length === 0) await sql.query(`CREATE SCHEMA ${name}`);
  await sql.query(`SET LOCAL search_path TO ${name}`);
}

/**
 * A password with `#`, `/` or `?` in it ends the host early, and the driver takes one host. The URL stands in no message: it holds the password.
 *
 * @throws AuthTunaError `misconfigured`
 */
function requireReadable(url: string): void {
  const [, authority = ''] = /^\w+:\/\/([^/?#]*)/.exec(url) ?? [];
  const hosts = authority.slice(authority.lastIndexOf('@') + 1);
  if (hosts.includes(',') || /[?&]host=[^&]*(?:,|%2C)/i.test(url))
    throw misconfigured(
      'databaseUrl names several hosts, and the driver connects to one. Name an address that leads to the primary: a DNS name that your failover changes, a proxy, or PgBouncer',
    );
  const address = URL.canParse(url) ? new URL(url) : null;
  const isCutShort =
    address !== null && address.username === '' && /@/.test(address.pathname + address.search + address.hash);
  if (address === null || isCutShort || address.hash !== '')
    throw misconfigured(
      'databaseUrl cannot be read as postgresql://user:password@host:5432/name. Write @ : / # ? and % in the password as %40 %3A %2F %23 %3F %25',
    );
}

/** How to reach the server of a URL, for the pool and for connections beside it. */
export function connectionOf(url: string) {
  requireReadable(url);
  const address = new URL(url);
  const isPooled = address.searchParams.get('pgbouncer') === 'true';
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
    verify: requirePrimary,
  };
  return { connection, max, schema, isPooled };
}

/**
 * Refuses a new connection to a server that follows another. It is behind: a session that was revoked is still alive there. A name or proxy
 * can lead to it for a while around a failover. A primary becomes a replica only by a restart, which ends its connections, so once is enough.
 */
function requirePrimary(client: NewConnection, done: (error?: Error) => void): void {
  client.on('error', () => {}); // the query that waits for an answer fails; without a listener the error would end the process
  client
    .query('SELECT pg_is_in_recovery() AS "isReplica"')
    .then(({ rows }) => {
      const [row] = rows as { isReplica: boolean }[];
      if (row?.isReplica === false) done();
      else done(new Error(IS_REPLICA));
    })
    .catch((error: unknown) => done(error instanceof Error ? error : new Error(String(error))));
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
