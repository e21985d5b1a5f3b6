import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SECRET, startApp } from '../support/app.js';

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
    await new Promise((resolve) => authTuna.session()(req, {} as express.Response, resolve));
    expect(req.auth.method).toBe('anonymous');
    expect(req.user).toBeUndefined();
  }
});

test('two copies of the library in one process tell the people of their own apps', async () => {
  const mine = await startApp();
  vi.resetModules();
  const { createAuthTuna } = await import('../../src/index.js');
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
