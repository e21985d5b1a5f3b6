import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { expect, inject, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { openDatabase, type TestDatabase } from '../support/database.js';

// LOCKS=100 is the long form.
const RUNS = Number(process.env.LOCKS ?? 3);
const onFile = test.runIf(inject('dialect') === 'sqlite');

/** Another process that holds the write lock of the file until `release`. */
async function holdLock(database: TestDatabase): Promise<{ release(): Promise<void> }> {
  const holder: ChildProcess = fork(new URL('../race/lock-process.js', import.meta.url), [database.url], {
    execArgv: [],
  });
  onTestFinished(() => void holder.kill());
  await once(holder, 'message');
  return {
    async release() {
      const exit = once(holder, 'exit');
      holder.send('let go');
      await exit;
    },
  };
}

/** What another process reads and writes: a connection that shares nothing with the app. */
function outsider(database: TestDatabase) {
  const client = new PrismaLibSql({ url: database.url }).createClient({ url: database.url, timeout: 0 });
  onTestFinished(() => client.close());
  return client;
}

async function underLock(app: TestInstance, milliseconds: number, work: () => Promise<unknown>) {
  const lock = await holdLock(app.database);
  const working = work();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  await lock.release();
  await working;
}

/** The answer to a request that changes something. A busy machine may answer 503 for a moment, which a client repeats. */
async function settled(browser: Browser): Promise<number> {
  let status = 503;
  for (let tries = 0; status === 503 && tries < 5; tries += 1) status = (await browser.post('/me/x')).status;
  return status;
}

/** How often this process has the file itself open. */
function openHandles(database: TestDatabase): number {
  const file = database.url.slice('file:'.length);
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === file;
    } catch {
      return false; // the descriptor of the listing itself
    }
  }).length;
}

onFile(
  'after another process held the write lock, no session is lost, no revoked one is accepted, and the lock is free',
  async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const app = await startApp();
      const { browser, user } = await app.signedIn();
      const thief = await app.signedIn();
      const works = {
        signIn: () => app.browser().post('/auth/login', { login: user.email, password: PASSWORD }),
        rotation: () => browser.post('/me/x'),
        batch: () => app.authTuna.users.suspend(thief.user.id, 'test', SYSTEM).catch(() => {}),
      };
      const work = Object.values(works)[run % 3] as () => Promise<unknown>;
      app.clock.advance({ seconds: 601 });
      await underLock(app, RUNS === 3 ? 2600 : 1000 + Math.random() * 4000, work);
      expect(await settled(browser)).toBe(200);
      const other = outsider(app.database);
      await other.execute('BEGIN IMMEDIATE'); // the lock is free at once
      await other.execute('ROLLBACK');
      app.clock.advance({ seconds: 601 });
      expect(await settled(browser)).toBe(200);
      expect(await settled(browser)).toBe(200);
      const { rows } = await other.execute({
        sql: 'SELECT "generation", "acknowledgedAt" FROM "Session" WHERE "userId" = ? AND "generation" > 0',
        args: [user.id],
      });
      expect(rows).toHaveLength(1); // what was answered is committed
      await other.execute({
        sql: `UPDATE "Session" SET "revokedAt" = ?, "revokedReason" = 'revoked' WHERE "userId" = ?`,
        args: [new Date(app.clock.now()).toISOString(), user.id],
      });
      expect(await settled(browser)).toBe(401);
    }
  },
  60_000 + RUNS * 20_000,
);

onFile(
  'while another process holds the write lock, reads are answered and no descriptor is left open',
  async () => {
    const app = await startApp();
    const { browser } = await app.signedIn();
    expect((await browser.post('/me/x')).status).toBe(200); // acknowledges the cookie, which is a write
    const before = openHandles(app.database);
    await underLock(app, 3000, async () => {
      const writes = Array.from({ length: 8 }, (_, i) =>
        app.browser().post('/auth/signup', { email: `new${i}@example.com`, password: PASSWORD }),
      );
      expect((await browser.post('/me/x')).status).toBe(200); // reads its row, although eight writes wait
      await Promise.all(writes);
    });
    // One handle for each refusal of a statement that did not know of the lock, until the next garbage collection.
    expect(openHandles(app.database) - before).toBeLessThan(4);
  },
);

onFile('close() lets go of the file after a write was refused', async () => {
  const app = await startApp();
  const { client, close } = await openDatabase(app.database);
  const create = (name: string) => client.counter.create({ data: { name, value: 1 } });
  await underLock(app, 2600, () => client.$transaction([create('a')]).catch(() => {}));
  await create('b');
  await close();
  const other = outsider(app.database);
  await other.execute('BEGIN IMMEDIATE');
  const { rows } = await other.execute(`SELECT "name" FROM "Counter" WHERE "name" = 'b'`);
  expect(rows).toHaveLength(1);
  await other.execute('ROLLBACK');
});

onFile(
  'instances of one process that wait for each other leave the one with the lock time to end',
  async () => {
    const app = await startApp();
    const others = await Promise.all(
      [1, 2, 3].map(() => startApp({}, { database: app.database, clock: app.clock })),
    );
    const { user } = await app.signedIn();
    for (let round = 0; round < 5; round += 1) {
      const made = await Promise.all(
        [app, ...others].map(({ authTuna }) => authTuna.sessions.create(user.id, ['pwd'], SYSTEM)),
      );
      expect(made).toHaveLength(4);
    }
  },
);
