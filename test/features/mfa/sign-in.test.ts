import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { openDatabase } from '../../support/database.js';
import { enrolTotp, halfSignedIn, json, totpCode } from '../../support/factors.js';

const mailed = () => {
  const mailbox = new TestMailbox();
  return { mailbox, options: { mail: { from: 'App <app@example.com>', transport: mailbox } } };
};

test('a recovery code signs in once, in whatever case it is typed, and is mailed (TO-6, D26)', async () => {
  const { mailbox, options } = mailed();
  const app = await startApp(options);
  const { browser, user } = await app.signedIn();
  const { recoveryCodes } = await enrolTotp(app, browser);
  expect(recoveryCodes).toHaveLength(10);
  expect(recoveryCodes[0]).toMatch(/^01-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  const typed = ` ${recoveryCodes[2]?.toLowerCase().replaceAll('-', ' ')} `;
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: typed }), 200);
  const again = await halfSignedIn(app, user.email);
  expect((await again.post('/auth/mfa/verify', { code: typed })).status).toBe(401);
  expect((await json(browser.get('/auth/mfa'), 200)).recoveryCodesLeft).toBe(9);
  await expect.poll(() => mailbox.mails.map(({ subject }) => subject)).toContain('A recovery code was used');
});

test('one recovery code signs one of five waiting sign-ins in at one instant, and no row can be used as one (TO-6)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const { recoveryCodes } = await enrolTotp(app, browser);
  const waiting = [];
  for (let count = 0; count < 5; count += 1) waiting.push(await halfSignedIn(app, user.email));
  const answers = await Promise.all(
    waiting.map((half) => half.post('/auth/mfa/verify', { code: recoveryCodes[0] })),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const { client } = await openDatabase(app.database);
  const rows = await client.recoveryCode.findMany({ where: { userId: user.id } });
  await client.$disconnect();
  const dump = JSON.stringify(rows);
  for (const code of recoveryCodes) expect(dump).not.toContain(code.slice(3).replaceAll('-', ''));
});

test('new codes void the old ones (TO-6)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const old = await enrolTotp(app, browser);
  const { recoveryCodes } = await json(browser.post('/auth/mfa/recovery-codes', {}), 201);
  const half = await halfSignedIn(app, user.email);
  expect((await half.post('/auth/mfa/verify', { code: old.recoveryCodes[0] })).status).toBe(401);
  expect((await half.post('/auth/mfa/verify', { code: recoveryCodes[0] })).status).toBe(200);
});

test('a wrong code leaves the sign-in waiting, and many of them are mailed once (D26)', async () => {
  const { mailbox, options } = mailed();
  const app = await startApp(options);
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  expect((await half.post('/auth/mfa/verify', { code: '123' })).status).toBe(401);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);

  const guesser = await halfSignedIn(app, user.email);
  for (let guess = 0; guess < 8; guess += 1) {
    await guesser.post('/auth/mfa/verify', { code: '000000' });
    app.clock.advance({ seconds: 10 });
  }
  const warnings = () => mailbox.mails.filter(({ subject }) => subject.includes('wrong codes'));
  await expect.poll(() => warnings().length).toBe(1);
  expect(warnings()[0]?.to).toBe(user.email);
});

test('a waiting sign-in is no session, lives ten minutes, and is spent once (MB-2)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  const pending = half.jar.get('at_pending') ?? '';
  expect(half.jar.has('at_sess')).toBe(false);
  const asSession = app.browser();
  asSession.jar.set('at_sess', pending);
  for (const attempt of [
    half.get('/me'),
    asSession.get('/me'),
    app.browser().get('/me', { headers: { authorization: `Bearer ${pending}` } }),
  ])
    expect((await attempt).status).toBe(401);

  const copy = half.stolen();
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);
  expect(half.jar.has('at_pending')).toBe(false);
  app.clock.advance({ seconds: 30 });
  expect((await copy.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(400);

  const late = await halfSignedIn(app, user.email);
  app.clock.advance({ minutes: 10, seconds: 1 });
  expect((await late.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(400);
});

test('a waiting sign-in is of one user, and no other user’s code completes it (MB-2)', async () => {
  const app = await startApp();
  const one = await app.signedIn('one@example.com');
  const two = await app.signedIn('two@example.com');
  await enrolTotp(app, one.browser);
  const other = await enrolTotp(app, two.browser);
  const half = await halfSignedIn(app, 'one@example.com');
  expect((await half.post('/auth/mfa/verify', { code: other.nextCode() })).status).toBe(401);
});

test('whoever knows the password does not end the owner’s waiting sign-in by beginning others (LG-6)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const owner = await halfSignedIn(app, user.email);
  for (let attempt = 0; attempt < 5; attempt += 1) await halfSignedIn(app, user.email);
  await json(owner.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);
});

test('a new password ends every waiting sign-in, however it is set (MB-2)', async () => {
  const { mailbox, options } = mailed();
  const app = await startApp(options);
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const first = 'another horse battery staple';
  const second = 'yet another horse battery';
  /** Two sign-ins wait under this password; then it changes. */
  const deadAfter = async (password: string, change: () => Promise<unknown>) => {
    const half: Browser[] = [];
    for (let count = 0; count < 2; count += 1) {
      const thief = app.browser();
      await json(thief.post('/auth/login', { login: user.email, password }), 202);
      half.push(thief);
    }
    await change();
    app.clock.advance({ seconds: 30 });
    for (const thief of half)
      expect((await thief.post('/auth/mfa/verify', { code: totpCode(totp.secret, app.clock) })).status).toBe(
        400,
      );
  };
  await deadAfter(PASSWORD, () =>
    json(browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword: first }), 200),
  );
  await deadAfter(first, () => app.authTuna.passwords.set(user.id, second, SYSTEM));
  await deadAfter(second, async () => {
    await json(app.browser().post('/auth/forgot-password', { email: user.email }), 202);
    await app.authTuna.mailer.deliver();
    const mail = mailbox.mails.findLast(({ text }) => /reset-password\?token=/.test(text));
    const token = /token=([\w.-]+)/.exec(mail?.text ?? '')?.[1];
    await json(app.browser().post('/auth/reset-password', { token, newPassword: PASSWORD }), 200);
  });
});

test('suspension and signing out everywhere end a waiting sign-in (D26, MB-2)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect((await half.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(400);
  const second = await halfSignedIn(app, user.email);
  await app.authTuna.users.suspend(user.id, 'test', SYSTEM);
  expect((await second.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(400);
});

test('a trusted browser is not asked for 30 days, and only it, for that user, until the password or a factor changes (MB-4)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const other = await app.signedIn('other@example.com');
  const totp = await enrolTotp(app, browser);
  await enrolTotp(app, other.browser);
  const login = (from: typeof browser, email: string) =>
    from.post('/auth/login', { login: email, password: PASSWORD });

  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  const trusted = app.browser();
  trusted.jar.set('at_trusted', half.jar.get('at_trusted') ?? '');
  expect((await login(trusted, user.email)).status).toBe(200);
  expect((await login(trusted, other.user.email)).status).toBe(202);
  const listed = await json(browser.get('/auth/mfa'), 200);
  expect(listed.trustedDevices).toMatchObject([{ device: 'Firefox on Linux' }]);
  expect(JSON.stringify(listed)).not.toContain(half.jar.get('at_trusted')?.split('.')[1]);

  expect(
    (await other.browser.delete(`/auth/mfa/trusted-devices/${listed.trustedDevices[0].id}`)).status,
  ).toBe(404);
  expect((await browser.delete(`/auth/mfa/trusted-devices/${listed.trustedDevices[0].id}`)).status).toBe(204);
  expect((await login(trusted, user.email)).status).toBe(202);

  const again = await halfSignedIn(app, user.email);
  await json(again.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  expect((await login(again, user.email)).status).toBe(200);
  app.clock.advance({ days: 29 });
  expect((await login(again, user.email)).status).toBe(200);
  app.clock.advance({ days: 1, seconds: 1 });
  expect((await login(again, user.email)).status).toBe(202);

  const third = await halfSignedIn(app, user.email);
  await json(third.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  const newPassword = 'another horse battery staple';
  await json(third.post('/auth/change-password', { currentPassword: PASSWORD, newPassword }), 200);
  expect((await third.post('/auth/login', { login: user.email, password: newPassword })).status).toBe(202);
});

test('an administrator’s reset takes 72 hours, can be stopped by the link, and cannot be hurried (MB-5)', async () => {
  const { mailbox, options } = mailed();
  const app = await startApp(options);
  const { browser, user } = await app.signedIn();
  const admin = await app.signedIn('admin@example.com');
  await app.authTuna.roles.assign({ userId: admin.user.id, role: 'admin', scope: 'global' }, SYSTEM);
  await enrolTotp(app, browser);
  const actor = { userId: admin.user.id, ip: null, userAgent: null };
  const { mfa } = app.authTuna;

  const somebody = { userId: user.id, ip: null, userAgent: null };
  await expect(mfa.reset(admin.user.id, somebody)).rejects.toMatchObject({ code: 'forbidden' });
  await mfa.reset(user.id, actor);
  await expect(mfa.reset(user.id, actor)).rejects.toMatchObject({ code: 'conflict' });
  await expect.poll(() => mailbox.latestTo(user.email)?.text).toMatch(/reset\/cancel\?token=/);
  const token = /token=([\w.-]+)/.exec(mailbox.latestTo(user.email)?.text ?? '')?.[1] ?? '';
  expect((await app.browser().get(`/auth/mfa/reset/cancel?token=${token}`)).status).toBe(303);
  app.clock.advance({ hours: 71 });
  await halfSignedIn(app, user.email);
  await json(app.browser().post('/auth/mfa/reset/cancel', { token }), 200);
  expect((await app.browser().post('/auth/mfa/reset/cancel', { token })).status).toBe(400);
  app.clock.advance({ hours: 2 });
  await halfSignedIn(app, user.email);

  await mfa.reset(user.id, actor);
  app.clock.advance({ hours: 72 });
  const after = app.browser();
  await json(after.post('/auth/login', { login: user.email, password: PASSWORD }), 200);
  await json(after.get('/me'), 200); // the very sign-in that found the removal due
  await json(browser.get('/me'), 401);
  expect((await mfa.status(user.id)).factors).toEqual([]);
});

test('a passkey is no second factor where the host says so', async () => {
  const app = await startApp({ passkeys: { secondFactor: false } });
  const { browser, user } = await app.signedIn();
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', new Authenticator(app.url).create(options)), 201);
  await json(app.browser().post('/auth/login', { login: user.email, password: PASSWORD }), 200);
});

test('SYSTEM resets at once, and a removed app leaves no code behind that signs in', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  await app.authTuna.mfa.reset(user.id, SYSTEM);
  await json(app.browser().post('/auth/login', { login: user.email, password: PASSWORD }), 200);
  expect(await app.authTuna.mfa.verify(user.id, totpCode(totp.secret, app.clock), SYSTEM)).toBe(false);
  expect(await app.authTuna.mfa.verify(user.id, totp.recoveryCodes[1] ?? '', SYSTEM)).toBe(false);
});
