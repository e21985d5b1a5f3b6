import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';

/** Status, headers, cookie names and body of an answer, without what differs by time. */
async function shapeOf(answer: Response): Promise<string> {
  const headers = [...answer.headers].filter(([name]) => !/^(date|set-cookie|ratelimit)$/.test(name));
  const cookies = answer.headers.getSetCookie().map((cookie) => cookie.replace(/=[^;]*/, ''));
  return JSON.stringify([answer.status, headers, cookies, await answer.text()]);
}

test('signing up with a new and with a known address answers alike, and the owner is told by mail (LG-3)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const signUp = (email: string) =>
    app.browser().post('/auth/signup', { email, password: 'plain umbrella quartz seventeen' });
  const known = await signUp(ADA);
  expect(known.status).toBe(202);
  expect(await shapeOf(known)).toBe(await shapeOf(await signUp('new@example.com')));
  const told = await app.mailTo(ADA);
  expect(told.text).toContain('/auth/login');
  expect(told.text).toContain('/auth/forgot-password');
  expect(told.text).not.toContain('token=');
  expect((await app.mailTo('new@example.com')).text).toContain('/auth/verify-email?token=');
  expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(200);
});

test('the pages of sign-up and forgotten passwords are the same for known and unknown addresses (LG-3)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  for (const path of ['/auth/signup', '/auth/forgot-password']) {
    const pages = [];
    for (const email of [ADA, 'eva@example.com']) {
      const visitor = app.visitor();
      const sent = await visitor.send(await visitor.open(path), {
        email,
        ...(path === '/auth/signup' && { password: PASSWORD }),
      });
      pages.push(sent.html.replaceAll(email, 'EMAIL').replace(/name="csrfToken" value="[^"]+"/g, ''));
    }
    expect(pages[0]).toBe(pages[1]);
  }
});

test('forgotten passwords and verification mails answer alike whether or not there is an account (LG-3)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, password: PASSWORD });
  for (const path of ['/auth/forgot-password', '/auth/verify-email/resend']) {
    const known = await app.browser().post(path, { email: ADA });
    expect(known.status).toBe(202);
    expect(await shapeOf(known)).toBe(
      await shapeOf(await app.browser().post(path, { email: 'no@example.com' })),
    );
  }
  expect(await app.mailsTo('no@example.com')).toHaveLength(0);
});

test('a taken username is told, whether the address is known or not (LG-3)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, username: 'ada', password: PASSWORD, emailVerified: true });
  for (const email of [ADA, 'new@example.com']) {
    const answer = await app.browser().post('/auth/signup', { email, username: 'ADA', password: PASSWORD });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'conflict', field: 'username' });
  }
});

test('before the password is proved every account answers alike (LG-1)', async () => {
  const app = await startApp({ signUp: { requireVerifiedEmail: false } });
  const { users } = app.authTuna;
  await users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  await users.create({ email: 'social@example.com', emailVerified: true });
  await users.create({ email: 'unverified@example.com', password: PASSWORD });
  const suspended = await users.create({
    email: 'suspended@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  await users.suspend(suspended.id, 'test', SYSTEM);
  const shapes = new Set<string>();
  for (const login of [
    ADA,
    'social@example.com',
    'unverified@example.com',
    'suspended@example.com',
    'no@example.com',
  ])
    shapes.add(
      await shapeOf(await app.browser().post('/auth/login', { login, password: 'wrong umbrella quartz' })),
    );
  expect([...shapes]).toHaveLength(1);
  const told = await app
    .browser()
    .post('/auth/login', { login: 'suspended@example.com', password: PASSWORD });
  expect(await told.json()).toMatchObject({ code: 'account_suspended' });
});

test('"not verified" is told only after the right password (LG-1)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, password: PASSWORD });
  const login = (password: string) => app.browser().post('/auth/login', { login: ADA, password });
  expect(await (await login('wrong umbrella quartz')).json()).toMatchObject({ code: 'invalid_credentials' });
  expect(await (await login(PASSWORD)).json()).toMatchObject({ code: 'email_not_verified' });
});

test('a username cannot pass for an address, a reserved name or somebody else (LG-9, DO-5)', async () => {
  const app = await startMailedApp();
  await app.authTuna.users.create({ email: ADA, username: 'paypal', password: PASSWORD });
  for (const username of [
    'victim@site.test',
    'victim＠site.test',
    '\u0430dmin',
    'ADMIN',
    'admin\u200b',
    'ﬁx-it',
    'ad\u00admin',
    'paypa1',
  ]) {
    const answer = await app
      .browser()
      .post('/auth/signup', { email: 'eva@example.com', username, password: PASSWORD });
    expect({ username, refused: [409, 422].includes(answer.status) }).toEqual({ username, refused: true });
  }
});

test('one address is one account, and what is no plain address is refused (DO-6)', async () => {
  const app = await startMailedApp();
  const signUp = async (email: string) =>
    (await app.browser().post('/auth/signup', { email, password: PASSWORD })).status;
  for (const email of ['"a@evil.test x"@site.test', 'a@site.test,b@evil.test', 'a(c)@site.test', 'a@b', 'a'])
    expect({ email, status: await signUp(email) }).toEqual({ email, status: 422 });
  expect(await signUp('A@Site.TEST')).toBe(202);
  expect(await signUp('a@site.test')).toBe(202);
  expect(await signUp('a@sitе.test')).toBe(202); // Cyrillic е: another domain, so another account
  const { items } = await app.authTuna.users.list();
  expect(items.map(({ email }) => email).sort()).toEqual(['a@site.test', 'a@xn--sit-tdd.test'].sort());
});

test('bodies are small, flat and of the declared type (DO-2, DO-3)', async () => {
  const app = await startMailedApp();
  const routes: [string, Record<string, string>][] = [
    ['/auth/signup', { email: ADA, password: PASSWORD }],
    ['/auth/login', { login: ADA, password: PASSWORD }],
    ['/auth/forgot-password', { email: ADA }],
    ['/auth/reset-password', { token: 'x', newPassword: PASSWORD }],
    ['/auth/verify-email', { token: 'x' }],
    ['/auth/verify-email', { token: 'x', password: PASSWORD, newPassword: PASSWORD }],
    ['/auth/verify-email/resend', { email: ADA }],
    ['/auth/unlock', { token: 'x' }],
    ['/auth/change-email/confirm', { token: 'x' }],
    ['/auth/change-email/undo', { token: 'x' }],
    ['/auth/passwordless/link', { email: ADA }],
    ['/auth/passwordless/link/consume', { token: 'x' }],
    ['/auth/passwordless/code', { email: ADA }],
    ['/auth/passwordless/code/consume', { email: ADA, code: '123456' }],
  ];
  const browser = app.browser();
  const post = async (path: string, rawBody: string, type = 'application/json') =>
    (await browser.post(path, undefined, { headers: { 'content-type': type }, rawBody })).status;
  for (const [path, body] of routes) {
    for (const field of Object.keys(body)) {
      for (const hostile of [
        '[]',
        '{}',
        '1',
        'null',
        'true',
        '{"not":""}',
        '{"__proto__":{"a":1}}',
        '["x"]',
      ]) {
        const rest = Object.entries(body).filter(([name]) => name !== field);
        const json = `{${[...rest.map(([name, value]) => `"${name}":"${value}"`), `"${field}":${hostile}`].join(',')}}`;
        expect({ path, field, hostile, status: await post(path, json) }).toEqual({
          path,
          field,
          hostile,
          status: 422,
        });
      }
    }
    expect(await post(path, JSON.stringify({ ...body, extra: 'x' }))).toBe(422);
    expect(await post(path, JSON.stringify({ ...body, pad: 'x'.repeat(1_000_000) }))).toBe(413);
    expect([400, 422]).toContain(await post(path, `${'['.repeat(10_000)}${']'.repeat(10_000)}`));
    expect(await post(path, JSON.stringify(body), 'text/plain')).toBe(415);
  }
  expect(({} as { a?: number }).a).toBeUndefined();
});
