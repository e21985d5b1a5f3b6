import { expect, onTestFinished, test } from 'vitest';
import { MODELS } from '../../src/db/client.js';
import { AuthTunaError, createAuthTuna, SYSTEM } from '../../src/index.js';
import { TestMailbox } from '../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../support/app.js';
import { countingClient } from '../support/counting-client.js';
import { emptyDatabase, freshDatabase, openDatabase } from '../support/database.js';
import { as } from '../support/people.js';

async function withDatabase(
  options: Parameters<typeof startApp>[0] = {},
  routes?: NonNullable<Parameters<typeof startApp>[1]>['routes'],
) {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const instance = await startApp(options, { database, ...(routes !== undefined && { routes }) });
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const tables = connection.client as unknown as Record<string, { count(): Promise<number> }>;
  const watched = MODELS.filter(({ model }) => model !== 'lease'); // a job may begin at any moment
  const counts = async () =>
    Object.fromEntries(
      await Promise.all(watched.map(async ({ model }) => [model, await tables[model]?.count()] as const)),
    );
  return { ...instance, connection, counts };
}

test('deleting one person touches nothing of anybody else, and keeps the audit trail (D1)', async () => {
  const { authTuna, counts, signedIn } = await withDatabase();
  const { roles, scopes, users, audit } = authTuna;
  const ada = await signedIn('ada@example.com');
  const bob = await signedIn('bob@example.com');
  await scopes.register({ id: 'org:1', ownerId: bob.user.id }, SYSTEM);
  for (const person of [ada, bob])
    await roles.assign({ userId: person.user.id, role: 'org_member', scope: 'org:1' }, SYSTEM);
  const before = await counts();
  await users.delete(ada.user.id, as(ada.user.id));
  const after = await counts();
  // Her two assignments went, one line was written. Rows of her own may stay or go; those of others stay.
  expect(after).toEqual({
    ...before,
    roleAssignment: (before.roleAssignment ?? 0) - 2,
    auditEntry: (before.auditEntry ?? 0) + 1,
  });
  expect((await bob.browser.get('/me')).status).toBe(200);
  expect((await roles.assignmentsOf(bob.user.id)).map((row) => row.role).sort()).toEqual([
    'org_member',
    'user',
  ]);
  const deleted = await audit.list({ type: 'user.deleted' });
  expect(deleted.items[0]).toMatchObject({ actorId: ada.user.id, targetId: ada.user.id, outcome: 'success' });
  await expect(users.get(ada.user.id)).rejects.toMatchObject({ code: 'not_found' });
});

test('a username is never an address, so nobody can stand in the way of a sign-in by address (D11, LG-9)', async () => {
  const { browser, signedIn, authTuna } = await startApp();
  await signedIn('victim@example.com');
  const mallory = browser();
  for (const username of [
    'victim@example.com',
    'victim＠example.com',
    'victim﹫example.com',
    'VICTIM@EXAMPLE.COM',
  ]) {
    const answer = await mallory.post('/auth/signup', {
      email: 'mallory@example.com',
      username,
      password: PASSWORD,
    });
    expect(answer.status, username).toBe(422);
    await expect(authTuna.users.create({ email: 'm2@example.com', username })).rejects.toMatchObject({
      code: 'invalid_input',
    });
  }
  expect(
    (await browser().post('/auth/login', { login: 'victim@example.com', password: PASSWORD })).status,
  ).toBe(200);
});

test('names and passwords have rules, on every way in (D33)', async () => {
  const { browser, authTuna } = await startApp();
  const inputs: object[] = [
    { email: 'a@example.com', password: '' },
    { email: 'a@example.com', password: 'x' },
    { email: 'a@example.com', password: 'fourteen chars' },
    { email: 'two@@at', password: PASSWORD },
    { email: '', password: PASSWORD },
    { email: 'a@example.com', username: '', password: PASSWORD },
    { email: 'a@example.com', username: 'ab', password: PASSWORD },
    { email: 'a@example.com', username: 'a b', password: PASSWORD },
    { email: 'a@example.com', password: 'x'.repeat(257) },
    { email: ['a@example.com'], password: PASSWORD },
    { email: 'a@example.com', password: { not: '' } },
    { email: 'a@example.com', password: PASSWORD, emailVerifiedAt: '2020-01-01', role: 'admin' },
    {},
  ];
  for (const input of inputs)
    expect((await browser().post('/auth/signup', input)).status, JSON.stringify(input).slice(0, 80)).toBe(
      422,
    );
  expect(({} as { x?: unknown }).x).toBeUndefined();
  // Nothing is cut at 72 bytes, and a long password is no error.
  const long = `${'a'.repeat(72)} first ending`;
  await authTuna.users.create({ email: 'long@example.com', password: long, emailVerified: true });
  expect(
    (
      await browser().post('/auth/login', {
        login: 'long@example.com',
        password: `${'a'.repeat(72)} other ending`,
      })
    ).status,
  ).toBe(401);
  expect((await browser().post('/auth/login', { login: 'long@example.com', password: long })).status).toBe(
    200,
  );
});

test('addresses and usernames are one in every capitalization, on both databases (D39, DO-6)', async () => {
  const { authTuna, browser } = await startApp();
  await authTuna.users.create({
    email: 'Victim@Example.com',
    username: 'victim',
    password: PASSWORD,
    emailVerified: true,
  });
  await expect(authTuna.users.create({ email: 'VICTIM@EXAMPLE.COM' })).rejects.toMatchObject({
    code: 'conflict',
    details: { field: 'email' },
  });
  await expect(
    authTuna.users.create({ email: 'other@example.com', username: 'VICTIM' }),
  ).rejects.toMatchObject({ code: 'conflict', details: { field: 'username' } });
  for (const login of ['VICTIM@example.COM', 'Victim', 'victim'])
    expect((await browser().post('/auth/login', { login, password: PASSWORD })).status, login).toBe(200);
});

test('a host that passes on what a browser sent as data gives away neither our columns nor rows of other models', async () => {
  const { authTuna } = await startApp();
  const { users } = authTuna as unknown as {
    users: {
      create(input: object): Promise<{ id: string }>;
      update(id: string, change: object): Promise<object>;
    };
  };
  const { id } = await users.create({ email: 'ada@example.com' });
  const hostile = [
    { mustChangePassword: false },
    { suspendedAt: null },
    { sessionEpoch: 5 },
    { id: 'mine' },
    { deletedAt: null },
    { assignments: { create: { roleId: 'r', scope: 'global' } } },
    { password: { delete: true } },
    { sessions: { deleteMany: {} } },
  ];
  for (const data of hostile) {
    await expect(
      users.create({ email: 'eve@example.com', data }),
      JSON.stringify(data),
    ).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(users.update(id, { data }), JSON.stringify(data)).rejects.toMatchObject({
      code: 'invalid_input',
    });
  }
});

test('what a request asks the database is counted on one hand (D41)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const { authTuna, signedIn, clock } = await startApp({ prisma: client }, { database });
  const { user, browser } = await signedIn();
  await authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  const cost = async (call: () => Promise<Response>, status: number) => {
    statements.length = 0;
    expect((await call()).status).toBe(status);
    return statements.filter((sql) => !/^(BEGIN|COMMIT|ROLLBACK|SET)/i.test(sql)).length;
  };
  await browser.get('/projects/42');
  expect(await cost(() => browser.get('/me'), 200)).toBe(0);
  expect(await cost(() => browser.get('/projects/42'), 200)).toBe(0);
  clock.advance({ seconds: 11 });
  expect(await cost(() => browser.get('/projects/42'), 200)).toBeLessThanOrEqual(6);
  expect(await cost(() => browser.post('/me/x'), 200)).toBeLessThanOrEqual(6);
  expect(await cost(() => browser.post('/projects/42'), 200)).toBeLessThanOrEqual(7);
  const ddl = statements.filter((sql) => /^\s*(CREATE|ALTER|DROP|PRAGMA)/i.test(sql));
  expect(ddl).toEqual([]);
});

test('with 20,000 people a request costs what it costs with one (D42)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const { authTuna, signedIn, clock } = await startApp({ prisma: client }, { database });
  const { user, browser } = await signedIn();
  await authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM);
  const measure = async () => {
    clock.advance({ seconds: 11 });
    statements.length = 0;
    const body = await (await browser.get('/me')).text();
    const list = JSON.stringify(await authTuna.roles.list());
    const people = JSON.stringify(await authTuna.users.list({ role: 'user', limit: 10 }));
    return {
      statements: statements.length,
      body: body.length,
      roles: list.length,
      people: people.length < 10_000,
    };
  };
  await measure();
  const alone = await measure();
  const roleId = (
    await (
      client as unknown as { role: { findFirst(args: object): Promise<{ id: string }> } }
    ).role.findFirst({ where: { name: 'user' } })
  ).id;
  const at = clock.now();
  const tables = client as unknown as Record<
    'user' | 'roleAssignment',
    { createMany(args: object): Promise<unknown> }
  >;
  for (let from = 0; from < 20_000; from += 2000) {
    const ids = Array.from({ length: 2000 }, (_, index) => `crowd${from + index}`);
    await tables.user.createMany({
      data: ids.map((id) => ({ id, email: `${id}@example.com`, createdAt: at, updatedAt: at })),
    });
    await tables.roleAssignment.createMany({
      data: ids.map((userId) => ({ userId, roleId, scope: 'global', assignedAt: at })),
    });
  }
  await browser.get('/public').catch(() => null); // the idle connection was closed meanwhile
  expect(await measure()).toEqual(alone);
}, 120_000);

test('what can be expected to happen is never a 500 (D44)', async () => {
  const { authTuna, browser, signedIn, logger } = await startApp({
    signUp: { allowedEmailDomains: ['example.com'] },
  });
  const { user, browser: ada } = await signedIn();
  const suspended = await signedIn('suspended@example.com');
  await authTuna.users.suspend(suspended.user.id, 'test', SYSTEM);
  const anonymous = browser();
  const calls: [Promise<Response>, number | number[]][] = [
    [anonymous.post('/auth/login', { login: 'suspended@example.com', password: PASSWORD }), 403],
    [anonymous.post('/auth/login', { login: 'nobody@example.com', password: PASSWORD }), 401],
    [anonymous.post('/auth/signup', { email: 'a@elsewhere.org', password: PASSWORD }), 422],
    [anonymous.get('/me'), 401],
    [anonymous.get('/reports'), 401],
    [ada.get('/reports'), 403],
    [anonymous.post('/auth/logout'), 204],
    [anonymous.get('/auth/login', { headers: { accept: 'application/json' } }), 200],
    [anonymous.delete('/auth/login'), 405],
    [
      anonymous.post('/auth/login', undefined, {
        rawBody: '{',
        headers: { 'content-type': 'application/json' },
      }),
      400,
    ],
    [
      anonymous.post('/auth/login', undefined, { rawBody: '{}', headers: { 'content-type': 'text/plain' } }),
      415,
    ],
    [
      anonymous.post('/auth/login', undefined, {
        rawBody: `"${'x'.repeat(40_000)}"`,
        headers: { 'content-type': 'application/json' },
      }),
      413,
    ],
    [
      anonymous.post('/auth/login', undefined, {
        rawBody: '[]',
        headers: { 'content-type': 'application/json' },
      }),
      422,
    ],
    [anonymous.get('/auth/nothing-here'), 404],
  ];
  for (const [call, expected] of calls) {
    const answer = await call;
    expect([expected].flat(), `${answer.url} ${answer.status} ${await answer.clone().text()}`).toContain(
      answer.status,
    );
    if (answer.status >= 400 && answer.status !== 404) {
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(await answer.text()).not.toMatch(/prisma|select |sqlite|at .*\.(ts|js):\d/i);
    }
  }
  for (const change of [
    authTuna.roles.assign({ userId: user.id, role: 'superadmin', scope: 'global' }, as(user.id)),
    authTuna.roles.assign({ userId: user.id, role: 'nonesuch', scope: 'global' }, SYSTEM),
    authTuna.roles.assign({ userId: 'nobody', role: 'user', scope: 'global' }, SYSTEM),
    authTuna.roles.unassign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM),
    authTuna.roles.create({ name: 'user' }),
    authTuna.permissions.create({ name: 'users:read' }),
    authTuna.permissions.create({ name: 'with space' }),
    authTuna.users.create({ email: user.email }),
    authTuna.roles.addPermission('user', 'no:such', SYSTEM),
    authTuna.scopes.move('project:none', null, SYSTEM),
    authTuna.scopes.remove('project:none', SYSTEM),
  ].map((change) =>
    change.then(
      () => 'done',
      (error: unknown) => (error instanceof AuthTunaError ? error.code : String(error)),
    ),
  ))
    expect(['forbidden', 'not_found', 'conflict', 'invalid_input']).toContain(await change);
  expect(logger.lines.filter((line) => line.level === 'error')).toEqual([]);
});

test('a handler that throws runs once, the answer is a plain 500, and the cookie is untouched (HD-5, D17)', async () => {
  let runs = 0;
  const { signedIn } = await startApp(
    {},
    {
      routes: (app) =>
        app.all('/boom', () => {
          runs += 1;
          throw new Error('secret detail of the host');
        }),
    },
  );
  const { browser } = await signedIn();
  const cookie = browser.cookieHeader;
  for (const method of ['GET', 'POST']) {
    runs = 0;
    const answer = await browser.request(method, '/boom');
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('secret detail');
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(runs).toBe(1);
  }
  expect(browser.cookieHeader).toBe(cookie);
  expect((await browser.get('/me')).status).toBe(200);
});

test('logging out takes the cookie away, and a copy of it is dead at once (D16)', async () => {
  const { signedIn, clock } = await startApp();
  const { browser } = await signedIn();
  await browser.get('/me');
  const copy = browser.stolen();
  clock.advance({ seconds: 601 }); // the sign-out is due for a rotation, which sets the same cookie
  const answer = await browser.post('/auth/logout');
  expect(
    answer.headers
      .getSetCookie()
      .filter((line) => line.startsWith('at_sess='))
      .map((line) => /max-age=0/i.test(line)),
  ).toEqual([true]);
  expect(browser.jar.has('at_sess')).toBe(false);
  expect((await copy.get('/me')).status).toBe(401);
});

test('a stale cookie in the jar does not harm a fresh sign-in (D18)', async () => {
  const { signedIn, authTuna, clock } = await startApp();
  const { user, browser } = await signedIn();
  await authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect((await browser.get('/me')).status).toBe(401);
  for (const staleness of ['dead', 'due for a rotation']) {
    if (staleness !== 'dead') clock.advance({ seconds: 601 });
    const answer = await browser.post('/auth/login', { login: user.email, password: PASSWORD });
    expect(answer.status).toBe(200);
    const written = answer.headers.getSetCookie().filter((line) => line.startsWith('at_sess='));
    expect(written.length, staleness).toBe(1);
    expect((await browser.get('/me')).status).toBe(200);
  }
});

test('of forty people who sign up with one address at once one is stored, and all answers are alike (DB-2)', async () => {
  const mailbox = new TestMailbox();
  const { connection, browser } = await withDatabase({
    mail: { from: 'app@example.com', transport: mailbox },
    rateLimits: { signUp: { limit: 1000, windowSeconds: 3600 } },
  });
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const answer = await browser().post('/auth/signup', {
        email: index % 2 === 0 ? 'one@example.com' : 'ONE@Example.com',
        password: PASSWORD,
      });
      return `${answer.status} ${await answer.text()}`;
    }),
  );
  const said = new Set(answers.filter((answer) => !answer.startsWith('503 '))); // a busy machine may turn some away
  expect(said.size, [...said].join('\n')).toBe(1);
  expect([...said][0]).toMatch(/^202 /);
  const table = connection.client.user as unknown as { count(): Promise<number> };
  expect(await table.count()).toBe(1);
});

test('four instances that become ready at once on an empty database leave one of everything', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const instances = Array.from({ length: 4 }, () =>
    createAuthTuna({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET],
      databaseUrl: database.url,
      password: { bcryptCost: 4 },
    }),
  );
  try {
    await Promise.all(instances.map((instance) => instance.ready()));
    const roles = await Promise.all(instances.map(async ({ roles }) => (await roles.list()).items));
    for (const list of roles) expect(list).toEqual(roles[0]);
    expect(new Set(roles[0]?.map((role) => role.name)).size).toBe(roles[0]?.length);
    expect(roles[0]?.find((role) => role.name === 'superadmin')?.permissions).toEqual(['*']);
  } finally {
    await Promise.all(instances.map((instance) => instance.close()));
  }
}, 120_000);

test('usernames and addresses are looked up by one column', async () => {
  const { authTuna } = await startApp();
  const { id } = await authTuna.users.create({ email: 'ada@example.com', username: 'plain' });
  expect(await authTuna.users.findByUsername('ada@example.com')).toBeNull();
  expect(await authTuna.users.findByEmail('plain')).toBeNull();
  const found = [
    await authTuna.users.findByUsername('plain'),
    await authTuna.users.findByEmail('ada@example.com'),
  ];
  expect(found.map((user) => user?.id)).toEqual([id, id]);
});
