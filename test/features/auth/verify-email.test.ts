import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { linkIn, type MailedApp, startMailedApp, tokenIn } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';
const OWN_PASSWORD = 'plain umbrella quartz seventeen';
const PATH = '/auth/verify-email';

const tokenOf = (link: string) => new URL(link, 'http://localhost').searchParams.get('token') ?? '';

const login = async (app: MailedApp, password: string) =>
  (await app.browser().post('/auth/login', { login: ADA, password })).status;

/** Somebody signs up by the page; what their browser is and what the mail links to. */
async function signUpByPage(app: MailedApp) {
  const visitor = app.visitor();
  await visitor.send(await visitor.open('/auth/signup'), { email: ADA, password: PASSWORD });
  return { visitor, link: linkIn(await app.mailTo(ADA), PATH) };
}

test('in the browser that signed up one click confirms the address (EM-11)', async () => {
  const app = await startMailedApp();
  const { visitor, link } = await signUpByPage(app);
  const page = await visitor.open(link);
  expect(page.html).not.toContain('type="password"');
  const confirmed = await visitor.submit(page);
  expect([confirmed.status, confirmed.headers.get('location')]).toEqual([303, '/']);
  expect((await visitor.browser.get('/me')).status).toBe(200);
  expect(await login(app, PASSWORD)).toBe(200);
});

test('the link of a stranger’s sign-up ends when an administrator confirms the address (EM-11)', async () => {
  const app = await startMailedApp();
  const { link } = await signUpByPage(app);
  const { id } = await app.authTuna.users.findByEmail(ADA).then((user) => ({ id: user?.id ?? '' }));
  await app.authTuna.users.update(id, { emailVerified: true }, SYSTEM);
  const owner = app.visitor();
  const page = await owner.open(link);
  expect(page.html).not.toContain('type="password"');
  expect(owner.browser.jar.has('at_sess')).toBe(false);
  expect((await app.browser().post('/auth/verify-email', { token: tokenOf(link) })).status).toBe(400);
});

test('the owner of an address whom an impostor signed up cannot confirm the impostor’s password by a click (EM-11)', async () => {
  const app = await startMailedApp();
  const impostor = await signUpByPage(app);
  const owner = app.visitor();
  const page = await owner.open(impostor.link);
  expect(page.html).toContain('a***@e***.com');
  expect(page.fields).not.toHaveProperty('token');
  const clicked = await owner.postFields(page.action, { csrfToken: page.csrfToken });
  expect(clicked.status).toBe(401);
  const guessed = await owner.send(page, { password: 'whatever it may have been' });
  expect(guessed.status).toBe(401);
  expect(await login(app, PASSWORD)).toBe(403);

  // Nothing was spent: the account becomes the owner's with a password of their own, and the impostor's opens nothing.
  const claimed = await owner.postFields(page.action, {
    csrfToken: page.csrfToken,
    newPassword: OWN_PASSWORD,
  });
  expect(claimed.status).toBe(303);
  expect(await login(app, PASSWORD)).toBe(401);
  expect(await login(app, OWN_PASSWORD)).toBe(200);
  const dead = await impostor.visitor.open(impostor.link);
  expect(dead.html).toContain('Confirmed already');
  expect((await impostor.visitor.browser.get('/me')).status).toBe(401);
});

test('another browser confirms with the password of the sign-up (EM-11)', async () => {
  const app = await startMailedApp();
  const { link } = await signUpByPage(app);
  const phone = app.visitor();
  const sent = await phone.submit(await phone.open(link), { password: PASSWORD });
  expect([sent.status, sent.headers.get('location')]).toEqual([303, '/']);
  expect((await phone.browser.get('/me')).status).toBe(200);
  expect(await login(app, PASSWORD)).toBe(200);
});

test('a link that was asked for again is bound to the browser of the sign-up, not to the one that asked (EM-11)', async () => {
  const app = await startMailedApp();
  const impostor = await signUpByPage(app);
  app.clock.advance({ seconds: 61 });
  const owner = app.visitor();
  const resent = await owner.send(await owner.open(PATH), { email: ADA });
  expect(resent.html).toContain('a message is on its way');
  const link = linkIn(await app.mailTo(ADA), PATH);
  expect(link).not.toBe(impostor.link);
  expect((await owner.open(link)).html).toContain('type="password"');
  expect((await impostor.visitor.open(link)).html).not.toContain('type="password"');
});

test('who is signed in to the account confirms with a click in any browser (EM-11)', async () => {
  const app = await startMailedApp({ signUp: { requireVerifiedEmail: false } });
  await app.authTuna.users.create({ email: ADA, password: PASSWORD });
  await app.authTuna.auth.requestEmailVerification(ADA, SYSTEM);
  const visitor = app.visitor();
  await visitor.send(await visitor.open('/auth/login'), { login: ADA, password: PASSWORD });
  const page = await visitor.open(linkIn(await app.mailTo(ADA), PATH));
  expect(page.html).not.toContain('type="password"');
  expect((await visitor.send(page)).html).toContain('Address confirmed');
});

test('claiming an unconfirmed account ends the sessions and passwords that were on it (EM-11)', async () => {
  const app = await startMailedApp({ signUp: { requireVerifiedEmail: false } });
  const impostor = app.browser();
  expect((await impostor.post('/auth/signup', { email: ADA, password: PASSWORD })).status).toBe(201);
  await app.authTuna.auth.requestEmailVerification(ADA, SYSTEM);
  const token = tokenIn(await app.mailTo(ADA), PATH);
  const weak = await app.browser().post(PATH, { token, newPassword: 'short' });
  expect(await weak.json()).toMatchObject({ code: 'weak_password' });
  expect((await app.browser().post(PATH, { token, newPassword: OWN_PASSWORD })).status).toBe(200);
  expect((await impostor.post('/me/x', {})).status).toBe(401);
  expect(await login(app, PASSWORD)).toBe(401);
  expect(await login(app, OWN_PASSWORD)).toBe(200);
  const again = await app.browser().post(PATH, { token, newPassword: PASSWORD });
  expect(await again.json()).toMatchObject({ code: 'invalid_token' });
});

test('of twenty claims of one account one wins (EM-3)', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  const token = tokenIn(await app.mailTo(ADA), PATH);
  const passwords = Array.from({ length: 20 }, (_, i) => `${OWN_PASSWORD} ${i}`);
  const answers = await Promise.all(
    passwords.map(async (newPassword) => (await app.browser().post(PATH, { token, newPassword })).status),
  );
  expect(answers.filter((status) => status === 200)).toHaveLength(1);
  expect(await login(app, passwords[answers.indexOf(200)] ?? '')).toBe(200);
});

test('a confirmed address is not claimed by an old link', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  const token = tokenIn(await app.mailTo(ADA), PATH);
  const user = await app.authTuna.users.findByEmail(ADA);
  await app.authTuna.users.update(user?.id ?? '', { emailVerified: true }, SYSTEM);
  const answer = await app.browser().post(PATH, { token, newPassword: OWN_PASSWORD });
  expect(await answer.json()).toMatchObject({ code: 'invalid_token' });
  expect(await login(app, PASSWORD)).toBe(200);
});

test('a script confirms with the token alone, or proves more', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  const token = tokenIn(await app.mailTo(ADA), PATH);
  const wrong = await app.browser().post(PATH, { token, password: 'not the password at all' });
  expect(wrong.status).toBe(401);
  expect((await app.browser().post(PATH, { token })).status).toBe(200);
  expect(await login(app, PASSWORD)).toBe(200);
});

test('guesses at the password of the sign-up are delayed after five', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  const token = tokenIn(await app.mailTo(ADA), PATH);
  const statuses = [];
  for (let i = 0; i < 6; i += 1)
    statuses.push((await app.browser().post(PATH, { token, password: `not the password ${i}` })).status);
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
});
