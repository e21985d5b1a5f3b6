import { expect, onTestFinished, test } from 'vitest';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { COOKIE } from '../../support/sessions.js';

/** The table and the columns that an UPDATE asks for, of whichever dialect. */
function updateOf(sql: string): { table: string; where: string } | null {
  const plain = sql.replaceAll(/["`]/g, '').replaceAll(/\b(main|public)\./g, '');
  const [, table = '', where = ''] = /^UPDATE (\w+) SET .*? WHERE (.*)$/s.exec(plain) ?? [];
  return table === '' ? null : { table, where };
}

test('rotating, acknowledging, touching, ending and spending are single statements that hold their own condition (DB-4)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const mailbox = new TestMailbox();
  const { authTuna, signedIn, browser, clock } = await startApp(
    { prisma: client, mail: { from: 'app@example.com', transport: mailbox } },
    { database },
  );
  await authTuna.jobs.stop();
  const { browser: ada } = await signedIn('ada@example.com');
  /** The conditions of the updates of one table that a step makes. */
  const updates = async (table: string, step: () => Promise<unknown>) => {
    statements.length = 0;
    await step();
    return statements.map(updateOf).flatMap((update) => (update?.table === table ? [update.where] : []));
  };
  const get = () => ada.get('/me');

  const acknowledged = await updates('Session', get);
  expect(acknowledged).toHaveLength(1);
  for (const column of ['id', 'generation', 'acknowledgedAt IS NULL', 'revokedAt IS NULL'])
    expect(acknowledged[0]).toContain(column);

  clock.advance({ seconds: 601 });
  const old = ada.stolen();
  const rotated = await updates('Session', get);
  expect(rotated).toHaveLength(1);
  for (const column of ['id', 'generation', 'acknowledgedAt <=', 'revokedAt IS NULL'])
    expect(rotated[0]).toContain(column);
  await get();

  clock.advance({ seconds: 601 });
  const image = () => ada.get('/me', { headers: { 'sec-fetch-dest': 'image' } });
  const touched = await updates('Session', image);
  expect(touched).toHaveLength(1);
  for (const column of ['id', 'lastSeenAt <', 'revokedAt IS NULL']) expect(touched[0]).toContain(column);

  const breached = await updates('Session', () => old.get('/me'));
  expect(breached.length).toBeGreaterThanOrEqual(1);
  expect(breached.some((where) => where.includes('revokedAt IS NULL'))).toBe(true);

  await browser().post('/auth/forgot-password', { email: 'ada@example.com' });
  await authTuna.mailer.deliver();
  const token = /token=([\w.~-]+)/.exec(mailbox.latestTo('ada@example.com')?.text ?? '')?.[1];
  expect(token).toBeDefined();
  const spent = await updates('OneTimeToken', () =>
    browser().post('/auth/reset-password', { token, newPassword: `${PASSWORD} again` }),
  );
  expect(spent.some((where) => where.includes('usedAt IS NULL') && where.includes('expiresAt >'))).toBe(true);

  const guess = (n: number) =>
    browser().post('/auth/login', { login: 'ada@example.com', password: `not the password ${n}` });
  await guess(1);
  const counted = await updates('Throttle', () => guess(2));
  expect(counted.length).toBeGreaterThan(0);
  // What was read of a counter stands in the condition of its update, or the update counts by itself.
  for (const where of counted) expect(where).toMatch(/AND|RETURNING/);
});

test('two hundred parallel sign-ins get in, and contention is never an error of the server (DB-4)', async () => {
  const { authTuna, browser } = await startApp({ trustedProxies: 1 });
  const count = 200;
  const logins = Array.from({ length: count }, (_, index) => `person${index}@example.com`);
  for (const email of logins) await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
  const signIn = async (index: number) => {
    const visitor = browser();
    const answer = await visitor.post(
      '/auth/login',
      { login: logins[index], password: PASSWORD },
      { headers: { 'x-forwarded-for': `2001:db8:${index}::1` } },
    );
    await answer.arrayBuffer();
    // On a machine that does much else the database may answer too late, which is said as such.
    if (answer.status === 503) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    else {
      expect(answer.status).toBe(200);
      expect(visitor.jar.has(COOKIE)).toBe(true);
    }
    return answer.status;
  };
  let waiting = logins.map((_, index) => index);
  const first = await Promise.all(waiting.map(signIn));
  for (let round = 0; round < 30 && waiting.length > 0; round += 1) {
    const statuses = round === 0 ? first : await Promise.all(waiting.map(signIn));
    waiting = waiting.filter((_, at) => statuses[at] !== 200);
  }
  expect(waiting).toEqual([]);
  const users = await authTuna.users.list({ limit: 1 });
  expect(users.items).toHaveLength(1);
  const [user] = users.items;
  expect(await authTuna.sessions.list(user?.id ?? '')).toHaveLength(1);
}, 120_000);
