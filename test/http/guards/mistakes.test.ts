import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { createAuthTuna, SYSTEM, smtp } from '../../../src/index.js';
import { PASSWORD, SECRET, startApp, TestLogger } from '../../support/app.js';
import { freshDatabase } from '../../support/database.js';

// What a developer gets wrong on the first day is answered with what to type.

test('a guard without its brackets, or with a misspelled option, does not start or says so, and never hangs', async () => {
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        host.get('/forgot/user', authTuna.requireUser as never);
        host.get('/forgot/permission', authTuna.requirePermission as never);
        host.use('/forgot/session', authTuna.session as never);
        host.use('/forgot/recent', authTuna.requireRecentLogin as never);
        host.use('/forgot/csrf', authTuna.csrf as never);
      },
    },
  );
  for (const what of ['user', 'permission', 'session', 'recent', 'csrf']) {
    expect((await app.browser().get(`/forgot/${what}`)).status).toBe(500);
  }
  const logged = app.logger.lines.map(
    ({ message, facts }) => `${message} ${String((facts as { error?: unknown })?.error)}`,
  );
  for (const name of ['requireUser', 'requirePermission', 'session', 'requireRecentLogin', 'csrf'])
    expect(logged.some((line) => line.includes(`authTuna.${name}() with its brackets`))).toBe(true);
  const { requireUser, requirePermission, requireRole } = app.authTuna;
  expect(() => requirePermission('project:read', { scopeform: 'projectId' } as never)).toThrow(
    'scopeform is not an option',
  );
  expect(() => requireUser({ fresch: true } as never)).toThrow('fresch is not an option');
  expect(() => requirePermission(undefined as never)).toThrow('requirePermission needs a name');
  expect(() => requireRole(undefined as never)).toThrow('requireRole needs a name');
});

test('a listener for an event that nothing is called does not start', async () => {
  const { authTuna } = await startApp();
  expect(() => authTuna.on('user.signedin' as never, () => {})).toThrow(
    "on('user.signedin'): nothing is called that; events are user.created,",
  );
  authTuna.on('user.signed_in', () => {})();
  authTuna.on('*', () => {})();
});

test('on https, a database that nobody named is told of', () => {
  const start = (options: object) => {
    const logger = new TestLogger();
    createAuthTuna({
      secrets: [SECRET],
      logger,
      mail: { from: 'a@example.com', transport: smtp({ host: 'localhost' }) },
      ...options,
    } as never);
    return logger.lines.map(({ message }) => message).join();
  };
  const baseUrl = 'https://app.example.com';
  expect(start({ baseUrl })).toContain('databaseUrl is not set');
  expect(start({ baseUrl, databaseUrl: 'file:./authtuna.db' })).toBe('');
  expect(start({ baseUrl: 'http://localhost:3000' })).toBe('');
});

test('names that guards and options ask for and nothing has are told of when the app starts', async () => {
  const database = await freshDatabase();
  const logger = new TestLogger();
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
    logger,
    permissions: { project: ['read'] },
    mfa: { requiredForRoles: ['adnim'] },
  });
  authTuna.requirePermission('project:raed' as never);
  authTuna.requirePermission('project:read');
  authTuna.requireRole(['moderatro', 'moderator']);
  await authTuna.ready();
  const warnings = logger.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  for (const name of ['project:raed', 'adnim', 'moderatro'])
    expect(warnings.filter((line) => line.includes(` ${name}`))).toHaveLength(1);
  expect(warnings.some((line) => line.includes(' project:read,') || line.includes(' moderator '))).toBe(
    false,
  );
  await authTuna.close();
  await database.drop();
});

test('a page at another address than baseUrl is refused, and the log says once which two differ', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  for (const path of ['/me/x', '/auth/login', '/me/x']) {
    expect((await browser.post(path, {}, { headers: { origin: 'http://localhost:5173' } })).status).toBe(403);
  }
  const told = app.logger.lines.filter(({ message }) => message.includes('another address than baseUrl'));
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ level: 'warn', facts: { origin: 'http://localhost:5173' } });
  expect(told[0]?.message).toContain(app.url);
});

test('without errorHandler() Express answers with the status of the refusal and not with 500', async () => {
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        const alone = express().get('/', authTuna.requireUser(), (_req, res) => void res.json({}));
        host.use('/alone', (req, res) => alone(req, res));
      },
    },
  );
  expect((await app.browser().get('/alone')).status).toBe(401);
});

test('a password that was hashed with a secret that is gone fits nobody, and the log says why, once', async () => {
  const app = await startApp();
  await app.authTuna.users.create(
    { email: 'ada@example.com', password: PASSWORD, emailVerified: true },
    SYSTEM,
  );
  const renewed = await startApp(
    { baseUrl: app.url, secrets: ['q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E'] },
    { database: app.database, clock: app.clock },
  );
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const answer = await renewed
      .browser()
      .post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(answer.status).toBe(401);
  }
  expect(renewed.logger.lines.filter(({ message }) => message.includes('not in `secrets`'))).toHaveLength(1);
});

test('a role without a level is refused with what it lacks, also to a superadmin', async () => {
  const app = await startApp({ roles: { viewer: { permissions: ['project:read'] } } });
  const { user } = await app.signedIn();
  const { user: other } = await app.signedIn();
  await app.authTuna.roles.assign({ userId: user.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  const actor = { userId: user.id, ip: null, userAgent: null };
  await expect(
    app.authTuna.roles.assign({ userId: other.id, role: 'viewer', scope: 'global' }, actor),
  ).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringContaining('has no level'),
  });
});

test('a PostgreSQL that cannot be reached is named to who starts the app, and to no visitor (HD-4)', async () => {
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: 'postgresql://ada:pa55word@127.0.0.1:1/app',
    logger: new TestLogger(),
  });
  const server = express().use(authTuna.session(), authTuna.errorHandler()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const refusal = await authTuna.ready().catch((error: unknown) => error as Error & { cause: Error });
  expect(refusal).toMatchObject({ code: 'unavailable' });
  expect(refusal?.message).toContain('127.0.0.1:1');
  expect(inspect(refusal)).not.toContain('pa55word');
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(answer.status).toBe(503);
  expect(await answer.text()).not.toMatch(/127\.0\.0\.1:1\b|PostgreSQL|ECONNREFUSED/);
  server.closeAllConnections();
  server.close();
  await authTuna.close();
});

test('a router that is mounted elsewhere than its links lead is told of once, with what to type', async () => {
  const app = await startApp(
    {},
    { isBare: true, routes: (host, { router }) => void host.use('/api', router()) },
  );
  for (const path of ['/api/auth/login', '/api/auth/mfa', '/api/account', '/API/auth/login'])
    await app.browser().get(path);
  const told = app.logger.lines.flatMap(({ level, message }) => (level === 'warn' ? [message] : []));
  expect(told).toEqual([
    "A router is mounted at /api/auth, but its links, forms and mails lead to /auth. Tell createAuthTuna: paths: { auth: '/api/auth' }.",
    "A router is mounted at /api/account, but its links, forms and mails lead to /account. Tell createAuthTuna: paths: { account: '/api/account' }.",
  ]);
  const right = await startApp(
    { paths: { auth: '/api/auth', account: '/api/account' } },
    {
      isBare: true,
      routes(host, { routers }) {
        host.use('/api/auth', routers.auth());
        host.use('/api/account', routers.account());
      },
    },
  );
  for (const path of ['/api/auth/login', '/api/account']) await right.browser().get(path);
  expect(right.logger.lines.filter(({ level }) => level === 'warn')).toEqual([]);
});

test('a start says in one line which database, routers, broadcast and mail it has', async () => {
  const database = await freshDatabase();
  const logger = new TestLogger();
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
    logger,
  });
  onTestFinished(async () => {
    await authTuna.close();
    await database.drop();
  });
  authTuna.router();
  await authTuna.ready();
  const told = logger.lines
    .map(({ message }) => message)
    .find((line) => line.startsWith('AuthTuna is ready'));
  expect(told).toMatch(
    /^AuthTuna is ready: database \S+; routers \/account \/admin \/auth \/orgs; broadcast (none|postgresql, up); mail kept in memory\.$/,
  );
  expect(told).not.toMatch(/:[^/\s]+@/); // no password of the database
});

test('a guard that misses its parameter names the cure: mergeParams', async () => {
  const app = await startApp(
    {},
    {
      routes(host, { requirePermission }) {
        const guard = requirePermission('project:read', { scopeFrom: 'projectId' });
        const nested = express.Router().get('/files', guard, (_req, res) => void res.json({}));
        host.use('/work/:projectId', nested);
      },
    },
  );
  const { browser } = await app.signedIn();
  expect((await browser.get('/work/42/files')).status).toBe(500);
  expect(app.logger.lines.at(-1)?.message).toContain('express.Router({ mergeParams: true })');
});
