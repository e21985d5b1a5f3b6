// Shows that a page that announces a message tells the truth: the message was stored, or the page says when to ask again.
import { describe, expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { linkIn, type MailedApp, startMailedApp } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';
const MAILED = { rateLimits: {} }; // the limits as they come

const subjects = async (app: MailedApp, address = ADA) =>
  (await app.mailsTo(address)).map(({ subject }) => subject);

test('a mail that was asked for twice within a minute is announced for later, with and without an account (EM-8, LG-3)', async () => {
  const app = await startMailedApp(MAILED);
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const told: string[] = [];
  for (const email of [ADA, 'nobody@example.com']) {
    const visitor = app.visitor();
    const code = await visitor.send(await visitor.open('/auth/passwordless/code'), { email });
    expect(code.html).not.toContain('No further message');
    app.clock.advance({ seconds: 20 });
    const again = await visitor.send(await visitor.open('/auth/passwordless/code'), { email });
    told.push(/role="status"><p>([^<]*)/.exec(again.html)?.[1] ?? '');
    // Another kind of mail leaves at once.
    const link = await visitor.send(await visitor.open('/auth/passwordless/link'), { email });
    expect(link.html).not.toContain('No further message');
  }
  expect(told).toEqual(
    Array(2).fill('No further message was sent just now. You can ask again in 40 seconds.'),
  );
  expect(await subjects(app)).toEqual([
    expect.stringMatching(/^\d{6} is your Harbour code$/),
    'Your sign-in link',
  ]);
});

test('beyond the limit of an hour the form comes back with the time, and the log names the option (EM-8)', async () => {
  const app = await startMailedApp({ rateLimits: { mailAddress: { limit: 1, windowSeconds: 3600 } } });
  const visitor = app.visitor();
  for (const [email, status] of [
    [ADA, 200],
    [ADA, 429],
  ] as const) {
    const page = await visitor.send(await visitor.open('/auth/forgot-password'), { email });
    expect(page.status).toBe(status);
    app.clock.advance({ minutes: 2 });
    if (status === 200) continue;
    expect(page.html).toMatch(/No message was sent, .*Please try again in \d+ minutes\./s);
    expect(page.fields.email).toBe(ADA);
  }
  const [line] = app.logger.lines.filter(({ level }) => level === 'warn');
  expect(line?.message).toContain('rateLimits.mailAddress allows 1 in 3600 s');
  expect(JSON.stringify(line)).not.toContain(ADA);
});

test('of 25 people who sign up from one network, those whom no mail would reach get 429 with a time, and no account (EM-8)', async () => {
  const app = await startMailedApp(MAILED);
  const statuses: number[] = [];
  for (let i = 0; i < 25; i += 1) {
    const answer = await app
      .browser()
      .post('/auth/signup', { email: `pupil${i}@example.com`, password: PASSWORD });
    statuses.push(answer.status);
    if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(60);
  }
  expect(statuses).toEqual([...Array(10).fill(202), ...Array(15).fill(429)]);
  const { items } = await app.authTuna.users.list({ limit: 100 });
  expect(items).toHaveLength(10);
  for (const { email } of items) expect(await app.mailsTo(email)).toHaveLength(1);
});

describe('the message that confirms an address', () => {
  test('is mailed by a sign-in before confirming, and the page says so', async () => {
    const app = await startMailedApp(MAILED);
    await app.authTuna.users.create({ email: ADA, password: PASSWORD });
    const visitor = app.visitor();
    const signIn = async () =>
      visitor.send(await visitor.open('/auth/login'), { login: ADA, password: PASSWORD });
    expect((await signIn()).html).toContain(`We sent a message to ${ADA}`);
    expect(await app.mailsTo(ADA)).toHaveLength(1);
    app.clock.advance({ seconds: 10 });
    expect((await signIn()).html).toContain('You can ask again in 50 seconds.');
    // The first link still works, because no second one has replaced it.
    const opened = await app.visitor().open(linkIn(await app.mailTo(ADA), '/auth/verify-email'));
    expect(opened.html).toContain('Confirm your email address');
    const wrong = await app.browser().post('/auth/login', { login: ADA, password: 'not the password' });
    expect(wrong.status).toBe(401);
    expect(await app.mailsTo(ADA)).toHaveLength(1);
  });

  test('says that there is nothing left to confirm, to an address that is confirmed', async () => {
    const app = await startMailedApp(MAILED);
    await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
    const visitor = app.visitor();
    for (const email of ['nobody@example.com', ADA]) {
      const page = await visitor.send(await visitor.open('/auth/verify-email'), { email });
      expect(page.html).toContain(`If ${email} has an account here, a message is on its way.`);
    }
    expect(await subjects(app)).toEqual(['Your address is confirmed already']);
    expect(await app.mailsTo('nobody@example.com')).toEqual([]);
  });

  test('comes after a sign-up that was refused and corrected within a minute', async () => {
    const app = await startMailedApp(MAILED);
    await app.authTuna.users.create({ email: 'eve@example.com', username: 'ada', password: PASSWORD });
    const signUp = (username: string) =>
      app.browser().post('/auth/signup', { email: ADA, username, password: PASSWORD });
    expect([(await signUp('ada')).status, (await signUp('ada-l')).status]).toEqual([409, 202]);
    expect(await app.mailsTo(ADA)).toHaveLength(1);
  });
});

test('a deleted person who signs up again is told by mail, and the address is free after erasure (LG-3)', async () => {
  const app = await startMailedApp(MAILED);
  const { users } = app.authTuna;
  const { id } = await users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  await users.delete(id, SYSTEM);
  const signUp = () => app.browser().post('/auth/signup', { email: ADA, password: PASSWORD });
  expect((await signUp()).status).toBe(202);
  expect(await subjects(app)).toEqual(['This account was deleted']);
  await users.erase(id, SYSTEM);
  app.clock.advance({ minutes: 2 });
  expect((await signUp()).status).toBe(202);
  expect((await app.mailTo(ADA)).subject).toBe('Confirm your email address');
});
