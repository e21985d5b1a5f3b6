import { request } from 'node:http';
import { expect, test } from 'vitest';
import { createAuthTuna, type MailTransport, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';

const HTML = { headers: { accept: 'text/html' } };

type App = Awaited<ReturnType<typeof startApp>>;

/** The address of the mailbox as the log shows it at start, with the key. */
function mailboxOf({ logger, url }: Pick<App, 'logger' | 'url'>): string {
  const line = logger.lines.map(({ message }) => message).find((message) => message.includes('?key=')) ?? '';
  return line.slice(line.indexOf(url) + url.length);
}

test('a newcomer sees the mails in the browser without configuring anything', async () => {
  const { authTuna, browser, signedIn, url, logger } = await startApp();
  const { user } = await signedIn('ada@example.com');
  const developer = browser();
  const empty = await developer.get(mailboxOf({ logger, url }), HTML);
  expect(empty.status).toBe(200);
  await authTuna.passwords.set(user.id, `${PASSWORD} 2`, SYSTEM);
  await authTuna.mailer.deliver();

  const list = await developer.get('/auth/dev/mailbox', HTML);
  expect(list.headers.get('content-type')).toContain('text/html');
  expect(list.headers.get('content-security-policy')).toContain("script-src 'self'");
  const listed = await list.text();
  expect(listed).toContain('ada@example.com');
  const path = /href="(\/auth\/dev\/mailbox\/\d+)"/.exec(listed)?.[1] ?? '';

  const mail = await (await developer.get(path, HTML)).text();
  expect(mail).toContain(`${url}/account/security`);
  expect(mail).toContain(`${path}/html`);

  const shown = await developer.get(`${path}/html`, HTML);
  expect(shown.status).toBe(200);
  const policy = shown.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/default-src 'none'.*sandbox/);
  expect(policy).not.toMatch(/script|allow-same-origin|allow-scripts|allow-forms/);
  expect(shown.headers.get('cache-control')).toBe('no-store');
  expect(await shown.text()).toContain('<!doctype html>');

  const { items } = (await (await developer.get('/auth/dev/mailbox')).json()) as { items: object[] };
  expect(items).toMatchObject([{ to: 'ada@example.com', from: 'noreply@localhost' }]);
  expect((await developer.get('/auth/dev/mailbox/99')).status).toBe(404);
  expect(logger.lines.filter(({ message }) => message.includes(`${url}/auth/dev/mailbox`))).toHaveLength(1);
});

test('addresses need no confirmation while no transport is configured', async () => {
  const { browser } = await startApp();
  const answer = await browser().post('/auth/signup', { email: 'ada@example.com', password: PASSWORD });
  expect(answer.status).toBe(201);
});

test('addresses can be confirmed through the mailbox, where that is asked for', async () => {
  const app = await startApp({ signUp: { requireVerifiedEmail: true } });
  const { browser, authTuna } = app;
  const answer = await browser().post('/auth/signup', { email: 'ada@example.com', password: PASSWORD });
  expect(answer.status).toBe(202);
  await authTuna.mailer.deliver();
  const { items } = (await (await browser().get(mailboxOf(app))).json()) as {
    items: { to: string }[];
  };
  expect(items.map(({ to }) => to)).toEqual(['ada@example.com']);
});

test('the mailbox is not there on https, nor where a transport is configured', async () => {
  const mail = { from: 'noreply@harbour.example', transport: new TestMailbox() };
  const signUp = { requireVerifiedEmail: false };
  for (const options of [
    { mail },
    { baseUrl: 'https://harbour.example', mail },
    { baseUrl: 'https://harbour.example', signUp },
  ]) {
    const { browser } = await startApp(options);
    for (const path of ['/auth/dev/mailbox', '/auth/dev/mailbox/1', '/auth/dev/mailbox/1/html']) {
      expect((await browser().get(path)).status).toBe(404);
    }
  }
});

test('the mailbox answers only a browser on this machine: no proxy, no other name', async () => {
  const app = await startApp();
  const status = (headers: Record<string, string>) =>
    new Promise((resolve, reject) => {
      request(`${app.url}${mailboxOf(app)}`, { headers }, (res) => resolve(res.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await status({})).toBe(200);
  const refused: Record<string, string>[] = [
    { host: 'rebound.evil.test' },
    { host: 'localhost.evil.test' },
    { 'x-forwarded-for': '127.0.0.1' },
    { 'x-forwarded-host': 'localhost' },
    { 'x-real-ip': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1' },
    { via: '1.1 proxy' },
  ];
  for (const headers of refused) {
    expect(await status(headers), JSON.stringify(headers)).toBe(404);
  }
});

test('a request that looks as if it came from this machine needs the key that the log shows at start', async () => {
  const app = await startApp();
  for (const path of ['', '/1', '/1/html', '?key=', '?key=x', `?key=${'x'.repeat(22)}`, '?key[]=x']) {
    const answer = await app.browser().get(`/auth/dev/mailbox${path}`);
    expect([path, answer.status]).toEqual([path, 403]);
    expect(await answer.text()).toContain('that the log shows at start');
  }
  const developer = app.browser();
  expect((await developer.get(mailboxOf(app))).status).toBe(200);
  expect((await developer.get('/auth/dev/mailbox')).status).toBe(200); // the browser keeps the key
});

test('two instances in one process keep their mails apart', async () => {
  const first = await startApp();
  const second = await startApp();
  const { user } = await first.signedIn();
  await first.authTuna.passwords.set(user.id, `${PASSWORD} 2`, SYSTEM);
  await first.authTuna.mailer.deliver();
  const count = async (app: App) =>
    ((await (await app.browser().get(mailboxOf(app))).json()) as { items: object[] }).items.length;
  expect(await count(first)).toBe(1);
  expect(await count(second)).toBe(0);
  expect((await first.browser().get(mailboxOf(second))).status).toBe(403);
});

test('mail options that cannot work are named at creation', () => {
  const create = (options: object) => () =>
    createAuthTuna({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET],
      databaseUrl: 'file:./never-opened.db',
      ...options,
    });
  const transport: MailTransport = new TestMailbox();
  for (const from of [
    'nobody',
    'a@b.example, c@d.example',
    'App\r\nBcc: x <a@b.example>',
    'App <a@b.example',
    '',
  ]) {
    expect(create({ mail: { from, transport } }), from).toThrow(/mail\.from: must be one mailbox/);
  }
  expect(create({ mail: { from: 'a@b.example', transport: {} } })).toThrow(/must have send/);
  expect(create({ templatesDir: './no-such-folder' })).toThrow(/templatesDir: is not a folder/);
  expect(create({ brand: { colors: { light: { accent: 'red' } } } })).toThrow(/#rrggbb/);
  expect(create({ brand: { logoUrl: 'https://cdn.example/logo.svg' } })).toThrow(/path of this site/);
  expect(create({ locale: '../../etc' })).toThrow(/must be a language/);
  expect(create({ locale: 'xx' })).toThrow(
    expect.objectContaining({
      code: 'misconfigured',
      message: expect.stringMatching(/no locales\/xx\.json; use one of: .*\bde\b/),
    }),
  );
});
