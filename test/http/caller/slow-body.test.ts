import { once } from 'node:events';
import { request } from 'node:http';
import express, { type RequestHandler } from 'express';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { caught } from '../../support/caught.js';
import { COOKIE } from '../../support/sessions.js';

/** Sends headers and half a body; `finish` sends the rest, and gives the answer. */
function beginPost(app: TestInstance, browser: Browser, path: string, method = 'POST') {
  const body = JSON.stringify({ username: 'changed' });
  const { port } = new URL(app.url);
  const sent = request({ port, path, method, host: '127.0.0.1' });
  for (const [name, value] of Object.entries({
    host: new URL(app.url).host,
    cookie: `${COOKIE}=${browser.jar.get(COOKIE)}`,
    'user-agent': browser.userAgent,
    'content-type': 'application/json',
    'content-length': String(body.length),
  }))
    sent.setHeader(name, value);
  sent.write(body.slice(0, 5));
  return {
    async finish(): Promise<{ status: number; text: string }> {
      sent.end(body.slice(5));
      const [answer] = await once(sent, 'response');
      let text = '';
      for await (const chunk of answer) text += chunk;
      return { status: answer.statusCode ?? 0, text };
    },
  };
}

/** Tells when a parser of the body begins to read, which is after everything that stands before it. */
function readingSignal() {
  let tell = () => {};
  const signal: RequestHandler = (req, _res, next) => {
    req.on('newListener', (name) => name === 'data' && tell());
    next();
  };
  const next = () =>
    new Promise<void>((resolve) => {
      tell = resolve;
    });
  return { signal, next };
}

const ways = ['user', 'user-fresh', 'permission', 'permission-fresh', 'recent', 'role', 'in-the-handler'];

async function slowApp() {
  const reading = readingSignal();
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        const done: RequestHandler = (_req, res) => void res.json({ done: true });
        const scoped = { scopeFrom: 'projectId' } as const;
        const guards: Record<string, RequestHandler> = {
          user: authTuna.requireUser(),
          'user-fresh': authTuna.requireUser({ fresh: true }),
          permission: authTuna.requirePermission('project:read', scoped),
          'permission-fresh': authTuna.requirePermission('project:read', { ...scoped, fresh: true }),
          recent: authTuna.requireRecentLogin(),
          role: authTuna.requireRole('org_admin', scoped),
          'in-the-handler': caught(async (req, _res, next) => {
            await req.auth.require('project:read', `project:${req.params.projectId}`);
            next();
          }),
        };
        host.use('/slow', reading.signal, express.json());
        for (const [way, guard] of Object.entries(guards)) host.post(`/slow/${way}/:projectId`, guard, done);
      },
    },
  );
  const { browser, user } = await app.signedIn();
  await app.authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await app.authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  await app.authTuna.roles.assign({ userId: user.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  const begin = async (way: string) => {
    const read = reading.next();
    const post = beginPost(app, browser, `/slow/${way}/42`);
    await read;
    return post;
  };
  return { app, user, browser, begin };
}

test.each(ways)(
  'a session that ends while a slow body arrives lets nothing through: %s (SS-8)',
  async (way) => {
    const { app, user, begin } = await slowApp();
    const honest = await begin(way);
    app.clock.advance({ seconds: 5 });
    expect((await honest.finish()).status).toBe(200);

    const post = await begin(way);
    await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
    const answer = await post.finish();
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('session_revoked');
  },
);

test.each(['permission', 'permission-fresh', 'role', 'in-the-handler'])(
  'a role that is taken away while a slow body arrives lets nothing through: %s (RB-8)',
  async (way) => {
    const { app, user, begin } = await slowApp();
    const post = await begin(way);
    await app.authTuna.roles.unassign({ userId: user.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
    expect((await post.finish()).status).toBe(403);
  },
);

test.each(['user', 'in-the-handler'])(
  'what another instance ended is noticed too, when a body took longer than a second: %s (SS-8)',
  async (way) => {
    const { app, user, begin } = await slowApp();
    const post = await begin(way);
    const other = await startApp({ baseUrl: app.url }, { database: app.database, clock: app.clock });
    await other.authTuna.sessions.revokeAll(user.id, SYSTEM);
    app.clock.advance({ seconds: 2 });
    expect((await post.finish()).status).toBe(401);
  },
);

function deferred() {
  let resolve: (scope: string) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<string>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}

/** A route whose scope is found by a function of the host, which waits until it is told the scope, or an error. */
async function waitingApp(options: { fresh?: boolean } = {}) {
  let asked = () => {};
  let calls = 0;
  let answer: ReturnType<typeof deferred>;
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        const scopeFrom = () => {
          calls += 1;
          asked();
          return answer.promise;
        };
        const guard = authTuna.requirePermission('project:read', { ...options, scopeFrom });
        host.get('/waiting', guard, (_req, res) => void res.json({}));
      },
    },
  );
  const { browser, user } = await app.signedIn();
  await app.authTuna.roles.assign({ userId: user.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  /** Resolves when the host's function waits; `answered` is the status of the answer. */
  const begin = async () => {
    answer = deferred();
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const answered = browser.get('/waiting').then(({ status }) => status);
    await isAsked;
    return { ...answer, answered };
  };
  return { app, user, begin, calls: () => calls };
}

test.each([{}, { fresh: true }])(
  'what was taken away while the host looked for the scope lets nothing through: %o (SS-8, RB-8)',
  async (options) => {
    const { app, user, begin } = await waitingApp(options);
    const honest = await begin();
    honest.resolve('org:acme');
    expect(await honest.answered).toBe(200);

    const revoked = await begin();
    await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
    revoked.resolve('org:acme');
    expect(await revoked.answered).toBe(401);
  },
);

test.each([{}, { fresh: true }])(
  'a scopeFrom that fails is asked once and fails the request, not the process: %o',
  async (options) => {
    const { app, begin, calls } = await waitingApp(options);
    const failing = await begin();
    failing.reject(new Error('no such project'));
    expect(await failing.answered).toBe(500);
    expect(calls()).toBe(1);
    expect((await app.browser().get('/public')).status).toBe(200);
  },
);

test('our own routes look again at who sends a slow body before they act on it (SS-8)', async () => {
  const reading = readingSignal();
  const app = await startApp(
    {},
    {
      isBare: true,
      routes(host, authTuna) {
        host.use('/auth', authTuna.routers.auth());
        host.use('/account', reading.signal, authTuna.routers.account());
      },
    },
  );
  const { browser, user } = await app.signedIn();
  const read = reading.next();
  const post = beginPost(app, browser, '/account', 'PATCH');
  await read;
  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect((await post.finish()).status).toBe(401);
  expect((await app.authTuna.users.get(user.id)).username).toBe(user.username);
});

/** An app whose guards stand before what reads the body. */
async function guardFirstApp() {
  const reading = readingSignal();
  const handled: string[] = [];
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        host.use('/first', reading.signal);
        const scoped = { scopeFrom: 'projectId' } as const;
        const guards: Record<string, RequestHandler> = {
          user: authTuna.requireUser(),
          permission: authTuna.requirePermission('project:read', scoped),
          role: authTuna.requireRole('org_admin', scoped),
        };
        for (const [way, guard] of Object.entries(guards)) {
          host.post(`/first/json/${way}/:projectId`, guard, express.json(), (req, res) => {
            handled.push(way);
            res.json(req.body);
          });
          // A handler that reads the stream by itself.
          host.post(`/first/stream/${way}/:projectId`, guard, (req, res) => {
            req.on('data', () => {});
            req.on('end', () => {
              handled.push(way);
              res.json({ username: 'changed' });
            });
          });
        }
      },
    },
  );
  const { browser, user } = await app.signedIn();
  await app.authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await app.authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  await app.authTuna.roles.assign({ userId: user.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  const begin = async (path: string) => {
    const read = reading.next();
    const post = beginPost(app, browser, `/first/${path}/42`);
    await read;
    return post;
  };
  return { app, user, browser, begin, handled };
}

test.each(['json/user', 'json/permission', 'json/role', 'stream/user', 'stream/permission'])(
  'a guard before the body parser decides again when the body has arrived: %s (SS-8)',
  async (path) => {
    const { app, user, browser, begin, handled } = await guardFirstApp();
    const honest = await begin(path);
    app.clock.advance({ minutes: 4 });
    expect(await honest.finish()).toEqual({ status: 200, text: JSON.stringify({ username: 'changed' }) });
    expect(handled).toHaveLength(1);

    const post = await begin(path);
    await app.authTuna.users.suspend(user.id, 'spam', SYSTEM);
    expect((await browser.get('/me')).status).toBe(401);
    app.clock.advance({ minutes: 4 });
    const answer = await post.finish();
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('session_revoked');
    expect(handled).toHaveLength(1);
  },
);

test('a role that was taken away while the body was held back lets nothing through, also before the parser (RB-8)', async () => {
  const { app, user, begin, handled } = await guardFirstApp();
  const post = await begin('json/permission');
  await app.authTuna.roles.unassign({ userId: user.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  app.clock.advance({ seconds: 2 });
  expect((await post.finish()).status).toBe(403);
  expect(handled).toEqual([]);
});
