import { randomUUID } from 'node:crypto';
import { copyFile, rm } from 'node:fs/promises';
import { inject } from 'vitest';
import type { DatabaseConnection, Dialect } from '../../src/db/connection.js';
import { openSqlite } from '../../src/db/embedded.js';
import { openPostgresql } from '../../src/db/postgresql.js';
import { administer } from './administer.js';

export interface TestDatabase {
  url: string;
  dialect: Dialect;
  drop(): Promise<void>;
}

/** A migrated database of its own with the shipped roles and nobody in it, in the dialect of the running project. */
export function freshDatabase(): Promise<TestDatabase> {
  return inject('dialect') === 'sqlite' ? copyOfFile() : databaseOnServer(inject('templateUrl'));
}

/** Like {@link freshDatabase}, without a single table. */
export function emptyDatabase(): Promise<TestDatabase> {
  return inject('dialect') === 'sqlite' ? copyOfFile(false) : databaseOnServer('template0');
}

/** Opens a test's database with the library's own drivers. */
export async function openDatabase(
  database: Pick<TestDatabase, 'url' | 'dialect'>,
): Promise<DatabaseConnection> {
  const connection = database.dialect === 'sqlite' ? openSqlite(database.url) : openPostgresql(database.url);
  await connection.prepare();
  return connection;
}

async function copyOfFile(migrated = true): Promise<TestDatabase> {
  const template = inject('templateUrl').slice('file:'.length);
  const file = template.replace(/template\.db$/, `${randomUUID()}.db`);
  if (migrated) await copyFile(template, file);
  return {
    url: `file:${file}`,
    dialect: 'sqlite',
    async drop() {
      await Promise.all(['', '-wal', '-shm'].map((suffix) => rm(file + suffix, { force: true })));
    },
  };
}

async function databaseOnServer(template: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const templateName = template.slice(template.lastIndexOf('/') + 1);
  // From `postgres`: nobody may be connected to the database that is copied.
  const server = inject('templateUrl').replace(/[^/]+$/, 'postgres');
  await administer(server, `CREATE DATABASE "${name}" TEMPLATE "${templateName}"`);
  return {
    url: inject('templateUrl').replace(/[^/]+$/, name),
    dialect: 'postgresql',
    drop: () => administer(server, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
  };
}
