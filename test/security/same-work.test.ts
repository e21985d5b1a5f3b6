import { expect, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { TestMailbox } from '../../src/testing/index.js';
import { PASSWORD, startApp } from '../support/app.js';
import { countingClient } from '../support/counting-client.js';
import { freshDatabase, openDatabase } from '../support/database.js';

const UNLIMITED = { limit: 10_000, windowSeconds: 60 };

/** Verb and table. */
function kindOf(sql: string): string {
  const table = /(?:INTO|UPDATE|FROM)\s+(?:["`]\w+["`]\.)?["`](\w+)["`]/.exec(sql)?.[1] ?? '';
  return `${sql.split(/\s/, 1)[0]} ${table}`;
}

/** An instance with an account of each kind, and what a request of a stranger makes the database do. */
async function start() {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const mailbox = new TestMailbox();
  const app = await startApp(
    {
      prisma: client,
      mail: { from: 'Harbour <noreply@harbour.example>', transport: mailbox },
      rateLimits: { mailAddress: UNLIMITED, mailNetwork: UNLIMITED, mailPurpose: UNLIMITED },
    },
    { database },
  );
  await app.authTuna.jobs.stop(); // what they ask is not counted
  const { users } = app.authTuna;
  await users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  await users.create({ email: 'unverified@example.com', password: PASSWORD });
  const suspended = await users.create({ email: 'suspended@example.com', password: PASSWORD });
  await users.suspend(suspended.id, 'spam', SYSTEM);
  const work = async (path: string, body: object) => {
    app.clock.advance({ minutes: 2 });
    await app.authTuna.mailer.deliver();
    statements.length = 0;
    const { status } = await app.browser().post(path, body);
    // What delivers the mail may have begun by now; its share is looked at apart.
    const asked = statements.map(kindOf).filter((kind) => !/^(SELECT|UPDATE) OutboxMessage/.test(kind));
    await app.authTuna.mailer.deliver();
    return { status, asked: asked.sort() };
  };
  return { work, mailbox, rows: () => connection.client.outboxMessage.findMany({}) };
}

const NAMES = ['ada', 'nobody', 'unverified', 'suspended'];

test('asking for a mail makes the database do the same for every address (LG-3)', async () => {
  const { work, mailbox, rows } = await start();
  for (const path of [
    '/auth/forgot-password',
    '/auth/verify-email/resend',
    '/auth/passwordless/link',
    '/auth/passwordless/code',
  ]) {
    await work(path, { email: 'warm-up@example.com' });
    const found = [];
    for (const name of NAMES) found.push(await work(path, { email: `${name}@example.com` }));
    for (const one of found) expect({ path, ...one }).toEqual({ path, ...found[0] });
    expect(found[0]?.asked.length).toBeGreaterThan(8);
  }
  const toOthers = mailbox.mails.filter(({ to }) => /^(nobody|suspended)/.test(to));
  // A sign-in link for an address without an account offers to make one.
  expect(toOthers.map(({ to, subject }) => [to, subject])).toEqual([
    ['nobody@example.com', 'Create your localhost account'],
  ]);
  // Nothing waits for an address that nobody has, nor does what would have been in the mail stay.
  for (const { sentAt, sealed } of (await rows()) as { sentAt: Date | null; sealed: string }[])
    expect({ isOver: sentAt !== null, sealed }).toEqual({ isOver: true, sealed: '' });
});

test('a sign-up with a taken address takes as many statements as one with a new address (LG-3)', async () => {
  const { work } = await start();
  await work('/auth/signup', { email: 'warm-up@example.com', password: PASSWORD });
  const signUp = (name: string) => work('/auth/signup', { email: `${name}@example.com`, password: PASSWORD });
  const fresh = await signUp('new');
  for (const name of ['ada', 'unverified', 'suspended']) {
    const taken = await signUp(name);
    expect([taken.status, taken.asked.length]).toEqual([fresh.status, fresh.asked.length]);
  }
});

test('a wrong password makes the database do the same for every name (LG-2, LG-3)', async () => {
  const { work } = await start();
  const guess = (name: string) =>
    work('/auth/login', { login: `${name}@example.com`, password: 'not the password at all' });
  await guess('warm-up');
  const found = [];
  for (const name of NAMES) found.push(await guess(name));
  for (const one of found) expect(one).toEqual(found[0]);
});
