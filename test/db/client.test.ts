import { readdirSync } from 'node:fs';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { type Db, guardDb, isMissing, isUniqueViolation } from '../../src/db/client.js';
import { PrismaClient as PostgresqlClient } from '../../src/db/generated/postgresql/client.js';
import { PrismaClient as SqliteClient } from '../../src/db/generated/sqlite/client.js';
import { migrate } from '../../src/db/migrate.js';
import { emptyDatabase, freshDatabase, openDatabase } from '../support/database.js';

async function openGuarded(timeoutMs?: number) {
  const database = await emptyDatabase();
  const connection = await openDatabase(database);
  await migrate(connection);
  onTestFinished(async () => {
    await connection.close();
    await database.drop();
  });
  return { connection, db: guardDb(connection.client, { timeoutMs }) };
}

const row = (name: string, value = 0) => ({ data: { name, value } });

/** What somebody without our types may pass. */
const untyped = (args: unknown) => args as never;

test('an undefined in a filter, at any depth, is refused and nothing is deleted (DB-3)', async () => {
  const { db } = await openGuarded();
  await db.counter.create(row('a'));
  const filters = [
    undefined,
    { name: undefined },
    { OR: [{ name: 'x' }, { name: undefined }] },
    { AND: { name: { in: ['x', undefined] } } },
    { NOT: [{ value: { gt: undefined } }] },
  ];
  for (const where of filters) {
    await expect(db.counter.deleteMany(untyped({ where }))).rejects.toThrow(TypeError);
    await expect(db.counter.updateMany(untyped({ where, data: { value: 9 } }))).rejects.toThrow(TypeError);
  }
  for (const missing of [undefined, {}])
    await expect(db.counter.deleteMany(untyped(missing))).rejects.toThrow(
      'counter.deleteMany: where is missing',
    );
  await expect(db.counter.updateMany(untyped({ data: { value: 9 } }))).rejects.toThrow('where is missing');
  await expect(db.counter.findFirst(untyped({ where: { name: undefined } }))).rejects.toThrow(
    'where.name is undefined',
  );
  expect(await db.counter.findMany()).toEqual([{ name: 'a', value: 0 }]);
});

test('refused arguments reject and never throw, so that no promise beside them is left unheard (DB-3)', async () => {
  const { db } = await openGuarded();
  await db.counter.create(row('a', 1));
  const zero = { where: { name: 'a\0' }, data: { value: 9 } };
  const beside = () => Promise.reject(new Error('beside'));
  await expect(Promise.all([beside(), db.counter.update(zero)])).rejects.toThrow('beside');
  const good = { where: { name: 'a' }, data: { value: 9 } };
  await expect(db.$transaction([db.counter.update(good), db.counter.update(zero)])).rejects.toMatchObject({
    code: 'invalid_input',
  });
  expect(await db.counter.findMany()).toEqual([{ name: 'a', value: 1 }]);
});

test('a unique violation and a missing row keep their own errors (DB-2)', async () => {
  const { db } = await openGuarded();
  await db.counter.create(row('a'));
  const twice = await db.counter.create(row('a')).catch((error: unknown) => error);
  expect([isUniqueViolation(twice), isMissing(twice)]).toEqual([true, false]);
  const nobody = await db.counter
    .update({ where: { name: 'b' }, data: { value: 1 } })
    .catch((error: unknown) => error);
  expect([isUniqueViolation(nobody), isMissing(nobody)]).toEqual([false, true]);
});

test('arguments that Prisma does not know stay an error of the code, and not one of the database (DB-1)', async () => {
  const { db } = await openGuarded();
  const mistake = await db.counter
    .findMany(untyped({ where: { nothing: 1 } }))
    .catch((error: unknown) => error);
  expect(mistake).toMatchObject({ name: 'PrismaClientValidationError' });
});

test('a batch is one transaction: the conditional update that misses undoes the rest', async () => {
  const { db } = await openGuarded();
  await db.counter.create(row('token', 1));
  const spend = () =>
    db.$transaction([
      db.counter.create(row('effect')),
      db.counter.update({ where: { name: 'token', value: 0 }, data: { value: 2 } }),
    ]);
  await expect(spend()).rejects.toSatisfy(isMissing);
  expect(await db.counter.count()).toBe(1);
  await db.counter.updateMany({ where: { name: 'token' }, data: { value: 0 } });
  const [effect, token] = await spend();
  expect([effect.name, token.value]).toEqual(['effect', 2]);
});

test('of twenty racing batches that spend one row, one wins', async () => {
  const { db } = await openGuarded(20_000);
  await db.counter.create(row('token'));
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) =>
      db.$transaction([
        db.counter.create(row(`effect-${i}`)),
        db.counter.update({ where: { name: 'token', value: 0 }, data: { value: 1 } }),
      ]),
    ),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toSatisfy(isMissing);
  expect(await db.counter.count({ where: { name: { startsWith: 'effect' } } })).toBe(1);
});

test('what is written beside batches that fail survives, and nothing of them does', async () => {
  const { db } = await openGuarded(20_000);
  await db.counter.create(row('token', 1));
  const failing = (i: number) =>
    db.$transaction([
      db.counter.create(row(`lost-${i}`)),
      db.counter.update({ where: { name: 'token', value: 0 }, data: { value: 2 } }),
    ]);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 60 }, (_, i) =>
      i % 3 === 0
        ? failing(i)
        : i % 3 === 1
          ? db.counter.create(row(`kept-${i}`))
          : db.$transaction([db.counter.create(row(`kept-${i}`)), db.counter.create(row(`kept-too-${i}`))]),
    ),
  );
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(20);
  expect(await db.counter.count({ where: { name: { startsWith: 'lost' } } })).toBe(0);
  expect(await db.counter.count({ where: { name: { startsWith: 'kept' } } })).toBe(60);
});

test.runIf(inject('dialect') === 'sqlite' && process.platform === 'linux')(
  'three hundred batches leave no more files open than one',
  async () => {
    const { db } = await openGuarded();
    const open = () => readdirSync('/proc/self/fd').length;
    await db.$transaction([db.counter.create(row('first'))]);
    const before = open();
    for (let i = 0; i < 300; i += 1) await db.$transaction([db.counter.create(row(`batch-${i}`))]);
    expect(open() - before).toBeLessThan(5);
  },
);

test('only an array is a transaction', async () => {
  const { db } = await openGuarded();
  await expect(db.$transaction(untyped(async () => {}))).rejects.toThrow(TypeError);
});

test('nothing runs before it is awaited, and only once', async () => {
  const { db } = await openGuarded();
  const creation = db.counter.create(row('lazy'));
  expect(await db.counter.count()).toBe(0);
  await creation;
  await creation;
  expect(await db.counter.count()).toBe(1);
});

test('calls of one tick are read in one query', async () => {
  const database = await freshDatabase();
  const log = [{ emit: 'event' as const, level: 'query' as const }];
  const client =
    database.dialect === 'sqlite'
      ? new SqliteClient({ adapter: new PrismaLibSql({ url: database.url }), log })
      : new PostgresqlClient({ adapter: new PrismaPg(database.url), log });
  onTestFinished(async () => {
    await client.$disconnect();
    await database.drop();
  });
  const db = guardDb(client);
  await db.counter.createMany({ data: ['a', 'b', 'c'].map((name) => row(name).data) });
  const queries: string[] = [];
  // The two clients differ in nothing that matters here, but their types do.
  (client as SqliteClient<'query'>).$on('query', ({ query }) => queries.push(query));
  const found = await Promise.all(['a', 'b', 'c'].map((name) => db.counter.findUnique({ where: { name } })));
  expect(found.map((counter) => counter?.name)).toEqual(['a', 'b', 'c']);
  expect(queries.filter((query) => query.startsWith('SELECT'))).toHaveLength(1);
});

test('a database that answers too late is unavailable (DB-1)', async () => {
  const { db } = await openGuarded();
  const never = { ...stalled(db) };
  const slow = guardDb(never, { timeoutMs: 20 });
  await expect(slow.counter.count()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(slow.$transaction([db.counter.create(row('a'))])).rejects.toMatchObject({
    code: 'unavailable',
  });
});

test('a database that cannot be used is unavailable, with the cause (DB-1)', async () => {
  const { connection, db } = await openGuarded();
  await connection.exclusively((sql) => sql.script('DROP TABLE "Counter"'));
  const error = await db.counter.count().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'unavailable', details: { retryAfterSeconds: 1 } });
  expect((error as Error).cause).toMatchObject({ message: expect.stringContaining('Counter') });
});

test('a client without our models is refused by name, with the remedy', () => {
  expect(() => guardDb(untyped({ user: {} }))).toThrow(
    /lacks the models accountDeletion, .*password, session, .*npx authtuna init.* npx prisma generate/,
  );
});

test('a client that reads from replicas is refused, with the remedy', async () => {
  const { connection } = await openGuarded();
  const client = connection.client as unknown as SqliteClient;
  // As @prisma/extension-read-replicas extends it.
  const extended = client.$extends({ client: { $primary: () => client, $replica: () => client } });
  expect(() => guardDb(extended)).toThrow(/reads from replicas.*before \$extends/);
});

/** The client of a database that accepts calls and never answers. */
function stalled(db: Db): Parameters<typeof guardDb>[0] {
  const answer = new Promise(() => {});
  const counter = { ...db.counter, count: () => answer };
  return { ...db, counter, $transaction: () => answer } as unknown as Parameters<typeof guardDb>[0];
}

test.runIf(inject('dialect') === 'sqlite')(
  'a row of statements on a SQLite file leaves the process time for everything else',
  async () => {
    const { db } = await openGuarded();
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    for (let index = 0; index < 300; index += 1) await db.counter.findUnique({ where: { name: 'a' } });
    isOver = true;
    expect(turns).toBeGreaterThan(10); // libsql alone lets nothing through before the last of them
  },
);

test.runIf(inject('dialect') === 'sqlite')('after close() nothing opens the file again', async () => {
  const { connection, db } = await openGuarded();
  await db.counter.create(row('a'));
  await connection.close();
  await expect(db.counter.create(row('b'))).rejects.toThrow();
});
