import { expect, onTestFinished, test, vi } from 'vitest';
import { TestClock, TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { freshDatabase } from '../../support/database.js';

test('a fresh installation has no accounts, and the bootstrap address becomes superadmin by a link that works once (AD-5)', async () => {
  const mailbox = new TestMailbox();
  const { authTuna, browser, url } = await startApp({
    bootstrapAdminEmail: 'Root@Example.com',
    mail: { from: 'auth@example.com', transport: mailbox },
  });
  expect((await authTuna.users.list()).items.map(({ email }) => email)).toEqual(['root@example.com']);
  await vi.waitFor(() => expect(mailbox.latestTo('root@example.com')).toBeDefined());
  const link = /http:\/\/localhost:\d+(\/auth\/reset-password\?token=[\w.-]+)/.exec(
    mailbox.latestTo('root@example.com')?.text ?? '',
  );
  expect(link?.[0].startsWith(url)).toBe(true);
  const token = link?.[1]?.split('token=')[1];

  const root = browser();
  expect((await root.post('/auth/reset-password', { token, newPassword: PASSWORD })).status).toBe(200);
  expect((await root.post('/auth/reset-password', { token, newPassword: `${PASSWORD}!` })).status).toBe(400);
  expect((await root.post('/auth/login', { login: 'root@example.com', password: PASSWORD })).status).toBe(
    200,
  );
  const user = await authTuna.users.findByEmail('root@example.com');
  expect(await authTuna.access.hasRole(user?.id ?? '', 'superadmin')).toBe(true);
});

test('several instances that start together make one superadmin, and a later start changes nothing (AD-5)', async () => {
  const database = await freshDatabase();
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
  const options = { bootstrapAdminEmail: 'root@example.com' };
  const [first] = await Promise.all([1, 2, 3].map(() => startApp(options, { database })));
  await startApp({ bootstrapAdminEmail: 'other@example.com' }, { database });
  expect(
    printed.mock.calls.filter(([line]) => String(line).includes('/auth/reset-password?token=')),
  ).toHaveLength(1);
  const { items } = await first!.authTuna.roles.usersWith('superadmin', 'global');
  expect(items.map(({ email }) => email)).toEqual(['root@example.com']);
  printed.mockRestore();
});

test('a stranger who signed up with the bootstrap address before is not made superadmin: the account keeps nothing of theirs (AD-5)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const clock = new TestClock();
  const signUp = { requireVerifiedEmail: false };
  const before = await startApp({ signUp }, { database, clock });
  const stranger = before.browser();
  const answer = await stranger.post('/auth/signup', { email: 'boss@example.com', password: PASSWORD });
  expect(answer.status).toBe(201);

  const mailbox = new TestMailbox();
  const { authTuna, browser, logger } = await startApp(
    {
      signUp,
      bootstrapAdminEmail: 'boss@example.com',
      mail: { from: 'auth@example.com', transport: mailbox },
    },
    { database, clock },
  );
  const user = await authTuna.users.findByEmail('boss@example.com');
  expect(await authTuna.access.hasRole(user?.id ?? '', 'superadmin')).toBe(true);
  expect(
    logger.lines.some(({ message }) => message.includes('had an account whose address was never proved')),
  ).toBe(true);
  expect((await stranger.post('/me/x', {})).status).toBe(401);
  clock.advance({ seconds: 11 });
  expect((await stranger.get('/me')).status).toBe(401);
  const again = await browser().post('/auth/login', { login: 'boss@example.com', password: PASSWORD });
  expect(again.status).toBe(401);

  await vi.waitFor(() => expect(mailbox.latestTo('boss@example.com')).toBeDefined());
  const [, token] = /token=([\w.-]+)/.exec(mailbox.latestTo('boss@example.com')?.text ?? '') ?? [];
  const boss = browser();
  const reset = await boss.post('/auth/reset-password', { token, newPassword: `${PASSWORD} of mine` });
  expect(reset.status).toBe(200);
  expect((await authTuna.users.findByEmail('boss@example.com'))?.emailVerifiedAt).not.toBeNull();
});

test('an account whose address was proved keeps its password when it becomes the first superadmin (AD-5)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { signedIn } = await startApp({}, { database });
  await signedIn('boss@example.com');
  const { authTuna, browser } = await startApp(
    {
      bootstrapAdminEmail: 'boss@example.com',
      mail: { from: 'auth@example.com', transport: new TestMailbox() },
    },
    { database },
  );
  const answer = await browser().post('/auth/login', { login: 'boss@example.com', password: PASSWORD });
  expect(answer.status).toBe(200);
  const user = await authTuna.users.findByEmail('boss@example.com');
  expect(await authTuna.access.hasRole(user?.id ?? '', 'superadmin')).toBe(true);
});
