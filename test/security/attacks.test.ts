import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../support/app.js';
import { Authenticator } from '../support/authenticator.js';
import type { Browser } from '../support/browser.js';
import { enrolTotp, json } from '../support/factors.js';
import { type MailedApp, startMailedApp, tokenIn } from '../support/mailed-app.js';

const OWNER = 'owner@example.com';
const THIEFS = 'the words of a mailbox thief';
const NEW_PASSWORD = 'another long enough passphrase';
const CONFIRM = '/auth/change-email/confirm';
const UNDO = '/auth/change-email/undo';

/** Moves the account of a signed-in browser to another address, and gives the link that takes it back. */
async function moveTo(app: MailedApp, browser: Browser, from: string, newEmail: string): Promise<string> {
  expect((await browser.post('/auth/change-email', { newEmail })).status).toBe(202);
  const token = tokenIn(await app.mailTo(newEmail), CONFIRM);
  expect((await browser.post(CONFIRM, { token })).status).toBe(200);
  return tokenIn(await app.mailTo(from), UNDO);
}

async function addPasskey(app: TestInstance, browser: Browser): Promise<Authenticator> {
  const authenticator = new Authenticator(app.url);
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
  return authenticator;
}

async function signInWith(app: TestInstance, authenticator: Authenticator): Promise<Response> {
  const browser = app.browser();
  const options = await json(browser.post('/auth/passkeys/sign-in/options', {}), 200);
  return browser.post('/auth/passkeys/sign-in', authenticator.get(options));
}

test('once the owner took the address back, the addresses the thief passed through open nothing (EM-10)', async () => {
  const app = await startMailedApp();
  const { browser: thief } = await app.signedIn(OWNER);
  const owners = await moveTo(app, thief, OWNER, 'one@evil.test');
  app.clock.advance({ seconds: 1 });
  const thiefs = await moveTo(app, thief, 'one@evil.test', 'two@evil.test');

  expect((await app.browser().post(UNDO, { token: owners })).status).toBe(200);
  expect((await app.browser().post(UNDO, { token: thiefs })).status).toBe(400);
  expect(await app.authTuna.users.findByEmail(OWNER)).not.toBeNull();
});

test('an administrator who sets an address ends every way back to a former one (EM-10)', async () => {
  const app = await startMailedApp();
  const { browser: thief, user } = await app.signedIn(OWNER);
  await moveTo(app, thief, OWNER, 'one@evil.test');
  const thiefs = await moveTo(app, thief, 'one@evil.test', 'two@evil.test');
  await app.authTuna.users.update(user.id, { email: OWNER, emailVerified: true }, SYSTEM);
  expect((await app.browser().post(UNDO, { token: thiefs })).status).toBe(400);
  expect((await app.authTuna.users.get(user.id)).email).toBe(OWNER);
});

test('a passkey that was added in the session that took the address lets nobody in once it is taken back, and goes after 72 hours; older ones stay (EM-10)', async () => {
  const app = await startMailedApp();
  const { browser: owner, user } = await app.signedIn(OWNER);
  const before = await addPasskey(app, owner);
  app.clock.advance({ seconds: 1 });
  const thief = app.browser();
  thief.jar.set('at_sess', (await app.authTuna.sessions.create(user.id, ['pwd', 'otp'], SYSTEM)).token);
  const token = await moveTo(app, thief, OWNER, 'one@evil.test');
  app.clock.advance({ seconds: 1 });
  const since = await addPasskey(app, thief);
  await enrolTotp(app, thief);

  expect((await app.browser().post(UNDO, { token })).status).toBe(200);
  expect((await signInWith(app, since)).status).toBe(401);
  // The thief knows the old password perhaps; it is gone.
  expect((await app.browser().post('/auth/login', { login: OWNER, password: PASSWORD })).status).toBe(401);
  expect((await signInWith(app, before)).status).toBe(200);
  app.clock.advance({ hours: 73 });
  expect((await signInWith(app, before)).status).toBe(200);
  expect((await signInWith(app, since)).status).toBe(401);
  expect((await app.authTuna.mfa.status(user.id)).totp).toBe(false);
  expect(await app.authTuna.passkeys.list(user.id)).toHaveLength(1);
});

/** An owner who set up an app and moved away from a mailbox in one session, and a thief who reads that mailbox. */
async function lostMailbox(app: MailedApp) {
  const { browser: owner, user } = await app.signedIn(OWNER);
  const totp = await enrolTotp(app, owner);
  const token = await moveTo(app, owner, OWNER, 'new@example.com');
  const thief = app.browser();
  expect((await thief.post(UNDO, { token })).status).toBe(200);
  const reset = async () => {
    app.clock.advance({ minutes: 2 });
    await thief.post('/auth/forgot-password', { email: OWNER });
    const link = tokenIn(await app.mailTo(OWNER), '/auth/reset-password');
    expect((await thief.post('/auth/reset-password', { token: link, newPassword: THIEFS })).status).toBe(200);
    return thief.post('/auth/login', { login: OWNER, password: THIEFS });
  };
  return { user, totp, thief, reset };
}

test('who reads a former mailbox gets no further by taking an address back: the factor is asked for (EM-9, EM-10)', async () => {
  const app = await startMailedApp();
  const { user, totp, reset } = await lostMailbox(app);
  expect((await reset()).status).toBe(202);
  expect(await app.authTuna.mfa.status(user.id)).toMatchObject({ totp: true });
  // The owner is told at the address that was theirs, and stops it.
  const stop = tokenIn(await app.mailTo('new@example.com'), '/auth/mfa/reset/cancel');
  expect((await app.browser().post('/auth/mfa/reset/cancel', { token: stop })).status).toBe(200);
  app.clock.advance({ days: 30 });
  expect((await reset()).status).toBe(202);
  expect(await app.authTuna.mfa.status(user.id)).toMatchObject({ totp: true, resetAt: null });
  // An administrator decides between the two.
  await app.authTuna.mfa.reset(user.id, SYSTEM);
  expect(await app.authTuna.mfa.status(user.id)).toMatchObject({ totp: false });
  expect(totp.recoveryCodes.length).toBeGreaterThan(0);
});

test('who takes an address back and has the factor goes on with both (EM-10)', async () => {
  const app = await startMailedApp();
  const { user, totp, thief: self, reset } = await lostMailbox(app);
  expect((await reset()).status).toBe(202);
  app.clock.advance({ seconds: 30 });
  expect((await self.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(200);
  app.clock.advance({ days: 4 });
  expect(await app.authTuna.mfa.status(user.id)).toMatchObject({ totp: true });
});

test('who gets an address back that was never proved finds nothing on the account that a stranger left (EM-11)', async () => {
  const app = await startMailedApp({ signUp: { requireVerifiedEmail: false } });
  const stranger = app.browser();
  expect((await stranger.post('/auth/signup', { email: OWNER, password: PASSWORD })).status).toBe(201);
  const trap = await addPasskey(app, stranger);
  app.clock.advance({ seconds: 1 });
  const token = await moveTo(app, stranger, OWNER, 'one@evil.test');

  expect((await app.browser().post(UNDO, { token })).status).toBe(200);
  expect((await signInWith(app, trap)).status).toBe(401);
  expect((await app.browser().post('/auth/login', { login: OWNER, password: PASSWORD })).status).toBe(401);
});

test('a sign-up with a passkey is asked for a person like any other, and counted with them', async () => {
  const app = await startApp({
    signUp: { requireVerifiedEmail: false },
    humanCheck: ({ token }) => token === 'person',
    rateLimits: { signUp: { limit: 2, windowSeconds: 600 } },
  });
  const options = '/auth/passkeys/register/options';
  expect((await app.browser().post(options, { email: 'bot@example.com' })).status).toBe(403);
  const body = { email: 'somebody@example.com', humanCheck: 'person' };
  expect((await app.browser().post(options, body)).status).toBe(200);
  expect((await app.browser().post(options, body)).status).toBe(429);
  const { browser } = await signedInAsPerson(app);
  expect((await browser.post(options, {})).status).toBe(200);
});

async function signedInAsPerson(app: TestInstance) {
  await app.authTuna.users.create({ email: OWNER, password: PASSWORD, emailVerified: true });
  const browser = app.browser();
  const body = { login: OWNER, password: PASSWORD, humanCheck: 'person' };
  expect((await browser.post('/auth/login', body)).status).toBe(200);
  return { browser };
}

test('refused ceremonies of one address are limited, so that they cannot fill the audit trail', async () => {
  const app = await startApp({ rateLimits: { passkey: { limit: 3, windowSeconds: 60 } } });
  const authenticator = new Authenticator(app.url);
  authenticator.create({ challenge: 'A'.repeat(59), user: { id: 'AAAA' } });
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const response = authenticator.get({ challenge: 'A'.repeat(59) });
    statuses.push((await app.browser().post('/auth/passkeys/sign-in', response)).status);
  }
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
});

test('a password that must be changed is not changed to itself', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  const same = { currentPassword: PASSWORD, newPassword: PASSWORD };
  expect((await browser.post('/auth/change-password', same)).status).toBe(422);
  expect((await browser.get('/me')).status).toBe(403);
  const other = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  expect((await browser.post('/auth/change-password', other)).status).toBe(200);
  expect((await browser.get('/me')).status).toBe(200);
});

test('req.auth.require refuses who must first change a password or set up a factor, as the guards do', async () => {
  const app = await startApp(
    { mfa: { requiredForRoles: ['admin'] } },
    {
      routes: (express) =>
        void express.post('/handled', async (req, res) => {
          await req.auth.require('users:read');
          res.json({});
        }),
    },
  );
  const { browser, user } = await app.signedIn();
  await app.authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM);
  expect(await json(browser.post('/handled', {}), 403)).toMatchObject({ code: 'enrollment_required' });
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  expect(await json(browser.post('/handled', {}), 403)).toMatchObject({ code: 'password_change_required' });
});

test('guesses that a stolen session made at the password close nothing for longer than that password lasts', async () => {
  const app = await startMailedApp();
  const { browser: thief } = await app.signedIn(OWNER);
  for (let guess = 0; guess < 5; guess += 1) {
    const wrong = { currentPassword: 'wrong', newPassword: NEW_PASSWORD };
    expect((await thief.post('/auth/change-password', wrong)).status).toBe(401);
    expect((await thief.post('/auth/step-up', { password: 'wrong' })).status).toBe(401);
  }
  const waits = await thief.post('/auth/step-up', { password: PASSWORD });
  expect(waits.status).toBe(429);

  await app.browser().post('/auth/forgot-password', { email: OWNER });
  const token = tokenIn(await app.mailTo(OWNER), '/auth/reset-password');
  const reset = await app.browser().post('/auth/reset-password', { token, newPassword: NEW_PASSWORD });
  expect(reset.status).toBe(200);
  const owner = app.browser();
  expect((await owner.post('/auth/login', { login: OWNER, password: NEW_PASSWORD })).status).toBe(200);
  expect((await owner.post('/auth/step-up', { password: NEW_PASSWORD })).status).toBe(200);
  const change = { currentPassword: NEW_PASSWORD, newPassword: PASSWORD };
  expect((await owner.post('/auth/change-password', change)).status).toBe(200);
});
