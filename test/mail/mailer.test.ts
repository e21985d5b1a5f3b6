import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HOSTILE, mailSamples } from '../../scripts/preview-data.js';
import type { MailTransport, OutgoingMail } from '../../src/config/options.js';
import type { Mail } from '../../src/core/changes/outbox.js';
import { cleanUp } from '../../src/core/instances/clean-up.js';
import { AuthTunaError, SYSTEM, smtp } from '../../src/index.js';
import { sentMailSweep } from '../../src/mail/sweep.js';
import { TestMailbox } from '../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { freshDatabase } from '../support/database.js';
import { numbered, numberOf, startMailing } from '../support/mailing.js';
import { claimsOf } from '../support/sessions.js';
import { startSmtpServer } from '../support/smtp-server.js';

/** A host's templates folder with one file in it, until the test ends. */
function hostFolder(file: string, body: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-templates-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, dirname(file)));
  writeFileSync(join(folder, file), body);
  return folder;
}

/** A mailbox whose server can be down. */
class FlakyMailbox extends TestMailbox {
  isDown = false;
  attempts: OutgoingMail[] = [];
  failure: () => Error = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

  override async send(mail: OutgoingMail): Promise<void> {
    this.attempts.push(mail);
    if (this.isDown) throw this.failure();
    await super.send(mail);
  }
}

test('every template arrives through a real SMTP server as subject, HTML and text', async () => {
  const server = await startSmtpServer();
  const transport = smtp({ host: '127.0.0.1', port: server.port, requireTls: true, tlsCa: server.ca });
  const { mailer, queue, rows } = await startMailing(transport);
  const samples = mailSamples.filter(({ variant }) => variant !== 'hostile');
  await queue(...samples.map(({ name, data }) => ({ template: name, ...split(data) }) as Mail));

  expect(await mailer.deliver()).toBe(samples.length);
  expect(server.received).toHaveLength(samples.length);
  const stored = await rows();
  for (const [index, { name, data }] of samples.entries()) {
    const { parsed, to, raw } = server.received[index] ?? {};
    expect(to).toEqual(['ada@example.com']);
    expect(parsed?.subject, name).toBeTruthy();
    expect(parsed?.from).toMatchObject({ name: 'Harbour', address: 'noreply@harbour.example' });
    expect(parsed?.messageId).toBe(`<${stored[index]?.id}@harbour.example>`);
    for (const body of [parsed?.html ?? '', parsed?.text ?? '']) {
      expect(body, name).toContain('Harbour');
      if ('code' in data) expect(body, name).toContain(String(data.code));
      const leads = !('account' in data && data.account); // what a service account holds is no page of the reader's
      if ('link' in data && leads)
        expect(body.replaceAll('&amp;', '&').replaceAll('&#x3D;', '='), name).toContain(data.link);
      if ('activity' in data) expect(body, name).toContain('198.51.100.7');
    }
    expect(raw?.toString()).not.toMatch(/\[object|undefined|Invalid Date/);
    expect(parsed?.text).toMatch(data.locale === 'de' ? /Hallo|Guten|Passwort/ : /\w/);
  }
  expect(stored.every(({ sentAt, sealed }) => sentAt !== null && sealed === '')).toBe(true);
});

test('names chosen by somebody who means harm stay text, and open no header (IN-4, D31)', async () => {
  const server = await startSmtpServer();
  const transport = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca });
  const templatesDir = hostFolder(
    'locales/en.json',
    '{"mails":{"passkey-added":{"subject":"{passkeyName}"}}}',
  );
  const { mailer, queue } = await startMailing(transport, { templatesDir });
  const link = 'https://harbour.example/account/security';
  const activity = { at: new Date(0), ip: null };
  const names = [
    '<a href=//e>',
    'x\r\nBcc: e@e',
    HOSTILE,
    'x\u2028Subject: y',
    '"<eve@evil.example>',
    '{{link}}',
  ];
  for (const name of names) {
    const data = { name, passkeyName: name, link, activity: { ...activity, device: name } };
    await queue({ template: 'passkey-added', to: 'ada@example.com', data });
  }
  expect(await mailer.deliver()).toBe(names.length);
  for (const { raw, parsed, to } of server.received) {
    const [headers = ''] = raw.toString().split('\r\n\r\n');
    expect(to).toEqual(['ada@example.com']);
    expect(headers).not.toMatch(/^(bcc|cc|subject: y)/im);
    expect(headers.match(/^subject:/gim)).toHaveLength(1);
    expect(parsed.html).not.toMatch(/<a href=\/\/e|<script|<img src=x/i);
    expect(parsed.to).toMatchObject([{ address: 'ada@example.com' }]);
    expect(parsed.cc ?? []).toEqual([]);
    expect(parsed.bcc ?? []).toEqual([]);
  }
});

test('neither the database nor the log holds a secret of a mail in clear (AU-2)', async () => {
  const canary = 'CANARY4f9a2c7be1d05836Zk3vQ8mR1xT7wY2nB5hJ9cL4sD6gF0pA';
  const code = '739 184';
  const link = `https://harbour.example/auth/reset-password?token=${canary}`;
  const mailbox = new FlakyMailbox();
  mailbox.isDown = true;
  // The worst transport there is: it quotes everything it was given.
  mailbox.failure = () =>
    Object.assign(
      new Error(`Refused ${JSON.stringify(mailbox.attempts)} for ada@example.com ${link} ${code}`),
      {
        code: `E ${canary}`,
      },
    );
  const { mailer, queue, rows, logger, clock } = await startMailing(mailbox);
  await queue(
    { template: 'password-reset', to: 'ada@example.com', data: { link, expiresInSeconds: 1800 } },
    {
      template: 'email-code',
      to: 'bob@example.com',
      data: { code, expiresInSeconds: 600, activity: { at: clock.now(), device: null, ip: null } },
    },
  );
  const clear = /CANARY|739|184|ada@|bob@|https:/;
  expect(JSON.stringify(await rows())).not.toMatch(clear);
  await mailer.deliver();
  clock.advance({ hours: 25 });
  await mailer.deliver();
  const stored = await rows();
  expect(stored.every(({ deadAt, lastError }) => deadAt !== null && lastError !== null)).toBe(true);
  expect(JSON.stringify(stored)).not.toMatch(clear);
  expect(JSON.stringify(logger.lines)).not.toMatch(clear);
  expect(logger.lines.length).toBeGreaterThan(0);

  mailbox.isDown = false;
  for (const { id } of stored) await mailer.retry(id, SYSTEM);
  await mailer.deliver();
  expect(mailbox.latestTo('ada@example.com')?.text).toContain(canary);
  expect((await rows()).map(({ sealed, lastError }) => ({ sealed, lastError }))).toEqual([
    { sealed: '', lastError: null },
    { sealed: '', lastError: null },
  ]);
});

test('a mail that is not accepted is tried after 5 s, 30 s, 2 min, 10 min, then hourly for a day, under one Message-ID', async () => {
  const mailbox = new FlakyMailbox();
  mailbox.isDown = true;
  const { mailer, queue, rows, clock, runtime } = await startMailing(mailbox);
  await queue(numbered('ada@example.com', 1));
  await mailer.deliver();
  const waits: number[] = [];
  for (;;) {
    const [row] = await rows();
    if (row?.deadAt !== null) break;
    const seconds = (row.availableAt.getTime() - clock.now().getTime()) / 1000;
    waits.push(seconds);
    clock.advance({ seconds: seconds - 1 });
    const before = mailbox.attempts.length;
    await mailer.deliver();
    expect(mailbox.attempts.length).toBe(before); // not before its time
    clock.advance({ seconds: 1 });
    await mailer.deliver();
    expect(mailbox.attempts.length).toBe(before + 1);
  }
  expect(waits.slice(0, 6)).toEqual([5, 30, 120, 600, 3600, 3600]);
  expect(waits.reduce((sum, wait) => sum + wait)).toBeGreaterThan(22 * 3600);
  expect(new Set(mailbox.attempts.map(({ messageId }) => messageId)).size).toBe(1);

  const { items } = await mailer.deadLetters();
  expect(items).toMatchObject([
    { to: 'ada@example.com', template: 'welcome', lastError: 'ECONNREFUSED connect' },
  ]);
  mailbox.isDown = false;
  const id = items[0]?.id ?? '';
  await mailer.retry(id, { userId: 'an-admin', ip: '198.51.100.7', userAgent: null });
  const [entry] = await runtime.db.auditEntry.findMany({ where: { type: 'mail.retried' } });
  expect(entry).toMatchObject({ actorId: 'an-admin', targetType: 'mail', targetId: id, ip: '198.51.100.7' });
  await mailer.deliver();
  expect(mailbox.mails.map(({ messageId }) => messageId)).toEqual([mailbox.attempts[0]?.messageId]);
  expect((await mailer.deadLetters()).items).toEqual([]);
  await expect(mailer.retry(id, SYSTEM)).rejects.toThrow(AuthTunaError);
});

test('a mail that is refused for good is given up at once, and the next to that mailbox goes', async () => {
  const mailbox = new FlakyMailbox();
  const refuseFirst: MailTransport = {
    async send(mail) {
      if (numberOf(mail) === 1) throw Object.assign(new Error('No such user'), { permanent: true });
      await mailbox.send(mail);
    },
  };
  const { mailer, queue } = await startMailing(refuseFirst);
  await queue(numbered('ada@example.com', 1), numbered('ada@example.com', 2));
  expect(await mailer.deliver()).toBe(1);
  expect(mailbox.mails.map(numberOf)).toEqual([2]);
  expect((await mailer.deadLetters()).items).toMatchObject([{ attempts: 1, lastError: 'No such user' }]);
});

test('one mailbox that defers its mails holds up no other', async () => {
  const mailbox = new FlakyMailbox();
  const greylisting: MailTransport = {
    async send(mail) {
      if (mail.to === 'slow@example.com') throw new Error('try again');
      await mailbox.send(mail);
    },
  };
  const { mailer, queue, clock } = await startMailing(greylisting);
  await queue(
    numbered('slow@example.com', 1),
    numbered('ada@example.com', 2),
    numbered('slow@example.com', 3),
  );
  await queue(...Array.from({ length: 60 }, (_, index) => numbered('slow@example.com', 10 + index)));
  await queue(numbered('bob@example.com', 4));
  expect(await mailer.deliver()).toBe(2);
  expect(mailbox.mails.map(numberOf)).toEqual([2, 4]);
  clock.advance({ seconds: 3 });
  expect(await mailer.deliver()).toBe(0);
});

test('SMTP down for an hour: nothing is lost, every mailbox gets its mails in order, and sign-up does not notice', async () => {
  const server = await startSmtpServer();
  const transport = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca });
  const { mailer, queue, clock, rows } = await startMailing(transport);
  const app = await startApp({
    mail: { from: 'noreply@harbour.example', transport },
    signUp: { requireVerifiedEmail: false },
  });
  await server.stop();

  const people = ['ada@example.com', 'bob@example.com', 'eve@example.com', 'kim@example.com'];
  for (let number = 0; number < 16; number += 1) {
    await queue(numbered(people[number % people.length] ?? '', number));
    await mailer.deliver();
    clock.advance({ minutes: 4 });
  }
  expect(server.received).toEqual([]);

  const signedUp = await app.browser().post('/auth/signup', { email: 'new@example.com', password: PASSWORD });
  expect(signedUp.status).toBe(201);
  const { user, browser } = await app.signedIn();
  await app.authTuna.passwords.set(user.id, `${PASSWORD} 2`, SYSTEM);
  await app.authTuna.mailer.deliver();
  const again = await browser.post('/auth/login', { login: user.email, password: `${PASSWORD} 2` });
  expect(again.status).toBe(200);

  await server.start();
  await queue(numbered('ada@example.com', 16)); // a fresh one pulls the old ones along
  await mailer.deliver();
  const mine = () => server.received.filter(({ parsed }) => !Number.isNaN(numberOf(parsed)));
  const toAda = () => mine().filter(({ to }) => to.includes('ada@example.com'));
  expect(toAda().map(({ parsed }) => numberOf(parsed))).toEqual(
    [...Array(5).keys()].map((index) => index * 4),
  );

  for (let round = 0; round < 3; round += 1) {
    clock.advance({ minutes: 30 });
    await mailer.deliver();
  }
  expect((await rows()).every(({ sentAt }) => sentAt !== null)).toBe(true);
  expect(mine()).toHaveLength(17);
  for (const person of people) {
    const numbers = mine()
      .filter(({ to }) => to.includes(person))
      .map(({ parsed }) => numberOf(parsed));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
});

test('when the server is down, a round gives up after three mailboxes and the rest waits no longer than need be', async () => {
  const mailbox = new FlakyMailbox();
  mailbox.isDown = true;
  const { mailer, queue } = await startMailing(mailbox);
  await queue(...Array.from({ length: 20 }, (_, index) => numbered(`p${index}@example.com`, index)));
  await mailer.deliver();
  expect(mailbox.attempts).toHaveLength(3);
  mailbox.isDown = false;
  expect(await mailer.deliver()).toBe(17);
});

test('two mailers on one database send each mail once, and keep the order of every mailbox', async () => {
  const database = await freshDatabase();
  const received: OutgoingMail[] = [];
  const sending = new Map<string, number>();
  let mostAtOnce = 0;
  const transport: MailTransport = {
    async send(mail) {
      sending.set(mail.to, (sending.get(mail.to) ?? 0) + 1);
      mostAtOnce = Math.max(mostAtOnce, ...sending.values());
      await new Promise((resolve) => setImmediate(resolve));
      received.push(mail);
      sending.set(mail.to, (sending.get(mail.to) ?? 0) - 1);
    },
  };
  const first = await startMailing(transport, { database });
  const second = await startMailing(transport, { database, clock: first.clock });
  onTestFinished(() => database.drop());
  const mails = Array.from({ length: 40 }, (_, index) => numbered(`p${index % 5}@example.com`, index));
  await first.queue(...mails);

  const counts = await Promise.all([
    first.mailer.deliver(),
    second.mailer.deliver(),
    second.mailer.deliver(),
  ]);
  expect(counts.reduce((sum, count) => sum + count)).toBe(40);
  expect(received.map(numberOf).sort((a, b) => a - b)).toEqual([...Array(40).keys()]);
  expect(mostAtOnce).toBe(1);
  for (let person = 0; person < 5; person += 1) {
    const numbers = received.filter(({ to }) => to === `p${person}@example.com`).map(numberOf);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
});

test('a mail leaves right after the change that caused it, and the change does not wait for it', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let arrived: (mail: OutgoingMail) => void = () => {};
  const arrival = new Promise<OutgoingMail>((resolve) => {
    arrived = resolve;
  });
  const transport: MailTransport = {
    async send(mail) {
      await held;
      arrived(mail);
    },
  };
  const app = await startApp({ mail: { from: 'noreply@harbour.example', transport } });
  const { user } = await app.signedIn();
  await app.authTuna.passwords.set(user.id, `${PASSWORD} 2`, SYSTEM); // returns although the server hangs
  const { browser } = await app.signedIn();
  expect((await browser.get('/me')).status).toBe(200);
  release();
  expect(await arrival).toMatchObject({ to: user.email });
});

test('the owner of a session that was stolen is told where and when, by a mail that fits its template', async () => {
  const mailbox = new TestMailbox();
  const mail = { from: 'noreply@harbour.example', transport: mailbox };
  const { signedIn, authTuna, clock, url } = await startApp({ mail, session: { onDeviceChange: 'revoke' } });
  const { user, browser } = await signedIn();
  clock.advance({ minutes: 1 });
  const thief = browser.stolen(
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
  );
  expect((await thief.get('/me')).status).toBe(401);
  await authTuna.mailer.deliver();
  expect(mailbox.latestTo(user.email)?.text).toContain('Safari on iOS');
  expect(mailbox.latestTo(user.email)?.text).toContain(`${url}/account/security`);
});

const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';

test.each([
  ['notify', 1],
  ['ignore', 0],
] as const)(
  'with onDeviceChange %s, a session that moves goes on, and its owner gets %i mails a day',
  async (onDeviceChange, count) => {
    const mailbox = new TestMailbox();
    const mail = { from: 'noreply@harbour.example', transport: mailbox };
    const { signedIn, authTuna, clock } = await startApp({ mail, session: { onDeviceChange } });
    const { user, browser } = await signedIn();
    const moved = browser.stolen(IPHONE);
    const mails = () =>
      mailbox.mails.filter(({ to, text }) => to === user.email && text.includes('Safari on iOS'));
    clock.advance({ seconds: 30 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => moved.get('/me')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    for (let turn = 0; turn < 3; turn += 1) {
      clock.advance({ seconds: 11 });
      expect((await browser.get('/me')).status).toBe(200);
      clock.advance({ seconds: 11 });
      expect((await moved.get('/me')).status).toBe(200);
    }
    await authTuna.mailer.deliver();
    expect(mails()).toHaveLength(count);
    const recorded = await authTuna.audit.list({
      type: 'session.suspicious',
      targetId: claimsOf(browser).sid,
    });
    expect(recorded.items).toHaveLength(7);
  },
);

test('a mail whose data do not fit its template does not compile', () => {
  const to = 'ada@example.com';
  const mails: Mail[] = [
    { template: 'welcome', to, data: { link: 'https://harbour.example/' } },
    // @ts-expect-error the link is missing
    { template: 'welcome', to, data: {} },
    // @ts-expect-error there is no such template
    { template: 'farewell', to, data: {} },
    // @ts-expect-error whose passkey it was is not said
    {
      template: 'passkey-added',
      to,
      data: { link: '', activity: { at: new Date(0), device: null, ip: null } },
    },
  ];
  expect(mails).toHaveLength(4);
});

test('many changes at once cause one round', async () => {
  const mailbox = new TestMailbox();
  const { mailer, outbox, queue, runtime } = await startMailing(mailbox);
  let reads = 0;
  const { findMany } = runtime.db.outboxMessage;
  Object.assign(runtime.db.outboxMessage, {
    findMany: (...args: Parameters<typeof findMany>) => {
      reads += 1;
      return findMany(...args);
    },
  });
  await queue(numbered('ada@example.com', 1));
  for (let change = 0; change < 100; change += 1) outbox.announce();
  await mailer.deliver();
  expect(mailbox.mails).toHaveLength(1);
  expect(reads).toBeLessThanOrEqual(3); // one that finds it, one that finds no more, one for the call above
});

test('a mail that no configured secret opens waits for an instance that can, then is kept as a dead letter', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const mailbox = new TestMailbox();
  const writer = await startMailing(mailbox, { database, secrets: ['N'.repeat(8) + SECRET, SECRET] });
  const older = await startMailing(mailbox, { database, clock: writer.clock });
  await writer.queue(numbered('ada@example.com', 1));
  expect(await older.mailer.deliver()).toBe(0);
  writer.clock.advance({ seconds: 5 });
  expect(await writer.mailer.deliver()).toBe(1);

  await writer.queue(numbered('ada@example.com', 2));
  for (let round = 0; round < 12; round += 1) {
    await older.mailer.deliver();
    older.clock.advance({ minutes: 5 });
  }
  expect((await older.mailer.deadLetters()).items).toMatchObject([{ to: null }]);
  expect((await writer.mailer.deadLetters()).items).toMatchObject([{ to: 'ada@example.com' }]);
});

test("the host's own template is rendered at delivery, in the language of the mail", async () => {
  const templatesDir = hostFolder('emails/welcome.hbs', '<p>Ahoy {{link}}</p>');
  const mailbox = new TestMailbox();
  const { mailer, queue } = await startMailing(mailbox, { templatesDir });
  await queue({ ...numbered('ada@example.com', 1), languages: 'de' }, numbered('bob@example.com', 2));
  await mailer.deliver();
  expect(mailbox.latestTo('ada@example.com')?.html).toContain('Ahoy https://harbour.example/number/1');
  const german = mailbox.latestTo('ada@example.com');
  expect(german?.html).toContain('lang="de"');
  expect(german?.subject).not.toBe(mailbox.latestTo('bob@example.com')?.subject);
});

test('what was sent is removed after a week, dead letters are not', async () => {
  const mailbox = new FlakyMailbox();
  const { mailer, queue, clock, rows, runtime } = await startMailing(mailbox);
  const removeSent = cleanUp(runtime, [sentMailSweep(runtime)]);
  const { signal } = new AbortController();
  await queue(numbered('ada@example.com', 1));
  await mailer.deliver();
  mailbox.isDown = true;
  mailbox.failure = () => Object.assign(new Error('no'), { permanent: true });
  await queue(numbered('ada@example.com', 2));
  await mailer.deliver();
  clock.advance({ days: 6 });
  expect(await removeSent.run(signal)).toBe('removed nothing');
  clock.advance({ days: 2 });
  expect(await removeSent.run(signal)).toBe('removed 1 sent mails');
  expect(await rows()).toMatchObject([{ sentAt: null }]);
});

test('closing waits for the mails under way and begins no further round', async () => {
  const mailbox = new TestMailbox();
  const { mailer, outbox, queue } = await startMailing(mailbox);
  await queue(...[1, 2, 3].map((number) => numbered('ada@example.com', number)));
  outbox.announce();
  await mailer.close();
  expect(mailbox.mails).toHaveLength(3);
  await queue(numbered('ada@example.com', 4));
  outbox.announce();
  await mailer.close();
  expect(mailbox.mails).toHaveLength(3);
});

function split(data: { to: string; locale?: string }) {
  const { to, locale, ...rest } = data;
  return { to, data: rest, ...(locale !== undefined && { languages: locale }) };
}
