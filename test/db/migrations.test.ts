import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, inject, onTestFinished, test } from 'vitest';
import { diff } from '../../scripts/schema-engine.js';
import { guardDb } from '../../src/db/client.js';
import type { DatabaseConnection } from '../../src/db/connection.js';
import { checkTables, migrate, migrationStatus, shippedMigrations } from '../../src/db/migrate.js';
import { emptyDatabase, freshDatabase, openDatabase, type TestDatabase } from '../support/database.js';

const dialect = inject('dialect');

async function opened(
  making: Promise<TestDatabase>,
): Promise<DatabaseConnection & { database: TestDatabase }> {
  const database = await making;
  const connection = await openDatabase(database);
  onTestFinished(async () => {
    await connection.close();
    await database.drop();
  });
  return { ...connection, database };
}

test('the migrations lead to the models', async () => {
  const url = dialect === 'postgresql' ? inject('templateUrl').replace(/[^/]+$/, 'postgres') : undefined;
  expect(await diff(dialect, shippedMigrations(dialect), url)).toBe('');
});

test('both dialects ship the same migrations', () => {
  const names = (of: 'sqlite' | 'postgresql') => shippedMigrations(of).map(({ name }) => name);
  expect(names('sqlite')).toEqual(names('postgresql'));
});

test('of four processes that migrate at once each migration is applied once', async () => {
  const { database, ...connection } = await opened(emptyDatabase());
  const script = fileURLToPath(new URL('../support/migrate-process.js', import.meta.url));
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = fork(script, [database.dialect, database.url], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      const [applied] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
      return applied as string[];
    }),
  );
  const names = shippedMigrations(dialect).map(({ name }) => name);
  expect(answers.flat().sort()).toEqual(names);
  expect(await migrationStatus(connection)).toEqual({ applied: names, pending: [] });
}, 120_000);

test('eight callers in one process apply each migration once', async () => {
  const { database } = await opened(emptyDatabase());
  const answers = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const connection = await openDatabase(database);
      try {
        return await migrate(connection);
      } finally {
        await connection.close();
      }
    }),
  );
  expect(answers.flat().sort()).toEqual(shippedMigrations(dialect).map(({ name }) => name));
});

test('migrating again changes nothing', async () => {
  const connection = await opened(freshDatabase());
  expect(await migrate(connection)).toEqual([]);
  await checkTables(guardDb(connection.client));
});

test('a database of a newer version is refused', async () => {
  const connection = await opened(freshDatabase());
  await connection.exclusively((sql) =>
    sql.script(`INSERT INTO "_authtuna_migrations" ("name", "checksum") VALUES ('9999_future', 'x')`),
  );
  await expect(migrate(connection)).rejects.toThrow(/newer than this version.*9999_future/);
});

test('a migration edited after it was applied is refused', async () => {
  const connection = await opened(freshDatabase());
  await connection.exclusively((sql) => sql.script(`UPDATE "_authtuna_migrations" SET "checksum" = 'x'`));
  await expect(migrate(connection)).rejects.toMatchObject({ code: 'misconfigured' });
});

test('a transaction that fails leaves nothing behind', async () => {
  const connection = await opened(freshDatabase());
  await expect(
    connection.exclusively(async (sql) => {
      await sql.script('CREATE TABLE "half" ("id" TEXT); INSERT INTO "half" VALUES (\'1\')');
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  await expect(connection.exclusively((sql) => sql.query('SELECT * FROM "half"'))).rejects.toThrow(/half/);
});

test('every missing table and column is named', async () => {
  const connection = await opened(freshDatabase());
  await connection.exclusively((sql) =>
    sql.script(
      'DROP TABLE "Throttle"; ALTER TABLE "AuditEntry" DROP COLUMN "reason"; ALTER TABLE "AuditEntry" DROP COLUMN "data"',
    ),
  );
  await expect(checkTables(guardDb(connection.client))).rejects.toThrow(
    /lacks the table of throttle; auditEntry: reason, data\./,
  );
});
