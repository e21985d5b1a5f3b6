import { expect, onTestFinished, test } from 'vitest';
import { guardDb } from '../../src/db/client.js';
import { type Actor, type AuthTunaError, SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp } from '../support/app.js';
import { countingClient } from '../support/counting-client.js';
import { freshDatabase, openDatabase } from '../support/database.js';
import { as } from '../support/people.js';

/** A host's client whose answers can be made to fail, for one model or all. */
async function withFailingDatabase() {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const failing = { model: null as string | null };
  const broken = () =>
    Promise.reject(Object.assign(new Error('SELECT secret FROM nowhere'), { code: 'P1001' }));
  const wrapped = new Proxy(client as object, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (failing.model === 'all' && name === '$transaction') return broken;
      if (typeof value !== 'object' || value === null || typeof name !== 'string' || name.startsWith('$'))
        return typeof value === 'function' ? value.bind(target) : value;
      return new Proxy(value as object, {
        get(delegate, method) {
          const call = Reflect.get(delegate, method);
          if (typeof call !== 'function') return call;
          return (...args: unknown[]) => {
            if (failing.model === 'all') return lazily(broken);
            // The write itself fails inside the batch, as it would on a full disk.
            if (failing.model === name && method === 'create')
              return call.call(delegate, { data: { id: 'x', impossible: true } });
            return call.apply(delegate, args);
          };
        },
      });
    },
  });
  const instance = await startApp({ prisma: wrapped as typeof client }, { database });
  return { ...instance, failing };
}

function lazily(run: () => Promise<never>) {
  return {
    [Symbol.toStringTag]: 'PrismaPromise',
    // biome-ignore lint/suspicious/noThenProperty: it stands in for Prisma's promise
    then: (...args: Parameters<Promise<never>['then']>) => run().then(...args),
  };
}

test('while the database is gone the answer is 503 with Retry-After, never "anonymous", and the cookie stays (DB-1, D17)', async () => {
  const { failing, signedIn, clock, browser } = await withFailingDatabase();
  const { browser: ada } = await signedIn();
  expect((await ada.get('/me')).status).toBe(200);
  const cookie = ada.cookieHeader;
  failing.model = 'all';
  expect((await ada.get('/me')).status).toBe(200); // from memory, for recheckSeconds at most
  const answers = [
    await ada.post('/me/x'),
    await ada.post('/projects/42'),
    await browser().post('/auth/login', { login: 'person1@example.com', password: PASSWORD }),
  ];
  clock.advance({ seconds: 11 });
  answers.push(
    await ada.get('/me'),
    await ada.get('/public'),
    await ada.get('/projects/42'),
    await ada.get('/reports'),
  );
  for (const answer of answers) {
    expect(answer.status, answer.url).toBe(503);
    expect(answer.headers.get('retry-after'), answer.url).toMatch(/^\d+$/);
    expect(answer.headers.getSetCookie(), answer.url).toEqual([]);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'unavailable' });
    expect(text).not.toMatch(/SELECT|P1001/);
  }
  failing.model = null;
  expect(ada.cookieHeader).toBe(cookie);
  expect((await ada.get('/me')).status).toBe(200);
  expect((await ada.post('/me/x')).status).toBe(200);
});

test('a change whose audit entry cannot be written does not happen (AU-5)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna, signedIn } = await startApp({}, { database });
  const { user, browser } = await signedIn();
  const root = await authTuna.users.create({ email: 'root@example.com' });
  await authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  await connection.exclusively((sql) => sql.script('ALTER TABLE "AuditEntry" RENAME TO "Hidden"'));
  const changes = [
    authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, as(root.id)),
    authTuna.roles.create({ name: 'new', permissions: ['users:read'] }, as(root.id)),
    authTuna.roles.addPermission('user', 'users:read', as(root.id)),
    authTuna.users.suspend(user.id, 'test', as(root.id)),
    authTuna.users.delete(user.id, as(root.id)),
    authTuna.users.create({ email: 'new@example.com' }, as(root.id)),
    authTuna.scopes.register({ id: 'org:1' }, as(root.id)),
  ].map((change) =>
    change.then(
      () => 'done',
      (error: unknown) => (error as AuthTunaError).code,
    ),
  );
  expect(await Promise.all(changes)).toEqual(changes.map(() => 'unavailable'));
  expect((await browser.post('/auth/logout')).status).toBe(503);
  await connection.exclusively((sql) => sql.script('ALTER TABLE "Hidden" RENAME TO "AuditEntry"'));
  expect((await authTuna.roles.assignmentsOf(user.id)).map((row) => row.role)).toEqual(['user']);
  expect(await authTuna.roles.find('new')).toBeNull();
  expect(await authTuna.access.can(user.id, 'users:read')).toBe(false);
  expect(await authTuna.users.findByEmail('new@example.com')).toBeNull();
  expect((await authTuna.scopes.childrenOf('global')).items).toEqual([]);
  expect((await browser.get('/me')).status).toBe(200);
});

test('what people send is one line of bounded length in the audit log, whatever it holds (AU-3)', async () => {
  const { authTuna } = await startApp();
  const ada = await authTuna.users.create({ email: 'ada@example.com' });
  const hostile = `evil\r\nforged line\u001b[31m\u2028\u202e\u200b\u0000${'x'.repeat(5000)}`;
  await authTuna.users
    .suspend(ada.id, hostile, {
      userId: null,
      ip: null,
      userAgent: hostile,
      requestId: hostile,
    } as unknown as Actor)
    .catch(() => {});
  await authTuna.audit.record({
    type: 'user.suspended',
    reason: hostile,
    actor: { userId: 'x', ip: null, userAgent: hostile, requestId: hostile },
    target: { type: 'user', id: hostile },
  });
  const [entry] = (await authTuna.audit.list({ type: 'user.suspended' })).items;
  for (const text of [entry?.reason, entry?.userAgent, entry?.requestId, entry?.targetId]) {
    expect(text).toContain('evil\\u000d\\u000aforged line\\u001b');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(text).not.toMatch(/[\u0000-\u001f\u2028\u202e\u200b]/);
    expect(text?.length).toBeLessThanOrEqual(512);
  }
});

test('a change has its line: when, who, what, whom, where, with what outcome (AU-1)', async () => {
  const { authTuna, clock, signedIn, browser } = await startApp();
  const { user, browser: ada } = await signedIn();
  await authTuna.roles
    .assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, as(user.id))
    .catch(() => {});
  await browser().post('/auth/login', { login: user.email, password: 'not the right password' });
  await ada.get('/projects/43', { headers: { 'x-request-id': 'req-1' } });
  const list = async (type: string) => (await authTuna.audit.list({ type })).items[0];
  expect(await list('user.signed_in')).toMatchObject({
    at: clock.now(),
    outcome: 'success',
    actorId: user.id,
    targetId: user.id,
  });
  expect(await list('role.assigned')).toMatchObject({
    outcome: 'denied',
    actorId: user.id,
    targetId: user.id,
    scope: 'project:42',
    data: { role: 'project_member' },
  });
  const failed = await list('user.sign_in_failed');
  expect(failed).toMatchObject({ outcome: 'failure', reason: 'invalid_credentials' });
  expect(JSON.stringify(failed)).not.toContain('not the right password');
  // The answer does not wait for the line.
  await expect
    .poll(() => list('access.denied'))
    .toMatchObject({
      outcome: 'denied',
      actorId: user.id,
      scope: 'project:43',
      requestId: 'req-1',
    });
  // The caller chooses the scopes; rows are not theirs to make.
  for (let id = 100; id < 150; id += 1) await ada.get(`/projects/${id}`);
  expect((await authTuna.audit.list({ type: 'access.denied' })).items).toHaveLength(1);
  clock.advance({ seconds: 61 });
  await ada.get('/projects/43');
  await expect
    .poll(() => list('access.denied'))
    .toMatchObject({ data: { wanted: 'project:read', unrecorded: 50 } });
});

test('an id that is missing is an error before the database is asked, and no row goes (DB-3)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  await authTuna.users.create({ email: 'ada@example.com' });
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const db = guardDb(connection.client);
  const missing = undefined as unknown as string;
  await expect(db.user.deleteMany({ where: { id: missing } })).rejects.toThrow(TypeError);
  await expect(db.user.deleteMany(undefined as never)).rejects.toThrow(TypeError);
  await expect(db.user.findMany({ where: { OR: [{ id: missing }] } })).rejects.toThrow(TypeError);
  const { users, roles, sessions, scopes } = authTuna;
  for (const call of [
    () => users.delete(missing, SYSTEM),
    () => users.suspend(missing, 'x', SYSTEM),
    () => users.find(missing),
    () => roles.unassign({ userId: missing, role: 'user', scope: 'global' }, SYSTEM),
    () => sessions.revokeAll(missing, SYSTEM),
    () => scopes.remove(missing, SYSTEM),
    () => authTuna.access.can(missing, 'a:b'),
  ])
    await expect(call()).rejects.toThrow();
  expect(await db.user.count()).toBe(1);
  expect(await db.roleAssignment.count()).toBe(1);
});

test('before the password is proved every refusal of a sign-in is the same answer (LG-1)', async () => {
  const { authTuna, browser } = await startApp({
    signUp: { requireVerifiedEmail: true },
    mail: { from: 'a@example.com', transport: { send: async () => {} } },
  });
  const { users } = authTuna;
  await users.create({ email: 'known@example.com', password: PASSWORD, emailVerified: true });
  await users.create({ email: 'without@example.com', emailVerified: true });
  await users.create({ email: 'unverified@example.com', password: PASSWORD });
  const suspended = await users.create({
    email: 'suspended@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  await users.suspend(suspended.id, 'test', SYSTEM);
  const answers = [];
  for (const login of [
    'unknown@example.com',
    'known@example.com',
    'without@example.com',
    'unverified@example.com',
    'suspended@example.com',
    'unknown-name',
  ]) {
    const answer = await browser().post('/auth/login', { login, password: 'not the right password' });
    const headers = [...answer.headers].filter(([name]) => name !== 'date');
    answers.push(JSON.stringify([answer.status, headers, await answer.text()]));
  }
  expect(new Set(answers).size, answers.join('\n')).toBe(1);
  expect(answers[0]).toContain('invalid_credentials');
  const right = async (login: string) =>
    ((await (await browser().post('/auth/login', { login, password: PASSWORD })).json()) as { code?: string })
      .code;
  expect(await right('unverified@example.com')).toBe('email_not_verified');
  expect(await right('suspended@example.com')).toBe('account_suspended');
});

test('what the host throws is a plain 500 that shows nothing of it (HD-4)', async () => {
  const thrown: unknown[] = [
    new Error('/srv/app/secret.ts SELECT'),
    'SELECT',
    null,
    undefined,
    Object.assign(new Error('SELECT'), { status: 200 }),
    Object.create(null),
    new TypeError('SELECT'),
    Symbol('SELECT'),
    [],
    () => {},
  ];
  let next = 0;
  const { browser } = await startApp(
    {},
    {
      routes: (app) =>
        app.get('/throw', (_req, _res, pass) => {
          const error = thrown[next];
          if (next % 2 === 0 || !error) pass(error ?? new Error('SELECT'));
          else throw error;
        }),
    },
  );
  for (next = 0; next < thrown.length; next += 1) {
    const answer = await browser().get('/throw');
    expect(answer.status, String(next)).toBe(500);
    expect(await answer.text()).not.toMatch(/SELECT|secret|at .*:\d/);
    expect(answer.headers.get('x-powered-by') ?? '').not.toContain('authtuna');
  }
});
