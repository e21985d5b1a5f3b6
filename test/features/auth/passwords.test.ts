import express, { type Express } from 'express';
import { expect, test } from 'vitest';
import type { AuthTuna } from '../../../src/authtuna-interface.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { caught } from '../../support/caught.js';
import { type MailedApp, startMailedApp, tokenIn } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';
const EMOJI =
  '🌵🎈🚲🎹🌊🪁🧭🪴🦉🐙🍉🥝🌽🧅🧄🥨🧀🍕🥗🍣🍰🧁🍪🍫🍬🍭🍯🥛🍵🍶🍾🍷🍸🍹🍺🥂🥃🥤🧋🧃🧉🧊🥢🍽🍴🥄🔪🏺🌍🌎🌏🌐🗺🗾🧱🏔⛰🌋🗻🏕🏖🏜🏝🏞';

/** Every path by which a password is chosen. */
const PATHS: Record<string, (app: MailedApp, email: string, password: string) => Promise<Response>> = {
  async 'sign-up'(app, email, password) {
    return app.browser().post('/auth/signup', { email, password });
  },
  async change(app, email, newPassword) {
    const { browser } = await app.signedIn(email);
    return browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword });
  },
  async 'forced change'(app, email, newPassword) {
    const { browser, user } = await app.signedIn(email);
    await app.authTuna.passwords.requireChange(user.id, SYSTEM);
    return browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword });
  },
  async claim(app, email, newPassword) {
    await app.authTuna.users.create({ email, password: PASSWORD });
    await app.browser().post('/auth/verify-email/resend', { email });
    const token = tokenIn(await app.mailTo(email), '/auth/verify-email');
    return app.browser().post('/auth/verify-email', { token, newPassword });
  },
  async reset(app, email, newPassword) {
    await app.authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
    await app.browser().post('/auth/forgot-password', { email });
    const token = tokenIn(await app.mailTo(email), '/auth/reset-password');
    return app.browser().post('/auth/reset-password', { token, newPassword });
  },
  async 'first password of an account without one'(app, email, newPassword) {
    await app.authTuna.users.create({ email, emailVerified: true });
    await app.browser().post('/auth/forgot-password', { email });
    const token = tokenIn(await app.mailTo(email), '/auth/reset-password');
    return app.browser().post('/auth/reset-password', { token, newPassword });
  },
  async 'created by an administrator'(app, email, password) {
    return app.browser().post('/host/people', { email, password });
  },
  async 'set by an administrator'(app, email, password) {
    const { id } = await app.authTuna.users.create({ email, password: PASSWORD });
    return app.browser().post(`/host/people/${id}/password`, { password });
  },
};

/** Routes of the host's own, for what no route of ours does. */
function hostRoutes(app: Express, authTuna: AuthTuna): void {
  const create = caught(async (req, res) => res.json(await authTuna.users.create(req.body)));
  const setPassword = caught(async (req, res) => {
    await authTuna.passwords.set(String(req.params.id), req.body.password, SYSTEM);
    res.json({});
  });
  app.post('/host/people', express.json(), create);
  app.post('/host/people/:id/password', express.json(), setPassword);
}

test('15 to 256 code points, on every path that sets a password (PW-1)', async () => {
  expect([...EMOJI].length).toBeGreaterThanOrEqual(60);
  const app = await startMailedApp({}, { routes: hostRoutes });
  for (const [path, choose] of Object.entries(PATHS)) {
    for (const [index, [password, isAccepted]] of [
      ['plain umbrella', false],
      ['plain umbrellas', true],
      [EMOJI, true],
      ['plain umbrella '.repeat(18).slice(0, 257), false],
    ].entries() as IterableIterator<[number, [string, boolean]]>) {
      const { status } = await choose(app, addressFor(path, index), password);
      const expected = isAccepted ? (path === 'sign-up' ? 202 : 200) : 422;
      expect({ path, length: [...password].length, status }).toEqual({
        path,
        length: [...password].length,
        status: expected,
      });
    }
  }
});

test('a listed password and one made of the account are refused on every path, and the reason is told (PW-6)', async () => {
  const app = await startMailedApp({}, { routes: hostRoutes });
  for (const [path, choose] of Object.entries(PATHS)) {
    for (const [index, [password, reason]] of [
      ['passwordpassword', 'common'],
      ['MomSanalAdventure', 'common'],
      ['q1w2e3r4t5y6u7i8o9p0', 'common'],
      ['vjkjljwsjnjujfa', 'common'],
      ['harbour harbour 2024', 'contextual'],
    ].entries() as IterableIterator<[number, [string, string]]>) {
      const answer = await choose(app, addressFor(path, index), password);
      const body = await answer.json();
      expect({ path, password, status: answer.status, body }).toMatchObject({
        path,
        password,
        status: 422,
        body: { code: 'weak_password', reason },
      });
    }
  }
});

test('composed and decomposed letters are one password; case and spaces count (PW-2)', async () => {
  const app = await startMailedApp();
  const composed = 'caf\u00e9 umbrella quartz ';
  await app.authTuna.users.create({ email: ADA, password: composed, emailVerified: true });
  const login = async (password: string) =>
    (await app.browser().post('/auth/login', { login: ADA, password })).status;
  expect(await login(composed.normalize('NFD'))).toBe(200);
  expect(await login(composed.trimEnd())).toBe(401);
  expect(await login(composed.toUpperCase())).toBe(401);
});

test('what follows the 72nd byte counts (PW-3)', async () => {
  const app = await startMailedApp();
  const emoji = [...EMOJI].slice(0, 18).join('');
  for (const [index, [password, other]] of [
    [
      `${'a'.repeat(30)}-umbrella-${'b'.repeat(32)}X and more`,
      `${'a'.repeat(30)}-umbrella-${'b'.repeat(32)}Y and more`,
    ],
    [`${emoji}X`, `${emoji}Y`],
  ].entries()) {
    const email = `ada${index}@example.com`;
    await app.authTuna.users.create({ email, password: password ?? '', emailVerified: true });
    expect((await app.browser().post('/auth/login', { login: email, password: other })).status).toBe(401);
    expect((await app.browser().post('/auth/login', { login: email, password })).status).toBe(200);
  }
});

test('a change ends the other sessions and the mailed links, and is mailed (PW-7)', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn(ADA);
  const other = app.browser();
  await other.post('/auth/login', { login: ADA, password: PASSWORD });
  await app.browser().post('/auth/forgot-password', { email: ADA });
  const token = tokenIn(await app.mailTo(ADA), '/auth/reset-password');
  const newPassword = 'plain umbrella quartz seventeen';
  const wrong = await browser.post('/auth/change-password', {
    currentPassword: 'wrong one entirely',
    newPassword,
  });
  expect(wrong.status).toBe(401);
  const changed = await browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword });
  expect(changed.status).toBe(200);
  expect((await browser.post('/me/x', {})).status).toBe(200);
  expect((await other.post('/me/x', {})).status).toBe(401);
  expect((await app.browser().post('/auth/reset-password', { token, newPassword: PASSWORD })).status).toBe(
    400,
  );
  expect((await app.mailTo(ADA)).subject).toMatch(/password/i);
});

test('whoever must change the password is led there, can do it, and goes on (D24)', async () => {
  const app = await startMailedApp();
  const user = await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  const visitor = app.visitor();
  const login = await visitor.open('/auth/login?returnTo=/me');
  const forced = await visitor.send(login, { login: ADA, password: PASSWORD });
  expect(forced.html).toContain('Before you continue, please choose a new password.');
  expect((await visitor.browser.get('/me')).status).toBe(403);
  const opened = await visitor.browser.get('/me', { headers: { accept: 'text/html' } });
  expect(opened.headers.get('location')).toBe('/auth/change-password?returnTo=%2Fme');
  const done = await visitor.submit(forced, {
    currentPassword: PASSWORD,
    newPassword: 'plain umbrella quartz seventeen',
  });
  expect(done.headers.get('location')).toBe('/me');
  expect((await visitor.browser.get('/me')).status).toBe(200);
});

function addressFor(path: string, index: number): string {
  return `${path.replaceAll(' ', '-')}${index}@example.com`;
}

test('a first password needs a login of the last ten minutes (PW-7, MB-3)', async () => {
  const app = await startMailedApp();
  const { id } = await app.authTuna.users.create({ email: 'none@example.com', emailVerified: true });
  const { token } = await app.authTuna.sessions.create(id, ['email'], SYSTEM);
  const browser = app.browser();
  browser.jar.set('at_sess', token);
  const set = () => browser.post('/auth/change-password', { newPassword: PASSWORD });
  app.clock.advance({ minutes: 11 });
  const late = await set();
  expect([late.status, ((await late.json()) as { code: string }).code]).toEqual([
    401,
    'recent_login_required',
  ]);
  expect(await app.authTuna.passwords.verify(id, PASSWORD)).toBe(false);
});
