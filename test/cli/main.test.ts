import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { freshDatabase } from '../support/database.js';

const SCRIPT = fileURLToPath(new URL('../support/cli-process.js', import.meta.url));

/** `npx authtuna …` from another folder, with these settings and nothing else of them. */
async function authtuna(args: string[], settings: Record<string, string> = {}, input = '') {
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    cwd: tmpdir(),
    env: { ...process.env, ...settings },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: code as number, out, err };
}

test('the command line: help, usage errors, failures, and create-admin for somebody new', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const settings = {
    AUTHTUNA_BASE_URL: 'http://localhost:3000',
    AUTHTUNA_SECRETS: SECRET,
    AUTHTUNA_DATABASE_URL: database.url,
  };
  const admin = (...args: string[]) => ['create-admin', '--password-stdin', ...args];
  const [help, unknown, usage, misspelled, weak, created] = await Promise.all([
    authtuna([]),
    authtuna(['make-coffee']),
    authtuna(['migrate', '--force']),
    authtuna(['why', 'ada', 'a:b'], { ...settings, AUTHTUNA_SECRT: 'x' }),
    authtuna(admin('--email', 'weak@example.com'), settings, 'short\n'),
    authtuna(admin('--email', 'ada@example.com', '--username', 'ada'), settings, `${PASSWORD}\n`),
  ]);
  expect(help).toMatchObject({ code: 0, err: '' });
  for (const name of ['new-secret', 'users', 'roles', 'migrate', 'create-admin', 'why', 'init', 'generate'])
    expect(help.out).toContain(`  ${name} `);
  expect(unknown.code).toBe(2);
  expect(unknown.out).toContain('there is no command make-coffee');
  expect(usage.code).toBe(2);
  expect(usage.err).toContain('npx authtuna migrate [--database-url URL]');
  expect(misspelled.code).toBe(1);
  expect(misspelled.err).toContain('AUTHTUNA_SECRT is not a setting');
  expect(weak.code).toBe(1);
  expect(weak.err).toMatch(/^Database: .*\nauthtuna create-admin: /);
  expect(weak.err).not.toContain('    at '); // no stack: it is nothing to debug
  expect(created).toMatchObject({ code: 0, out: 'ada@example.com is superadmin now.\n' });
  expect(created.err).toMatch(/^Database: \S+\n$/); // and no password

  const { authTuna, browser } = await startApp({}, { database });
  expect(await authTuna.users.findByEmail('weak@example.com')).toBeNull();
  const answer = await browser().post('/auth/login', { login: 'ada', password: PASSWORD });
  expect(answer.status).toBe(200);
  const ada = await authTuna.users.findByEmail('ada@example.com');
  expect(ada?.emailVerifiedAt).not.toBeNull();
  expect(await authTuna.access.can(String(ada?.id), 'any:thing')).toBe(true);
}, 120_000);

test('create-admin takes nothing over from a stranger who signed up with the address, and a name of Object is no command (AD-5)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna, browser } = await startApp({ signUp: { requireVerifiedEmail: false } }, { database });
  const stranger = browser();
  await stranger.post('/auth/signup', { email: 'boss@example.com', password: PASSWORD });
  expect((await stranger.post('/me/x', {})).status).toBe(200);
  const settings = {
    AUTHTUNA_BASE_URL: 'http://localhost:3000',
    AUTHTUNA_SECRETS: SECRET,
    AUTHTUNA_DATABASE_URL: database.url,
  };
  const args = ['create-admin', '--password-stdin', '--email', 'boss@example.com'];
  const own = `${PASSWORD} of the boss`;
  const [made, ...odd] = await Promise.all([
    authtuna(args, settings, `${own}\n`),
    ...['__proto__', 'constructor', 'toString'].map((name) => authtuna([name])),
  ]);
  expect(made.code).toBe(0);
  expect(made.out).toContain('its password was replaced and everything else on it removed');
  for (const { code, out } of odd) {
    expect(code).toBe(2);
    expect(out).toContain('there is no command');
  }
  expect((await stranger.post('/me/x', {})).status).toBe(401);
  expect(
    (await browser().post('/auth/login', { login: 'boss@example.com', password: PASSWORD })).status,
  ).toBe(401);
  expect((await browser().post('/auth/login', { login: 'boss@example.com', password: own })).status).toBe(
    200,
  );
  const boss = await authTuna.users.findByEmail('boss@example.com');
  expect(await authTuna.access.hasRole(boss?.id ?? '', 'superadmin')).toBe(true);
}, 120_000);
