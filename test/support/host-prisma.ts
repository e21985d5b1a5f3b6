import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import { onTestFinished } from 'vitest';
import { diff } from '../../scripts/schema-engine.js';
import { openDatabase } from '../../src/db/open.js';
import type { TestDatabase } from './database.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const require = createRequire(import.meta.url);

/** A host's schema folder inside the repository, where a generated client finds its packages; gone after the test. */
export function hostFolder(name: string): string {
  const folder = join(root, 'test/consumers/generated', `${name}-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The first lines of a host's schema. @param lines further ones of the generator */
export function schemaHeader(dialect: 'sqlite' | 'postgresql', lines = ''): string {
  return `generator client {
  ${lines}
  provider            = "prisma-client"
  output              = "../client"
  moduleFormat        = "esm"
  importFileExtension = "js"
}
datasource db {
  provider = "${dialect}"
}
`;
}

/** Makes the tables of a schema in an empty database. */
export async function createTables(database: TestDatabase, schema: string): Promise<void> {
  const connection = openDatabase(database.url);
  const sql = await diff(database.dialect, [], database.url, schema);
  await connection.exclusively((session) => session.script(sql));
  await connection.close();
}

/** A statement that a client sent, with its parameters as JSON. */
export interface Statement {
  query: string;
  params: string;
}

/** Generates the client of `<folder>/prisma` and opens it on a database; disconnected after the test. @param note is told of every statement */
export async function hostClient<T = unknown>(
  folder: string,
  database: TestDatabase,
  note?: (statement: Statement) => void,
): Promise<T> {
  const { bin } = require('prisma/package.json') as { bin: { prisma: string } };
  const cli = join(dirname(require.resolve('prisma/package.json')), bin.prisma);
  execFileSync(process.execPath, [cli, 'generate', '--schema', join(folder, 'prisma')], {
    cwd: root,
    stdio: 'pipe',
  });
  const { PrismaClient } = (await import(join(folder, 'client/client.ts'))) as {
    PrismaClient: new (
      options: object,
    ) => {
      $disconnect(): Promise<void>;
      $on(event: 'query', listener: (statement: Statement) => void): void;
    };
  };
  const adapter =
    database.dialect === 'sqlite'
      ? new PrismaLibSql({ url: database.url, timeout: 5000 })
      : new PrismaPg({ connectionString: database.url });
  const client = new PrismaClient({ adapter, log: [{ emit: 'event', level: 'query' }] });
  if (note !== undefined) client.$on('query', note);
  onTestFinished(() => client.$disconnect());
  return client as T;
}

/** Writes a file of the host's schema folder. */
export function writeSchema(folder: string, name: string, text: string): void {
  mkdirSync(join(folder, 'prisma'), { recursive: true });
  writeFileSync(join(folder, 'prisma', name), text);
}
