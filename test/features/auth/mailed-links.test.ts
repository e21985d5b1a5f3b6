import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';
import { linkIn, type MailedApp, startMailedApp, tokenIn } from '../../support/mailed-app.js';

const NEW_PASSWORD = 'plain umbrella quartz seventeen';
const ADA = 'ada@example.com';
const PAGES = {
  verify_email: '/auth/verify-email',
  reset_password: '/auth/reset-password',
  change_email: '/auth/change-email/confirm',
  undo_email_change: '/auth/change-email/undo',
  magic_link: '/auth/passwordless/link/open',
} as const;
type Purpose = keyof typeof PAGES;
const ROUTES: Record<Purpose, string> = { ...PAGES, magic_link: '/auth/passwordless/link/consume' };

function bodyFor(purpose: Purpose, token: string) {
  return purpose === 'reset_password' ? { token, newPassword: NEW_PASSWORD } : { token };
}

async function ada(app: MailedApp, emailVerified = true, email = ADA) {
  return app.authTuna.users.create({ email, password: PASSWORD, emailVerified });
}

/** Asks for a mail of that purpose and gives its token. */
async function tokenFor(app: MailedApp, purpose: Purpose, email = ADA): Promise<string> {
  const anonymous = app.browser();
  if (purpose === 'verify_email') await anonymous.post('/auth/verify-email/resend', { email });
  if (purpose === 'reset_password') await anonymous.post('/auth/forgot-password', { email });
  if (purpose === 'magic_link') await anonymous.post('/auth/passwordless/link', { email });
  if (purpose === 'change_email' || purpose === 'undo_email_change') {
    const browser = app.browser();
    await browser.post('/auth/login', { login: email, password: PASSWORD });
    const newEmail = `new-${email}`;
    expect((await browser.post('/auth/change-email', { newEmail })).status).toBe(202);
    const token = tokenIn(await app.mailTo(newEmail), PAGES.change_email);
    if (purpose === 'change_email') return token;
    expect((await browser.post('/auth/change-email/confirm', { token })).status).toBe(200);
  }
  return tokenIn(await app.mailTo(email), PAGES[purpose]);
}

test('nothing that is stored works as a token (EM-1)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const token = await tokenFor(app, 'reset_password');
  const { client, close } = await openDatabase(app.database);
  const [row] = await client.oneTimeToken.findMany({ where: { purpose: 'reset_password' } });
  await close();
  expect(row).toBeDefined();
  expect(JSON.stringify(row)).not.toContain(token.split('.')[1]);
  for (const stolen of [row?.secretHash ?? '', `${row?.id}.${row?.secretHash}`]) {
    const answer = await app
      .browser()
      .post('/auth/reset-password', { token: stolen, newPassword: NEW_PASSWORD });
    expect(answer.status).toBe(400);
  }
});

test('a token works at its own endpoint only, and others do not spend it (EM-2)', async () => {
  const app = await startMailedApp({ passwordless: { magicLink: { bindToBrowser: false } } });
  const purposes = Object.keys(PAGES) as Purpose[];
  for (const [index, purpose] of purposes.entries()) {
    const email = `ada${index}@example.com`;
    await ada(app, purpose !== 'verify_email', email);
    const token = await tokenFor(app, purpose, email);
    for (const other of purposes.filter((name) => name !== purpose)) {
      const refused = await app.browser().post(ROUTES[other], bodyFor(other, token));
      expect({ purpose, other, status: refused.status }).toEqual({ purpose, other, status: 400 });
    }
    expect((await app.browser().post('/auth/unlock', { token })).status).toBe(400);
    const accepted = await app.browser().post(ROUTES[purpose], bodyFor(purpose, token));
    expect({ purpose, status: accepted.status }).toEqual({ purpose, status: 200 });
  }
});

test('of fifty parallel resets exactly one counts, and its password is the one that works (EM-3, D21)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const token = await tokenFor(app, 'reset_password');
  const passwords = Array.from({ length: 50 }, (_, index) => `parallel umbrella quartz number ${index}`);
  const answers = await Promise.all(
    passwords.map((newPassword) => app.browser().post('/auth/reset-password', { token, newPassword })),
  );
  const winners = passwords.filter((_, index) => answers[index]?.status === 200);
  expect(winners).toHaveLength(1);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400]));
  const signIn = await app.browser().post('/auth/login', { login: ADA, password: winners[0] });
  expect(signIn.status).toBe(200);
});

test('of twenty parallel consumers of any other link one wins (EM-3, D21)', async () => {
  const app = await startMailedApp({ passwordless: { magicLink: { bindToBrowser: false } } });
  for (const purpose of ['verify_email', 'change_email', 'undo_email_change', 'magic_link'] as const) {
    const email = `${purpose}@example.com`;
    await ada(app, purpose !== 'verify_email', email);
    const token = await tokenFor(app, purpose, email);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => app.browser().post(ROUTES[purpose], bodyFor(purpose, token))),
    );
    const won = answers.filter(({ status }) => status === 200).length;
    expect({ purpose, won }).toEqual({ purpose, won: 1 });
  }
});

test('scanners open a link as often as they like, and the click still works (EM-4, D25)', async () => {
  const app = await startMailedApp();
  await ada(app, false);
  await app.browser().post('/auth/verify-email/resend', { email: ADA });
  const link = linkIn(await app.mailTo(ADA), PAGES.verify_email);
  const scanner = app.browser();
  await scanner.request('HEAD', link);
  for (const headers of [{}, { accept: 'text/html' }, { 'sec-purpose': 'prefetch' }] as Record<
    string,
    string
  >[]) {
    const opened = await scanner.get(link, { headers });
    expect(opened.status).toBe(303);
    await scanner.get(opened.headers.get('location') ?? '', { headers: { accept: 'text/html' } });
  }
  expect((await app.authTuna.users.findByEmail(ADA))?.emailVerifiedAt).toBeNull();

  const visitor = app.visitor();
  const page = await visitor.open(link);
  expect(page.status).toBe(200);
  expect(page.html).toContain('a***@e***.com');
  expect((await visitor.submit(page, { password: PASSWORD })).status).toBe(303);
  expect((await app.authTuna.users.findByEmail(ADA))?.emailVerifiedAt).not.toBeNull();
});

test('whatever host a request names, links lead to baseUrl (EM-5)', async () => {
  const app = await startMailedApp({ baseUrl: 'https://harbour.example' });
  await ada(app);
  const evil = {
    'x-forwarded-host': 'evil.test',
    forwarded: 'host=evil.test',
    'x-original-url': 'https://evil.test/',
    'x-forwarded-proto': 'http',
    host: 'evil.test',
  };
  const answer = await app.browser().post('/auth/forgot-password', { email: ADA }, { headers: evil });
  expect(answer.status).toBe(202);
  const mail = await app.mailTo(ADA);
  expect(mail.text).toContain('https://harbour.example/auth/reset-password?token=');
  expect(mail.html + mail.text).not.toContain('evil.test');
});

test('every link has its own lifetime (EM-6)', async () => {
  const lifetimes: [Purpose, number][] = [
    ['reset_password', 30 * 60],
    ['magic_link', 10 * 60],
    ['verify_email', 24 * 3600],
    ['change_email', 3600],
    ['undo_email_change', 7 * 86_400],
  ];
  const app = await startMailedApp({ passwordless: { magicLink: { bindToBrowser: false } } });
  for (const [purpose, seconds] of lifetimes) {
    for (const [age, status] of [
      [seconds - 1, 200],
      [seconds, 400],
    ] as const) {
      const email = `${purpose}-${status}@example.com`;
      await ada(app, purpose !== 'verify_email', email);
      const token = await tokenFor(app, purpose, email);
      app.clock.advance({ seconds: age });
      const answer = await app.browser().post(ROUTES[purpose], bodyFor(purpose, token));
      expect({ purpose, age, status: answer.status }).toEqual({ purpose, age, status });
    }
  }
});

test('a newer link ends the older one, and a new password ends them all (EM-6, D23)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const first = await tokenFor(app, 'reset_password');
  app.clock.advance({ minutes: 2 });
  const second = await tokenFor(app, 'reset_password');
  const reset = (token: string) =>
    app.browser().post('/auth/reset-password', { token, newPassword: NEW_PASSWORD });
  expect((await reset(first)).status).toBe(400);
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  const changed = await browser.post('/auth/change-password', {
    currentPassword: PASSWORD,
    newPassword: 'another umbrella quartz seventeen',
  });
  expect(changed.status).toBe(200);
  expect((await reset(second)).status).toBe(400);
});

test('the token leaves the address at once and nothing else sees it (EM-7, D46)', async () => {
  const app = await startMailedApp();
  await ada(app);
  await app.browser().post('/auth/forgot-password', { email: ADA });
  const link = linkIn(await app.mailTo(ADA), PAGES.reset_password);
  const token = link.split('token=')[1] ?? '';
  const browser = app.browser();
  const first = await browser.get(link, { headers: { accept: 'text/html' } });
  expect(first.status).toBe(303);
  expect(first.headers.get('location')).toBe('/auth/reset-password');
  expect(first.headers.get('referrer-policy')).toBe('no-referrer');
  expect(first.headers.get('cache-control')).toBe('no-store');
  const cookie = first.headers.getSetCookie().find((line) => line.startsWith('at_link=')) ?? '';
  expect(cookie).toContain('HttpOnly');
  expect(cookie).toContain('Max-Age=1800');
  const page = await browser.get('/auth/reset-password', { headers: { accept: 'text/html' } });
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(await page.text()).not.toContain(token);
});

test('on https the cookie of a link is bound to the host (EM-7)', async () => {
  const app = await startMailedApp({ baseUrl: 'https://harbour.example' });
  const opened = await app.browser().get('/auth/reset-password?token=abcdefgh');
  expect(opened.headers.getSetCookie().join()).toMatch(
    /^__Host-at_link=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax/,
  );
});

test('a reset ends every session, signs nobody in, and clears a forced change (EM-9, D23, D24)', async () => {
  const app = await startMailedApp();
  const user = await ada(app);
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  const token = await tokenFor(app, 'reset_password');
  const resetting = app.browser();
  const answer = await resetting.post('/auth/reset-password', { token, newPassword: NEW_PASSWORD });
  expect(answer.status).toBe(200);
  expect(resetting.jar.has('at_sess')).toBe(false);
  expect((await browser.post('/me/x', {})).status).toBe(401);
  expect((await resetting.post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(401);
  expect((await resetting.post('/auth/login', { login: ADA, password: NEW_PASSWORD })).status).toBe(200);
  expect((await resetting.get('/me')).status).toBe(200);
  expect((await app.mailTo(ADA)).subject).toMatch(/password/i);
});

test('a change of address is confirmed by the new mailbox and taken back by the old one (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  await browser.post('/auth/change-email', { newEmail: 'Ada@New.example' });
  expect((await app.authTuna.users.findByEmail(ADA))?.email).toBe(ADA);

  const visitor = app.visitor();
  const confirm = await visitor.open(linkIn(await app.mailTo('ada@new.example'), PAGES.change_email));
  expect(confirm.html).toContain('ada@new.example');
  expect((await visitor.send(confirm)).html).toContain('Address changed');
  expect(await (await browser.get('/auth/user-info')).json()).toMatchObject({ email: 'ada@new.example' });

  const undo = await visitor.open(linkIn(await app.mailTo(ADA), PAGES.undo_email_change));
  expect((await visitor.send(undo)).html).toContain('Address restored');
  expect((await app.authTuna.users.findByEmail(ADA))?.emailVerifiedAt).not.toBeNull();
  expect((await browser.post('/me/x', {})).status).toBe(401);
});

test('whoever stole the account cannot keep the owner from taking the address back (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const thief = app.browser();
  await thief.post('/auth/login', { login: ADA, password: PASSWORD });
  for (const [newEmail, from] of [
    ['one@evil.test', ADA],
    ['two@evil.test', 'one@evil.test'],
  ] as const) {
    expect((await thief.post('/auth/change-email', { newEmail })).status).toBe(202);
    const token = tokenIn(await app.mailTo(newEmail), PAGES.change_email);
    expect((await thief.post('/auth/change-email/confirm', { token })).status).toBe(200);
    expect(await app.authTuna.users.findByEmail(from)).toBeNull();
  }
  const stolen = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  expect((await thief.post('/auth/change-password', stolen)).status).toBe(200);

  app.clock.advance({ days: 6 });
  const token = tokenIn(await app.mailTo(ADA), PAGES.undo_email_change);
  expect((await app.browser().post('/auth/change-email/undo', { token })).status).toBe(200);
  expect(await app.authTuna.users.findByEmail(ADA)).not.toBeNull();
  // The thief's password went with the address.
  expect((await app.browser().post('/auth/login', { login: ADA, password: NEW_PASSWORD })).status).toBe(401);
});

test('what a thief put on the account before changing its address goes as well (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  app.clock.advance({ minutes: 1 });
  const thief = app.browser();
  await thief.post('/auth/login', { login: ADA, password: PASSWORD });
  const stolen = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  expect((await thief.post('/auth/change-password', stolen)).status).toBe(200);
  app.clock.advance({ minutes: 1 });
  expect((await thief.post('/auth/change-email', { newEmail: 'one@evil.test' })).status).toBe(202);
  const confirm = tokenIn(await app.mailTo('one@evil.test'), PAGES.change_email);
  expect((await thief.post('/auth/change-email/confirm', { token: confirm })).status).toBe(200);

  const token = tokenIn(await app.mailTo(ADA), PAGES.undo_email_change);
  expect((await app.browser().post('/auth/change-email/undo', { token })).status).toBe(200);
  expect((await app.browser().post('/auth/login', { login: ADA, password: NEW_PASSWORD })).status).toBe(401);
});

test('a taken address answers like a free one, and only its owner hears of it (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  await app.authTuna.users.create({ email: 'bob@example.com', password: PASSWORD, emailVerified: true });
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  const taken = await browser.post('/auth/change-email', { newEmail: 'bob@example.com' });
  const free = await browser.post('/auth/change-email', { newEmail: 'new@example.com' });
  expect([taken.status, await taken.text()]).toEqual([free.status, await free.text()]);
  expect((await app.mailTo('bob@example.com')).text).not.toContain('token=');
});

test('a change of address needs a proof of the last ten minutes (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  app.clock.advance({ minutes: 11 });
  const answer = await browser.post('/auth/change-email', { newEmail: 'new@example.com' });
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ code: 'recent_login_required' });
  expect(answer.headers.get('www-authenticate')).toContain('max_age=600');
});

test('an expired verification link leads to a new one, however long ago it was sent (D25)', async () => {
  const app = await startMailedApp();
  const visitor = app.visitor();
  const signUp = await visitor.open('/auth/signup');
  const waiting = await visitor.send(signUp, { email: ADA, password: PASSWORD });
  expect(waiting.html).toContain(ADA);
  const link = linkIn(await app.mailTo(ADA), PAGES.verify_email);
  app.clock.advance({ days: 3 });

  const dead = await visitor.open(link);
  expect(dead.status).toBe(400);
  expect(dead.html).toMatch(/ask for a new one/);
  const again = await visitor.send(dead, { email: ADA });
  expect(again.html).toContain('Check your inbox');
  const fresh = await visitor.open(linkIn(await app.mailTo(ADA), PAGES.verify_email));
  expect((await visitor.submit(fresh)).status).toBe(303);
  expect((await app.authTuna.users.findByEmail(ADA))?.emailVerifiedAt).not.toBeNull();
});

test('signing in before the address is confirmed leads to the page that sends the link again (D25)', async () => {
  const app = await startMailedApp();
  await ada(app, false);
  const visitor = app.visitor();
  const waiting = await visitor.send(await visitor.open('/auth/login'), { login: ADA, password: PASSWORD });
  expect(waiting.html).toContain('Send again');
  expect(waiting.fields.email).toBe(ADA);
});

test('a reset by mail proves the mailbox (D25)', async () => {
  const app = await startMailedApp();
  await ada(app, false);
  const token = await tokenFor(app, 'reset_password');
  await app.browser().post('/auth/reset-password', { token, newPassword: NEW_PASSWORD });
  expect((await app.browser().post('/auth/login', { login: ADA, password: NEW_PASSWORD })).status).toBe(200);
});

test('the link of an account that was closed opens it again, once (LG-5)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const guesser = app.browser();
  for (let guess = 0; guess < 101; guess += 1) {
    app.clock.advance({ seconds: 901 });
    await guesser.post('/auth/login', { login: ADA, password: 'wrong umbrella quartz' });
  }
  app.clock.advance({ seconds: 901 });
  expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(429);
  const visitor = app.visitor();
  const page = await visitor.open(linkIn(await app.mailTo(ADA), '/auth/unlock'));
  expect(page.html).toContain('a***@e***.com');
  expect((await visitor.send(page)).html).toContain('Account unlocked');
  expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(200);
}, 180_000);

test('a token of another purpose claims no account (EM-2, EM-11)', async () => {
  const app = await startMailedApp();
  for (const purpose of ['reset_password', 'change_email', 'undo_email_change', 'magic_link'] as const) {
    const email = `${purpose.replaceAll('_', '-')}@example.com`;
    await ada(app, true, email);
    const token = await tokenFor(app, purpose, email);
    const answer = await app.browser().post('/auth/verify-email', { token, newPassword: NEW_PASSWORD });
    expect({ purpose, status: answer.status }).toEqual({ purpose, status: 400 });
  }
});

test('a form for a new address that was open too long leads through a fresh proof (EM-10)', async () => {
  const app = await startMailedApp();
  await ada(app);
  const visitor = app.visitor();
  await visitor.send(await visitor.open('/auth/login'), { login: ADA, password: PASSWORD });
  const page = await visitor.open('/auth/change-email');
  expect(page.html).toContain(ADA);
  app.clock.advance({ minutes: 11 });
  const stale = await visitor.submit(page, { newEmail: 'new@example.com' });
  const stepUp = '/auth/step-up?returnTo=%2Fauth%2Fchange-email%3Fconfirmed%3Dagain';
  expect([stale.status, stale.headers.get('location')]).toEqual([303, stepUp]);
  const proof = await visitor.open(stepUp);
  expect(proof.action).toBe('/auth/step-up');
  const again = await visitor.send(proof, { password: PASSWORD });
  expect(again.action).toBe('/auth/change-email');
  expect(await app.mailsTo('new@example.com')).toHaveLength(0);
  expect((await visitor.send(again, { newEmail: 'new@example.com' })).html).toContain('Check your new inbox');
  expect(await app.mailsTo('new@example.com')).toHaveLength(1);
});
