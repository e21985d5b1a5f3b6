import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import express from 'express';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SECRET, startApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';

function headersOf(browser: Browser): Record<string, string> {
  return { cookie: browser.cookieHeader, 'user-agent': browser.userAgent };
}

/** Asks an app of its own server, which is closed after the test. */
function serve(app: express.Express): (path: string, headers: Record<string, string>) => Promise<unknown> {
  const server = app.listen(0);
  onTestFinished(() => void server.close());
  return async (path, headers) => {
    const { port } = server.address() as AddressInfo;
    return (await fetch(`http://localhost:${port}${path}`, { headers })).json();
  };
}

test('req.user is the user of req.auth, and what an earlier middleware put there is gone', async () => {
  const { signedIn, browser } = await startApp(
    {},
    {
      isBare: true,
      routes(app, authTuna) {
        app.use((req, _res, next) => {
          Object.assign(req, { user: { id: 'somebody else' }, auth: 'theirs' });
          next();
        });
        app.use(authTuna.session());
        app.use('/auth', authTuna.routers.auth());
        app.get('/who', (req, res) => void res.json({ user: req.user?.id, auth: req.auth.user?.id }));
      },
    },
  );
  for (let visit = 0; visit < 3; visit += 1) {
    expect(await (await browser().get('/who')).json()).toEqual({});
  }
  const { user, browser: ada } = await signedIn();
  for (let visit = 0; visit < 3; visit += 1) {
    expect(await (await ada.get('/who')).json()).toEqual({ user: user.id, auth: user.id });
  }
});

test('what a later middleware assigns to req.user stays its own, and no other request sees it', async () => {
  const { signedIn } = await startApp(
    {},
    {
      routes(app) {
        app.get('/renamed', (req, res) => {
          req.user = { ...req.user, username: 'renamed' } as Express.User;
          res.json({ user: req.user.username, auth: req.auth.user?.username });
        });
        app.get('/plain', (req, res) => void res.json({ user: req.user?.username }));
      },
    },
  );
  const { browser } = await signedIn();
  expect(await (await browser.get('/renamed')).json()).toEqual({ user: 'renamed', auth: null });
  expect(await (await browser.get('/plain')).json()).toEqual({ user: null });
});

test('req.user is the user of req.auth, however an earlier middleware or the app defined it', async () => {
  const { authTuna, signedIn } = await startApp();
  const { user, browser } = await signedIn();
  const value = { id: 'somebody else' };
  const ways: ((app: express.Express) => void)[] = [
    // As it is where a slow middleware assigned it before the first request of all had come to session().
    (app) =>
      app.use((req, _res, next) => {
        Object.defineProperty(req, 'user', { configurable: true, writable: true, value });
        next();
      }),
    (app) => Object.defineProperty(app.request, 'user', { configurable: true, writable: true, value }),
  ];
  for (const define of ways) {
    const app = express();
    define(app);
    app.use(authTuna.session());
    app.get('/who', (req, res) => void res.json({ user: req.user?.id ?? null }));
    const get = serve(app);
    for (let visit = 0; visit < 2; visit += 1) {
      expect(await get('/who', {})).toEqual({ user: null });
      expect(await get('/who', headersOf(browser))).toEqual({ user: user.id });
    }
  }
});

test('a req.user that cannot be replaced is an error, and nobody is taken for it', async () => {
  const { authTuna } = await startApp();
  const app = express();
  app.use((req, _res, next) => {
    Object.defineProperty(req, 'user', { value: { id: 'somebody else' } });
    next();
  });
  app.use(authTuna.session());
  app.get('/who', (req, res) => void res.json({ user: req.user?.id ?? null }));
  app.use(authTuna.errorHandler());
  expect(await serve(app)('/who', {})).toMatchObject({ status: 500, code: 'misconfigured' });
});

test('a request that is made out of another one has its own user, and so has the other one', async () => {
  let cookie: string | undefined;
  const { signedIn } = await startApp(
    {},
    {
      routes(app, authTuna) {
        app.get('/outer', (req, res, next) => {
          const inner: express.Request = Object.create(req, {
            headers: { value: { ...req.headers, cookie } },
          });
          const answer = { setHeader: () => {}, getHeader: () => undefined } as unknown as express.Response;
          authTuna.session()(inner, answer, (error?: unknown) => {
            if (error !== undefined) return next(error);
            res.json({ outer: req.user?.id ?? null, inner: inner.user?.id ?? null });
          });
        });
        app.get('/enriched', (req, res) => {
          const found = [1, 2].map(() => {
            const inner: express.Request = Object.create(req, { headers: { value: {} } });
            const answer = { setHeader: () => {}, getHeader: () => undefined } as unknown as express.Response;
            authTuna.session()(inner, answer, () => {});
            req.user = { ...req.user, username: 'enriched' } as Express.User;
            return inner.user?.username ?? null;
          });
          res.json({ found, outer: req.user?.username });
        });
        app.get('/same', (req, res) => {
          const view: express.Request = Object.create(req);
          res.json({ view: view.user?.id ?? null });
        });
        app.get('/other', (req, res) => {
          const inner: express.Request = Object.create(req, { headers: { value: {} } });
          res.json({ inner: inner.user?.id ?? null });
        });
      },
    },
  );
  const ada = await signedIn();
  const bob = await signedIn();
  await bob.browser.get('/me');
  expect(await (await ada.browser.get('/outer')).json()).toEqual({ outer: ada.user.id, inner: null });
  cookie = bob.browser.cookieHeader;
  expect(await (await ada.browser.get('/outer')).json()).toEqual({ outer: ada.user.id, inner: bob.user.id });
  expect(await (await ada.browser.get('/enriched')).json()).toEqual({
    found: [null, null],
    outer: 'enriched',
  });
  expect(await (await ada.browser.get('/same')).json()).toEqual({ view: ada.user.id });
  expect(await (await ada.browser.get('/other')).json()).toEqual({ inner: null });
});

test('requests that follow each other on one connection without waiting have each their own user', async () => {
  const { signedIn, url } = await startApp();
  const ada = await signedIn();
  const bob = await signedIn();
  const { host, port } = new URL(url);
  const many = Array.from({ length: 60 }, (_, index) => `X-${index}: y\r\n`).join(''); // more than Node hands over in one go
  const ask = (browser: Browser | null, more = '') =>
    `GET /public HTTP/1.1\r\nHost: ${host}\r\n${browser === null ? '' : `User-Agent: ${browser.userAgent}\r\nCookie: ${browser.cookieHeader}\r\n`}${more}\r\n`;
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    [
      ask(ada.browser),
      ask(null),
      ask(bob.browser, many),
      ask(ada.browser, many),
      ask(null, `${many}Connection: close\r\n`),
    ].join(''),
  );
  const answers = await text(socket);
  const found = [...answers.matchAll(/"userId":"?([^"}]*)/g)].map(([, id]) => id);
  expect(found).toEqual([ada.user.id, 'null', bob.user.id, ada.user.id, 'null']);
});

test('an app that another one calls by hand knows who is calling', async () => {
  const inner = express();
  inner.get('/inner', (req, res) => void res.json({ user: req.user?.id, auth: req.auth.method }));
  const { signedIn } = await startApp(
    {},
    { routes: (app) => void app.use((req, res, next) => inner(req, res, next)) },
  );
  const { user, browser } = await signedIn();
  expect(await (await browser.get('/inner')).json()).toEqual({ user: user.id, auth: 'session' });
});

test('headers can be handed on as they came', async () => {
  const { signedIn } = await startApp(
    {},
    {
      routes(app) {
        app.get('/copied', (req, res) => {
          const copy = new Headers(req.headers as Record<string, string>);
          res.json({
            host: copy.get('host'),
            raw: [...req.rawHeaders].every((each) => typeof each === 'string'),
          });
        });
      },
    },
  );
  const { browser } = await signedIn();
  expect(await (await browser.get('/copied')).json()).toMatchObject({ raw: true });
});

test('a request that Express has not touched is told too', async () => {
  const { authTuna } = await startApp();
  for (let visit = 0; visit < 2; visit += 1) {
    const req = { method: 'GET', headers: {}, socket: {} } as express.Request;
    for (let time = 0; time < 2; time += 1) {
      await new Promise((resolve) => authTuna.session()(req, {} as express.Response, resolve));
      expect(req.auth.method).toBe('anonymous');
      expect(req.user).toBeUndefined();
    }
  }
});

test('two copies of the library in one process tell the people of their own apps', async () => {
  const mine = await startApp();
  vi.resetModules();
  const { createAuthTuna } = await import('../../../src/index.js');
  const other = createAuthTuna({
    baseUrl: mine.url,
    secrets: [SECRET],
    databaseUrl: mine.database.url,
    clock: mine.clock,
  });
  onTestFinished(() => other.close());
  const app = express().use(other.session());
  app.get('/me', other.requireUser(), (req, res) => void res.json({ id: req.user?.id }));
  const server = app.listen(0);
  onTestFinished(() => void server.close());
  const { user, browser } = await mine.signedIn();
  const cookie = `at_sess=${browser.jar.get('at_sess')}`;
  const headers = { cookie, 'user-agent': browser.userAgent };
  for (let visit = 0; visit < 2; visit += 1) {
    const theirs = await fetch(`http://localhost:${(server.address() as AddressInfo).port}/me`, { headers });
    expect(await theirs.json()).toEqual({ id: user.id });
    expect(await (await browser.get('/me')).json()).toMatchObject({ id: user.id });
  }
});
