import express, { type Express } from 'express';
import { expect, test } from 'vitest';
import type { AuthTuna } from '../../../src/authtuna-interface.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { caught } from '../../support/caught.js';
import { enrolTotp } from '../../support/factors.js';

/** An app with a sign-in route of its own, which knows people by a card. */
function cards(app: Express, authTuna: AuthTuna): void {
  const signIn = caught(async (req, res) => {
    const result = await authTuna.signIn(req, res, req.body.userId, req.body.amr ?? ['hwk'], {
      rememberMe: req.body.rememberMe === true,
    });
    res.json({ status: result.status, email: result.user.email });
  });
  app.post('/card', express.json(), signIn);
}

test("a host's own route signs in: cookie, events and rules are those of every other way in", async () => {
  const app = await startApp({}, { routes: cards });
  const ada = await app.authTuna.users.create({
    email: 'ada@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  const seen: unknown[] = [];
  app.authTuna.on('user.signed_in', ({ data }) => void seen.push(data));
  const browser = app.browser();
  const answer = await browser.post('/card', { userId: ada.id });
  expect(await answer.json()).toEqual({ status: 'signed_in', email: 'ada@example.com' });
  expect((await browser.get('/me')).status).toBe(200);
  expect(seen).toEqual([{ amr: ['hwk'] }]);

  await app.authTuna.users.suspend(ada.id, 'a test', SYSTEM);
  expect((await app.browser().post('/card', { userId: ada.id })).status).toBe(403);
  expect((await app.browser().post('/card', { userId: 'nobody' })).status).toBe(404);
  expect((await app.browser().post('/card', { userId: ada.id, amr: [] })).status).toBe(500);
});

test("another site's form cannot sign a person in by the host's own route (CS-1)", async () => {
  const app = await startApp({}, { routes: cards });
  const mallory = await app.authTuna.users.create({ email: 'mallory@example.com' });
  const answer = await fetch(`${app.url}/card`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
    },
    body: JSON.stringify({ userId: mallory.id }),
  });
  expect(answer.status).toBe(403);
  expect(answer.headers.getSetCookie()).toEqual([]);
});

test('a second factor is asked for after a sign-in of the host', async () => {
  const app = await startApp({}, { routes: cards });
  const { user, browser: owner } = await app.signedIn('ada@example.com');
  await enrolTotp(app, owner);
  const browser = app.browser();
  const answer = await browser.post('/card', { userId: user.id, amr: ['pwd'] });
  expect(await answer.json()).toMatchObject({ status: 'second_factor_required' });
  expect((await browser.get('/me')).status).toBe(401);
});

test("paths.signIn sends browsers to the host's own page, with and without our pages", async () => {
  for (const pages of [true, false]) {
    const app = await startApp(
      { paths: { signIn: '/entrance' } },
      { isBare: true, routes: (host, authTuna) => void host.use(authTuna.router({ pages })) },
    );
    const page = (path: string) =>
      fetch(`${app.url}${path}`, { headers: { accept: 'text/html' }, redirect: 'manual' });
    const refused = await page('/me');
    expect(refused.status).toBe(303);
    expect(refused.headers.get('location')).toBe('/entrance?returnTo=%2Fme');
    if (pages) expect((await page('/auth/login')).headers.get('location')).toMatch(/^\/entrance/);
    expect((await fetch(`${app.url}/me`)).status).toBe(401);
  }
});
