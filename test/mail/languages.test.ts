import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD } from '../support/app.js';
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
