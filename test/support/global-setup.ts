import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import type { TestProject } from 'vitest/node';
import { startPostgresql } from '../../scripts/postgresql-server.js';
import type { DatabaseConnection } from '../../src/db/connection.js';
import { openSqlite } from '../../src/db/embedded.js';
import { migrate } from '../../src/db/migrate.js';
import { openPostgresql } from '../../src/db/postgresql.js';
import { administer } from './administer.js';

declare module 'vitest' {
  export interface ProvidedContext {
    dialect: 'sqlite' | 'postgresql';
    /** A migrated, empty database that `freshDatabase` copies. */
    templateUrl: string;
  }
}

/** Once per project: a migrated template, and for PostgreSQL the one server of the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  return project.config.provide.dialect === 'postgresql' ? setUpPostgresql(project) : setUpSqlite(project);
}

async function setUpSqlite(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-test-'));
  const templateUrl = `file:${join(folder, 'template.db')}`;
  await prepare(await openSqlite(templateUrl));
  // The tables may still stand in the write-ahead log beside the file, which a copy of the file would not have.
  const sql = new PrismaLibSql({ url: templateUrl }).createClient({ url: templateUrl });
  await sql.execute('PRAGMA wal_checkpoint(TRUNCATE)');
  sql.close();
  project.provide('templateUrl', templateUrl);
  return async () => rmSync(folder, { recursive: true, force: true });
}

async function setUpPostgresql(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgresql();
  try {
    const templateUrl = server.urlOf('template');
    await administer(server.urlOf('postgres'), 'CREATE DATABASE "template"');
    await prepare(await openPostgresql(templateUrl));
    project.provide('templateUrl', templateUrl);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return () => server.stop();
}

async function prepare(connection: DatabaseConnection): Promise<void> {
  try {
    await connection.prepare();
    await migrate(connection);
  } finally {
    await connection.close();
  }
}
