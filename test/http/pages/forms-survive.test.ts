// Shows that forms, boxes and addresses do what a person expects of them, whichever way they come in.
import { expect, test } from 'vitest';
import { oidc, SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import { json } from '../../support/factors.js';
import { linkIn, startMailedApp } from '../../support/mailed-app.js';
import { linkOf, PageVisitor } from '../../support/page-visitor.js';
import { startSocialApp } from '../../support/social.js';

const ADA = 'ada@example.com';

/** Whether an answer keeps the session beyond the end of the browser. */
const isKept = (answer: Response) =>
  answer.headers.getSetCookie().some((cookie) => /^at_sess=[^;]+;.*Max-Age=\d{4,}/i.test(cookie));

test('"Keep me signed in" counts for a mailed link, a mailed code and a passkey as for a password', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn(ADA);
  const authenticator = new Authenticator(app.url);
  const made = authenticator.create(await json(browser.post('/auth/passkeys/register/options', {}), 200));
  await json(browser.post('/auth/passkeys/register', made), 201);
  const withPasskey = async (body: object) => {
    const by = app.browser();
    const begun = await json(by.post('/auth/passkeys/sign-in/options', { purpose: 'sign_in' }), 200);
    return by.post('/auth/passkeys/sign-in', { ...authenticator.get(begun), purpose: 'sign_in', ...body });
  };
  app.clock.advance({ seconds: 1 });
  expect(isKept(await withPasskey({ rememberMe: true }))).toBe(true);
  expect(isKept(await withPasskey({}))).toBe(false);
  await app.authTuna.users.create({ email: 'bob@example.com', password: PASSWORD, emailVerified: true });
  for (const rememberMe of ['true', '']) {
    app.clock.advance({ minutes: 2 });
    const visitor = app.visitor();
    await visitor.send(await visitor.open('/auth/passwordless/link'), { email: 'bob@example.com' });
    const opened = await visitor.open(
      linkIn(await app.mailTo('bob@example.com'), '/auth/passwordless/link/open'),
    );
    expect(opened.html).toContain('name="rememberMe"');
    expect(isKept(await visitor.submit(opened, { rememberMe }))).toBe(rememberMe === 'true');
    const other = app.visitor();
    const enter = await other.send(await other.open('/auth/passwordless/code'), { email: 'bob@example.com' });
    const code = /\b\d{6}\b/.exec((await app.mailTo('bob@example.com')).text)?.[0] ?? '';
    expect(isKept(await other.submit(enter, { code, rememberMe }))).toBe(rememberMe === 'true');
  }
});

test('a person who came by a provider sets a first password on the account page, and is asked for it from then on', async () => {
  const app = await startSocialApp();
  const visitor = new PageVisitor(app.browser());
  await app.signIn(visitor.browser);
  expect((await visitor.open('/account/security')).html).toContain('/auth/change-password?returnTo=');
  const form = await visitor.open('/auth/change-password?returnTo=/account/security');
  expect(form.html).not.toContain('name="currentPassword"');
  const done = await visitor.send(form, { newPassword: PASSWORD });
  expect(done.html).toMatch(/role="status"><p>Password set\./);
  const again = await visitor.browser.post('/auth/change-password', {
    newPassword: 'plain umbrella quartz seventeen',
  });
  expect(await json(again, 422)).toMatchObject({ errors: [{ field: 'currentPassword', rule: 'required' }] });
  expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(200);
});

test('a form without our cookie says so and keeps what was typed; an unknown address below ours has a page', async () => {
  const app = await startMailedApp({ signUp: { username: 'off' } });
  const visitor = app.visitor();
  const login = await visitor.open('/auth/login');
  expect(login.html).toMatch(/<label for="login">Email</);
  const blocked = app.visitor();
  const refused = await blocked.send({ ...login }, { login: ADA, password: PASSWORD });
  expect(refused.status).toBe(403);
  expect(refused.html).toContain('your browser keeps no cookies for this site');
  expect(refused.fields.login).toBe(ADA);

  const unknown = await visitor.open('/auth/nothing-here');
  expect([unknown.status, unknown.html.includes('Page not found')]).toEqual([404, true]);
  expect((await app.browser().get('/auth/nothing-here')).headers.get('content-type')).not.toContain(
    'problem',
  );
});

test('the sign-in page offers one way by mail, folds all but three providers, and marks the way that was used last', async () => {
  const provider = (id: string) =>
    oidc({ id, name: id.toUpperCase(), issuer: 'http://localhost:1', clientId: id });
  const app = await startMailedApp({ social: { providers: ['p1', 'p2', 'p3', 'p4'].map(provider) } });
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const visitor = app.visitor();
  const ways = async () => {
    const { html } = await visitor.open('/auth/login');
    const [shown = '', folded = ''] = html.split('Other services');
    const labels = (part: string) =>
      [
        ...part.matchAll(
          /<\/svg>\s*((?:Continue with|Sign in by|Email me)[^<]*)(?:<span[^>]*>(Last used))?/g,
        ),
      ].map(([, label = '', mark]) => label.trim() + (mark === undefined ? '' : ' *'));
    return [labels(shown), labels(folded)];
  };
  expect(await ways()).toEqual([
    ['Continue with P1', 'Continue with P2', 'Continue with P3', 'Sign in by email'],
    ['Continue with P4'],
  ]);
  const link = await visitor.open('/auth/passwordless/link?returnTo=/public');
  const code = await visitor.open(linkOf(link, 'Send me a code instead'));
  expect(code.address).toBe('/auth/passwordless/code?returnTo=%2Fpublic');
  await visitor.send(link, { email: ADA });
  await visitor.send(await visitor.open(linkIn(await app.mailTo(ADA), '/auth/passwordless/link/open')));
  const { html, csrfToken } = await visitor.open('/account/security');
  // A question comes before what cannot be undone.
  expect(html).toMatch(/<details class="confirm">(?:(?!<\/details>).)*\/account\/sessions\/revoke-others/s);
  await visitor.postFields('/auth/logout', { csrfToken });
  expect((await ways())[0]?.at(-1)).toBe('Sign in by email *');
  visitor.browser.jar.set('at_way', 'provider.p4');
  expect((await ways())[0]?.[0]).toBe('Continue with P4 *');
});

test('password managers find the page of a new password, and a limited page says when and offers to try again', async () => {
  const app = await startMailedApp({
    social: { providers: [oidc({ id: 'p1', name: 'P1', issuer: 'http://localhost:1', clientId: 'p1' })] },
    rateLimits: { social: { limit: 1, windowSeconds: 60 } },
  });
  const visitor = app.visitor();
  const found = await visitor.browser.get('/.well-known/change-password');
  expect([found.status, found.headers.get('location')]).toEqual([303, '/auth/change-password']);
  const path = '/auth/social/p1/login?returnTo=/public';
  await visitor.open(path); // nothing answers there
  const limited = await visitor.open(path);
  expect(limited.status).toBe(429);
  expect(limited.html).toMatch(/Please try again in (1 minute|\d+ seconds)\./);
  expect(linkOf(limited, 'Try again')).toBe(path);
});

test('each page that asks a signed-in person for something has a way back to the account, unless it is demanded', async () => {
  const app = await startMailedApp();
  const { user, browser } = await app.signedIn(ADA);
  const visitor = new PageVisitor(browser);
  for (const path of ['change-password', 'change-email', 'step-up'])
    expect(linkOf(await visitor.open(`/auth/${path}`), 'Back to your account')).toBe('/account/security');
  const begin = await visitor.open('/auth/mfa/setup');
  expect(linkOf(begin, 'Back to your account')).toBe('/auth/mfa/manage');
  expect(linkOf(await visitor.send(begin), 'Back to your account')).toBe('/auth/mfa/manage');
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  const demanded = await visitor.open('/auth/change-password');
  expect(demanded.html).not.toContain('Back to your account');
});
