import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcrypt';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { importUsers } from '../../src/cli/import/import.js';
import { openDatabase } from '../../src/db/open.js';
import { type AuthTunaOptions, SYSTEM } from '../../src/index.js';
import { startMockProvider, TestClock } from '../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { emptyDatabase } from '../support/database.js';

afterEach(() => vi.unstubAllEnvs());

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  const lines: string[] = [];
  const print = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  const warn = vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line));
  try {
    return { code: await importUsers.run(args), out: lines.join('\n') };
  } finally {
    print.mockRestore();
    warn.mockRestore();
  }
}

function file(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-import-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function target(options: Partial<AuthTunaOptions> = {}, clock = new TestClock()) {
  const app = await startApp(options, { clock });
  vi.stubEnv('AUTHTUNA_BASE_URL', 'http://localhost:3000');
  vi.stubEnv('AUTHTUNA_SECRETS', SECRET);
  vi.stubEnv('AUTHTUNA_DATABASE_URL', app.database.url);
  return app;
}

test('a file is imported once, its oddities are named, and old passwords sign in and are hashed anew', async () => {
  const app = await target();
  await app.authTuna.users.create({ email: 'here@example.com', password: PASSWORD });
  const hash = await bcrypt.hash(PASSWORD, 4);
  const csv = file(
    'users.csv',
    [
      'email,username,hash,verified,created',
      `Ada@Example.com,ada,${hash},true,2020-02-01T00:00:00Z`,
      `ada@example.com,ada2,${hash},true,`,
      `"grace@example.com","a ""bad"" name",${hash},no,`,
      'here@example.com,,,true,',
      'not an address,,,true,',
      'md5@example.com,,5f4dcc3b5aa765d61d8327deb882cf99,true,',
    ].join('\r\n'),
  );
  const dry = await run('--from', 'csv', csv, '--dry-run');
  expect(dry.out).toContain('6 read, 3 would be imported, 1 there already, 1 without a password');
  expect(await app.authTuna.users.findByEmail('ada@example.com')).toBeNull();

  const report = `${csv}.report`;
  const { code, out } = await run('--from', 'csv', csv, '--report', report);
  expect(code).toBe(1);
  expect(out).toContain('3 imported');
  expect(
    readFileSync(report, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { row: 1, email: 'Ada@Example.com', problem: 'has_capitals', isImported: true },
    { row: 2, email: 'ada@example.com', problem: 'same_address_twice', isImported: false },
    { row: 3, email: 'grace@example.com', problem: 'invalid_username', isImported: true },
    { row: 5, email: 'not an address', problem: 'invalid_email', isImported: false },
    { row: 6, email: 'md5@example.com', problem: 'unknown_hash', isImported: true },
  ]);
  expect((await run('--from', 'csv', csv)).out).toContain('0 imported, 4 there already');

  const ada = await app.authTuna.users.findByEmail('ADA@example.com');
  expect(ada).toMatchObject({
    email: 'ada@example.com',
    username: 'ada',
    createdAt: new Date('2020-02-01T00:00:00Z'),
  });
  const browser = app.browser();
  expect((await browser.post('/auth/login', { login: 'ada', password: 'wrong one' })).status).toBe(401);
  expect((await browser.post('/auth/login', { login: 'ada', password: PASSWORD })).status).toBe(200);
  expect((await browser.get('/me')).status).toBe(200);
  const connection = openDatabase(app.database.url);
  onTestFinished(() => connection.close());
  const [row] = await connection.exclusively((sql) =>
    sql.query('SELECT "hash" FROM "Password" WHERE "userId" = $1', [ada?.id ?? '']),
  );
  expect(row?.hash).toMatch(/^hmac384-bcrypt\$/);
  expect((await app.authTuna.users.list({ role: 'user' })).items).toHaveLength(4);
});

test('the tables of Better Auth and of Django are read where they are', async () => {
  const app = await target();
  const old = await emptyDatabase();
  onTestFinished(() => old.drop());
  const hash = await bcrypt.hash(PASSWORD, 4);
  const source = openDatabase(old.url);
  await source.exclusively((sql) =>
    sql.script(`
      CREATE TABLE "user" ("id" TEXT PRIMARY KEY, "email" TEXT, "emailVerified" INTEGER, "createdAt" TEXT);
      CREATE TABLE "account" ("id" TEXT PRIMARY KEY, "userId" TEXT, "providerId" TEXT, "password" TEXT);
      INSERT INTO "user" VALUES ('u1', 'ada@example.com', 1, '2024-01-01T00:00:00Z'), ('u2', 'grace@example.com', 0, NULL);
      INSERT INTO "account" VALUES ('a1', 'u1', 'credential', '${hash}'), ('a2', 'u1', 'google', NULL);
      CREATE TABLE "auth_user" ("id" INTEGER PRIMARY KEY, "email" TEXT, "username" TEXT, "password" TEXT, "is_active" INTEGER, "date_joined" TEXT);
      INSERT INTO "auth_user" VALUES (1, 'joan@example.com', 'joan', 'bcrypt$${hash}', 1, '2023-01-01'), (2, 'ex@example.com', 'ex', '!', 0, '2023-01-01');
    `),
  );
  await source.close();
  expect((await run('--from', 'better-auth', '--source-url', old.url)).out).toContain('2 imported');
  expect((await run('--from', 'django', '--source-url', old.url)).out).toContain('2 imported');
  for (const login of ['ada@example.com', 'joan'])
    expect((await app.browser().post('/auth/login', { login, password: PASSWORD })).status, login).toBe(200);
  const { users } = app.authTuna;
  expect((await users.findByEmail('ada@example.com'))?.emailVerifiedAt).not.toBeNull();
  expect((await users.findByEmail('grace@example.com'))?.emailVerifiedAt).toBeNull();
  expect((await users.findByEmail('ex@example.com'))?.suspendedAt).not.toBeNull();
});

test('an import that was cut off is continued: none lost, none doubled', async () => {
  const app = await startApp();
  const { users } = app.authTuna;
  function* rows(end: number) {
    for (let number = 0; number < end; number += 1) {
      if (number === 1203 && end === 1500) throw new Error('killed');
      yield { email: `person${number}@example.com`, username: `person${number}` };
    }
  }
  await expect(users.import(rows(1500), SYSTEM)).rejects.toThrow('killed');
  const before = await users.import(rows(1400), SYSTEM, { dryRun: true });
  expect(before).toMatchObject({ read: 1400, existing: 1000, imported: 400 });
  const after = await users.import(rows(1400), SYSTEM);
  expect(after).toMatchObject({ existing: 1000, imported: 400, problemCount: 0 });
  expect(await users.import(rows(1400), SYSTEM)).toMatchObject({ existing: 1400, imported: 0 });
  await expect(
    users.import([{ email: 'x@example.com', pasword: 'x' } as never], SYSTEM),
  ).rejects.toMatchObject({
    code: 'invalid_input',
  });
});

test('people of Auth.js and Better Auth sign in with the password or the provider that they had, also from tables of other names', async () => {
  const clock = new TestClock();
  const google = await startMockProvider({ id: 'google', clock });
  onTestFinished(() => google.close());
  const app = await target({ social: { providers: [google.provider] } }, clock);
  const old = await emptyDatabase();
  onTestFinished(() => old.drop());
  const hash = await bcrypt.hash(PASSWORD, 4);
  const source = openDatabase(old.url);
  await source.exclusively((sql) =>
    sql.script(`
      CREATE TABLE "User" ("id" TEXT PRIMARY KEY, "email" TEXT, "emailVerified" TIMESTAMP, "password" TEXT);
      CREATE TABLE "Account" ("userId" TEXT, "provider" TEXT, "providerAccountId" TEXT);
      INSERT INTO "User" VALUES ('u1', 'ada@example.com', NULL, '${hash}'), ('u2', 'grace@example.com', NULL, NULL);
      INSERT INTO "Account" VALUES ('u2', 'google', 'g-2'), ('u2', 'google', 'g-2-too'), ('u2', 'microsoft-entra-id', 'm-2');
      CREATE TABLE "people" ("id" TEXT PRIMARY KEY, "email" TEXT, "emailVerified" INTEGER, "createdAt" TEXT);
      CREATE TABLE "identities" ("userId" TEXT, "providerId" TEXT, "accountId" TEXT, "password" TEXT);
      INSERT INTO "people" VALUES ('u3', 'joan@example.com', 1, '2024-01-01T00:00:00Z');
      INSERT INTO "identities" VALUES ('u3', 'credential', 'u3', '${hash}'), ('u3', 'google', 'g-3', NULL);
    `),
  );
  await source.close();
  const from = (...args: string[]) => run('--from', ...args, '--source-url', old.url);
  expect((await from('authjs')).out).toContain('2 imported, 0 there already, 1 without a password');
  await expect(from('authjs', '--accounts', 'Accounts')).rejects.toThrow(/Accounts.*\n.*--accounts/);
  const nowhere = run('--from', 'authjs', '--source-url', 'file:./nowhere.db');
  await expect(nowhere).rejects.toThrow('there is no such file');
  expect(existsSync('./nowhere.db')).toBe(false);
  const renamed = ['--table', 'people', '--accounts', 'identities'];
  expect((await from('better-auth', ...renamed)).out).toContain('1 imported, 0 there already, 0 without');

  for (const login of ['ada@example.com', 'joan@example.com'])
    expect((await app.browser().post('/auth/login', { login, password: PASSWORD })).status, login).toBe(200);
  for (const [sub, email] of Object.entries({ 'g-2': 'grace@example.com', 'g-3': 'joan@example.com' })) {
    google.signInAs({ sub, email: 'the.provider.says@example.com' });
    const browser = app.browser();
    const start = await browser.get('/auth/social/google/login');
    const sent = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' });
    await browser.get((sent.headers.get('location') ?? '').slice(app.url.length));
    expect(await (await browser.get('/me')).json()).toMatchObject({ email });
  }
  const grace = await app.authTuna.users.findByEmail('grace@example.com');
  expect(await app.authTuna.social.list(grace?.id ?? '')).toHaveLength(1);
});

test('a password that the person changed meanwhile wins over the old one', async () => {
  const app = await startApp();
  const hash = await bcrypt.hash(PASSWORD, 4);
  await app.authTuna.users.import(
    [{ email: 'ada@example.com', passwordHash: hash, emailVerified: true }],
    SYSTEM,
  );
  const ada = await app.authTuna.users.findByEmail('ada@example.com');
  await Promise.all([
    app.authTuna.passwords.verify(ada?.id ?? '', PASSWORD),
    app.authTuna.passwords.set(ada?.id ?? '', 'a new staple of battery horses', SYSTEM),
  ]);
  expect(await app.authTuna.passwords.verify(ada?.id ?? '', PASSWORD)).toBe(false);
  expect(await app.authTuna.passwords.verify(ada?.id ?? '', 'a new staple of battery horses')).toBe(true);
});

test('import says what it can read, and refuses a column it does not know', async () => {
  await target();
  expect(await run()).toMatchObject({ code: 2, out: expect.stringContaining('better-auth') });
  await expect(run('--from', 'csv', '/nowhere.csv')).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(run('--from', 'sql', '--map', 'pasword=x')).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(run('--from', 'sql', '--table', 'users"; DROP TABLE "User')).rejects.toMatchObject({
    code: 'invalid_input',
  });
});
