import type { RequestHandler } from 'express';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import { enrolTotp, halfSignedIn, json } from '../../support/factors.js';

const HTML = { headers: { accept: 'text/html' } };

/** An instance with a page for fresh proofs only, one for a second factor, and one for passkeys. */
function startWithVault(options: Parameters<typeof startApp>[0] = {}) {
  return startApp(options, {
    routes(app, authTuna) {
      const ok: RequestHandler = (_req, res) => void res.json({ ok: true });
      app.get('/vault', authTuna.requireRecentLogin({ withinSeconds: 300 }), ok);
      app.post('/vault', authTuna.requireRecentLogin({ withinSeconds: 300 }), ok);
      app.get('/strong', authTuna.requireSecondFactor(), ok);
      app.get('/hardware', authTuna.requireRecentLogin({ methods: ['hwk'] }), ok);
    },
  });
}

test('an old proof is refused with how to renew it, and a step-up opens the route again (MB-3)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  await json(browser.get('/vault'), 200);
  app.clock.advance({ minutes: 5, seconds: 1 });
  const refused = await browser.post('/vault', {});
  expect(refused.headers.get('www-authenticate')).toMatch(
    /error="insufficient_user_authentication".*max_age=300/,
  );
  expect(await json(refused, 401)).toMatchObject({
    code: 'recent_login_required',
    max_age: 300,
    stepUp: '/auth/step-up',
  });
  expect((await browser.post('/auth/step-up', { password: 'wrong' })).status).toBe(401);
  expect((await browser.post('/vault', {})).status).toBe(401);
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  await json(browser.post('/vault', {}), 200);
});

test('a step-up kills the old cookie at once, and a copy of it never becomes the new one (SS-14)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  await json(browser.get('/me'), 200);
  const copy = browser.stolen();
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  for (const attempt of [
    copy.post('/me/x'),
    copy.get('/vault'),
    copy.post('/auth/step-up', { password: PASSWORD }),
  ]) {
    const answer = await attempt;
    expect(await json(answer, 401)).toMatchObject({ code: 'superseded' });
    expect(answer.headers.getSetCookie()).toEqual([]);
  }
  app.clock.advance({ seconds: 11 });
  expect((await copy.get('/me')).status).toBe(401);
  await json(browser.get('/me'), 200);
});

test('where a second factor is enrolled a password alone is no fresh proof (MB-3)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  app.clock.advance({ minutes: 6 });
  expect(await json(browser.post('/auth/step-up', { password: PASSWORD }), 401)).toMatchObject({
    code: 'second_factor_required',
    factors: ['totp', 'recovery_code'],
  });
  expect((await browser.post('/auth/step-up', { code: totp.nextCode() })).status).toBe(422);
  expect((await browser.get('/vault')).status).toBe(401);
  await json(browser.post('/auth/step-up', { password: PASSWORD, code: totp.nextCode() }), 200);
  await json(browser.get('/vault'), 200);
});

test('a passkey alone is a fresh proof, and what was proved before no longer counts as fresh (MB-3)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  const authenticator = new Authenticator(app.url);
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
  await enrolTotp(app, browser);
  await json(browser.get('/hardware'), 200);
  app.clock.advance({ minutes: 11 });
  const request = await json(browser.post('/auth/passkeys/sign-in/options', {}), 200);
  await json(browser.post('/auth/passkeys/sign-in', authenticator.get(request)), 200);
  await json(browser.get('/hardware'), 200);
  await json(browser.get('/vault'), 200);
});

test('authTuna.auth.stepUp raises a session for a host’s own route, and only with its user’s proof (MB-3)', async () => {
  const app = await startWithVault();
  const { user } = await app.signedIn();
  await app.signedIn('other@example.com');
  const { auth, sessions, users } = app.authTuna;
  const actor = { userId: user.id, ip: null, userAgent: null };
  const made = await sessions.create(user.id, ['pwd'], SYSTEM);
  const { id } = made.session;
  expect(await auth.stepUpMethods(user.id)).toMatchObject({ password: true, code: false, passkeys: false });
  await expect(auth.stepUp(id, { password: 'wrong' }, actor)).rejects.toMatchObject({
    code: 'invalid_credentials',
  });
  await expect(auth.stepUp(id, {}, actor)).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(auth.stepUp('none', { password: PASSWORD }, actor)).rejects.toMatchObject({
    code: 'session_revoked',
  });
  app.clock.advance({ minutes: 6 });
  const raised = await auth.stepUp(id, { password: PASSWORD }, actor);
  expect(raised.session.authenticatedAt).toEqual(app.clock.now());
  expect(raised.token).not.toBe(made.token);
  await users.suspend(user.id, 'test', SYSTEM);
  await expect(auth.stepUp(id, { password: PASSWORD }, actor)).rejects.toMatchObject({
    code: 'session_revoked',
  });
});

test('a code proves nothing about hardware (MB-3)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  await json(browser.post('/auth/step-up', { password: PASSWORD, code: totp.nextCode() }), 200);
  expect(await json(browser.get('/hardware'), 401)).toMatchObject({
    code: 'recent_login_required',
    methods: ['hwk'],
  });
});

test('removing a factor changes the cookie and makes no session fresher; enrolling one proves it (SS-14, MB-3)', async () => {
  const app = await startWithVault();
  const { browser, user } = await app.signedIn();
  app.clock.advance({ minutes: 4 });
  await enrolTotp(app, browser); // a code was given, so this counts
  app.clock.advance({ minutes: 4 });
  await json(browser.get('/vault'), 200);
  const before = (await app.authTuna.sessions.list(user.id))[0]?.authenticatedAt;
  const copy = browser.stolen();
  expect((await browser.delete('/auth/mfa/totp')).status).toBe(204);
  expect((await json(copy.post('/me/x'), 401)).code).toBe('superseded');
  expect((await app.authTuna.sessions.list(user.id))[0]?.authenticatedAt).toEqual(before);
  app.clock.advance({ minutes: 1, seconds: 1 });
  expect((await json(browser.get('/vault'), 401)).code).toBe('recent_login_required');

  const authenticator = new Authenticator(app.url);
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  const { passkey } = await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
  app.clock.advance({ minutes: 4 });
  expect((await browser.delete(`/auth/passkeys/${passkey.id}`)).status).toBe(204);
  app.clock.advance({ minutes: 2 });
  expect((await json(browser.get('/vault'), 401)).code).toBe('recent_login_required');
});

test('a password alone keeps no session fresh that a second factor was proved in (MB-3)', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  await enrolTotp(app, browser);
  app.clock.advance({ minutes: 4 });
  const newPassword = 'another horse battery staple';
  await json(browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword }), 200);
  await json(browser.get('/vault'), 200);
  app.clock.advance({ minutes: 2 });
  expect((await json(browser.get('/vault'), 401)).code).toBe('recent_login_required');
});

test('guesses at a step-up stop like any others', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  for (let guess = 0; guess < 5; guess += 1)
    expect((await browser.post('/auth/step-up', { password: 'wrong' })).status).toBe(401);
  expect((await browser.post('/auth/step-up', { password: PASSWORD })).status).toBe(429);
});

test('requireSecondFactor: enroll first, then prove it', async () => {
  const app = await startWithVault();
  const { browser, user } = await app.signedIn();
  expect(await json(browser.get('/strong'), 403)).toMatchObject({
    code: 'enrollment_required',
    enroll: '/auth/mfa/setup',
  });
  const totp = await enrolTotp(app, browser);
  await json(browser.get('/strong'), 200);
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  await json(half.get('/strong'), 200);
  await json(half.post('/auth/login', { login: user.email, password: PASSWORD }), 200);
  expect((await json(half.get('/strong'), 401)).code).toBe('second_factor_required');
});

test('a page is led through the step-up and comes back', async () => {
  const app = await startWithVault();
  const { browser } = await app.signedIn();
  app.clock.advance({ minutes: 6 });
  const led = await browser.get('/vault?tab=2', HTML);
  expect([led.status, led.headers.get('location')]).toEqual([
    303,
    '/auth/step-up?returnTo=%2Fvault%3Ftab%3D2',
  ]);
  const page = await browser.get(led.headers.get('location') ?? '', HTML);
  const html = await page.text();
  const csrfToken = /name="csrfToken" value="([^"]+)"/.exec(html)?.[1] ?? '';
  const done = await browser.post('/auth/step-up', undefined, {
    headers: { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' },
    rawBody: new URLSearchParams({ csrfToken, returnTo: '/vault?tab=2', password: PASSWORD }).toString(),
  });
  expect([done.status, done.headers.get('location')]).toEqual([303, '/vault?tab=2']);
  expect((await browser.get('/vault?tab=2', HTML)).status).toBe(200);
});

test('a session that a change of device locked is opened by a step-up, and can sign out', async () => {
  const app = await startWithVault({ session: { onDeviceChange: 'step_up', recheckSeconds: 0 } });
  const { browser } = await app.signedIn();
  browser.userAgent =
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
  expect((await json(browser.get('/me'), 401)).code).toBe('recent_login_required');
  expect((await browser.get('/auth/step-up', HTML)).status).toBe(200);
  const other = browser.stolen();
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  await json(browser.get('/me'), 200);
  expect((await other.get('/me')).status).toBe(401);
});

test('nothing in a request loosens a guard (D3)', async () => {
  const app = await startWithVault({ mfa: { requiredForRoles: ['user'] } });
  const { browser } = await app.signedIn();
  for (const query of [
    'mustEnroll=allowed',
    'withinSeconds=99999999',
    'fresh=0',
    'allow_public_key=1',
    'methods=pwd',
  ]) {
    expect((await browser.get(`/me?${query}`)).status).toBe(403);
    expect((await browser.post(`/me/x?${query}`, { mustEnroll: 'allowed', withinSeconds: 1e9 })).status).toBe(
      403,
    );
  }
  await enrolTotp(app, browser);
  app.clock.advance({ minutes: 30 });
  expect((await browser.get('/vault?withinSeconds=99999999')).status).toBe(401);
});

test('a guard that stands alone also refuses whom a new password or factor comes first for (MB-3)', async () => {
  const app = await startWithVault({ mfa: { requiredForRoles: ['moderator'] } });
  const { browser, user } = await app.signedIn();
  await json(browser.get('/vault'), 200);
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  for (const path of ['/vault', '/strong', '/hardware'])
    expect((await json(browser.get(path), 403)).code).toBe('password_change_required');
  expect((await json(browser.post('/auth/change-email', {}), 403)).code).toBe('password_change_required');
  const newPassword = 'another horse battery staple';
  await json(browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword }), 200);
  await app.authTuna.roles.assign({ userId: user.id, role: 'moderator', scope: 'global' }, SYSTEM);
  for (const path of ['/vault', '/strong', '/hardware'])
    expect((await json(browser.get(path), 403)).code).toBe('enrollment_required');
  expect((await json(browser.post('/auth/change-email', {}), 403)).code).toBe('enrollment_required');
  await enrolTotp(app, browser);
  await json(browser.get('/vault'), 200);
  expect((await browser.post('/auth/change-email', {})).status).toBe(422);
});

test('who must enroll can do nothing else, is led there, and is free afterwards', async () => {
  const app = await startWithVault({ mfa: { requiredForRoles: ['moderator'] } });
  const { browser, user } = await app.signedIn();
  await json(browser.get('/me'), 200);
  await app.authTuna.roles.assign({ userId: user.id, role: 'moderator', scope: 'global' }, SYSTEM);
  for (const path of ['/me', '/reports']) {
    expect(await json(browser.get(path), 403)).toMatchObject({
      code: 'enrollment_required',
      enroll: '/auth/mfa/setup',
    });
  }
  const led = await browser.get('/me', HTML);
  expect([led.status, led.headers.get('location')]).toEqual([303, '/auth/mfa/setup?returnTo=%2Fme']);
  expect((await browser.get('/auth/mfa/setup', HTML)).status).toBe(200);
  expect(await json(browser.get('/auth/mfa'), 200)).toMatchObject({ required: true, factors: [] });
  await enrolTotp(app, browser);
  await json(browser.get('/me'), 200);
  await json(browser.get('/reports'), 200);
});

test('a policy of the host says who must enroll, and days of grace count from when it was first seen', async () => {
  const app = await startWithVault({
    mfa: { graceDays: 7, policy: (user) => (user.email.endsWith('@bank.example') ? 'required' : 'optional') },
  });
  const clerk = await app.signedIn('clerk@bank.example');
  const guest = await app.signedIn('guest@example.com');
  await json(clerk.browser.get('/me'), 200);
  const status = await json(clerk.browser.get('/auth/mfa'), 200);
  expect(status.required).toBe(true);
  expect(new Date(status.graceEndsAt).getTime() - app.clock.now().getTime()).toBe(7 * 86_400_000);
  app.clock.advance({ days: 7, seconds: 1 });
  const again = app.browser();
  await json(again.post('/auth/login', { login: 'clerk@bank.example', password: PASSWORD }), 200);
  expect((await json(again.get('/me'), 403)).code).toBe('enrollment_required');
  const other = app.browser();
  await json(other.post('/auth/login', { login: guest.user.email, password: PASSWORD }), 200);
  await json(other.get('/me'), 200);
});

test.each([
  ['optional', 'none', 200, 200],
  ['optional', 'totp', 202, 401],
  ['required', 'none', 200, 403],
  ['required', 'totp', 202, 401],
] as const)(
  'policy %s and factor %s: sign-in answers %i and /me %i (MB-1)',
  async (policy, factor, signIn, me) => {
    const app = await startApp({ mfa: { policy: () => policy } });
    const { browser, user } = await app.signedIn();
    const totp = factor === 'totp' ? await enrolTotp(app, browser) : null;
    const fresh = app.browser();
    expect((await fresh.post('/auth/login', { login: user.email, password: PASSWORD })).status).toBe(signIn);
    expect((await fresh.get('/me')).status).toBe(me);
    if (totp === null) return;
    await json(fresh.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);
    await json(fresh.get('/me'), 200);
  },
);

test('a step-up by a wrong method is told which there are, with its page and without', async () => {
  const app = await startApp(
    {},
    { routes: (host, authTuna) => void host.use('/api/auth', authTuna.routers.auth({ pages: false })) },
  );
  const allowed = async (path: string) => {
    const answer = await app.browser().delete(path);
    return [answer.status, answer.headers.get('allow')];
  };
  expect(await allowed('/auth/step-up')).toEqual([405, 'GET, HEAD, POST']);
  expect(await allowed('/api/auth/step-up')).toEqual([405, 'POST']);
});
