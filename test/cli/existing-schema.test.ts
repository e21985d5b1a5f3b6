import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Command } from '../../src/cli/command.js';
import { generate } from '../../src/cli/generate.js';
import { readSchemaFolder } from '../../src/cli/host-schema.js';
import { init } from '../../src/cli/init.js';
import type { NewHostUser } from '../../src/db/host-user.js';
import { readShippedSchema } from '../../src/db/schema/shipped.js';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { emptyDatabase } from '../support/database.js';
import { createTables, hostClient, hostFolder, schemaHeader, writeSchema } from '../support/host-prisma.js';

async function run(command: Command, ...args: string[]): Promise<{ code: number; out: string }> {
  const lines: string[] = [];
  const print = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  try {
    return { code: await command.run(args), out: lines.join('\n') };
  } finally {
    print.mockRestore();
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
