// node scripts/migration.js <name>: writes what the models have and the migrations lack as the next migration of both dialects.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { startPostgresql } from './postgresql-server.js';
import { diff } from './schema-engine.js';

const name = process.argv[2];
if (!/^[a-z][a-z0-9_]*$/.test(name ?? '')) {
  console.error('usage: npm run migration -- <name_of_the_change>');
  process.exit(2);
}

const folderOf = (dialect) => new URL(`../prisma/migrations/${dialect}/`, import.meta.url);

function migrationsOf(dialect) {
  mkdirSync(folderOf(dialect), { recursive: true });
  return readdirSync(folderOf(dialect))
    .sort()
    .map((folder) => ({
      name: folder,
      sql: readFileSync(new URL(`${folder}/migration.sql`, folderOf(dialect)), 'utf8'),
    }));
}

const server = await startPostgresql();
try {
  const changes = {
    sqlite: await diff('sqlite', migrationsOf('sqlite')),
    postgresql: await diff('postgresql', migrationsOf('postgresql'), server.urlOf('postgres')),
  };
  for (const [dialect, sql] of Object.entries(changes)) {
    if (sql === '') {
      console.log(`${dialect}: the migrations already lead to the models`);
      continue;
    }
    const number = String(migrationsOf(dialect).length + 1).padStart(4, '0');
    const folder = new URL(`${number}_${name}/`, folderOf(dialect));
    mkdirSync(folder);
    writeFileSync(new URL('migration.sql', folder), sql);
    console.log(`${dialect}: ${number}_${name}`);
  }
} finally {
  await server.stop();
}
