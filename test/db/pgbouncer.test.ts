import { expect, inject, onTestFinished, test } from 'vitest';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { SECRET, startApp, TestLogger } from '../support/app.js';
import { freshDatabase } from '../support/database.js';
import { startPgBouncer } from '../support/pgbouncer.js';

const V = 10;

/** A database behind PgBouncer, or a skipped test where it is not installed. */
async function behindPgBouncer(skip: (note: string) => never) {
  if (inject('dialect') === 'sqlite') skip('PgBouncer is for PostgreSQL');
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const url = await startPgBouncer(database);
  if (url === null) return skip('pgbouncer is not installed');
  return { database, url };
}

test('behind PgBouncer in transaction mode everything works, and a revocation keeps its bound without a broadcast (DB-4)', async ({
  skip,
}) => {
  const { database, url } = await behindPgBouncer(skip);
  const here = await startApp({ databaseUrl: `${url}?pgbouncer=true&connection_limit=5` }, { database });
  const there = await startApp(
    { databaseUrl: `${url}?pgbouncer=true&connection_limit=5`, baseUrl: here.url },
    { database, clock: here.clock },
  );
  const people = await Promise.all(Array.from({ length: 12 }, (_, n) => here.signedIn(`p${n}@example.com`)));
  const answers = await Promise.all(
    people.flatMap(({ browser }) => Array.from({ length: 10 }, () => browser.get('/me'))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));

  // Notifications do not pass a pooler that hands connections around, so nothing is said to have arrived.
  expect(await here.authTuna.health()).toMatchObject({
    database: 'up',
    broadcast: { kind: 'postgresql', isUp: false },
  });
  const [first] = people;
  if (first === undefined) throw new Error('nobody signed in');
  expect((await first.browser.get('/me')).status).toBe(200);
  await there.authTuna.sessions.revokeAll(first.user.id, SYSTEM);
  expect((await first.browser.post('/me/x')).status).toBe(401);
  here.clock.advance({ seconds: V });
  expect((await first.browser.get('/me')).status).toBe(401);
}, 120_000);

test('behind PgBouncer without ?pgbouncer=true the start says what to add', async ({ skip }) => {
  const { url } = await behindPgBouncer(skip);
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: url,
    logger: new TestLogger(),
  });
  onTestFinished(() => authTuna.close());
  const error = await authTuna.ready().catch((cause: unknown) => cause);
  expect((error as Error).message).toContain('Add ?pgbouncer=true to databaseUrl.');
}, 60_000);
