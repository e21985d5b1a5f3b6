import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { expect, onTestFinished, test } from 'vitest';
import { shippedMigrations } from '../src/db/migrate.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

function run(args: string[]): string {
  try {
    return execFileSync(process.execPath, args, { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}\n${stderr}`, { cause: error });
  }
}

test('names declared with definePermissions are the names a guard takes; a misspelled one does not compile', () => {
  run([at('../node_modules/typescript/bin/tsc'), '-p', at('consumers/permissions')]);
}, 120_000);

test("createAuthTuna over a host's own client: its columns are typed, stored and read, and sent to browsers only where listed", async () => {
  const consumer = at('consumers/own-prisma');
  run([join(consumer, 'generate.js')]);
  run([at('../node_modules/typescript/bin/tsc'), '-p', consumer]);

  const folder = mkdtempSync(join(tmpdir(), 'authtuna-consumer-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `file:${join(folder, 'host.db')}`;
  const sql = new PrismaLibSql({ url }).createClient({ url });
  for (const migration of shippedMigrations('sqlite')) await sql.executeMultiple(migration.sql);
  // What the host's own migration adds.
  await sql.executeMultiple(`
    ALTER TABLE "User" ADD COLUMN "plan" TEXT NOT NULL DEFAULT 'free';
    ALTER TABLE "User" ADD COLUMN "displayName" TEXT;
    ALTER TABLE "User" ADD COLUMN "passwordHash" TEXT;
    ALTER TABLE "Organization" ADD COLUMN "tier" TEXT;
    ALTER TABLE "OrganizationProject" ADD COLUMN "color" TEXT;
    CREATE TABLE "Post" ("id" TEXT NOT NULL PRIMARY KEY, "authorId" TEXT NOT NULL REFERENCES "User" ("id"));
  `);
  sql.close();

  const { PrismaClient } = (await import(
    join(consumer, 'generated/sqlite/client/client.js').replace(/\.js$/, '.ts')
  )) as {
    PrismaClient: new (options: object) => unknown;
  };
  const { runHost } = (await import(join(consumer, 'host.ts'))) as {
    runHost(client: unknown): Promise<object>;
  };
  const client = new PrismaClient({ adapter: new PrismaLibSql({ url }) });
  expect(await runHost(client)).toEqual({
    sendsHiddenColumns: false,
    sendsPublicColumn: [true, true, true, true, true],
    refusedFields: ['data.passwordHash unknown_field', 'data.plan invalid_format'],
    statuses: [422, 422],
    storedName: 'Countess',
    created: { displayName: 'Ada', plan: 'free' },
    updated: { displayName: 'Ada L.', plan: 'pro' },
    seenByRoute: { displayName: 'Ada L.', plan: 'pro' },
    hidesInternals: true,
  });
}, 180_000);
