// Two PostgreSQL servers, the second a replica of the first, and what is answered while the second takes over.
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { FaultProxy } from '../race/fault-proxy.js';
import { PASSWORD, SECRET, startApp, type TestInstance, TestLogger } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { freshDatabase, openDatabase } from '../support/database.js';
import { type ReplicatedPostgresql, startReplicated } from '../support/replicated-postgresql.js';
import { at, COOKIE, claimsOf, inDatabase, secondsUntilRotation, startSibling } from '../support/sessions.js';

const onPostgresql = test.runIf(inject('dialect') === 'postgresql');

/** The message of a start that fails. */
async function failure(databaseUrl: string): Promise<string> {
  const error = await start(databaseUrl).catch((cause: unknown) => cause);
  return (error as Error).message;
}

async function start(databaseUrl: string): Promise<void> {
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl,
    logger: new TestLogger(),
  });
  onTestFinished(() => authTuna.close());
  await authTuna.ready();
}

/** The primary crashes, the replica is promoted, and both instances hear each other again. */
async function failOver({ primary, promote }: ReplicatedPostgresql, instances: TestInstance[]) {
  await primary.crash();
  for (const { authTuna } of instances)
    await vi.waitFor(async () => expect((await authTuna.health()).broadcast.isUp).toBe(false), 10_000);
  await promote();
  for (const { authTuna } of instances)
    await vi.waitFor(
      async () =>
        expect(await authTuna.health()).toMatchObject({
          database: 'up',
          broadcast: { kind: 'postgresql', isUp: true },
        }),
      15_000,
    );
}

/** Signs a person in whose cookie has been replaced a moment ago, and was answered. */
async function rotated(app: TestInstance): Promise<{ browser: Browser; userId: string; before: string }> {
  const { browser, user } = await app.signedIn();
  expect((await browser.get('/me')).status).toBe(200);
  app.clock.advance({ seconds: Math.ceil(await secondsUntilRotation(app, browser)) });
  const before = browser.jar.get(COOKIE) ?? '';
  return { browser, userId: user.id, before };
}

async function rotate({ browser, before }: { browser: Browser; before: string }): Promise<void> {
  expect((await browser.post('/me/x')).status).toBe(200);
  expect(browser.jar.get(COOKIE)).not.toBe(before);
}

onPostgresql('a start on a replica is refused, and the reason says what to name instead (DB-5)', async () => {
  const servers = await startReplicated();
  await startApp({}, { database: servers.database });
  await servers.caughtUp();
  expect(await failure(servers.replica.urlOf('postgres'))).toMatch(
    /is a replica.*Name the primary in databaseUrl/,
  );
});

onPostgresql('several hosts in databaseUrl are refused, and the reason says what to name', async () => {
  for (const url of [
    'postgresql://app:geheim@db1:5432,db2:5432/app?target_session_attrs=read-write',
    'postgresql://app:geheim@db1,db2/app',
    'postgresql:///app?host=db1,db2',
  ]) {
    const said = await failure(url);
    expect(said, url).toMatch(/several hosts.*leads to the primary/);
    expect(said).not.toContain('geheim');
  }
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  expect(await failure(database.url.replace(/:[^:@]*@/, ':1,2@'))).toMatch(
    /refuses the user or the password/,
  );
});

onPostgresql(
  'where the address leads to a replica for a while, no session counts there that was ended on the primary (DB-5)',
  async () => {
    const servers = await startReplicated();
    const app = await startApp({}, { database: servers.database });
    const onPrimary = await startApp(
      { baseUrl: app.url },
      { database: { ...servers.database, url: servers.primary.urlOf('postgres') }, clock: app.clock },
    );
    const { browser } = await app.signedIn();
    expect((await browser.post('/me/x')).status).toBe(200);
    await servers.caughtUp();
    servers.replication.down();
    servers.address.down();
    servers.address.retarget(servers.replica.port);
    servers.address.up();
    await onPrimary.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
    app.clock.advance({ seconds: 10 });
    for (let i = 0; i < 5; i += 1) {
      expect((await browser.post('/me/x')).status).toBe(503);
      expect((await browser.get('/me')).status).toBe(503);
    }
    servers.address.down();
    servers.address.retarget(servers.primary.port);
    servers.address.up();
    await vi.waitFor(async () => expect((await browser.post('/me/x')).status).toBe(401), 10_000);
  },
);

onPostgresql(
  'after a failover to a synchronous replica everything that was answered holds, and revocations are broadcast again (DB-5)',
  async () => {
    const servers = await startReplicated({ isSynchronous: true });
    const app = await startApp({}, { database: servers.database });
    const sibling = await startSibling(app);
    const person = await rotated(app);
    const leaving = await app.signedIn();
    const left = leaving.browser.stolen();
    const late = await app.signedIn();
    await rotate(person);
    expect((await leaving.browser.post('/auth/logout')).status).toBe(204);

    await failOver(servers, [app, sibling]);
    for (const { browser } of [person, late])
      for (const instance of [app, sibling])
        expect((await at(instance, browser).post('/me/x')).status).toBe(200);
    for (const instance of [app, sibling]) expect((await at(instance, left).post('/me/x')).status).toBe(401);

    const elsewhere = at(sibling, person.browser);
    expect((await elsewhere.get('/me')).status).toBe(200);
    await app.authTuna.sessions.revokeAll(person.userId, SYSTEM);
    await vi.waitFor(async () => expect((await elsewhere.get('/me')).status).toBe(401), 3000);
  },
);

onPostgresql(
  'after a failover that lost the last commits nobody counts as a thief: a lost rotation asks for a sign-in, and what was not lost goes on (DB-5)',
  async () => {
    const servers = await startReplicated();
    const app = await startApp({}, { database: servers.database });
    const sibling = await startSibling(app);
    const person = await rotated(app);
    const leaving = await app.signedIn();
    const left = leaving.browser.stolen();
    const other = await app.signedIn();
    await servers.caughtUp();
    servers.replication.down();
    await rotate(person);
    expect((await leaving.browser.post('/auth/logout')).status).toBe(204);
    const late = await app.signedIn();

    await failOver(servers, [app, sibling]);
    expect((await other.browser.post('/me/x')).status).toBe(200);
    expect((await late.browser.post('/me/x')).status).toBe(401);
    // The sign-out is lost as well.
    for (const instance of [app, sibling]) expect((await at(instance, left).post('/me/x')).status).toBe(200);

    const { sid } = claimsOf(person.browser);
    for (let i = 0; i < 3; i += 1) {
      const refused = await at(i % 2 === 0 ? app : sibling, person.browser).post('/me/x');
      expect([refused.status, await refused.json()]).toMatchObject([401, { code: 'unauthenticated' }]);
      expect(refused.headers.getSetCookie()).toEqual([]);
    }
    const row = await inDatabase(app, (client) => client.session.findUniqueOrThrow({ where: { id: sid } }));
    expect(row).toMatchObject({ revokedAt: null });
    const alarms = await app.authTuna.audit.list({ type: 'session.suspicious' });
    const told = { reason: 'ahead_of_database', targetId: sid };
    expect(alarms.items).toMatchObject([told, told]); // by each process once, however often it is shown
    expect((await app.authTuna.audit.list({ type: 'session.breached' })).items).toEqual([]);
    // A tab whose request was under way gets the session back for the whole browser.
    const tab = person.browser.stolen();
    tab.jar.set(COOKIE, person.before);
    expect((await tab.post('/me/x')).status).toBe(200);
    expect((await tab.post('/me/x')).status).toBe(200);
    expect((await person.browser.post('/me/x')).status).toBe(401);
    expect((await tab.post('/me/x')).status).toBe(200);
    const login = { login: 'person1@example.com', password: PASSWORD };
    expect((await person.browser.post('/auth/login', login)).status).toBe(200);
    expect((await person.browser.post('/me/x')).status).toBe(200);
  },
);

onPostgresql(
  'while a synchronous replica does not answer, a sign-out is not said to be done, and nobody is anonymous (DB-1)',
  async () => {
    const servers = await startReplicated({ isSynchronous: true });
    const app = await startApp({}, { database: servers.database });
    const { browser } = await app.signedIn();
    expect((await browser.get('/me')).status).toBe(200);
    servers.replication.stall();
    expect((await browser.post('/auth/logout')).status).toBe(503);
    expect((await browser.get('/public')).status).not.toBe(401);
    servers.replication.up();
    await vi.waitFor(async () => expect((await browser.post('/auth/logout')).status).toBe(204), 10_000);
    expect((await browser.get('/me')).status).toBe(401);
  },
);

onPostgresql(
  'a primary that is gone without a word costs the connections to it 2 s once, and all goes on at the next primary (DB-1)',
  async () => {
    const servers = await startReplicated();
    const app = await startApp(
      { databaseUrl: `${servers.database.url}?connection_limit=3` },
      { database: servers.database },
    );
    const people: Browser[] = [];
    for (let i = 0; i < 8; i += 1) people.push((await app.signedIn()).browser);
    const all = async () => {
      const begun = performance.now();
      const answers = await Promise.all(people.map((browser) => browser.post('/me/x')));
      return { statuses: answers.map(({ status }) => status), took: performance.now() - begun };
    };
    expect(new Set((await all()).statuses)).toEqual(new Set([200]));
    await servers.caughtUp();
    servers.address.abandon();
    servers.replication.down();
    await servers.promote();
    await vi.waitFor(async () => expect(new Set((await all()).statuses)).toEqual(new Set([200])), 20_000);
    for (let i = 0; i < 20; i += 1) expect((await all()).took).toBeLessThan(1500);
  },
);

onPostgresql(
  'a connection that breaks while a start waits for another one ends the start, and not the process',
  async () => {
    const database = await freshDatabase();
    onTestFinished(() => database.drop());
    const proxy = new FaultProxy(Number(new URL(database.url).port));
    const address = new URL(database.url);
    address.port = String(await proxy.start());
    onTestFinished(() => proxy.close());
    const connection = await openDatabase(database);
    onTestFinished(() => connection.close());
    await connection.exclusively(async (sql) => {
      const failed = failure(address.href);
      await vi.waitFor(async () => {
        const rows = await sql.query(
          "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        expect(rows).toHaveLength(1);
      }, 10_000);
      proxy.down();
      expect(await failed).toMatch(/cannot be reached|cannot be used/);
    });
  },
);
