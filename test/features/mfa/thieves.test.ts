import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { enrolTotp, halfSignedIn, json, totpCode } from '../../support/factors.js';

async function registerPasskey(browser: Browser, url: string, options: { counts?: boolean } = {}) {
  const authenticator = new Authenticator(url, options);
  const creation = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', authenticator.create(creation)), 201);
  return authenticator;
}

test('a thief who has nothing but a session enrolls nothing in it (TO-5, PK-6)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const begun = await json(browser.post('/auth/mfa/totp'), 201);
  const own = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  app.clock.advance({ minutes: 11 });
  const thief = browser.stolen();
  for (const [path, body] of [
    ['/auth/mfa/totp', {}],
    ['/auth/mfa/totp/confirm', { code: totpCode(begun.secret, app.clock) }],
    ['/auth/mfa/recovery-codes', {}],
    ['/auth/passkeys/register/options', {}],
    ['/auth/passkeys/register', new Authenticator(app.url).create(own)],
  ] as const)
    expect([path, (await json(thief.post(path, body), 401)).code]).toEqual([path, 'recent_login_required']);
  expect(await app.authTuna.mfa.status(user.id)).toMatchObject({ factors: [], recoveryCodesLeft: 0 });
  expect(await app.authTuna.passkeys.list(user.id)).toEqual([]);
});

test('a thief’s own passkey or code raises nobody else’s session (MB-3)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn('victim@example.com');
  const mallory = await app.signedIn('mallory@example.com');
  const authenticator = await registerPasskey(mallory.browser, app.url);
  const totp = await enrolTotp(app, mallory.browser);
  app.clock.advance({ minutes: 11 });
  const thief = browser.stolen();
  const options = await json(thief.post('/auth/passkeys/sign-in/options', { purpose: 'step_up' }), 200);
  const answer = await json(
    thief.post('/auth/passkeys/sign-in', { ...authenticator.get(options), purpose: 'step_up' }),
    401,
  );
  expect(answer.failure).toBe('unknown_credential');
  expect((await thief.post('/auth/step-up', { code: totp.nextCode() })).status).toBe(422);
  expect((await thief.post('/auth/mfa/totp')).status).toBe(401);
  await json(browser.post('/me/x'), 200);
});

test('a waiting sign-in beside somebody’s own session is still of its user, who alone completes it (MB-2)', async () => {
  const app = await startApp();
  const victim = await app.signedIn('victim@example.com');
  const mallory = await app.signedIn('mallory@example.com');
  await enrolTotp(app, victim.browser);
  const own = await enrolTotp(app, mallory.browser);
  const authenticator = await registerPasskey(mallory.browser, app.url);
  const half = await halfSignedIn(app, 'victim@example.com');
  mallory.browser.jar.set('at_pending', half.jar.get('at_pending') ?? '');
  const { browser } = mallory;
  expect((await browser.post('/auth/mfa/verify', { code: own.nextCode() })).status).toBe(401);
  expect((await browser.post('/auth/mfa/verify', { code: own.recoveryCodes[0] })).status).toBe(401);
  const options = await json(browser.post('/auth/passkeys/sign-in/options', {}), 200);
  expect((await browser.post('/auth/passkeys/sign-in', authenticator.get(options))).status).toBe(401);
  expect((await json(browser.get('/me'), 200)).email).toBe('mallory@example.com');
});

test('a browser that is trusted is asked all the same after a passkey that may have been copied (MB-4, PK-5)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const authenticator = await registerPasskey(browser, app.url, { counts: true });
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  await half.post('/auth/logout');
  const used = app.browser();
  const once = await json(used.post('/auth/passkeys/sign-in/options', {}), 200);
  await json(used.post('/auth/passkeys/sign-in', authenticator.get(once)), 200);
  const options = await json(half.post('/auth/passkeys/sign-in/options', {}), 200);
  const answer = await half.post('/auth/passkeys/sign-in', authenticator.get(options, { counter: 1 }));
  expect(await json(answer, 202)).toEqual({ secondFactor: { factors: ['totp', 'recovery_code'] } });
  expect(half.jar.has('at_sess')).toBe(false);
});

test('a browser that is trusted is asked again after a new password was set (MB-4)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  const login = async (password: string) =>
    (await half.post('/auth/login', { login: user.email, password })).status;
  expect(await login(PASSWORD)).toBe(200);
  await app.authTuna.passwords.set(user.id, 'another horse battery staple', SYSTEM);
  expect(await login('another horse battery staple')).toBe(202);
});

test('who must have a factor and removes it must set one up again, also in the session that removed it', async () => {
  const app = await startApp({ mfa: { requiredForRoles: ['user'] } });
  const { browser } = await app.signedIn();
  await enrolTotp(app, browser);
  await json(browser.get('/me'), 200);
  expect((await browser.delete('/auth/mfa/totp')).status).toBe(204);
  expect((await json(browser.get('/me'), 403)).code).toBe('enrollment_required');
  await registerPasskey(browser, app.url);
  await json(browser.get('/me'), 200);
});

test('a passkey that signed in is enough for who must have a factor, also where it is none after a password', async () => {
  const app = await startApp({
    mfa: { requiredForRoles: ['user'] },
    passkeys: { secondFactor: false },
    signUp: { requireVerifiedEmail: false },
  });
  const browser = app.browser();
  const creation = await json(
    browser.post('/auth/passkeys/register/options', { email: 'new@example.com' }),
    200,
  );
  await json(browser.post('/auth/passkeys/register', new Authenticator(app.url).create(creation)), 201);
  await json(browser.get('/me'), 200);
});
