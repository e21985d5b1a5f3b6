import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import type { TestProject } from 'vitest/node';
import { startPostgresql } from '../../scripts/postgresql-server.js';
import { createAuthTuna } from '../../src/authtuna.js';
import { administer } from './administer.js';

declare module 'vitest' {
  export interface ProvidedContext {
    dialect: 'sqlite' | 'postgresql';
    /** A migrated database with the shipped roles, that `freshDatabase` copies. */
    templateUrl: string;
  }
}

/** In memory where there is room, which saves a sixth of the time: nothing has to outlive the run. */
const PARENT = hasRoom('/dev/shm') ? '/dev/shm' : tmpdir();

function hasRoom(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > 4 * 2 ** 30; // a container often has no more than 64 MiB of it
}

/** Once per project: a migrated template, and for PostgreSQL the one server of the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  return project.config.provide.dialect === 'postgresql' ? setUpPostgresql(project) : setUpSqlite(project);
}

async function setUpSqlite(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(PARENT, 'authtuna-test-'));
  const templateUrl = `file:${join(folder, 'template.db')}`;
  await prepare(templateUrl);
  // The tables may still stand in the write-ahead log beside the file, which a copy of the file would not have.
  const sql = new PrismaLibSql({ url: templateUrl }).createClient({ url: templateUrl });
  await sql.execute('PRAGMA wal_checkpoint(TRUNCATE)');
  sql.close();
  project.provide('templateUrl', templateUrl);
  return async () => rmSync(folder, { recursive: true, force: true });
}

async function setUpPostgresql(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgresql(PARENT);
  try {
    const templateUrl = server.urlOf('template');
    await administer(server.urlOf('postgres'), 'CREATE DATABASE "template"');
    await prepare(templateUrl);
    project.provide('templateUrl', templateUrl);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return () => server.stop();
}

/** What `ready()` does on a new database, once for all tests. */
async function prepare(databaseUrl: string): Promise<void> {
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost',
    secrets: ['for the template only, which has no users'],
    databaseUrl,
    password: { bcryptCost: 4 },
  });
  try {
    await authTuna.ready();
  } finally {
    await authTuna.close();
  }
}
