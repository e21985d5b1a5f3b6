import { expect, onTestFinished, test } from 'vitest';
import { type AuthTunaOptions, SYSTEM } from '../../../src/index.js';
import { startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { inDatabase } from '../../support/sessions.js';

// Where a scope hangs, as a process sees it that is told of no change: it has a client of its own and no broadcast.

const V = 10;

/** Two processes on one database, and somebody who may read what hangs below `org:acme`. */
async function acmeInTwoProcesses(options: Partial<AuthTunaOptions> = {}) {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const here = await startApp(
    { prisma: client, ...options },
    {
      database,
      routes: (express, tuna) => {
        const fresh = tuna.requirePermission('project:read', { scopeFrom: 'projectId', fresh: true });
        express.get('/fresh/:projectId', fresh, (_req, res) => void res.json({}));
        express.post('/asked/:projectId', async (req, res) => {
          res.json({ can: await req.auth.can('project:read', `project:${req.params.projectId}`) });
        });
      },
    },
  );
  await here.authTuna.jobs.stop();
  const elsewhere = await startApp({ baseUrl: here.url, ...options }, { database, clock: here.clock });
  const { browser, user } = await here.signedIn();
  await elsewhere.authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await elsewhere.authTuna.scopes.register({ id: 'org:other' }, SYSTEM);
  await elsewhere.authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  await elsewhere.authTuna.roles.assign({ userId: user.id, role: 'org_member', scope: 'org:acme' }, SYSTEM);
  return { here, elsewhere: elsewhere.authTuna, browser, statements };
}

const statusOf = async (browser: Browser, method: string, path: string) => {
  const answer = await browser.request(method, path);
  await answer.arrayBuffer();
  return answer.status;
};

/** What the three ways to ask for the answer of now say. */
async function answersOfNow(browser: Browser, id: string) {
  const asked = await browser.request('POST', `/asked/${id}`);
  return [
    await statusOf(browser, 'POST', `/projects/${id}`),
    await statusOf(browser, 'GET', `/fresh/${id}`),
    ((await asked.json()) as { can: boolean }).can,
  ];
}

const YES = [200, 200, true];
const NO = [403, 403, false];

test('unsafe methods and fresh routes read no scope while the tree is unchanged', async () => {
  const { browser, statements } = await acmeInTwoProcesses();
  expect(await answersOfNow(browser, '42')).toEqual(YES);
  statements.length = 0;
  expect(await answersOfNow(browser, '42')).toEqual(YES);
  expect(statements.filter((sql) => /FROM \S*Session\b/is.test(sql)).length).toBeGreaterThanOrEqual(3);
  expect(statements.filter((sql) => /ScopeNode/.test(sql))).toEqual([]);
});

test('what another process does to the tree counts at once for unsafe methods and fresh routes (RB-8)', async () => {
  const { browser, elsewhere } = await acmeInTwoProcesses();
  const { scopes } = elsewhere;
  expect(await answersOfNow(browser, '42')).toEqual(YES);
  await scopes.move('project:42', 'org:other', SYSTEM);
  expect(await answersOfNow(browser, '42')).toEqual(NO);
  await scopes.move('project:42', 'org:acme', SYSTEM);
  expect(await answersOfNow(browser, '42')).toEqual(YES);
  await scopes.remove('project:42', SYSTEM);
  expect(await answersOfNow(browser, '42')).toEqual(NO);

  expect(await answersOfNow(browser, '7')).toEqual(NO);
  await scopes.register({ id: 'project:7', parent: 'org:acme' }, SYSTEM);
  expect(await answersOfNow(browser, '7')).toEqual(YES);
});

test('with V = 0 every method goes by the tree of now (RB-8)', async () => {
  const { browser, elsewhere, statements } = await acmeInTwoProcesses({ session: { recheckSeconds: 0 } });
  const read = () => statusOf(browser, 'GET', '/projects/42');
  expect(await read()).toBe(200);
  statements.length = 0;
  expect(await read()).toBe(200);
  expect(statements.filter((sql) => /ScopeNode/.test(sql))).toEqual([]);
  await elsewhere.scopes.move('project:42', 'org:other', SYSTEM);
  expect(await read()).toBe(403);
  await elsewhere.scopes.move('project:42', 'org:acme', SYSTEM);
  expect(await read()).toBe(200);
});

test('what tables of the host say of a scope is asked every time (RB-8)', async () => {
  let parent = 'org:acme';
  const { browser, elsewhere } = await acmeInTwoProcesses({
    resolveScope: async (scope) => (scope.startsWith('project:') ? { parent } : null),
  });
  expect(await answersOfNow(browser, '7')).toEqual(YES);
  parent = 'org:other';
  expect(await answersOfNow(browser, '7')).toEqual(NO);
  parent = 'org:acme';
  expect(await answersOfNow(browser, '7')).toEqual(YES);
  await elsewhere.scopes.register({ id: 'project:7', parent: 'org:other' }, SYSTEM); // a row goes before a table of the host
  expect(await answersOfNow(browser, '7')).toEqual(NO);
});

test('what was remembered before a clock was put back does not count again when that time comes (RB-8)', async () => {
  const { here, browser, elsewhere } = await acmeInTwoProcesses();
  const read = () => statusOf(browser, 'GET', '/projects/42');
  expect(await read()).toBe(200);
  here.clock.advance({ minutes: 4 });
  expect(await read()).toBe(200);
  here.clock.advance({ minutes: -3 });
  await elsewhere.scopes.move('project:42', 'org:other', SYSTEM);
  expect(await statusOf(browser, 'GET', '/projects/7')).toBe(403);
  here.clock.advance({ minutes: 3, seconds: 3 });
  expect(await read()).toBe(403);
});

test('a row of the tree that was changed by hand counts within V (RB-8)', async () => {
  const moveByHand = (here: TestInstance) =>
    inDatabase(here, (client) =>
      client.scopeNode.update({ where: { id: 'project:42' }, data: { parentId: 'org:other' } }),
    );
  const { here, browser } = await acmeInTwoProcesses();
  expect(await answersOfNow(browser, '42')).toEqual(YES);
  await moveByHand(here);
  here.clock.advance({ seconds: V });
  expect(await answersOfNow(browser, '42')).toEqual(NO);
  expect(await statusOf(browser, 'GET', '/projects/42')).toBe(403);

  const always = await acmeInTwoProcesses({ session: { recheckSeconds: 0 } });
  expect(await statusOf(always.browser, 'GET', '/projects/42')).toBe(200);
  await moveByHand(always.here);
  always.here.clock.advance({ seconds: 1 });
  expect(await statusOf(always.browser, 'GET', '/projects/42')).toBe(403);
});
