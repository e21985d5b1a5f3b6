import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD } from '../support/app.js';
import { enrolTotp, halfSignedIn } from '../support/factors.js';
import { startMailedApp } from '../support/mailed-app.js';

const ADA = 'ada@example.com';
const de = { headers: { 'accept-language': 'de-AT,de;q=0.9,en;q=0.5' } };

test('a mail is written in the language of the browser that asked for it', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const ask = async (headers: Record<string, string>) => {
    app.clock.advance({ minutes: 2 });
    await app.browser().post('/auth/forgot-password', { email: ADA }, { headers });
    return (await app.mailTo(ADA)).subject;
  };
  expect(await ask({})).toBe('Choose a new password');
  expect(await ask(de.headers)).toBe('Wählen Sie ein neues Passwort');
  expect(await ask({ 'accept-language': 'tlh, fr;q=0.5' })).toBe('Choose a new password');
  expect(await ask({ 'accept-language': `de,${'x'.repeat(5000)}` })).toBe('Wählen Sie ein neues Passwort');
});

test('where the browser says nothing, a mail is written in the configured language', async () => {
  const app = await startMailedApp({ locale: 'de' });
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  expect((await app.mailTo(ADA)).html).toContain('lang="de"');
  const other = 'eva@example.com';
  await app
    .browser()
    .post('/auth/signup', { email: other, password: PASSWORD }, { headers: { 'accept-language': 'en' } });
  expect((await app.mailTo(other)).html).toContain('lang="en"');
});

test('who acts on somebody else’s account does not choose the language of the mail', async () => {
  const app = await startMailedApp();
  const { user } = await app.signedIn(ADA);
  const admin = await app.authTuna.users.create({ email: 'admin@example.com', emailVerified: true });
  await app.authTuna.roles.assign({ userId: admin.id, role: 'admin', scope: 'global' }, SYSTEM);
  const actor = { userId: admin.id, ip: null, userAgent: null, languages: 'de' };
  await app.authTuna.passwords.set(user.id, 'plain umbrella quartz seventeen', actor);
  expect((await app.mailTo(ADA)).subject).toBe('Your password was changed');
  const own = { userId: user.id, ip: null, userAgent: null, languages: 'de' };
  await app.authTuna.passwords.set(user.id, 'another umbrella quartz eighteen', own);
  expect((await app.mailTo(ADA)).html).toContain('lang="de"');
});

test('who is signed in as themselves gets their own notices in the language of their browser', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn(ADA);
  const change = { currentPassword: PASSWORD, newPassword: 'plain umbrella quartz seventeen' };
  expect((await browser.post('/auth/change-password', change, de)).status).toBe(200);
  expect((await app.mailTo(ADA)).html).toContain('lang="de"');
});

test('who acts as somebody else does not choose the language of their mails', async () => {
  const app = await startMailedApp();
  const { user } = await app.signedIn(ADA);
  const actor = { userId: user.id, impersonatorId: 'admin', ip: null, userAgent: null, languages: 'de' };
  await app.authTuna.passwords.set(user.id, 'plain umbrella quartz seventeen', actor);
  expect((await app.mailTo(ADA)).html).toContain('lang="en"');
});

test('who is signed in and names another’s address does not choose the language of the mail that goes there', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn('bob@example.com');
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  expect((await browser.post('/auth/forgot-password', { email: ADA }, de)).status).toBe(202);
  expect((await app.mailTo(ADA)).subject).toBe('Choose a new password');
  app.clock.advance({ minutes: 2 });
  expect((await browser.post('/auth/change-email', { newEmail: ADA }, de)).status).toBe(202);
  const mails = await app.mailsTo(ADA);
  expect(mails).toHaveLength(2);
  expect(mails[1]?.html).toContain('lang="en"');
});

test('who guesses at an account does not choose the language in which its owner hears of it', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn(ADA);
  await enrolTotp(app, browser);
  const half = await halfSignedIn(app, ADA);
  for (let guess = 0; guess < 5; guess += 1) await half.post('/auth/mfa/verify', { code: '000000' }, de);
  expect((await app.mailTo(ADA)).subject).toBe('Someone entered wrong codes for your account');

  for (let guess = 0; guess < 101; guess += 1) {
    app.clock.advance({ minutes: 16 });
    await app.browser().post('/auth/login', { login: ADA, password: 'wrong umbrella quartz' }, de);
  }
  expect((await app.mailTo(ADA)).subject).toBe('Signing in to your account is paused');
}, 60_000);
