// node scripts/create-tables.js <schema folder> <file: URL>: makes the tables of a host's schema in an empty SQLite file.
// Stands in for `npx prisma migrate dev`, whose engine is no npm package.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { diff } from './schema-engine.js';

const [folder, url] = process.argv.slice(2);
const schema = readdirSync(folder)
  .filter((name) => name.endsWith('.prisma'))
  .map((name) => readFileSync(join(folder, name), 'utf8'))
  .join('\n');
const adapter = await new PrismaLibSql({ url }).connect();
await adapter.executeScript(await diff('sqlite', [], undefined, schema));
await adapter.dispose();
