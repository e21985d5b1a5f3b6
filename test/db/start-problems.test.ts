// A start that fails says why, to the operator and to nobody else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createAuthTuna } from '../../src/index.js';
import { SECRET, startApp, TestLogger } from '../support/app.js';
import { emptyDatabase, openDatabase } from '../support/database.js';

function made(databaseUrl: string) {
  const logger = new TestLogger();
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl,
    logger,
    password: { bcryptCost: 4 },
  });
  onTestFinished(() => authTuna.close());
  return authTuna;
}

/** The code and message of a start that fails. */
async function failure(databaseUrl: string): Promise<string> {
  try {
    await made(databaseUrl).ready();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return 'started';
}

test.runIf(inject('dialect') === 'postgresql')(
  'a PostgreSQL that cannot be used is named with the reason and the cure, without the password',
  async () => {
    const server = inject('templateUrl');
    const cases: [url: string, expected: RegExp][] = [
      [
        'postgresql://app:geheim@127.0.0.1:1/app',
        /^unavailable: .*\/\/127\.0\.0\.1:1\/app cannot be reached/,
      ],
      [server.replace(/[^/]+$/, 'nowhere'), /^unavailable: .*\/nowhere has no database of that name/],
      ['postgresql://app:geheim#1@localhost/app', /^misconfigured: .*%23/],
      ['postgresql://app:1/geheim@localhost/app', /^misconfigured: .*%23/],
      ['postgresql://app:geheim?1@localhost/app', /^misconfigured: .*%23/],
    ];
    for (const [url, expected] of cases) {
      const said = await failure(url);
      expect(said, url).toMatch(expected);
      expect(said).not.toContain('geheim');
    }
  },
);

test.runIf(inject('dialect') === 'sqlite')(
  'a SQLite file that cannot be used is named with the reason',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authtuna-start-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const other = join(folder, 'letter.txt');
    writeFileSync(other, 'Dear Ada, this is no database. '.repeat(100));
    expect(await failure(`file:${other}`)).toMatch(
      /^unavailable: The database file:.*letter\.txt is a file of another kind/,
    );
    expect(await failure(`file:${other}/app.db`)).toMatch(
      /^misconfigured: .* cannot be opened\. Create its folder/,
    );
  },
);

test('the tables of another app are refused by name, and the database is left as it was', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  await connection.exclusively((sql) => sql.script('CREATE TABLE "User" ("id" INTEGER PRIMARY KEY)'));
  const said = await failure(database.url);
  expect(said).toMatch(/^misconfigured: .*a table User of another app.*npx authtuna init/);
  const ours = connection.exclusively((sql) => sql.query('SELECT * FROM "_authtuna_migrations"'));
  await expect(ours).rejects.toThrow(/_authtuna_migrations/);
});

test.runIf(inject('dialect') === 'postgresql')(
  'schemas of any name are made and used, beside options of the URL and with pgbouncer=true',
  async () => {
    const database = await emptyDatabase();
    onTestFinished(() => database.drop());
    for (const parameters of [
      'schema=MyAuth',
      'schema=my-auth&pgbouncer=true&connection_limit=3',
      'schema=select&options=-c%20lock_timeout%3D1000',
    ]) {
      for (let start = 1; start <= 2; start += 1) {
        const app = await startApp({ databaseUrl: `${database.url}?${parameters}` }, { database });
        const found = await app.authTuna.users.findByEmail('ada@example.com');
        expect(found === null, parameters).toBe(start === 1);
        if (start === 1) await app.authTuna.users.create({ email: 'ada@example.com' });
      }
    }
    const connection = await openDatabase(database);
    onTestFinished(() => connection.close());
    const tables = await connection.exclusively((sql) =>
      sql.query(`SELECT table_schema FROM information_schema.tables WHERE table_name = 'User' ORDER BY 1`),
    );
    expect(tables.map(({ table_schema: name }) => name)).toEqual(['MyAuth', 'my-auth', 'select']);
  },
);

test('a visitor of an app that could not start learns nothing of the reason, and the log says which request and why', async () => {
  const app = await startApp();
  const connection = await openDatabase(app.database);
  onTestFinished(() => connection.close());
  await connection.exclusively((sql) => sql.script('ALTER TABLE "Password" RENAME TO "Elsewhere"'));
  const login = { login: 'ada@example.com', password: 'a few unrelated words' };
  await app.authTuna.users.create({ email: 'ada@example.com' });
  const answer = await app.browser().post('/auth/login?secret=1', login);
  expect(answer.status).toBe(503);
  expect(await answer.text()).not.toMatch(/Password|Elsewhere/);
  const line = app.logger.lines.find(
    ({ level, facts }) => level === 'error' && facts !== undefined && 'request' in facts,
  );
  expect(line?.facts).toMatchObject({ request: 'POST /auth/login', cause: expect.any(Error) });
});
