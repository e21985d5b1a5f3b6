import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { audit } from '../../src/cli/audit.js';
import type { Command } from '../../src/cli/command.js';
import { createAdmin } from '../../src/cli/create-admin.js';
import { doctor } from '../../src/cli/doctor.js';
import { generate } from '../../src/cli/generate.js';
import { importUsers } from '../../src/cli/import/import.js';
import { init } from '../../src/cli/init.js';
import { migrateDatabase } from '../../src/cli/migrate.js';
import { newSecret } from '../../src/cli/new-secret.js';
import { permissions } from '../../src/cli/permissions.js';
import { roles } from '../../src/cli/roles.js';
import { routes } from '../../src/cli/routes.js';
import { secrets } from '../../src/cli/secrets.js';
import { users } from '../../src/cli/users.js';
import { why } from '../../src/cli/why.js';
import { shippedMigrations } from '../../src/db/migrate.js';
import { readShippedSchema } from '../../src/db/schema/shipped.js';
import { SYSTEM } from '../../src/index.js';
import { TestMailbox } from '../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { emptyDatabase, freshDatabase, openDatabase } from '../support/database.js';
import { enrolTotp } from '../support/factors.js';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Runs a command as the terminal would, and gives its exit code with what it printed. */
async function run(command: Command, ...args: string[]): Promise<{ code: number; out: string }> {
  const lines: string[] = [];
  const print = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  const warn = vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line));
  try {
    return { code: await command.run(args), out: lines.join('\n') };
  } finally {
    print.mockRestore();
    warn.mockRestore();
  }
}

function useDatabase(url: string): void {
  vi.stubEnv('AUTHTUNA_BASE_URL', 'http://localhost:3000');
  vi.stubEnv('AUTHTUNA_SECRETS', SECRET);
  vi.stubEnv('AUTHTUNA_DATABASE_URL', url);
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'authtuna-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('new-secret prints 256 random bits that the library takes', async () => {
  const secrets = [await run(newSecret), await run(newSecret)] as const;
  for (const { code, out } of secrets) {
    expect(code).toBe(0);
    expect(out).toMatch(/^[A-Za-z0-9_-]{43}$/);
  }
  expect(secrets[0].out).not.toBe(secrets[1].out);
  const { signedIn } = await startApp({ secrets: [secrets[0].out] });
  expect((await (await signedIn()).browser.get('/me')).status).toBe(200);
});

test('migrate applies what is pending, --status says what is, and neither needs more than the address', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const names = shippedMigrations(database.dialect).map(({ name }) => name);
  const at = ['--database-url', database.url];
  const before = await run(migrateDatabase, '--status', ...at);
  expect(before).toEqual({ code: 1, out: `0 applied, ${names.length} pending\n  ${names.join('\n  ')}` });
  expect(await run(migrateDatabase, ...at)).toEqual({ code: 0, out: `Applied:\n  ${names.join('\n  ')}` });
  expect(await run(migrateDatabase, '--status', ...at)).toEqual({
    code: 0,
    out: `${names.length} applied, 0 pending`,
  });
  useDatabase(database.url);
  expect((await run(migrateDatabase)).out).toMatch(/^Nothing to do/);
});

test('create-admin lifts an account that exists, once or twice, and leaves nothing behind when it fails', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  const { users, roles } = authTuna;
  const ada = await users.create({ email: 'ada@example.com' });
  useDatabase(database.url);
  for (let time = 0; time < 2; time += 1) {
    const answer = await run(createAdmin, '--email', 'ADA@example.com');
    expect(answer.code).toBe(0);
    expect(answer.out).toBe(
      'ada@example.com is superadmin now (the account existed; its password is unchanged).',
    );
  }
  expect((await roles.usersWith('superadmin', 'global')).items).toMatchObject([{ id: ada.id }]);
  await run(createAdmin, '--email', 'ada@example.com', '--role', 'moderator');
  expect((await roles.assignmentsOf(ada.id)).map(({ role }) => role).sort()).toEqual([
    'moderator',
    'superadmin',
    'user',
  ]);
  for (const role of ['nothing', 'org_owner'])
    await expect(createAdmin.run(['--email', 'new@example.com', '--role', role]), role).rejects.toMatchObject(
      {
        code: 'not_found',
      },
    );
  expect(await users.findByEmail('new@example.com')).toBeNull();
});

/** A module of an app that exports its AuthTuna, as a host writes it. */
function moduleOf(url: string, options = '', mounts = ''): string {
  const file = join(folder(), 'auth.mjs');
  writeFileSync(
    file,
    `import { createAuthTuna } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
const logger = { debug() {}, info() {}, warn() {}, error() {} };
export const authTuna = createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: ['${SECRET}'], databaseUrl: '${url}', logger, ${options} });
${mounts}`,
  );
  return file;
}

test('permissions diff names what is stored otherwise than declared, and sync brings the roles to their declaration', async () => {
  const { database, authTuna } = await startApp({
    permissions: { invoice: ['read', 'pay'] },
    roles: { clerk: { permissions: ['invoice:read'], level: 5 } },
  });
  const app = () =>
    moduleOf(
      database.url,
      "permissions: { invoice: ['read', 'write'] }, roles: { clerk: { permissions: ['invoice:read', 'invoice:write'], level: 5 } }",
    );
  const diff = await run(permissions, 'diff', '--json', '--app', app());
  expect(diff.code).toBe(1);
  expect(JSON.parse(diff.out.slice(diff.out.indexOf('{')))).toEqual({
    roles: [{ role: 'clerk', fields: 'permissions' }],
    undeclaredPermissions: ['invoice:pay'],
  });
  expect(await run(permissions, 'sync', '--check', '--app', app())).toMatchObject({ code: 1 });
  expect((await authTuna.roles.get('clerk')).permissions).toEqual(['invoice:read']);
  const synced = await run(permissions, 'sync', '--app', app());
  expect(synced).toEqual({
    code: 0,
    out: 'The permission invoice:pay is stored, and no declaration names it.',
  });
  expect((await authTuna.roles.get('clerk')).permissions.sort()).toEqual(['invoice:read', 'invoice:write']);
  await authTuna.permissions.delete('invoice:pay', SYSTEM);
  expect(await run(permissions, 'diff', '--app', app())).toEqual({
    code: 0,
    out: 'Stored roles and permissions are as declared.',
  });
  expect((await run(permissions, 'mend', '--app', app())).code).toBe(2);
});

test('doctor says what is in order, and with 1 what needs a look', async () => {
  const { database, authTuna, clock } = await startApp({
    mail: { from: 'a@example.com', transport: new TestMailbox() },
  });
  const well = await run(doctor, '--app', moduleOf(database.url, '', 'authTuna.router();'));
  expect(well).toMatchObject({ code: 0, out: expect.stringMatching(/^ok {4}database: answers/m) });
  const bare = await run(doctor, '--json', '--app', moduleOf(database.url));
  expect(bare.code).toBe(1);
  expect(JSON.parse(bare.out).filter(({ isGood }: { isGood: boolean }) => !isGood)).toEqual([
    { what: 'routers', isGood: false, says: 'none is mounted by this module: app.use(authTuna.router())' },
  ]);
  const connection = await openDatabase(database);
  await authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  await authTuna.auth.requestPasswordReset('ada@example.com', { userId: null, ip: null, userAgent: null });
  await connection.client.outboxMessage.updateMany({ data: { deadAt: clock.now(), sentAt: null } });
  await connection.close();
  const mail = "mail: { from: 'a@example.com', transport: { async send() {} } },";
  const lost = await run(doctor, '--app', moduleOf(database.url, mail, 'authTuna.router();'));
  expect(lost).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^look {2}mail: 1 could not be delivered/m),
  });
});

test('routes lists what the module of the app mounts, and says so where that is nothing', async () => {
  const { database } = await startApp();
  const app = (mounts: string) => moduleOf(database.url, '', mounts);
  const listed = await run(routes, '--app', app('authTuna.router();'));
  expect(listed.code).toBe(0);
  expect(listed.out).toMatch(/^POST +\/auth\/login +everybody +Sign in/m);
  expect(listed.out).toMatch(/^POST +\/admin\/users\/:id\/suspend +admin:access, users:manage /m);
  const described = await run(routes, '--openapi', '--app', app('authTuna.routers.mfa();'));
  const { openapi, paths } = JSON.parse(described.out.slice(described.out.indexOf('{')));
  expect(openapi).toBe('3.1.0');
  expect(Object.keys(paths).every((path) => path.startsWith('/auth/mfa'))).toBe(true);
  expect((await run(routes, '--app', app(''))).code).toBe(1);
  expect((await run(routes)).code).toBe(2);
});

test('why answers with the role that says yes, and how one is called does not matter', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  const { users, roles, scopes } = authTuna;
  const ada = await users.create({ email: 'ada@example.com', username: 'ada' });
  await scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  await roles.assign({ userId: ada.id, role: 'org_member', scope: 'org:1' }, SYSTEM);
  useDatabase(database.url);
  const yes = await run(why, 'ada@example.com', 'project:read', 'project:1');
  expect(yes.code).toBe(0);
  expect(yes.out).toBe(
    [
      'yes: The role org_member, held at org:1, contains project:read.',
      '  looked at: project:1 -> org:1 -> global',
      '  org_member at org:1, by assignment',
    ].join('\n'),
  );
  expect(await run(why, 'ada', 'project:read', 'project:1')).toEqual(yes);
  const no = await run(why, ada.id, 'project:read');
  expect(no.code).toBe(1);
  expect(no.out).toMatch(/^no: .*\n {2}looked at: global$/);
  expect((await run(why, 'ada', 'nonsense')).out).toMatch(/^no: nonsense is not the name of a permission/);
  expect((await run(why, 'ada')).code).toBe(2);
  await expect(why.run(['nobody', 'project:read'])).rejects.toMatchObject({ code: 'not_found' });
});

test('with --json commands answer in JSON, for other programs', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  const ada = await authTuna.users.create({ email: 'ada@example.com', emailVerified: true });
  useDatabase(database.url);
  const schema = join(folder(), 'prisma');
  const csv = join(folder(), 'users.csv');
  writeFileSync(csv, 'email,hash\ngrace@example.com,\n');
  const answer = async (command: Command, ...args: string[]) =>
    JSON.parse((await run(command, ...args, '--json')).out) as unknown;
  expect(await answer(newSecret)).toEqual({ secret: expect.stringMatching(/^[\w-]{43}$/) });
  expect(await answer(createAdmin, '--email', ada.email)).toMatchObject({ id: ada.id, existed: true });
  expect(await answer(why, ada.id, 'project:read')).toMatchObject({ allowed: true, chain: ['global'] });
  expect(await answer(roles, 'assign', ada.email, 'moderator')).toMatchObject({ isAssigned: true });
  expect(await answer(users, ada.email)).toMatchObject({ id: ada.id });
  expect(await answer(migrateDatabase, '--status')).toMatchObject({ pending: [] });
  expect(await answer(importUsers, '--from', 'csv', csv)).toMatchObject({ read: 1, imported: 1 });
  expect(await answer(init, '--schema', schema)).toMatchObject({ isWritten: true });
  expect(await answer(generate, '--check', '--schema', schema)).toMatchObject({ problems: [] });
});

test('users and roles answer the daily questions, and change what one person holds', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  const ada = await authTuna.users.create({ email: 'ada@example.com', username: 'ada', emailVerified: true });
  await authTuna.users.create({ email: 'grace@example.com' });
  useDatabase(database.url);
  const listed = await run(users, '--search', 'example.com');
  expect(listed.out.split('\n').sort()).toEqual([
    `ada@example.com (ada)  ${ada.id}`,
    expect.stringMatching(/^grace@example\.com \(address not confirmed\) {2}\S+$/),
  ]);
  expect(await run(roles, 'assign', 'ada', 'org_member', 'org:1')).toEqual({
    code: 0,
    out: 'ada@example.com is org_member at org:1.',
  });
  expect((await run(users, 'ada@example.com')).out).toContain('  org_member at org:1');
  expect(JSON.parse((await run(users, ada.id, '--json')).out)).toMatchObject({
    email: 'ada@example.com',
    roles: expect.arrayContaining([{ role: 'org_member', scope: 'org:1' }]),
  });
  expect((await run(roles, 'unassign', ada.id, 'org_member', 'org:1')).code).toBe(0);
  expect((await run(users, 'ada')).out).not.toContain('org_member');
  expect((await run(roles)).out).toMatch(/^superadmin \(at global\): \*$/m);
  for (const wrong of [
    ['assign', 'ada'],
    ['give', 'ada', 'user'],
    ['assign', 'ada', 'user', 'global', '--expires', 'soon'],
  ])
    expect((await run(roles, ...wrong)).code, wrong.join(' ')).toBe(2);
  await expect(run(roles, 'assign', 'nobody', 'user')).rejects.toMatchObject({ code: 'not_found' });
});

test('a command that knows no database makes none, and names the variables that are missing', async () => {
  const home = process.cwd();
  const elsewhere = folder();
  process.chdir(elsewhere);
  onTestFinished(() => process.chdir(home));
  vi.stubEnv('AUTHTUNA_BASE_URL', 'http://localhost:3000');
  vi.stubEnv('AUTHTUNA_SECRETS', SECRET);
  vi.stubEnv('AUTHTUNA_DATABASE_URL', '');
  for (const [command, ...args] of [
    [why, 'ada@example.com', 'a:b'],
    [createAdmin, '--email', 'ada@example.com'],
    [migrateDatabase],
  ] as [Command, ...string[]][])
    await expect(run(command, ...args)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('AUTHTUNA_DATABASE_URL is not set'),
    });
  vi.stubEnv('AUTHTUNA_BASE_URL', '');
  vi.stubEnv('AUTHTUNA_SECRETS', '');
  await expect(run(users)).rejects.toThrow('AUTHTUNA_BASE_URL and AUTHTUNA_SECRETS');
  expect(readdirSync(elsewhere)).toEqual([]);
});

test('init writes the models once, and generate --check finds them', async () => {
  const schema = join(folder(), 'prisma');
  expect(await run(generate, '--check', '--schema', schema)).toMatchObject({ code: 1 });
  const first = await run(init, '--schema', schema);
  expect(first.code).toBe(0);
  expect(first.out).toContain('Then: npx prisma generate');
  const target = join(schema, 'authtuna.prisma');
  expect(readFileSync(target, 'utf8')).toBe(readShippedSchema());
  expect(await run(generate, '--check', '--schema', schema)).toMatchObject({ code: 0 });
  writeFileSync(target, `${readShippedSchema()}\n// mine\n`);
  expect((await run(init, '--schema', schema)).out).toContain('stays as it is');
  expect(readFileSync(target, 'utf8')).toContain('// mine');
});

test('init leaves out the models a host has, and generate --check names what those lack until they have it', async () => {
  const schema = join(folder(), 'prisma');
  mkdirSync(join(schema, 'models'), { recursive: true });
  const users = join(schema, 'models', 'user.prisma');
  const own =
    '/// Ours.\nmodel User {\n  id       String @id\n  email    String @unique // theirs\n  birthday DateTime?\n}\n';
  writeFileSync(join(schema, 'schema.prisma'), 'generator client {\n  provider = "prisma-client"\n}\n');
  writeFileSync(users, own);
  const { code, out } = await run(init, '--schema', join(schema, 'schema.prisma'));
  expect(code).toBe(0);
  expect(out).toContain(
    'Add to your model User:\n  kind String @default("person")\n  username String? @unique\n',
  );
  expect(out).not.toContain('  email ');
  expect(out).toContain('  updatedAt DateTime @default(now())'); // rows that exist survive the migration
  expect(out).toContain("set schema: '");
  expect(readFileSync(users, 'utf8')).toBe(own);
  const written = readFileSync(join(schema, 'authtuna.prisma'), 'utf8');
  expect(written).not.toMatch(/^model User \{/m);
  expect(written).toMatch(/^model Session \{/m);

  const lacking = await run(generate, '--check', '--schema', schema);
  expect(lacking.code).toBe(1);
  const missing = lacking.out.split('\n').filter((line) => line.startsWith('  User: '));
  expect(missing.length).toBeGreaterThan(5);
  // What it names, put in as it stands, is all that is missing.
  const body = missing.map((line) => line.replace('  User: ', '  ')).join('\n');
  writeFileSync(users, own.replace('}\n', `${body}\n}\n`));
  expect(await run(generate, '--check', '--schema', schema)).toMatchObject({ code: 0 });
  writeFileSync(users, '');
  expect((await run(generate, '--check', '--schema', schema)).out).toContain('  model User\n');
});

test('audit verify exits with 1 and names the entry that was changed, audit export writes the log and says so in it (AU-4)', async () => {
  let secondsAgo = 7200; // the command has the system's clock
  const clock = { now: () => new Date(Date.now() - secondsAgo * 1000) };
  const app = await startApp({ clock });
  useDatabase(app.database.url);
  const actor = { userId: 'ada', ip: null, userAgent: null };
  for (const n of [1, 2]) await app.authTuna.audit.record({ type: 'document.published', actor, data: { n } });
  secondsAgo = 3600;
  await app.authTuna.jobs.run('audit.seal');
  expect(await run(audit, 'verify')).toMatchObject({ code: 0 });
  const { out } = await run(audit, 'verify', '--json');
  expect(JSON.parse(out)).toMatchObject({ ok: true });

  const written: string[] = [];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((chunk, ...rest) => {
    written.push(String(chunk));
    const done = rest.find((each) => typeof each === 'function');
    if (typeof done === 'function') done();
    return true;
  });
  const { code } = await run(audit, 'export', '--type', 'document.published');
  stdout.mockRestore();
  expect(code).toBe(0);
  const lines = written.join('').trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { data: unknown }).data)).toHaveLength(2);
  expect((await app.authTuna.audit.list({ type: 'audit.exported' })).items).toHaveLength(1);

  const connection = await openDatabase(app.database);
  onTestFinished(() => connection.close());
  const [entry] = (await app.authTuna.audit.list({ type: 'document.published' })).items;
  await connection.client.auditEntry.update({ where: { id: entry?.id }, data: { data: '{"n":3}' } });
  const changed = await run(audit, 'verify');
  expect(changed).toMatchObject({ code: 1, out: expect.stringContaining(`${entry?.id} (edited)`) });
  expect((await run(audit)).code).toBe(2);
  for (const wrong of [
    ['verify', '--from', 'yesterday'],
    ['verify', '--seal', 'x'],
    ['export', '--format', 'xml'],
  ])
    await expect(run(audit, ...wrong)).rejects.toMatchObject({ code: 'invalid_input' });
});

test('secrets rotate seals again what an older secret sealed, names the database, and can be run again', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const [old, newest] = [SECRET, 'b7tY5nR8cJ2hL6pD4sF0gAZk3vQ9xW1m'];
  const before = await startApp({}, { database });
  const { browser, user } = await before.signedIn();
  const totp = await enrolTotp(before, browser);
  useDatabase(database.url);
  vi.stubEnv('AUTHTUNA_SECRETS', `${newest},${old}`);
  const json = async () => JSON.parse((await run(secrets, 'rotate', '--json')).out);
  const first = await json();
  expect(first).toMatchObject({
    sealed: { 'authenticator apps': 1, 'provider tokens': 0, 'client secrets': 0, 'waiting mails': 0 },
    unreadable: 0,
    remaining: { passwords: 1, sessions: 1 },
  });
  expect(first.database).toContain(database.dialect === 'sqlite' ? 'file:' : 'postgresql://127.0.0.1');
  expect(first.database).not.toMatch(/:[^/@]+@/);
  expect((await json()).sealed['authenticator apps']).toBe(0);
  const { out, code } = await run(secrets, 'rotate');
  expect(code).toBe(0);
  expect(out).toMatch(/^Sealed again .+: 0 authenticator apps/);
  expect((await run(secrets)).code).toBe(2);

  // The app opens without the old secret; what was hashed with it does not.
  const after = await startApp({ secrets: [newest] }, { database, clock: before.clock });
  before.clock.advance({ seconds: 30 });
  await after.authTuna.passwords.set(user.id, 'another long password 9', SYSTEM);
  const half = after.browser();
  await half.post('/auth/login', { login: user.email, password: 'another long password 9' });
  expect((await half.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(200);
});

test('secrets rotate says so when a value can be opened by none of the secrets', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const before = await startApp({}, { database });
  await enrolTotp(before, (await before.signedIn()).browser);
  useDatabase(database.url);
  vi.stubEnv('AUTHTUNA_SECRETS', 'b7tY5nR8cJ2hL6pD4sF0gAZk3vQ9xW1m');
  expect(await run(secrets, 'rotate')).toMatchObject({
    code: 1,
    out: expect.stringContaining('1 values cannot be opened'),
  });
});
