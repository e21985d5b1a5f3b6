import { randomBytes } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Request, Response } from 'express';
import { expect, onTestFinished, test } from 'vitest';
import type { AuthTuna } from '../../../src/authtuna-interface.js';
import { parseConfig } from '../../../src/config/config.js';
import { RoleStore } from '../../../src/core/access/role-store.js';
import { TeamHoldings } from '../../../src/core/access/team-holdings.js';
import { AuditManager } from '../../../src/core/changes/audit.js';
import { Ledger } from '../../../src/core/changes/ledger.js';
import { createRuntime } from '../../../src/core/runtime.js';
import { SessionTokens } from '../../../src/core/sessions/session-token.js';
import { SessionVerifier } from '../../../src/core/sessions/verifier.js';
import { type AuthTunaOptions, SYSTEM } from '../../../src/index.js';
import { TestClock } from '../../../src/testing/index.js';
import { MemoryDb } from '../../race/memory-db.js';
import type { Timeline } from '../../race/timeline.js';
import { SECRET, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase, type TestDatabase } from '../../support/database.js';
import {
  at,
  COOKIE,
  claimsOf,
  inDatabase,
  secondsUntilRotation,
  sessionCookieOf,
} from '../../support/sessions.js';

// What the memory of an instance is worth, seen from outside: by its answers, and by the statements that reach the database.

const V = 10;

/** An instance whose statements are noted, on a client of its own; one that shares a database and a clock starts with an empty memory. */
async function counted(options: Partial<AuthTunaOptions> = {}, first?: TestInstance) {
  const database: TestDatabase = first?.database ?? (await freshDatabase());
  if (first === undefined) onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const shared = { database, ...(first !== undefined && { clock: first.clock }) };
  const app = await startApp(
    { prisma: client, ...(first !== undefined && { baseUrl: first.url }), ...options },
    {
      ...shared,
      routes: (express, tuna) =>
        void express.get('/fresh', tuna.requireUser({ fresh: true }), (_req, res) => void res.json({})),
    },
  );
  await app.authTuna.jobs.stop();
  return {
    app,
    statements,
    /** How many times rows of sessions were asked for since the last call. */
    sessionReads() {
      const reads = statements.filter((sql) => /^SELECT.* FROM \S*Session\b/is.test(sql));
      statements.length = 0;
      return reads.length;
    },
  };
}

/** Somebody whose cookie was used once, so that nothing but the check itself is due. */
async function settled(app: TestInstance) {
  const person = await app.signedIn();
  expect((await person.browser.get('/me')).status).toBe(200);
  return person;
}

/** Hands a request to the middleware without a network in between, so that many can be in one turn of the event loop. */
function resolveAt(authTuna: AuthTuna, cookie: string, userAgent: string): Promise<string | null> {
  const req = new IncomingMessage(new Socket());
  req.method = 'GET';
  req.url = '/me';
  req.headers = { cookie, 'user-agent': userAgent };
  const request = req as Request;
  return new Promise((resolve, reject) => {
    authTuna.session()(request, new ServerResponse(req) as Response, (error?: unknown) =>
      error === undefined ? resolve(request.auth.user?.id ?? null) : reject(error),
    );
  });
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Changes rows as another process does: nobody here is told. */
const elsewhere = (app: TestInstance, change: Parameters<typeof inDatabase>[1]) => inDatabase(app, change);

const statusOf = async (browser: Browser, path = '/me', method = 'GET') => {
  const answer = await browser.request(method, path);
  await answer.arrayBuffer();
  return answer.status;
};

test('in steady state a thousand requests cost no query and set no cookie, with a scoped permission too', async () => {
  const { app, statements } = await counted();
  const { authTuna } = app;
  const { browser, user } = await settled(app);
  await authTuna.scopes.register({ id: 'team:7', parent: 'org:acme' }, SYSTEM);
  await authTuna.scopes.register({ id: 'project:42', parent: 'team:7' }, SYSTEM);
  await authTuna.roles.assign({ userId: user.id, role: 'org_member', scope: 'org:acme' }, SYSTEM);
  for (const path of ['/me', '/projects/42']) {
    expect(await statusOf(browser, path)).toBe(200);
    statements.length = 0;
    for (let i = 0; i < 50; i += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => browser.get(path)));
      for (const answer of answers) {
        expect(answer.status).toBe(200);
        expect(answer.headers.getSetCookie()).toEqual([]);
        await answer.arrayBuffer();
      }
    }
    expect(statements, path).toEqual([]);
  }
}, 120_000);

test('a session is trusted for V and not a moment longer, however often it is used', async () => {
  const { app, sessionReads } = await counted();
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser)).toBe(200);
  sessionReads();
  for (let second = 0; second < 3 * V; second += 1) {
    app.clock.advance({ seconds: 1 });
    for (let i = 0; i < 3; i += 1) expect(await statusOf(browser)).toBe(200);
  }
  // Once when V is over, or ahead of that and then sooner again.
  const reads = sessionReads();
  expect(reads).toBeGreaterThanOrEqual(3);
  expect(reads).toBeLessThanOrEqual(5);
});

/** Waits for what is looked at behind an answer: so many reads of sessions, and no more at that moment. */
async function readsBehind({ sessionReads }: { sessionReads(): number }, expected: number): Promise<void> {
  let reads = 0;
  await expect
    .poll(() => {
      reads += sessionReads();
      return reads;
    })
    .toBe(expected);
}

const AHEAD = 8; // seconds after a check, and so near the end of V that whoever comes has the row looked at again

test('a session in use is looked at again before V is over, behind an answer, so that no request waits for it (SS-7)', async () => {
  const memory = await counted();
  const { app } = memory;
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser)).toBe(200);
  memory.sessionReads();
  for (let round = 0; round < 4; round += 1) {
    app.clock.advance({ seconds: AHEAD });
    expect(await statusOf(browser)).toBe(200);
    await readsBehind(memory, 1);
  }
});

test('what another process ended is seen within V also where the session is looked at ahead of time (SS-8)', async () => {
  const memory = await counted();
  const { app } = memory;
  const end = (browser: Browser) =>
    elsewhere(app, (client) =>
      client.session.updateMany({
        where: { id: claimsOf(browser).sid },
        data: { revokedAt: app.clock.now() },
      }),
    );
  const [before, after] = [await settled(app), await settled(app)];
  app.clock.advance({ seconds: V });
  for (const { browser } of [before, after]) expect(await statusOf(browser)).toBe(200);
  await end(before.browser);
  app.clock.advance({ seconds: AHEAD });
  memory.sessionReads();
  for (const { browser } of [before, after]) expect(await statusOf(browser)).toBe(200);
  await readsBehind(memory, 1);
  await end(after.browser);

  app.clock.advance({ seconds: V - AHEAD });
  expect(await statusOf(before.browser)).toBe(401);
  app.clock.advance({ seconds: AHEAD, milliseconds: -1 });
  expect(await statusOf(after.browser)).toBe(200);
  app.clock.advance({ milliseconds: 1 });
  expect(await statusOf(after.browser)).toBe(401);
});

test('a look ahead puts no rotation off, and a lost successor is given out again', async () => {
  const memory = await counted();
  const { app } = memory;
  const { browser } = await settled(app);
  const R = await secondsUntilRotation(app, browser);
  const setsCookie = async (jar: Browser) => sessionCookieOf(await jar.get('/me')) !== undefined;
  app.clock.advance({ seconds: R - 5 });
  expect(await setsCookie(browser)).toBe(false);
  for (const expectation of ['rotated', 'given out again']) {
    memory.sessionReads();
    app.clock.advance({ seconds: AHEAD });
    expect(await setsCookie(browser), expectation).toBe(false);
    await readsBehind(memory, 1);
    app.clock.advance({ seconds: V - AHEAD });
    // The answer is lost: the jar keeps what it had.
    expect(await setsCookie(at(app, browser)), expectation).toBe(true);
  }
});

test('a straggler is remembered no longer for being used all the time (SS-3)', async () => {
  const memory = await counted();
  const { app } = memory;
  const { browser } = await settled(app);
  const other = await settled(app);
  app.clock.advance({ seconds: 600 });
  const straggler = at(app, browser);
  expect(await statusOf(browser)).toBe(200);
  expect(await statusOf(browser)).toBe(200); // shows the successor, which makes the copy in the other jar old
  app.clock.advance({ seconds: 29 });
  expect(await statusOf(straggler)).toBe(200);
  expect(await statusOf(other.browser)).toBe(200);
  expect(await statusOf(other.browser)).toBe(200);
  app.clock.advance({ seconds: AHEAD });
  memory.sessionReads();
  expect(await statusOf(straggler)).toBe(200);
  expect(await statusOf(other.browser)).toBe(200);
  await readsBehind(memory, 1); // the other's
  app.clock.advance({ seconds: V - AHEAD });
  expect(await statusOf(straggler)).toBe(401);
  expect(await statusOf(other.browser)).toBe(200);
});

test('a look ahead sees from where the session is used now', async () => {
  let country = 'DE';
  const { app } = await counted({ session: { region: () => country, onRegionChange: 'revoke' } });
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser)).toBe(200);
  country = 'BR';
  app.clock.advance({ seconds: AHEAD });
  expect(await statusOf(browser)).toBe(200);
  await expect.poll(() => statusOf(browser), { timeout: 20_000 }).toBe(401);
});

test('a row that another process changed is seen by unsafe methods and fresh routes at once, by others within V (SS-8)', async () => {
  const { app } = await counted();
  const changes = {
    revoked: (id: string) =>
      elsewhere(app, (client) =>
        client.session.updateMany({ where: { id }, data: { revokedAt: app.clock.now() } }),
      ),
    removed: (id: string) => elsewhere(app, (client) => client.session.deleteMany({ where: { id } })),
    suspended: (_: string, userId: string) =>
      elsewhere(app, (client) =>
        client.user.updateMany({ where: { id: userId }, data: { suspendedAt: app.clock.now() } }),
      ),
    'signed out everywhere': (_: string, userId: string) =>
      elsewhere(app, (client) =>
        client.user.updateMany({ where: { id: userId }, data: { sessionEpoch: { increment: 1 } } }),
      ),
  };
  for (const [what, change] of Object.entries(changes)) {
    const people = [await settled(app), await settled(app), await settled(app)];
    app.clock.advance({ seconds: V });
    for (const { browser } of people) expect(await statusOf(browser)).toBe(200);
    for (const { browser, user } of people) await change(claimsOf(browser).sid, user.id);
    const [unsafe, fresh, safe] = people.map(({ browser }) => browser) as [Browser, Browser, Browser];
    expect(await statusOf(unsafe, '/me/x', 'POST'), what).toBe(401);
    expect(await statusOf(fresh, '/fresh'), what).toBe(401);
    // What has ended for good is known to all that come after; a suspension can be lifted.
    if (what !== 'suspended') {
      expect(await statusOf(unsafe), what).toBe(401);
      expect(await statusOf(fresh), what).toBe(401);
    }
    app.clock.advance({ seconds: V, milliseconds: -1 });
    expect(await statusOf(safe), what).toBe(200);
    app.clock.advance({ milliseconds: 1 });
    expect(await statusOf(safe), what).toBe(401);
  }
});

test('a role that another process took away ends at once for unsafe methods, within V for others (RB-8)', async () => {
  const { app } = await counted();
  const { browser, user } = await settled(app);
  await app.authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  expect(await statusOf(browser, '/projects/42')).toBe(200);
  await elsewhere(app, (client) => client.roleAssignment.deleteMany({ where: { scope: 'project:42' } }));
  expect(await statusOf(browser, '/projects/42', 'POST')).toBe(403);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser, '/projects/42')).toBe(403);
});

test('a role that another process changed counts within V, also for who was checked beside a recent look at the roles (RB-8)', async () => {
  const { app, statements } = await counted({
    permissions: { project: ['read'] },
    roles: { reader: { permissions: ['project:read'] } },
  });
  const people = [await settled(app), await settled(app)];
  const [first, second] = people.map(({ browser }) => browser) as [Browser, Browser];
  for (const { user } of people) {
    await app.authTuna.roles.assign({ userId: user.id, role: 'reader', scope: 'project:42' }, SYSTEM);
  }
  app.clock.advance({ seconds: V });
  expect(await statusOf(first, '/projects/42')).toBe(200);
  app.clock.advance({ milliseconds: V * 50 });
  await elsewhere(app, async (client) => {
    await client.rolePermission.deleteMany({ where: { role: { name: 'reader' } } });
    await client.counter.update({ where: { name: 'roles_version' }, data: { value: { increment: 1 } } });
  });
  statements.length = 0;
  expect(await statusOf(second, '/projects/42')).toBe(200);
  expect(statements.filter((sql) => /Counter/.test(sql))).toEqual([]);
  expect(await statusOf(second, '/projects/42', 'POST')).toBe(403);
  app.clock.advance({ milliseconds: V * 950 });
  expect(await statusOf(second, '/projects/42')).toBe(403);
});

test('a clock that is put back makes nothing trusted for longer', async () => {
  const { app, sessionReads } = await counted();
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser)).toBe(200);
  sessionReads();
  app.clock.advance({ seconds: -20 });
  expect(await statusOf(browser)).toBe(200);
  expect(sessionReads()).toBe(1);
});

test('what was remembered before a clock was put back does not count again when that time comes (SS-8)', async () => {
  const { app } = await counted();
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  expect(await statusOf(browser)).toBe(200);
  app.clock.advance({ minutes: -20 });
  const { sid } = claimsOf(browser);
  await elsewhere(app, (client) =>
    client.session.update({ where: { id: sid }, data: { revokedAt: app.clock.now() } }),
  );
  const stranger = app.browser();
  stranger.jar.set(COOKIE, 'not a cookie of ours'); // somebody else's request, by which the step back is seen
  expect(await statusOf(stranger)).toBe(401);
  app.clock.advance({ minutes: 20, seconds: 3 });
  expect(await statusOf(browser)).toBe(401);
});

test('what this process changes ends what it remembers at once', async () => {
  const { app } = await counted();
  const { authTuna } = app;
  const project = async () => {
    const person = await settled(app);
    await authTuna.roles.assign(
      { userId: person.user.id, role: 'project_member', scope: 'project:42' },
      SYSTEM,
    );
    expect(await statusOf(person.browser, '/projects/42')).toBe(200);
    return person;
  };
  const bystander = await project();

  const revoked = await project();
  await authTuna.sessions.revoke(claimsOf(revoked.browser).sid, SYSTEM);
  expect(await statusOf(revoked.browser)).toBe(401);

  const everywhere = await project();
  await authTuna.sessions.revokeAll(everywhere.user.id, SYSTEM);
  expect(await statusOf(everywhere.browser)).toBe(401);

  const suspended = await project();
  await authTuna.users.suspend(suspended.user.id, 'spam', SYSTEM);
  expect(await statusOf(suspended.browser)).toBe(401);

  const unassigned = await project();
  await authTuna.roles.unassign(
    { userId: unassigned.user.id, role: 'project_member', scope: 'project:42' },
    SYSTEM,
  );
  expect(await statusOf(unassigned.browser, '/projects/42')).toBe(403);
  expect(await statusOf(unassigned.browser)).toBe(200);

  const renamed = await project();
  await authTuna.users.update(renamed.user.id, { username: 'someone_else' }, SYSTEM);
  expect(await (await renamed.browser.get('/me')).json()).toMatchObject({ username: 'someone_else' });

  const inherited = await settled(app);
  await authTuna.roles.assign({ userId: inherited.user.id, role: 'org_member', scope: 'org:acme' }, SYSTEM);
  expect(await statusOf(inherited.browser, '/projects/42')).toBe(403);
  await authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  expect(await statusOf(inherited.browser, '/projects/42')).toBe(200);
  await authTuna.scopes.move('project:42', null, SYSTEM);
  expect(await statusOf(inherited.browser, '/projects/42')).toBe(403);

  expect(await statusOf(bystander.browser, '/projects/42')).toBe(200);
});

test('a permission taken out of a role is gone for all who hold it, at once', async () => {
  const { app } = await counted();
  const { browser, user } = await settled(app);
  await app.authTuna.permissions.ensure({ name: 'project:read' }, SYSTEM);
  await app.authTuna.roles.create({ name: 'reader', permissions: ['project:read'] }, SYSTEM);
  await app.authTuna.roles.assign({ userId: user.id, role: 'reader', scope: 'project:42' }, SYSTEM);
  expect(await statusOf(browser, '/projects/42')).toBe(200);
  await app.authTuna.roles.removePermission('reader', 'project:read', SYSTEM);
  expect(await statusOf(browser, '/projects/42')).toBe(403);
});

/** An instance where one read of sessions can be kept on its way back. */
async function withSlowRead() {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  let isHeld = false;
  const held = gate();
  const read = gate();
  // The rows have been read, and their way back is long.
  const session = new Proxy(client.session as object, {
    get(delegate, method) {
      const call = Reflect.get(delegate, method);
      if (method !== 'findMany' || !isHeld) return call;
      return (...args: unknown[]) => {
        const answer = call.apply(delegate, args) as Promise<unknown>;
        return {
          [Symbol.toStringTag]: 'PrismaPromise',
          // biome-ignore lint/suspicious/noThenProperty: it stands in for Prisma's promise
          then: (...then: Parameters<Promise<unknown>['then']>) =>
            answer
              .then(async (rows) => {
                read.open();
                await held.opened;
                return rows;
              })
              .then(...then),
        };
      };
    },
  });
  const slow = new Proxy(client as object, {
    get: (target, name) => {
      if (name === 'session') return session;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const app = await startApp({ prisma: slow as typeof client }, { database });
  const { browser } = await settled(app);
  app.clock.advance({ seconds: V });
  return {
    app,
    browser,
    /** A request whose read has been made and is on its way back until `release`. */
    async begin() {
      isHeld = true;
      const underWay = browser.get('/me');
      await read.opened;
      isHeld = false;
      return { underWay: underWay.then(({ status }) => status) };
    },
    release: () => held.open(),
  };
}

test('an answer that was under way when its session was revoked lets nobody in and is not remembered (SS-8)', async () => {
  const { app, browser, begin, release } = await withSlowRead();
  const { underWay } = await begin();
  await app.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
  release();
  expect(await underWay).toBe(401); // it came before, and its guard after
  expect(await statusOf(browser)).toBe(401);
});

test('who comes after a revocation is not let in by a read that was under way before it (RB-8, SS-8)', async () => {
  const { app, browser, begin, release } = await withSlowRead();
  const { underWay } = await begin();
  await app.authTuna.users.suspend(claimsOf(browser).sub, 'a test', SYSTEM);
  const late = resolveAt(app.authTuna, browser.cookieHeader, browser.userAgent);
  release();
  expect(await underWay).toBe(401); // it came before, and its guard after
  expect(await late).toBe(null);
});

test('nobody is let in by a read of another request that began longer than V before (SS-8)', async () => {
  const { app, browser, begin, release } = await withSlowRead();
  const { underWay } = await begin();
  await elsewhere(app, (client) =>
    client.session.updateMany({ where: {}, data: { revokedAt: app.clock.now() } }),
  );
  app.clock.advance({ seconds: V, milliseconds: 1 });
  const late = resolveAt(app.authTuna, browser.cookieHeader, browser.userAgent);
  release();
  expect(await underWay).toBe(401); // it came before, and its guard after
  expect(await late).toBe(null);
});

test('fifty parallel requests of a session that nobody here knows read its row once', async () => {
  const first = (await counted()).app;
  const { browser } = await settled(first);
  for (let round = 0; round < 3; round += 1) {
    const { app, sessionReads } = await counted({}, first);
    const cold = at(app, browser);
    sessionReads();
    const statuses = await Promise.all(Array.from({ length: 50 }, () => statusOf(cold)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(sessionReads()).toBe(1);
  }
});

test('sessions that are asked about in one turn of the event loop are read with one query', async () => {
  const { app, statements, sessionReads } = await counted();
  const people: Awaited<ReturnType<typeof settled>>[] = [];
  for (let i = 0; i < 20; i += 1) people.push(await settled(app));
  app.clock.advance({ seconds: V });
  const ask = () =>
    Promise.all(
      people.map(({ browser }) => resolveAt(app.authTuna, browser.cookieHeader, browser.userAgent)),
    );
  statements.length = 0;
  expect(await ask()).toEqual(people.map(({ user }) => user.id));
  const asked = statements.length;
  expect(sessionReads()).toBe(1);
  expect(asked).toBeLessThanOrEqual(5); // sessions, users, assignments, and whether the roles are still the same

  expect(await ask()).toEqual(people.map(({ user }) => user.id));
  expect(statements).toEqual([]);
});

test('with V = 0 every request asks the database, and those of one turn ask together', async () => {
  const { app, sessionReads } = await counted({ session: { recheckSeconds: 0 } });
  const { browser } = await settled(app);
  sessionReads();
  for (let i = 0; i < 5; i += 1) expect(await statusOf(browser)).toBe(200);
  expect(sessionReads()).toBe(5);
  await Promise.all(
    Array.from({ length: 30 }, () => resolveAt(app.authTuna, browser.cookieHeader, browser.userAgent)),
  );
  expect(sessionReads()).toBe(1);
  await elsewhere(app, (client) =>
    client.session.updateMany({ where: {}, data: { revokedAt: app.clock.now() } }),
  );
  expect(await statusOf(browser)).toBe(401);
});

test('unsafe methods and fresh routes read the row every time', async () => {
  const { app, sessionReads } = await counted();
  const { browser } = await settled(app);
  for (const [method, path] of [
    ['POST', '/me/x'],
    ['GET', '/fresh'],
  ] as const) {
    sessionReads();
    for (let i = 1; i <= 5; i += 1) {
      expect(await statusOf(browser, path, method)).toBe(200);
      expect(sessionReads(), `${method} ${path}`).toBeGreaterThanOrEqual(1);
    }
  }
});

test('memory ends with what is remembered, also in the middle of V (SS-7)', async () => {
  const { app } = await counted({ session: { idleSeconds: 3600, absoluteSeconds: 7200 } });
  const { clock } = app;
  // The absolute limit, reached with a cookie in constant use.
  const { browser } = await settled(app);
  for (let minute = 0; minute < 119; minute += 1) {
    clock.advance({ minutes: 1 });
    expect(await statusOf(browser)).toBe(200);
  }
  clock.advance({ seconds: 55 });
  expect(await statusOf(browser)).toBe(200);
  clock.advance({ seconds: 4 });
  expect(await statusOf(browser)).toBe(200);
  clock.advance({ seconds: 1 });
  expect(await statusOf(browser)).toBe(401);

  // A grant that ends in three seconds.
  const holder = await settled(app);
  const expiresAt = new Date(clock.now().getTime() + 3000);
  await app.authTuna.roles.assign(
    { userId: holder.user.id, role: 'project_member', scope: 'project:42', expiresAt },
    SYSTEM,
  );
  expect(await statusOf(holder.browser, '/projects/42')).toBe(200);
  clock.advance({ milliseconds: 2999 });
  expect(await statusOf(holder.browser, '/projects/42')).toBe(200);
  clock.advance({ milliseconds: 1 });
  expect(await statusOf(holder.browser, '/projects/42')).toBe(403);
  expect(await statusOf(holder.browser)).toBe(200);
});

test('a remembered cookie is worth nothing with another browser, another payload or another signature', async () => {
  const { app, sessionReads } = await counted();
  const { browser } = await settled(app);
  const token = browser.jar.get(COOKIE) ?? '';
  const [header = '', payload = '', signature = ''] = token.split('.');
  const other = await settled(app);
  const [, otherPayload = ''] = (other.browser.jar.get(COOKIE) ?? '').split('.');
  expect(await statusOf(browser)).toBe(200);
  const flipped = (text: string, at: number) =>
    `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
  const forged = [
    `${header}.${otherPayload}.${signature}`,
    `${header}.${flipped(payload, 10)}.${signature}`,
    `${header}.${flipped(payload, payload.length >> 1)}.${signature}`,
    `${flipped(header, 5)}.${payload}.${signature}`,
    `${header}.${payload}.${flipped(signature, 3)}`,
    `.${payload}.${signature}`,
    `.${signature}`,
    signature,
  ];
  sessionReads();
  for (const each of forged) {
    const thief = browser.stolen();
    thief.jar.set(COOKIE, each);
    expect(await statusOf(thief), each).toBe(401);
  }
  expect(sessionReads()).toBe(0);
  const elsewhereOnLinux = browser.stolen(browser.userAgent.replace('Firefox/140.0', 'Firefox/141.0'));
  expect(await statusOf(elsewhereOnLinux)).toBe(200);
  expect(sessionReads()).toBe(1);
});

test('garbage and dead cookies cost no query', async () => {
  const { app, statements } = await counted();
  const { browser } = await settled(app);
  await app.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
  expect(await statusOf(browser)).toBe(401);
  const garbage = browser.stolen();
  statements.length = 0;
  for (let i = 0; i < 100; i += 1) {
    const answer = await browser.get('/me');
    expect(answer.status).toBe(401);
    expect(sessionCookieOf(answer)).toBeUndefined(); // W3: nothing but a logout takes a cookie away
    garbage.jar.set(COOKIE, `${randomBytes(20).toString('base64url')}.${i}.x`);
    expect(await statusOf(garbage)).toBe(401);
  }
  expect(statements).toEqual([]);
});

// Over rows in memory: what is remembered does not depend on where it was read, and so many rows are quickly there.
test('the memory is bounded: of 55,000 sessions within V the latest 20,000 are remembered and the first are not', async () => {
  const db = new MemoryDb({ sleep: async () => {} } as unknown as Timeline, () => 0);
  const clock = new TestClock();
  const config = parseConfig({ baseUrl: 'http://localhost:3000', secrets: [SECRET], clock });
  const runtime = createRuntime(config, db.asDb());
  const audit = new AuditManager(runtime);
  const ledger = new Ledger(runtime, audit);
  const tokens = new SessionTokens(runtime.keys, config.origin);
  const verifier = new SessionVerifier(
    runtime,
    tokens,
    ledger,
    audit,
    new RoleStore(runtime),
    new TeamHoldings(runtime),
  );
  const userAgent = 'Firefox';
  const now = clock.now();
  db.users.set('ada', { id: 'ada', sessionEpoch: 0, suspendedAt: null, deletedAt: null });
  const tokenOf = (index: number) => {
    const row = {
      id: `session${index}`,
      userId: 'ada',
      epoch: 0,
      generation: 0,
      salt: tokens.newSalt(config.random),
      rotatedAt: now,
      acknowledgedAt: now,
      createdAt: now,
      lastSeenAt: now,
      absoluteExpiresAt: new Date(now.getTime() + 86_400_000),
      idleSeconds: 3600,
      authenticatedAt: now,
      amr: 'pwd',
      ...{ previousSalt: null, hardRotatedAt: null, lockedAt: null, networkLockedAt: null, revokedAt: null },
      ...{ fingerprint: null, ip: null, impersonatorId: null, persistent: false, assuranceLevel: 1 },
    };
    db.sessions.set(row.id, row);
    return tokens.issue(row, 0, row.salt, now);
  };
  const issued = Array.from({ length: 55_000 }, (_, index) => tokenOf(index));
  const facts = { ip: null, userAgent, region: async () => null, mayRotate: true };
  for (let i = 0; i < issued.length; i += 1000) {
    const verdicts = await Promise.all(
      issued.slice(i, i + 1000).map((token) => verifier.verify(token, facts, { latest: false })),
    );
    expect(verdicts.every(({ status }) => status === 'verified')).toBe(true);
  }
  const remembered = issued.map((token) => verifier.remembered(token, userAgent, now.getTime()));
  expect(remembered.slice(-20_000).every((each) => each !== undefined)).toBe(true);
  expect(remembered.at(-1)?.sessionId).toBe('session54999');
  expect(remembered.slice(0, 5000).every((each) => each === undefined)).toBe(true);
});
