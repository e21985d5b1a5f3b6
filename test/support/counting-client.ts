import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import type { PrismaLike } from '../../src/db/client.js';
import { PrismaClient as PostgresqlClient } from '../../src/db/generated/postgresql/client.js';
import { PrismaClient as SqliteClient } from '../../src/db/generated/sqlite/client.js';
import type { TestDatabase } from './database.js';

/** A client of the host's own over a test's database that notes every SQL statement. */
export function countingClient(database: TestDatabase): { client: PrismaLike; statements: string[] } {
  const statements: string[] = [];
  const log = [{ emit: 'event', level: 'query' }] as const;
  const note = (event: { query: string }) => void statements.push(event.query);
  if (database.dialect === 'sqlite') {
    const client = new SqliteClient({
      adapter: new PrismaLibSql({ url: database.url, timeout: 5000 }),
      log: [...log],
    });
    client.$on('query', note);
    return { client, statements };
  }
  const client = new PostgresqlClient({
    adapter: new PrismaPg({ connectionString: database.url }),
    log: [...log],
  });
  client.$on('query', note);
  return { client, statements };
}
