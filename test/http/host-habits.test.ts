// What apps do around the library: parsers of their own, error handlers of their own, hooks that throw.
import express, { type ErrorRequestHandler } from 'express';
import { expect, test } from 'vitest';
import { AuthTunaError, createAuthTuna } from '../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';

test('a body that the app has read as text or bytes is read all the same, within the same limits', async () => {
  for (const parser of [express.text({ type: '*/*' }), express.raw({ type: '*/*', limit: '1mb' })]) {
    const app = await startApp(
      {},
      {
        isBare: true,
        routes: (server, authTuna) => {
          server.use(parser);
          server.use(authTuna.router());
        },
      },
    );
    await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
    const browser = app.browser();
    const login = { login: 'ada@example.com', password: PASSWORD };
    expect((await browser.post('/auth/login', login)).status).toBe(200);
    const json = { headers: { 'content-type': 'application/json' } };
    for (const [rawBody, status] of [
      ['{"login":', 400],
      ['"text"', 400],
      [JSON.stringify({ login: 'x'.repeat(40_000) }), 413],
      [`[${'{"a":'.repeat(20)}1${'}'.repeat(20)}]`, 400],
    ] as const)
      expect(
        (await app.browser().post('/auth/login', undefined, { ...json, rawBody })).status,
        rawBody.slice(0, 20),
      ).toBe(status);

    const page = await app.browser().get('/auth/login', { headers: { accept: 'text/html' } });
    const [, token = ''] = /name="csrfToken" value="([^"]+)"/.exec(await page.text()) ?? [];
    const cookie = page.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
    const form = await app.browser().post('/auth/login', undefined, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html', cookie },
      rawBody: new URLSearchParams({ ...login, csrfToken: token }).toString(),
    });
    expect(form.status).toBe(303);
  }
});

test('with only: authtuna the app answers its own errors itself, and refusals are answered as ever', async () => {
  const own: ErrorRequestHandler = (error, _req, res, _next) =>
    void res.status(418).json({ mine: (error as Error).message });
  const { browser } = await startApp(
    {},
    {
      routes: (server, authTuna) => {
        server.get('/broken', () => {
          throw new Error('mine');
        });
        server.get('/refused', () => {
          throw new AuthTunaError('not_found');
        });
        server.use(authTuna.errorHandler({ only: 'authtuna' }), own);
      },
    },
  );
  const broken = await browser().get('/broken');
  expect([broken.status, await broken.json()]).toEqual([418, { mine: 'mine' }]);
  expect((await browser().get('/refused')).status).toBe(404);
  const authTuna = createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: [SECRET] });
  expect(() => authTuna.errorHandler({ only: 'mine' } as never)).toThrow("{ only: 'authtuna' }");
  await authTuna.close();
});

test('any error that a hook throws refuses, with a line in the log and nothing of it in the answer', async () => {
  const thrown = [
    new Error('on the secret list'),
    new TypeError('cannot read'),
    Object.assign(new Error('teapot'), { status: 418 }),
    new AuthTunaError('account_suspended'),
  ];
  const queue = [...thrown];
  const app = await startApp({
    hooks: {
      beforeSignIn() {
        const next = queue.shift();
        if (next !== undefined) throw next;
      },
    },
  });
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const statuses: number[] = [];
  for (let time = 0; time <= thrown.length; time += 1) {
    const answer = await app.browser().post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    statuses.push(answer.status);
    expect(await answer.text()).not.toMatch(/secret list|cannot read/);
  }
  expect(statuses).toEqual([403, 403, 418, 403, 200]);
  const lines = app.logger.lines.filter(({ message }) => message.startsWith('hooks.beforeSignIn threw'));
  expect(lines.map(({ facts }) => (facts as { error: Error }).error)).toEqual(thrown.slice(0, 2));
});
