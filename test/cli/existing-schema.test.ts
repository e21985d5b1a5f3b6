import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import bcrypt from 'bcrypt';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Command } from '../../src/cli/command.js';
import { createAdmin } from '../../src/cli/create-admin.js';
import { generate } from '../../src/cli/generate.js';
import { readSchemaFolder } from '../../src/cli/host-schema.js';
import { hostUsers } from '../../src/cli/import/host-users.js';
import { importUsers } from '../../src/cli/import/import.js';
import { init } from '../../src/cli/init.js';
import { why } from '../../src/cli/why.js';
import type { NewHostUser } from '../../src/db/host-user.js';
import { readShippedSchema } from '../../src/db/schema/shipped.js';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { type Parts, partsOf } from '../../src/parts.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { emptyDatabase } from '../support/database.js';
import { createTables, hostClient, hostFolder, schemaHeader, writeSchema } from '../support/host-prisma.js';

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

/** An app of Prisma's own tutorial: numeric ids, a required name, an old password. */
const TUTORIAL = `
model User {
  id           Int     @id @default(autoincrement())
  email        String  @unique
  name         String
  passwordHash String?
  plan         String  @default("free")
  projects     Project[]
}
model Project {
  id      Int  @id @default(autoincrement())
  orgId   Int
  ownerId Int
  owner   User @relation(fields: [ownerId], references: [id])
}
`;

interface TutorialClient {
  user: {
    findMany(args?: object): Promise<{ id: number; email: string; name: string }[]>;
    create(args: object): Promise<{ id: number }>;
  };
  project: {
    create(args: object): Promise<{ id: number }>;
    findMany(args: object): Promise<{ id: number }[]>;
  };
  authUser: { count(): Promise<number> };
}

test('an app with numeric ids keeps its users: ours stand beside them, made together, and whereFor writes numbers', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const folder = hostFolder('beside');
  const schema = join(folder, 'prisma');
  const header = schemaHeader(database.dialect);
  writeSchema(folder, 'schema.prisma', header + TUTORIAL);

  const { code, out } = await run(init, '--schema', schema);
  expect(code).toBe(0);
  expect(out).toContain("models: 'Auth'");
  expect(out).toContain('  authUser AuthUser?');
  expect(out).toContain('  npx authtuna import --from prisma --app ./auth.js --dry-run');
  expect(readFileSync(join(schema, 'schema.prisma'), 'utf8')).toBe(header + TUTORIAL);
  writeSchema(
    folder,
    'schema.prisma',
    header + TUTORIAL.replace('projects ', 'authUser AuthUser?\n  projects '),
  );
  expect((await run(generate, '--check', '--schema', schema)).out).toMatch(/has everything/);
  await createTables(database, readSchemaFolder(schema));
  const prisma = await hostClient<TutorialClient>(folder, database);

  const app = await startApp({
    prisma,
    models: 'Auth',
    user: {
      publicColumns: ['hostUserId'],
      hostUser: { create: ({ email, data }: NewHostUser) => ({ email, name: data.name ?? 'somebody' }) },
    },
  } as never);
  const browser = app.browser();
  const signedUp = await browser.post('/auth/signup', { email: 'ada@example.com', password: PASSWORD });
  expect(signedUp.status).toBe(201);
  const [row] = await prisma.user.findMany();
  expect(row).toMatchObject({ email: 'ada@example.com', name: 'somebody' });
  // What is no column of ours is for the host's row.
  await app.authTuna.users.create({ email: 'joan@example.com', data: { name: 'Joan' } as never });
  expect(await prisma.user.findMany({ where: { name: 'Joan' } })).toMatchObject([
    { email: 'joan@example.com' },
  ]);
  expect(await (await browser.get('/me')).json()).toMatchObject({ hostUserId: row?.id });

  // Both rows or none: the address of the host's row is taken.
  await prisma.user.create({ data: { email: 'grace@example.com', name: 'Grace' } });
  await expect(app.authTuna.users.create({ email: 'grace@example.com' })).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(await prisma.authUser.count()).toBe(2);
  // The import of the host's model brings her, and nobody twice.
  const imported = hostUsers(partsOf(app.authTuna) as Parts, {}, {});
  expect(await app.authTuna.users.import(imported, SYSTEM)).toMatchObject({
    read: 3,
    imported: 1,
    existing: 2,
  });
  expect(await prisma.user.findMany()).toHaveLength(3);

  const ada = await app.authTuna.users.findByEmail('ada@example.com');
  const project = await prisma.project.create({ data: { orgId: 7, ownerId: row?.id } });
  await prisma.project.create({ data: { orgId: 8, ownerId: row?.id } });
  await app.authTuna.roles.create({ name: 'reader', permissions: ['project:read'] }, SYSTEM);
  for (const scope of ['org:7', 'org:not-a-number'])
    await app.authTuna.roles.assign({ userId: ada?.id ?? '', role: 'reader', scope }, SYSTEM);
  const where = await app.authTuna.access.whereFor(ada?.id ?? '', 'project:read', { org: 'orgId' });
  expect(where).toEqual({ OR: [{ orgId: { in: [7] } }] });
  expect(await prisma.project.findMany({ where })).toMatchObject([{ id: project.id }]);
}, 120_000);

interface OwnUsers {
  user: {
    create(args: object): Promise<{ id: string }>;
    findMany(args?: object): Promise<{ id: string; email: string }[]>;
  };
}

/** A host whose `User` with string ids is our user as well, its client, and a module that exports its AuthTuna. */
async function sameUser() {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const folder = hostFolder('same-user');
  const schema = `${schemaHeader(database.dialect)}${readShippedSchema().replace(
    'model User {',
    'model User {\n  passwordHash String?',
  )}`;
  writeSchema(folder, 'schema.prisma', schema);
  await createTables(database, schema);
  const prisma = await hostClient<OwnUsers>(folder, database);
  const driver =
    database.dialect === 'sqlite'
      ? `import { PrismaLibSql } from '@prisma/adapter-libsql';\nconst adapter = new PrismaLibSql({ url: '${database.url}', timeout: 5000 });`
      : `import { PrismaPg } from '@prisma/adapter-pg';\nconst adapter = new PrismaPg({ connectionString: '${database.url}' });`;
  const app = join(folder, 'auth.ts');
  writeFileSync(
    app,
    `import { createAuthTuna } from '../../../../src/index.ts';
import { PrismaClient } from './client/client.ts';
${driver}
const prisma = new PrismaClient({ adapter });
export const authTuna = createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: ['${SECRET}'], prisma, logger: { debug() {}, info() {}, warn() {}, error() {} } });
`,
  );
  return { prisma, app };
}

test('old users whose model is our user as well sign in after import --from prisma, and nothing of theirs is replaced', async () => {
  const { prisma, app } = await sameUser();
  const hash = await bcrypt.hash(PASSWORD, 4);
  const now = new Date();
  const emails = ['Ada@Example.com', 'grace@example.com', 'JOAN@example.com', 'joan@example.com'];
  for (const [index, email] of emails.entries()) {
    const data = {
      id: `u${index}`,
      email,
      passwordHash: hash,
      emailVerifiedAt: now,
      createdAt: now,
      updatedAt: now,
    };
    await prisma.user.create({ data });
  }
  const { authTuna } = await startApp({ prisma: prisma as never });
  await authTuna.passwords.set('u1', 'a password she chose later', SYSTEM);

  const command = ['--from', 'prisma', '--app', app];
  const dry = await run(importUsers, ...command, '--dry-run');
  expect(dry).toMatchObject({ code: 1, out: expect.stringContaining('4 read, 3 would be imported') });
  expect(dry.out).toContain('row 1, Ada@Example.com: has_capitals');
  expect(dry.out).toContain('row 3, JOAN@example.com: same_address_twice (not imported)');
  expect((await prisma.user.findMany()).map(({ email }) => email).sort()).toEqual([...emails].sort());

  expect((await run(importUsers, ...command)).out).toContain('3 imported');
  expect((await run(importUsers, ...command)).out).toContain('0 imported, 3 there already');
  const ada = await authTuna.users.findByEmail('ada@example.com');
  expect(ada?.id).toBe('u0');
  expect(await authTuna.passwords.verify('u0', PASSWORD)).toBe(true);
  expect(await authTuna.passwords.verify('u1', PASSWORD)).toBe(false);
  expect(await authTuna.passwords.verify('u3', PASSWORD)).toBe(true);
  expect(await authTuna.access.hasRole('u3', 'user')).toBe(true);

  // Other commands take the module, too.
  expect(await run(createAdmin, '--email', 'ada@example.com', '--app', app)).toMatchObject({
    code: 0,
    out: expect.stringContaining('ada@example.com is superadmin now'),
  });
  expect((await run(why, 'ada@example.com', 'any:thing', '--app', app)).code).toBe(0);
  await expect(run(createAdmin, '--email', 'new@example.com', '--app', app)).rejects.toMatchObject({
    message: expect.stringContaining('--password-stdin'),
  });
  await expect(run(why, 'ada', 'any:thing', '--app', 'nowhere.js')).rejects.toMatchObject({
    message: '--app nowhere.js: there is no such file.',
  });
  await expect(run(importUsers, '--from', 'prisma')).rejects.toMatchObject({ code: 'invalid_input' });
}, 120_000);

test('init keeps the names of Auth.js, whose Session and User are other tables', async () => {
  const folder = hostFolder('authjs');
  writeSchema(
    folder,
    'schema.prisma',
    `model User {
  id            String    @id @default(cuid())
  email         String?   @unique
  emailVerified DateTime?
  sessions      Session[]
}
model Session {
  id           String   @id @default(cuid())
  sessionToken String   @unique
  userId       String
  expires      DateTime
  user         User     @relation(fields: [userId], references: [id])
}
`,
  );
  const schema = join(folder, 'prisma');
  const { out } = await run(init, '--schema', schema);
  expect(out).toContain('Your schema has User, Session already');
  const written = readFileSync(join(schema, 'authtuna.prisma'), 'utf8');
  expect(written).toMatch(/^model AuthSession \{/m);
  expect(written).toMatch(/^ +hostUserId String @unique$/m);
  expect(written).toMatch(/^ +sessions +AuthSession\[\]/m);
  expect(written).not.toMatch(/^model (User|Session) /m);
});

/** Our schema with one change, as the check describes it. */
async function checked(change: (schema: string) => string): Promise<string[]> {
  const folder = hostFolder('checked');
  writeSchema(folder, 'authtuna.prisma', change(readShippedSchema()));
  const { code, out } = await run(generate, '--check', '--schema', join(folder, 'prisma'));
  rmSync(folder, { recursive: true });
  return code === 0 ? [] : out.split('\n').filter((line) => line.startsWith('  '));
}

test('generate --check compares types, optionality, uniqueness and required columns of the host', async () => {
  const user = (from: RegExp, to: string) => (schema: string) => schema.replace(from, to);
  expect(await checked((schema) => schema)).toEqual([]);
  const cases: [(schema: string) => string, string][] = [
    [
      user(/^ {2}id +String +@id$/m, '  id Int @id @default(autoincrement())'),
      'User.id is Int, and must be String',
    ],
    [user(/^ {2}email +String +@unique$/m, '  email String? @unique'), 'User.email is optional'],
    [user(/^ {2}email +String +@unique$/m, '  email String'), 'User.email is not unique'],
    [user(/^ {2}username +String\? +@unique$/m, '  username String @unique'), 'User.username is required'],
    [
      user(/^model User \{$/m, 'model User {\n  passwordHash String'),
      'User.passwordHash is a required column of yours',
    ],
    [
      user(/^model Session \{$/m, 'model Session {\n  sessionToken String @unique'),
      'Session.sessionToken is a required',
    ],
    [user(/^ {2}subject +String$/m, '  subject String @unique'), 'OneTimeToken.subject is unique'],
    [user(/^ {2}id +String +@id$/m, '  id String @id @db.Uuid'), 'User.id is @db.Uuid'],
  ];
  for (const [change, expected] of cases) expect((await checked(change)).join('\n')).toContain(expected);
  const harmless = (schema: string) =>
    schema
      .replace(
        'model User {',
        'model User {\n  nick String?\n  plan String @default("free")\n  touched DateTime @updatedAt',
      )
      .replace('@@index([createdAt])', '@@index([createdAt], map: "by_time")');
  expect(await checked(harmless)).toEqual([]);
});

test('ready() refuses a client whose schema cannot work, and says what to change', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const folder = hostFolder('unfit');
  const schema = `${schemaHeader(database.dialect)}${readShippedSchema().replace(
    'model User {',
    'model User {\n  passwordHash String',
  )}`;
  writeSchema(folder, 'schema.prisma', schema);
  await createTables(database, schema);
  const prisma = await hostClient(folder, database);
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    prisma,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  } as never);
  onTestFinished(() => authTuna.close());
  await expect(authTuna.ready()).rejects.toMatchObject({
    code: 'misconfigured',
    message: expect.stringContaining('User.passwordHash is a required column of yours'),
  });
}, 120_000);
