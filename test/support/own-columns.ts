import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import { onTestFinished } from 'vitest';
import type { PrismaLike } from '../../src/db/client.js';
import { freshDatabase, openDatabase, type TestDatabase } from './database.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const GENERATED = join(ROOT, 'test/consumers/own-columns/generated');
const require = createRequire(import.meta.url);

/**
 * A database with columns of a host, and the host's client over it: `displayName`, `company` and `seats` of users, `tier` and `budget` of
 * organizations, `color` of projects.
 */
export async function ownColumns(): Promise<{ database: TestDatabase; prisma: PrismaLike }> {
  const database = await freshDatabase();
  const connection = await openDatabase(database);
  await connection.exclusively((sql) =>
    sql.script(
      `ALTER TABLE "User" ADD COLUMN "displayName" TEXT;
       ALTER TABLE "User" ADD COLUMN "company" TEXT;
       ALTER TABLE "User" ADD COLUMN "seats" INTEGER;
       ALTER TABLE "Organization" ADD COLUMN "tier" TEXT;
       ALTER TABLE "Organization" ADD COLUMN "budget" INTEGER;
       ALTER TABLE "OrganizationProject" ADD COLUMN "color" TEXT;`,
    ),
  );
  await connection.close();
  const { PrismaClient } = (await import(`${generate(database.dialect)}/client/client.ts`)) as {
    PrismaClient: new (options: object) => PrismaLike;
  };
  const adapter =
    database.dialect === 'sqlite'
      ? new PrismaLibSql({ url: database.url, timeout: 5000 })
      : new PrismaPg({ connectionString: database.url });
  const prisma = new PrismaClient({ adapter });
  onTestFinished(async () => {
    await prisma.$disconnect();
    await database.drop();
  });
  return { database, prisma };
}

/** The folder of the client, generated once for these models. */
function generate(dialect: TestDatabase['dialect']): string {
  const models = readFileSync(join(ROOT, 'prisma/authtuna.prisma'), 'utf8')
    .replace(/model User \{/, 'model User {\n  displayName String?\n  company String?\n  seats Int?\n')
    .replace(/model Organization \{/, 'model Organization {\n  tier String?\n  budget Int?\n')
    .replace(/model OrganizationProject \{/, 'model OrganizationProject {\n  color String?\n');
  const folder = join(GENERATED, dialect, createHash('sha256').update(models).digest('hex').slice(0, 16));
  if (existsSync(folder)) return folder;
  const draft = join(GENERATED, dialect, randomUUID());
  mkdirSync(draft, { recursive: true });
  writeFileSync(
    join(draft, 'schema.prisma'),
    `generator client {
  provider            = "prisma-client"
  output              = "./client"
  moduleFormat        = "esm"
  importFileExtension = "js"
}
datasource db {
  provider = "${dialect}"
}
${models}`,
  );
  const { bin } = require('prisma/package.json') as { bin: { prisma: string } };
  const cli = join(dirname(require.resolve('prisma/package.json')), bin.prisma);
  execFileSync(process.execPath, [cli, 'generate', '--schema', join(draft, 'schema.prisma')], {
    cwd: ROOT,
    stdio: 'pipe',
  });
  try {
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // else another worker was first
  }
  return folder;
}
