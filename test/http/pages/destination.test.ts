import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startMockProvider, TestClock } from '../../../src/testing/index.js';
import { PASSWORD } from '../../support/app.js';
import { enrolTotp } from '../../support/factors.js';
import { linkIn, type MailedApp, startMailedApp } from '../../support/mailed-app.js';
import { linkOf, type OpenedPage, type PageVisitor, toldBy } from '../../support/page-visitor.js';

const ADA = 'ada@example.com';
const WANTED = '/public?tab=1';
const QUERY = `?returnTo=${encodeURIComponent(WANTED)}`;
const NEW_PASSWORD = 'plain umbrella quartz seventeen';

async function withAda(options: Parameters<typeof startMailedApp>[0] = {}) {
  const app = await startMailedApp(options);
  const user = await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  return { app, user };
}

async function signIn(visitor: PageVisitor, page: OpenedPage, password = PASSWORD) {
  const answer = await visitor.submit(page, { login: ADA, password });
  return answer.headers.get('location');
}

describe('where a person wanted to go is where they arrive', () => {
  test('after signing up and confirming, with one press of the button in the mail', async () => {
    const app = await startMailedApp();
    const visitor = app.visitor();
    const login = await visitor.open(`/auth/login${QUERY}`);
    const signUp = await visitor.open(linkOf(login, 'Create an account'));
    const waiting = await visitor.send(signUp, { email: ADA, password: PASSWORD });
    expect(linkOf(waiting, 'Back to sign in')).toContain(encodeURIComponent(WANTED));
    const link = linkIn(await app.mailTo(ADA), '/auth/verify-email');
    const confirmed = await visitor.submit(await visitor.open(link));
    expect([confirmed.status, confirmed.headers.get('location')]).toEqual([303, WANTED]);
    expect((await visitor.browser.get('/me')).status).toBe(200);
    // The same link, opened again.
    const again = await app.visitor().open(link);
    expect([again.status, again.html.includes('Confirmed already')]).toEqual([200, true]);
    expect(linkOf(again, 'Sign in')).toContain(encodeURIComponent(WANTED));
  });

  test('after a forgotten password', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    const login = await visitor.open(`/auth/login${QUERY}`);
    const forgot = await visitor.open(linkOf(login, 'Forgot your password?'));
    await visitor.send(forgot, { email: ADA });
    const reset = await visitor.open(linkIn(await app.mailTo(ADA), '/auth/reset-password'));
    app.clock.advance({ minutes: 12 });
    const done = await visitor.send(reset, { newPassword: NEW_PASSWORD });
    const back = await visitor.open(linkOf(done, 'Sign in'));
    expect(await signIn(visitor, back, NEW_PASSWORD)).toBe(WANTED);
  });

  test('after a magic link, also in another browser', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    const ask = await visitor.open(`/auth/passwordless/link${QUERY}`);
    const sent = await visitor.send(ask, { email: ADA });
    const code = /class="big-code">([^<]+)</.exec(sent.html)?.[1] ?? '';
    const elsewhere = app.visitor();
    const opened = await elsewhere.open(linkIn(await app.mailTo(ADA), '/auth/passwordless/link/open'));
    expect((await elsewhere.submit(opened, { code })).headers.get('location')).toBe(WANTED);
  });

  test('after a second step that took too long', async () => {
    const { app } = await withAda();
    const owner = app.browser();
    await owner.post('/auth/login', { login: ADA, password: PASSWORD });
    await enrolTotp(app, owner);
    const visitor = app.visitor();
    const challenge = await visitor.send(await visitor.open(`/auth/login${QUERY}`), {
      login: ADA,
      password: PASSWORD,
    });
    app.clock.advance({ minutes: 11 });
    const over = await visitor.send(challenge, { code: '000000' });
    expect(over.html).toContain('Signing in took too long');
    expect(over.fields.returnTo).toBe(WANTED);
  });
});

describe('providers', () => {
  async function withProvider(options: Parameters<typeof startMailedApp>[0] = {}) {
    const clock = new TestClock();
    const mock = await startMockProvider({ clock });
    onTestFinished(() => mock.close());
    const app = await startMailedApp({ social: { providers: [mock.provider] }, ...options }, { clock });
    const goTo = async (visitor: PageVisitor, as: string, query = QUERY) => {
      const begun = await visitor.browser.get(`/auth/social/mock/login${query}`);
      const sent = await fetch(`${begun.headers.get('location')}&as=${as}`, { redirect: 'manual' });
      return (sent.headers.get('location') ?? '').slice(app.url.length);
    };
    return { app, goTo };
  }

  test('a canceled provider leads to the sign-in, and from there to where the person wanted', async () => {
    const { app, goTo } = await withProvider();
    await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
    const visitor = app.visitor();
    const canceled = await visitor.open(await goTo(visitor, 'cancel'));
    expect(canceled.html).toContain('Sign-in canceled');
    expect(await signIn(visitor, await visitor.open(linkOf(canceled, 'Sign in')))).toBe(WANTED);
  });

  test('after a fault of a provider, by "Try again" and another way', async () => {
    const { app, goTo } = await withProvider();
    await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
    const visitor = app.visitor();
    const callback = new URL(await goTo(visitor, '0'), app.url);
    callback.searchParams.delete('code');
    callback.searchParams.set('error', 'server_error');
    const failed = await visitor.open(callback.pathname + callback.search);
    expect([failed.status, toldBy(failed)]).toEqual([503, ['Back in a moment']]);
    expect(await signIn(visitor, await visitor.open(linkOf(failed, 'Try again')))).toBe(WANTED);
  });

  test('going back onto a callback that has done its work leads on', async () => {
    const { app, goTo } = await withProvider();
    const visitor = app.visitor();
    const callback = await goTo(visitor, '0');
    expect((await visitor.browser.get(callback)).headers.get('location')).toBe(WANTED);
    const again = await visitor.browser.get(callback, { headers: { accept: 'text/html' } });
    expect([again.status, again.headers.get('location')]).toEqual([303, WANTED]);
  });
});

describe('what was done is said', () => {
  test('a changed password is told on the account page, once', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    await signIn(visitor, await visitor.open('/auth/login'));
    const done = await visitor.send(await visitor.open('/auth/change-password'), {
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    expect(done.html).toMatch(/role="status"><p>Password changed\./);
    expect((await visitor.open('/account/security')).html).not.toContain('Password changed.');
  });

  test('a wrong password is told once, with a link to its field, and no code is mentioned', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    await signIn(visitor, await visitor.open('/auth/login'));
    const wrong = { currentPassword: 'not the password at all', newPassword: NEW_PASSWORD };
    const change = await visitor.send(await visitor.open('/auth/change-password'), wrong);
    expect(change.html).toContain('<a href="#currentPassword">This password is not correct.');
    const stepUp = await visitor.send(await visitor.open('/auth/step-up'), { password: 'not it at all' });
    expect(stepUp.html).toContain('<a href="#password">This password is not correct.');
    expect(stepUp.html).not.toContain('code');
    await app.browser().post('/auth/signup', { email: 'bob@example.com', password: PASSWORD });
    const elsewhere = app.visitor();
    const link = linkIn(await app.mailTo('bob@example.com'), '/auth/verify-email');
    const confirm = await elsewhere.send(await elsewhere.open(link), { password: 'not it at all' });
    expect(confirm.html).toContain('<a href="#password">This password is not correct.');
    for (const page of [change, stepUp, confirm])
      expect(toldBy(page).slice(1)).toEqual(['This password is not correct.']);
  });

  test('after a wrong recovery code its form is still open, and after a wrong code of the app it is not', async () => {
    const { app } = await withAda();
    const own = app.browser();
    await own.post('/auth/login', { login: ADA, password: PASSWORD });
    await enrolTotp(app, own);
    const visitor = app.visitor();
    const login = await visitor.open('/auth/login');
    const challenge = await visitor.send(login, { login: ADA, password: PASSWORD });
    const recovery = await visitor.send(challenge, { code: '01-AAAA-BBBB-CCCC-DDDD' });
    expect(recovery.html).toMatch(/<details[^>]* open>\s*<summary>Use a recovery code/);
    const wrongApp = await visitor.send(recovery, { code: '000000' });
    expect(wrongApp.html).toMatch(/<details class="disclosure">\s*<summary>Use a recovery code/);
  });

  test('signing out twice at once, or after the session has ended, is signing out', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    await signIn(visitor, await visitor.open('/auth/login'));
    const { fields } = await visitor.open('/auth/change-password');
    const csrfToken = fields.csrfToken ?? '';
    const answers = await Promise.all([
      visitor.postFields('/auth/logout', { csrfToken }),
      visitor.postFields('/auth/logout', { csrfToken }),
    ]);
    for (const answer of answers)
      expect([answer.status, answer.headers.get('location')]).toEqual([303, '/auth/login']);
    expect((await visitor.open('/auth/login')).html).toContain('You are signed out.');
    expect((await visitor.postFields('/auth/logout', { csrfToken })).status).toBe(303);
    expect((await visitor.browser.post('/auth/logout')).status).toBe(204);
  });

  test('a dead code is called dead, alike for addresses without an account', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    const enter = await visitor.send(await visitor.open('/auth/passwordless/code'), { email: ADA });
    const code = /\b\d{6}\b/.exec((await app.mailTo(ADA)).text)?.[0] ?? '';
    app.clock.advance({ minutes: 11 });
    expect((await visitor.send(enter, { code })).html).toContain('This code has expired.');
    const unknown = await app
      .browser()
      .post('/auth/passwordless/code/consume', { email: 'no@example.com', code });
    expect(await unknown.json()).toMatchObject({ detail: 'This code has expired. Ask for a new one.' });
  });

  test('a person who is signed in is led on from the sign-in page, and from its form in an older tab', async () => {
    const { app } = await withAda();
    const visitor = app.visitor();
    const older = await visitor.open(`/auth/login${QUERY}`);
    await signIn(visitor, await visitor.open('/auth/login'));
    expect(await signIn(visitor, older)).toBe(WANTED);
    const opened = await visitor.browser.get(`/auth/login${QUERY}`, { headers: { accept: 'text/html' } });
    expect(opened.headers.get('location')).toBe(WANTED);
  });
});

test('links in HTML mails hold no entity but &amp;', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  const { html = '' } = await app.mailTo(ADA);
  const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, link]) => link);
  expect(links.join(' ')).toContain('/auth/verify-email?token=');
  expect(html).not.toMatch(/&#x3D;|&#61;/);
});

test('below a prefix that a proxy strips, every address leads back below it', async () => {
  const outer = express();
  const server = outer.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const app: MailedApp = await startMailedApp({
    baseUrl: `http://localhost:${port}/shop`,
    paths: { afterSignIn: '/home', afterSignOut: '/bye' },
  });
  outer.use('/shop', app.app); // Express strips the prefix, as a proxy does
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const html = { accept: 'text/html' };
  const inside = app.visitor();
  const refused = await inside.browser.get('/me?tab=1', { headers: html });
  expect(refused.headers.get('location')).toBe('/shop/auth/login?returnTo=%2Fshop%2Fme%3Ftab%3D1');
  const page = await inside.open('/auth/login');
  expect(page.action).toBe('/shop/auth/login');
  const answer = await inside.postFields('/auth/login', { ...page.fields, login: ADA, password: PASSWORD });
  expect(answer.headers.get('location')).toBe('/shop/home');
  const { csrfToken } = await inside.open('/auth/change-password');
  const out = await inside.postFields('/auth/logout', { csrfToken });
  expect(out.headers.get('location')).toBe('/shop/bye');
  await app.browser().post('/auth/forgot-password', { email: ADA });
  expect((await app.mailTo(ADA)).text).toContain(`http://localhost:${port}/shop/auth/reset-password?token=`);
});

test('a visitor chooses a language, which counts for pages and for the mails that they ask for', async () => {
  const { app } = await withAda();
  const visitor = app.visitor();
  const login = await visitor.open(`/auth/login${QUERY}`);
  const german = await visitor.open(linkOf(login, 'Deutsch'));
  expect(german.address).toBe(`/auth/login${QUERY}`);
  expect(german.html).toContain('<html lang="de">');
  await visitor.send(await visitor.open('/auth/passwordless/link'), { email: ADA });
  expect((await app.mailTo(ADA)).subject).toBe('Ihr Anmeldelink');
  expect((await visitor.open(linkOf(german, 'English'))).html).toContain('<html lang="en">');
  expect((await visitor.open('/auth/language/xx')).status).toBe(404);
});
