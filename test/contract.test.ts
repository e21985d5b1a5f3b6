// The public contract, line by line, through what the package exports and nothing else of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type ErrorRequestHandler, type Express, type Request } from 'express';
import request from 'supertest';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type Actor,
  type Auth,
  type AuthTuna,
  AuthTunaError,
  type AuthTunaOptions,
  createAuthTuna,
  currentUser,
  type ErrorCode,
  type ErrorFacts,
  type GuardOptions,
  google,
  optionsFromEnv,
  type Page,
  type PrismaLike,
  type Role,
  type Session,
  type SignInResult,
  SYSTEM,
  type User,
} from '../src/index.js';
import { startMockProvider, TestClock, TestMailbox } from '../src/testing/index.js';
import { Authenticator } from './support/authenticator.js';
import { freshDatabase } from './support/database.js';
import { totpCode } from './support/factors.js';

const SECRET = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
const OTHER_SECRET = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';
const PASSWORD = 'correct horse battery staple';
const NEW_PASSWORD = 'another staple of battery horses';
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const PROBLEM = /^application\/problem\+json/;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Host {
  app: Express;
  authTuna: AuthTuna;
  clock: TestClock;
  mailbox: TestMailbox;
  /** The token of the newest mail to an address. */
  tokenFor(email: string): Promise<string>;
  /** A browser that is signed in. */
  signedIn(email?: string): Promise<{ user: User; agent: ReturnType<typeof request.agent> }>;
}

/** An app as a host writes it, on a database of its own; every router at its usual place unless told otherwise. */
async function host(
  options: Partial<AuthTunaOptions> = {},
  routes: (app: Express, authTuna: AuthTuna) => void = (app, authTuna) => app.use(authTuna.router()),
): Promise<Host> {
  const database = await freshDatabase();
  const clock = new TestClock();
  const mailbox = new TestMailbox();
  const authTuna: AuthTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
    clock,
    logger: silent,
    ...options,
    password: { bcryptCost: 4, ...options.password },
    ...(options.mail !== undefined && { mail: { ...options.mail, transport: mailbox } }),
  });
  onTestFinished(async () => {
    await authTuna.close();
    await database.drop();
  });
  await authTuna.ready();
  const app = express();
  app.use(authTuna.session());
  routes(app, authTuna);
  app.use(authTuna.errorHandler());
  let people = 0;
  return {
    app,
    authTuna,
    clock,
    mailbox,
    async tokenFor(email) {
      await authTuna.mailer.deliver();
      const tokens = mailbox.mails
        .filter(({ to }) => to === email)
        .flatMap(({ text }) => /[?&]token=([\w.%-]+)/.exec(text)?.[1] ?? []);
      return decodeURIComponent(tokens.at(-1) ?? '');
    },
    async signedIn(email = `person${++people}@example.com`) {
      const user = await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
      const agent = request.agent(app);
      await agent.post('/auth/login').send({ login: email, password: PASSWORD }).expect(200);
      return { user, agent };
    },
  };
}

const MAIL = { from: 'App <noreply@example.com>', transport: new TestMailbox() };
const by = (user: { id: string }): Actor => ({ userId: user.id, ip: null, userAgent: null });

/** The code a promise is refused with, or `done`. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    if (error instanceof AuthTunaError) return error.code;
    throw error;
  }
}

function cookiesOf(answer: { headers: Record<string, unknown> }): string {
  return String(answer.headers['set-cookie'] ?? '');
}

function messageOf(act: () => unknown): string {
  try {
    act();
    return 'none';
  } catch (error) {
    if (!(error instanceof AuthTunaError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

describe('use', () => {
  test('the example of the first page: synchronous to create, ready() migrates, guards answer 200, 401 and 403', async () => {
    const database = await freshDatabase();
    const authTuna = createAuthTuna({
      baseUrl: 'https://app.example.com',
      secrets: [SECRET],
      databaseUrl: database.url,
      social: { providers: [google({ clientId: 'id', clientSecret: 'secret' })] },
      mail: MAIL,
      roles: { editor: { permissions: ['project:read'] }, auditor: {} },
      logger: silent,
    });
    onTestFinished(async () => {
      await authTuna.close();
      await database.drop();
    });
    const app = express();
    app.use(authTuna.session());
    app.use('/auth', authTuna.routers.auth());
    app.use('/auth/social', authTuna.routers.social());
    app.use('/auth/mfa', authTuna.routers.mfa());
    app.use('/auth/passkeys', authTuna.routers.passkeys());
    app.get('/me', authTuna.requireUser(), (req, res) => void res.json(currentUser(req)));
    app.get(
      '/projects/:projectId',
      authTuna.requirePermission('project:read', { scopeFrom: 'projectId' }),
      (req, res) => void res.json({ id: req.params.projectId }),
    );
    app.get('/reports', authTuna.requireRole(['admin', 'auditor']), (_req, res) => void res.json({}));
    app.use(authTuna.errorHandler());
    await authTuna.ready();

    const { id: userId } = await authTuna.users.create({ email: 'ada@example.com' });
    await authTuna.roles.assign({ userId, role: 'editor', scope: 'project:42' }, SYSTEM);
    const { token } = await authTuna.sessions.create(userId, ['pwd'], SYSTEM);
    const get = (path: string) => request(app).get(path).set('Cookie', `__Host-at_sess=${token}`);
    expect((await get('/me').expect(200)).body).toMatchObject({ id: userId, email: 'ada@example.com' });
    await get('/projects/42').expect(200, { id: '42' });
    await get('/projects/43').expect(403);
    await get('/reports').expect(403);
    await authTuna.roles.assign({ userId, role: 'auditor', scope: 'global' }, SYSTEM);
    await get('/reports').expect(200);
    for (const path of ['/me', '/projects/42', '/reports']) await request(app).get(path).expect(401);
  });

  test('methods are closures: everything of the returned object works when it is taken out of it', async () => {
    const { authTuna } = await host();
    const user = await authTuna.users.create({ email: 'ada@example.com' });
    const {
      ready,
      on,
      session,
      requireUser,
      requirePermission,
      requireRole,
      requireRecentLogin,
      requireSecondFactor,
      rateLimit,
      csrf,
      securityHeaders,
      errorHandler,
      authenticateUpgrade,
      router,
      routers,
    } = authTuna;
    await ready();
    const seen: string[] = [];
    const off = on('user.updated', ({ type }) => void seen.push(type));
    const offAll = on('*', ({ type }) => void seen.push(`* ${type}`));
    await authTuna.users.update(user.id, { username: 'ada' }, SYSTEM);
    off();
    offAll();
    await authTuna.users.update(user.id, { username: 'ada2' }, SYSTEM);
    expect(seen).toEqual(['user.updated', '* user.updated']);

    const app = express();
    app.use(securityHeaders(), session(), csrf());
    app.get('/user', requireUser(), (_req, res) => void res.json({}));
    app.get('/permission', requirePermission('users:read'), (_req, res) => void res.json({}));
    app.get('/role', requireRole('user'), (_req, res) => void res.json({}));
    app.get('/recent', requireRecentLogin({ withinSeconds: 60 }), (_req, res) => void res.json({}));
    app.get('/factor', requireSecondFactor(), (_req, res) => void res.json({}));
    app.get('/limited', rateLimit('search', { limit: 1, windowSeconds: 60 }), (_req, res) => {
      res.json({});
    });
    const { auth, passwordless, social, mfa, passkeys, account } = routers;
    app.use('/a', auth(), router());
    app.use('/b', passwordless(), social(), mfa(), passkeys(), account({ pages: false }));
    app.use(errorHandler());
    const { token } = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    const get = (path: string) => request(app).get(path).set('Cookie', `at_sess=${token}`);
    await get('/user').expect(200);
    await get('/permission').expect(403);
    await get('/role').expect(200);
    await get('/recent').expect(200);
    expect((await get('/factor')).status).toBe(403); // enrollment_required: there is no second factor to prove
    await get('/limited').expect(200);
    const limited = await get('/limited').expect(429);
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    await request(app).post('/user').set('Origin', 'https://evil.example').expect(403);
    expect((await get('/user')).headers).toMatchObject({ 'x-content-type-options': 'nosniff' });

    const server = createServer();
    onTestFinished(() => void server.close());
    const upgraded = new Promise<Auth>((resolve, reject) => {
      server.on('upgrade', (req: IncomingMessage, socket) => {
        authenticateUpgrade(req)
          .then(resolve, reject)
          .finally(() => socket.destroy());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const headers = { connection: 'Upgrade', upgrade: 'websocket', cookie: `at_sess=${token}` };
    httpGet({ port, headers }).on('error', () => {}); // the socket is destroyed once it is known whose it is
    expect(await upgraded).toMatchObject({ method: 'session', user: { id: user.id } });
  });

  test('any prefix, any order, with or without express.json() before', async () => {
    for (const parsed of [true, false]) {
      const { app, authTuna } = await host({}, (host_, { routers, requireUser }) => {
        if (parsed) host_.use(express.json(), express.urlencoded({ extended: true }));
        host_.get('/early', requireUser(), (_req, res) => void res.json({}));
        host_.use('/deep/down/account', routers.account());
        host_.use('/deep/down/identity', routers.auth());
      });
      const agent = request.agent(app);
      const email = 'ada@example.com';
      await agent.post('/deep/down/identity/signup').send({ email, password: PASSWORD }).expect(201);
      await agent.get('/early').expect(200);
      await agent.post('/deep/down/identity/logout').expect(204);
      await agent.post('/deep/down/identity/login').send({ login: email, password: PASSWORD }).expect(200);
      await agent.get('/deep/down/account').expect(200);

      const bare = express();
      bare.use('/x', authTuna.routers.auth()); // without session() before, and with no error handler behind
      await request(bare).post('/x/login').send({ login: email, password: PASSWORD }).expect(200);
      const refused = await request(bare).get('/x/user-info').expect(401);
      expect(refused.headers['content-type']).toMatch(PROBLEM);
    }
  });

  test('the first request awaits ready(), so that a host that forgot it works too', async () => {
    const database = await freshDatabase();
    const authTuna = createAuthTuna({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET],
      databaseUrl: database.url,
      logger: silent,
    });
    onTestFinished(async () => {
      await authTuna.close();
      await database.drop();
    });
    const app = express();
    app.use(authTuna.session());
    app.get('/me', authTuna.requireUser(), (_req, res) => void res.json({}));
    app.use(authTuna.errorHandler());
    await request(app).get('/me').expect(401);
  });

  test('close() sends what is still in the outbox', async () => {
    const { authTuna, mailbox } = await host({ mail: MAIL });
    await authTuna.auth.signUp({ email: 'ada@example.com', password: PASSWORD }, SYSTEM);
    await authTuna.close();
    expect(mailbox.latestTo('ada@example.com')?.from).toContain('noreply@example.com');
  });

  test('two instances in one process do not know of each other, in one app either', async () => {
    const [first, second] = [await host(), await host({ secrets: [OTHER_SECRET] })];
    const { user } = await first.signedIn('ada@example.com');
    await first.authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM);
    expect(await second.authTuna.users.findByEmail('ada@example.com')).toBeNull();
    const { token } = await first.authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    const app = express();
    app.use(first.authTuna.session());
    const own = (req: Request) => ({ id: currentUser(req).id });
    app.get('/first', first.authTuna.requireUser(), (req, res) => void res.json(own(req)));
    app.get('/second', second.authTuna.requireUser(), (req, res) => void res.json(own(req)));
    app.get('/second/admin', second.authTuna.requirePermission('users:read'), (_req, res) => {
      res.json({});
    });
    app.get('/second/role', second.authTuna.requireRole('admin'), (_req, res) => void res.json({}));
    app.get('/second/recent', second.authTuna.requireRecentLogin(), (_req, res) => void res.json({}));
    app.use('/second/auth', second.authTuna.routers.auth());
    app.use(second.authTuna.session());
    app.get('/first/late', first.authTuna.requireUser(), (req, res) => void res.json(own(req)));
    app.use(first.authTuna.errorHandler());
    const get = (path: string) => request(app).get(path).set('Cookie', `at_sess=${token}`);
    await get('/first').expect(200, { id: user.id });
    await get('/first/late').expect(200, { id: user.id });
    for (const path of ['', '/admin', '/role', '/recent', '/auth/user-info'])
      expect([path, (await get(`/second${path}`)).status]).toEqual([path, 401]);
  });

  test('router(options) hands its options to every router', async () => {
    const { app } = await host({}, (host_, { router }) => host_.use(router({ pages: false })));
    for (const path of ['/auth/login', '/auth/signup', '/auth/passwordless/link', '/auth/step-up'])
      expect((await request(app).get(path).set('Accept', HTML)).status, path).toBe(405);
    await request(app).get('/account/security').set('Accept', HTML).expect(404);
    await request(app).get('/auth/mfa/setup').set('Accept', HTML).expect(404);
  });
});

describe('options', () => {
  test('every option of the page is taken', async () => {
    const { authTuna } = await host({
      trustedProxies: ['10.0.0.0/8'],
      trustedOrigins: ['https://admin.example.com'],
      bootstrapAdminEmail: 'root@example.com',
      appName: 'Harbour',
      paths: { auth: '/auth', account: '/account', orgs: '/orgs', admin: '/admin' },
      session: {
        idleSeconds: 1800,
        absoluteSeconds: 86_400,
        lifetimeFrom: 'last_activity',
        rememberMe: true,
        recheckSeconds: 10,
        rotateSeconds: 300,
        rotationGraceSeconds: 30,
        rotationForgiveSeconds: 180,
        maxPerUser: 20,
        onDeviceChange: 'step_up',
        onRegionChange: 'notify',
        region: async () => ({ country: 'DE', network: 'AS1', relay: false }),
        cookieName: 'sid',
        sameSite: 'strict',
      },
      password: {
        minLength: 12,
        bcryptCost: 4,
        pepper: 'a pepper of 24 characters',
        isBreached: async () => false,
      },
      signUp: {
        enabled: true,
        allowedEmailDomains: ['example.com'],
        requireVerifiedEmail: false,
        username: 'required',
      },
      passwordless: { magicLink: { bindToBrowser: false }, emailCode: true },
      mfa: {
        issuer: 'Harbour',
        recoveryCodeCount: 8,
        requiredForRoles: ['admin'],
        graceDays: 7,
        policy: (user, auth) => (user.email === auth.user?.email ? 'optional' : 'required'),
      },
      passkeys: {
        rpId: 'localhost',
        rpName: 'Harbour',
        origins: ['http://localhost:3000'],
        secondFactor: true,
      },
      social: { providers: [google({ clientId: 'id', clientSecret: 'secret' })], linkVerifiedEmails: false },
      mail: MAIL,
      rateLimits: { signUp: { limit: 5, windowSeconds: 60 } },
      permissions: { doc: ['read', 'write'] },
      roles: { writer: { permissions: ['doc:*'], level: 20, at: ['project'], includes: [], mayAssign: [] } },
      resolveScope: async (scope) => (scope === 'project:1' ? { parent: 'org:1', ownerId: null } : null),
      hooks: { beforeSignUp() {}, beforeSignIn() {} },
    });
    expect(await authTuna.scopes.ancestorsOf('project:1')).toEqual(['org:1', 'global']);
    expect(await authTuna.roles.get('writer')).toMatchObject({
      level: 20,
      permissions: ['doc:*'],
      at: ['project'],
    });
    expect(await authTuna.permissions.get('doc:write')).toMatchObject({ name: 'doc:write' });
  });

  test('a hook that throws refuses, and nothing is stored', async () => {
    const { app, authTuna } = await host({
      hooks: {
        beforeSignUp({ email }) {
          if (email.startsWith('no'))
            throw new AuthTunaError('forbidden', { message: 'By invitation only.' });
        },
        beforeSignIn({ user, amr }) {
          if (user.email.startsWith('late') && amr.includes('pwd')) throw new AuthTunaError('forbidden');
        },
      },
    });
    const signUp = (email: string) => request(app).post('/auth/signup').send({ email, password: PASSWORD });
    const refused = await signUp('no@example.com').expect(403);
    expect(refused.body).toMatchObject({ code: 'forbidden', detail: 'By invitation only.' });
    expect(await authTuna.users.findByEmail('no@example.com')).toBeNull();
    await signUp('yes@example.com').expect(201);
    await authTuna.users.create({ email: 'late@example.com', password: PASSWORD });
    await request(app)
      .post('/auth/login')
      .send({ login: 'late@example.com', password: PASSWORD })
      .expect(403);
  });

  test('optionsFromEnv reads AUTHTUNA_* variables, and files for AUTHTUNA_*_FILE', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authtuna-env-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'secrets');
    writeFileSync(file, `${SECRET},${OTHER_SECRET}\n`);
    const database = await freshDatabase();
    onTestFinished(() => database.drop());
    const env = {
      PATH: '/bin',
      AUTHTUNA_BASE_URL: 'http://localhost:3000',
      AUTHTUNA_SECRETS_FILE: file,
      AUTHTUNA_DATABASE_URL: database.url,
      AUTHTUNA_TRUSTED_PROXIES: '1',
      AUTHTUNA_TRUSTED_ORIGINS: 'https://a.example, https://b.example',
      AUTHTUNA_APP_NAME: 'Harbour',
    };
    const options: AuthTunaOptions = optionsFromEnv(env);
    expect(options).toEqual({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET, OTHER_SECRET],
      databaseUrl: database.url,
      trustedProxies: 1,
      trustedOrigins: ['https://a.example', 'https://b.example'],
      appName: 'Harbour',
    });
    const authTuna: AuthTuna = createAuthTuna({ ...options, logger: silent });
    await authTuna.ready();
    await authTuna.close();

    const secretsOf = (more: Record<string, string>) =>
      optionsFromEnv({ AUTHTUNA_BASE_URL: 'http://localhost', ...more }).secrets;
    expect(secretsOf({ AUTHTUNA_SECRETS: `${SECRET},${OTHER_SECRET}` })).toEqual([SECRET, OTHER_SECRET]);
    expect(secretsOf({ AUTHTUNA_SECRET: SECRET })).toEqual([SECRET]);
    expect(messageOf(() => optionsFromEnv({ AUTHTUNA_SECRETS_FILE: join(folder, 'none') }))).toMatch(
      /^misconfigured .*AUTHTUNA_SECRETS_FILE/,
    );
  });

  test('production refuses to start on a bad secret or without mail, and http: on another host is refused', async () => {
    const database = await freshDatabase();
    const made: AuthTuna[] = [];
    const start = (options: Partial<AuthTunaOptions>) =>
      messageOf(() => {
        made.push(
          createAuthTuna({
            baseUrl: 'https://app.example.com',
            secrets: [SECRET],
            mail: MAIL,
            databaseUrl: database.url,
            logger: silent,
            ...options,
          }),
        );
      });
    onTestFinished(async () => {
      for (const authTuna of made) await authTuna.close();
      await database.drop();
    });
    expect(start({})).toBe('none');
    expect(start({ secrets: [] })).toMatch(/^misconfigured .*/s);
    expect(start({ secrets: ['too-short'] })).toMatch(/^misconfigured .*secrets\[0\]/s);
    expect(start({ secrets: ['change-me-change-me-change-me-change-me'] })).toMatch(
      /^misconfigured .*secrets/s,
    );
    expect(start({ mail: undefined })).toMatch(/^misconfigured .*mail/s);
    expect(start({ mail: undefined, passwordless: { magicLink: true } })).toMatch(/^misconfigured .*mail/s);
    for (const baseUrl of [
      'http://app.example.com',
      'http://192.168.1.10:3000',
      'http://localhost.example.com',
    ])
      expect(start({ baseUrl }), baseUrl).toMatch(/^misconfigured .*baseUrl/s);
    for (const baseUrl of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000'])
      expect(start({ baseUrl, mail: undefined }), baseUrl).toBe('none');
    expect(start({ baseUrl: 'http://localhost:3000', secrets: ['too-short'] })).toMatch(/^misconfigured/);
  });

  test('X-Forwarded-For is ignored while trustedProxies was never set, and the log says so once', async () => {
    const warnings: string[] = [];
    const logger = { ...silent, warn: (message: string) => void warnings.push(message) };
    const showIp = (app: Express) => void app.get('/ip', (req, res) => void res.json(req.auth.actor.ip));
    const ipOf = (app: Express) =>
      request(app)
        .get('/ip')
        .set('X-Forwarded-For', '203.0.113.7')
        .then(({ body }) => body);
    const careless = await host({ logger }, showIp);
    for (let time = 0; time < 3; time += 1) expect(await ipOf(careless.app)).not.toBe('203.0.113.7');
    expect(warnings.filter((line) => line.includes('X-Forwarded-For'))).toHaveLength(1);
    const behind = await host({ trustedProxies: 1 }, showIp);
    expect(await ipOf(behind.app)).toBe('203.0.113.7');
  });

  test("a host's client that lacks models fails at creation, with the models named and the command to run", () => {
    const prisma = { user: {}, $transaction() {}, $disconnect() {} } as unknown as PrismaLike;
    const message = messageOf(() =>
      createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: [SECRET], prisma }),
    );
    expect(message).toMatch(/^misconfigured .*session.*roleAssignment/s);
    expect(message).toMatch(/npx authtuna init.*npx prisma generate/s);
  });
});

describe('guards', () => {
  test('scope, scopeFrom, scopeType, match, hide, fresh and credentials do what they say', async () => {
    const rules: Record<string, GuardOptions> = {
      '/global': {},
      '/fixed': { scope: 'org:acme' },
      '/p/:projectId': { scopeFrom: 'projectId' },
      '/o/:orgId': { scopeFrom: 'orgId' },
      '/id/:id': { scopeFrom: 'id', scopeType: 'project' },
      '/sync/:any': { scopeFrom: (req) => `project:${String(req.params.any)}` },
      '/async/:any': { scopeFrom: async (req) => `project:${String(req.params.any)}` },
      '/hidden/:projectId': { scopeFrom: 'projectId', hide: true },
      '/fresh/:projectId': { scopeFrom: 'projectId', fresh: true },
      '/session/:projectId': { scopeFrom: 'projectId', credentials: ['session'] },
      '/keys/:projectId': { scopeFrom: 'projectId', credentials: ['api_key', 'access_token'] },
    };
    const { app, authTuna, signedIn } = await host(
      { roles: { reader: { permissions: ['doc:read'] }, writer: { permissions: ['doc:write'] } } },
      (host_, { requirePermission, requireRole, requireUser, router }) => {
        host_.use(router());
        const ok = (_req: Request, res: express.Response) => void res.json({});
        for (const [path, options] of Object.entries(rules))
          host_.get(path, requirePermission('doc:read', options), ok);
        const at = { scope: 'project:1' };
        host_.get('/all', requirePermission(['doc:read', 'doc:write'], at), ok);
        host_.get('/any', requirePermission(['doc:read', 'doc:write'], { ...at, match: 'any' }), ok);
        host_.get('/role/any', requireRole(['reader', 'writer'], at), ok);
        host_.get('/role/all', requireRole(['reader', 'writer'], { ...at, match: 'all' }), ok);
        host_.get('/role/from/:projectId', requireRole('reader', { scopeFrom: 'projectId' }), ok);
        host_.get('/user/fresh', requireUser({ fresh: true }), ok);
        host_.get('/user/key', requireUser({ credentials: ['api_key'] }), ok);
      },
    );
    const { user, agent } = await signedIn();
    const at = (scope: string, role = 'reader') =>
      authTuna.roles.assign({ userId: user.id, role, scope }, SYSTEM);
    await at('project:1');
    await at('org:acme');
    const expected: Record<string, number> = {
      '/global': 403,
      '/fixed': 200,
      '/p/1': 200,
      '/p/2': 403,
      '/p/11': 403,
      '/o/acme': 200,
      '/o/other': 403,
      '/id/1': 200,
      '/id/2': 403,
      '/sync/1': 200,
      '/sync/2': 403,
      '/async/1': 200,
      '/async/2': 403,
      '/hidden/1': 200,
      '/hidden/2': 404,
      '/fresh/1': 200,
      '/session/1': 200,
      '/keys/1': 403,
      '/all': 403,
      '/any': 200,
      '/role/any': 200,
      '/role/all': 403,
      '/role/from/1': 200,
      '/role/from/2': 403,
      '/user/fresh': 200,
      '/user/key': 403,
    };
    for (const [path, status] of Object.entries(expected)) {
      expect([path, (await agent.get(path)).status]).toEqual([path, status]);
      expect([path, (await request(app).get(path)).status]).toEqual([path, 401]);
    }
    await at('project:1', 'writer');
    for (const path of ['/all', '/role/all']) await agent.get(path).expect(200);
    await authTuna.roles.unassign({ userId: user.id, role: 'reader', scope: 'project:1' }, SYSTEM);
    await agent.get('/fresh/1').expect(403);
  });

  test('req.auth says who is calling, req.user is its alias, and there is no req.session', async () => {
    const { app, authTuna, signedIn } = await host({}, (host_, { router }) => {
      host_.use(router());
      host_.get('/who', async (req, res) => {
        const { auth, user } = req;
        const { method, session, apiKey, actor } = auth;
        res.json({
          method,
          user: auth.user?.id ?? null,
          alias: user?.id ?? null,
          session: session?.userId ?? null,
          apiKey,
          actor,
          can: [await auth.can('project:read', 'project:1'), await auth.can('project:read')],
          has: [await auth.hasRole('project_member', 'project:1'), await auth.hasRole('user')],
          hasReqSession: 'session' in req,
        });
      });
      host_.get('/require', async ({ auth }, res) => {
        await auth.require('project:read', 'project:1');
        res.json({});
      });
    });
    const { user, agent } = await signedIn();
    await authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:1' }, SYSTEM);
    expect((await agent.get('/who')).body).toMatchObject({
      method: 'session',
      user: user.id,
      alias: user.id,
      session: user.id,
      apiKey: null,
      actor: { userId: user.id, ip: expect.any(String), userAgent: null, sessionId: expect.any(String) },
      can: [true, false],
      has: [true, true],
      hasReqSession: false,
    });
    await agent.get('/require').expect(200);
    const nobody = request(app);
    expect((await nobody.get('/who')).body).toMatchObject({
      method: 'anonymous',
      user: null,
      alias: null,
      session: null,
      apiKey: null,
      actor: { userId: null },
      can: [false, false],
      has: [false, false],
    });
    await nobody.get('/require').expect(401);
  });

  test('a forgotten session() is a misconfigured error that says so', async () => {
    const { authTuna } = await host();
    const app = express();
    const seen: unknown[] = [];
    const watch: ErrorRequestHandler = (error, _req, _res, next) => {
      seen.push(error);
      next(error);
    };
    const ok = (_req: Request, res: express.Response) => void res.json({});
    app.get('/user', authTuna.requireUser(), ok);
    app.get('/permission', authTuna.requirePermission('users:read'), ok);
    app.get('/current', (req, res) => void res.json(currentUser(req)));
    app.use(watch, authTuna.errorHandler());
    for (const path of ['/user', '/permission', '/current']) {
      const answer = await request(app).get(path).expect(500);
      expect(answer.body).toMatchObject({ code: 'misconfigured', status: 500 });
    }
    expect(seen).toHaveLength(3);
    for (const error of seen) expect(String(error)).toContain('app.use(authTuna.session())');
  });

  test('requireRecentLogin asks again after ten minutes, RFC 9470; the step-up gives a new cookie', async () => {
    const { clock, signedIn } = await host({}, (app, authTuna) => {
      app.use(authTuna.router());
      app.post('/pay', authTuna.requireRecentLogin(), (_req, res) => void res.json({}));
      app.post('/key', authTuna.requireRecentLogin({ methods: ['hwk'] }), (_req, res) => void res.json({}));
    });
    const { agent } = await signedIn();
    await agent.post('/pay').expect(200);
    await agent.post('/key').expect(401);
    clock.advance({ seconds: 601 });
    const refused = await agent.post('/pay').expect(401);
    expect(refused.body).toMatchObject({ code: 'recent_login_required', status: 401 });
    expect(refused.headers['www-authenticate']).toMatch(/insufficient_user_authentication.*max_age=600/);
    await agent.post('/auth/step-up').send({ password: 'wrong password of somebody' }).expect(401);
    const raised = await agent.post('/auth/step-up').send({ password: PASSWORD }).expect(200);
    expect(cookiesOf(raised)).toContain('at_sess=');
    await agent.post('/pay').expect(200);
  });
});

describe('managers', () => {
  test('users: get, find, list, create, ensure, update, suspend, unsuspend, delete, restore', async () => {
    const { users } = (await host()).authTuna;
    const input = { email: 'Ada@Example.com', username: 'ada', password: PASSWORD, emailVerified: true };
    const ada: User = await users.create(input, SYSTEM);
    expect(ada).toMatchObject({ email: 'ada@example.com', username: 'ada', suspendedAt: null });
    expect(ada.emailVerifiedAt).toBeInstanceOf(Date);
    for (const field of ['id', 'createdAt', 'updatedAt', 'lastLoginAt']) expect(ada).toHaveProperty(field);
    expect(await codeOf(users.create(input))).toBe('conflict');
    expect((await users.ensure({ email: 'ada@example.com' })).id).toBe(ada.id);
    expect(await users.get(ada.id)).toEqual(await users.find(ada.id));
    expect((await users.findByEmail('ADA@example.com'))?.id).toBe(ada.id);
    expect((await users.findByUsername('Ada'))?.id).toBe(ada.id);
    expect(await codeOf(users.get('nobody'))).toBe('not_found');
    expect(await users.find('nobody')).toBeNull();
    const page: Page<User> = await users.list({ search: 'ada', role: 'user', status: 'active', limit: 1 });
    expect(page).toMatchObject({ items: [{ id: ada.id }], nextCursor: null });
    await users.create({ email: 'bob@example.com' });
    const first = await users.list({ limit: 1 });
    expect(first.nextCursor).toEqual(expect.any(String));
    const second = await users.list({ limit: 1, cursor: first.nextCursor ?? '' });
    expect(new Set([...first.items, ...second.items].map(({ id }) => id)).size).toBe(2);
    expect(second.nextCursor).toBeNull();
    expect(await users.update(ada.id, { username: 'ada_l', emailVerified: false }, SYSTEM)).toMatchObject({
      username: 'ada_l',
      emailVerifiedAt: null,
    });
    await users.suspend(ada.id, 'spam', SYSTEM, { until: new Date('2031-01-01') });
    expect((await users.list({ status: 'suspended' })).items.map(({ id }) => id)).toEqual([ada.id]);
    await users.unsuspend(ada.id, 'sorry', SYSTEM);
    expect((await users.get(ada.id)).suspendedAt).toBeNull();
    await users.delete(ada.id, SYSTEM);
    expect(await users.find(ada.id)).toBeNull();
    await users.restore(ada.id, SYSTEM);
    expect((await users.get(ada.id)).id).toBe(ada.id);
    expect(await codeOf(users.suspend(ada.id, 'no', by(ada)))).toBe('conflict');
    const bob = await users.findByEmail('bob@example.com');
    expect(await codeOf(users.suspend(ada.id, 'no', by(bob ?? ada)))).toBe('forbidden');
  });

  test('permissions and roles: made, found, listed in pages, changed, assigned', async () => {
    const { permissions, roles, users, access } = (await host()).authTuna;
    const made = await permissions.create({ name: 'doc:read', description: 'Read.', tool: 'docs' });
    expect(made).toMatchObject({ name: 'doc:read', description: 'Read.', tool: 'docs' });
    expect(await codeOf(permissions.create({ name: 'doc:read' }))).toBe('conflict');
    expect(await permissions.ensure({ name: 'doc:read' })).toMatchObject({ name: 'doc:read' });
    await permissions.ensure({ name: 'doc:write' });
    await permissions.update('doc:write', { description: 'Write.' }, SYSTEM);
    expect(await permissions.get('doc:write')).toMatchObject({ description: 'Write.' });
    expect(await codeOf(permissions.get('doc:none'))).toBe('not_found');

    const role: Role = await roles.create({
      name: 'editor',
      description: 'Edits.',
      level: 20,
      permissions: ['doc:read'],
      includes: [],
      at: ['project'],
    });
    expect(role).toMatchObject({ name: 'editor', level: 20, permissions: ['doc:read'] });
    await roles.ensure({ name: 'editor' });
    await roles.create({ name: 'helper', ownedBy: 'org:1' });
    await roles.addPermission('editor', 'doc:write', SYSTEM);
    expect((await roles.get('editor')).permissions.sort()).toEqual(['doc:read', 'doc:write']);
    await roles.removePermission('editor', 'doc:read', SYSTEM);
    await roles.allowAssign('editor', 'project_member', SYSTEM);
    expect((await roles.get('editor')).mayAssign).toEqual(['project_member']);
    await roles.disallowAssign('editor', 'project_member', SYSTEM);
    await roles.update('editor', { description: null, level: 25 }, SYSTEM);

    const collect = async <T>(list: (cursor?: string) => Promise<Page<T>>) => {
      const items: T[] = [];
      let cursor: string | undefined;
      do {
        const page = await list(cursor);
        expect(page.items.length).toBeLessThanOrEqual(7);
        items.push(...page.items);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      return items;
    };
    const names = (await collect((cursor) => permissions.list({ limit: 7, cursor }))).map(({ name }) => name);
    expect(names).toEqual((await permissions.list({ limit: 100 })).items.map(({ name }) => name));
    expect(names).toEqual(expect.arrayContaining(['doc:read', 'doc:write', 'users:read']));
    const listed = (await collect((cursor) => roles.list({ limit: 7, cursor }))).map(({ name }) => name);
    expect(listed).toEqual((await roles.list()).items.map(({ name }) => name));
    expect(listed[0]).toBe('superadmin');
    expect(listed).toContain('editor');
    expect((await roles.list({ ownedBy: 'org:1' })).items).toMatchObject([{ name: 'helper' }]);
    expect(await codeOf(roles.list({ limit: 0 }))).toBe('invalid_input');

    const ada = await users.create({ email: 'ada@example.com' });
    const given = { userId: ada.id, role: 'editor', scope: 'project:1' };
    await roles.assign({ ...given, expiresAt: new Date('2030-06-01') }, SYSTEM);
    expect(await roles.assignmentsOf(ada.id)).toEqual(
      expect.arrayContaining([expect.objectContaining({ ...given, expiresAt: new Date('2030-06-01') })]),
    );
    expect((await roles.usersWith('editor', 'project:1')).items.map(({ id }) => id)).toEqual([ada.id]);
    expect(await access.hasRole(ada.id, 'editor', 'project:1')).toBe(true);
    expect(await roles.assignableBy(by(ada), 'project:1')).toEqual([]);
    expect(await codeOf(roles.assign({ ...given, role: 'project_admin' }, by(ada)))).toBe('forbidden');
    await roles.unassign(given, SYSTEM);
    expect(await access.hasRole(ada.id, 'editor', 'project:1')).toBe(false);
    await roles.delete('editor', SYSTEM);
    expect(await codeOf(roles.get('editor'))).toBe('not_found');
    await permissions.delete('doc:write', SYSTEM);
  });

  test('scopes and access: one tree, one decision, and every question that follows from it', async () => {
    const { scopes, access, users, roles } = (await host()).authTuna;
    const ada = await users.create({ email: 'ada@example.com' });
    const node = await scopes.register(
      { id: 'project:42', parent: 'org:acme', ownerId: ada.id, name: 'P' },
      SYSTEM,
    );
    expect(node).toEqual({ id: 'project:42', parent: 'org:acme', ownerId: ada.id, name: 'P' });
    await scopes.register({ id: 'team:7', parent: 'project:42' }, SYSTEM);
    expect(await scopes.parentOf('team:7')).toBe('project:42');
    expect(await scopes.ancestorsOf('team:7')).toEqual(['project:42', 'org:acme', 'global']);
    const children = await scopes.childrenOf('project:42', { limit: 10 });
    expect(children).toMatchObject({ items: [{ id: 'team:7' }], nextCursor: null });
    scopes.changed('team:7');

    await roles.assign({ userId: ada.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
    expect(await access.can(ada.id, 'project:read', 'project:42')).toBe(true);
    expect(await access.can(ada.id, 'project:read')).toBe(false);
    expect(
      await access.canAll(ada.id, [
        { permission: 'project:read', scope: 'team:7' },
        { permission: 'project:read', scope: 'project:420' },
        { permission: 'project:read' },
      ]),
    ).toEqual([true, false, false]);
    const explained = await access.explain(ada.id, 'project:read', 'team:7');
    expect(explained).toMatchObject({
      allowed: true,
      chain: ['team:7', 'project:42', 'org:acme', 'global'],
      grants: [{ role: 'org_admin', scope: 'org:acme' }],
      reason: expect.any(String),
    });
    const { items } = await access.usersWith('project:read', 'team:7');
    expect(items.map(({ id }) => id)).toEqual([ada.id]);
    expect(await access.scopesWith(ada.id, 'project:read', { type: 'org' })).toEqual({
      all: false,
      scopes: ['org:acme'],
    });
    expect(await access.whereFor(ada.id, 'project:read', { project: 'id', org: 'orgId' })).toMatchObject({
      OR: expect.arrayContaining([{ orgId: { in: ['acme'] } }]),
    });
    await roles.assign({ userId: ada.id, role: 'superadmin', scope: 'global' }, SYSTEM);
    expect(await access.scopesWith(ada.id, 'project:read')).toEqual({ all: true });
    expect(await access.whereFor(ada.id, 'project:read', { project: 'id' })).toEqual({});
    await scopes.move('team:7', 'org:acme', SYSTEM);
    expect(await scopes.parentOf('team:7')).toBe('org:acme');
    await scopes.remove('team:7', SYSTEM);
    expect(await codeOf(scopes.remove('team:7', SYSTEM))).toBe('not_found');
  });

  test('sessions, passwords, auth and audit from code', async () => {
    const { authTuna, mailbox, tokenFor } = await host({
      mail: MAIL,
      signUp: { requireVerifiedEmail: false },
    });
    const { sessions, passwords, auth, users, audit } = authTuna;
    const ada = await auth.signUp({ email: 'ada@example.com', username: 'ada', password: PASSWORD }, SYSTEM);
    expect(await passwords.verify(ada.id, PASSWORD)).toBe(true);
    expect(await passwords.verify(null, PASSWORD)).toBe(false);
    expect(await codeOf(passwords.check('short', { email: 'ada@example.com' }))).toBe('weak_password');

    const { session, token } = await sessions.create(ada.id, ['pwd'], SYSTEM, { rememberMe: true });
    const verified: Session | null = await sessions.verify(token);
    expect(verified?.id).toBe(session.id);
    expect((await sessions.list(ada.id)).map(({ id }) => id)).toEqual([session.id]);
    await sessions.create(ada.id, ['pwd'], SYSTEM);
    expect(await sessions.revokeAll(ada.id, SYSTEM, { except: session.id })).toBe(1);
    await sessions.revoke(session.id, SYSTEM);
    expect(await sessions.verify(token)).toBeNull();

    const result: SignInResult = await auth.login(
      { login: 'ada', password: PASSWORD, rememberMe: true },
      SYSTEM,
    );
    if (result.status !== 'signed_in') throw new Error(result.status);
    expect(result).toMatchObject({ user: { id: ada.id }, session: { userId: ada.id } });
    expect(await sessions.verify(result.token)).not.toBeNull();
    const wrong = auth.login({ login: 'ada@example.com', password: NEW_PASSWORD }, SYSTEM);
    expect(await codeOf(wrong)).toBe('invalid_credentials');
    await auth.logout(result.session.id, by(ada));
    expect(await sessions.verify(result.token)).toBeNull();

    await auth.changePassword(ada.id, { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }, by(ada));
    await auth.requestPasswordReset('ada@example.com', SYSTEM);
    const reset = { token: await tokenFor('ada@example.com'), newPassword: PASSWORD };
    await auth.resetPassword(reset, SYSTEM);
    expect(await codeOf(auth.resetPassword(reset, SYSTEM))).toBe('invalid_token');
    await auth.requestEmailChange(ada.id, { newEmail: 'countess@example.com' }, by(ada));
    await auth.confirmEmailChange(await tokenFor('countess@example.com'), by(ada));
    expect((await users.get(ada.id)).email).toBe('countess@example.com');
    await auth.undoEmailChange(await tokenFor('ada@example.com'), SYSTEM);
    expect((await users.get(ada.id)).email).toBe('ada@example.com');
    await passwords.set(ada.id, NEW_PASSWORD, SYSTEM);
    await passwords.requireChange(ada.id, SYSTEM);
    expect(mailbox.mails.length).toBeGreaterThan(3);
    const { items, nextCursor } = await audit.list({ targetId: ada.id, limit: 2 });
    expect([items.length, typeof nextCursor]).toEqual([2, 'string']);
    expect(
      await codeOf(
        audit.record({ type: 'user.updated', actor: SYSTEM, target: { type: 'user', id: ada.id } }),
      ),
    ).toBe('done');
  });
});

describe('errors', () => {
  const STATUS: Record<ErrorCode, number> = {
    invalid_input: 422,
    invalid_credentials: 401,
    malformed_request: 400,
    invalid_token: 400,
    unauthenticated: 401,
    superseded: 401,
    session_revoked: 401,
    forbidden: 403,
    recent_login_required: 401,
    second_factor_required: 401,
    email_not_verified: 403,
    account_suspended: 403,
    password_change_required: 403,
    enrollment_required: 403,
    weak_password: 422,
    cross_site_request: 403,
    rate_limited: 429,
    not_found: 404,
    method_not_allowed: 405,
    conflict: 409,
    payload_too_large: 413,
    unsupported_media_type: 415,
    unavailable: 503,
    misconfigured: 500,
  };

  test('every code has its status, as a problem document or as a page by Accept', async () => {
    const { app } = await host({}, (host_, { router }) => {
      host_.use(router());
      host_.get('/fail/:code', (req) => {
        const facts: ErrorFacts = { retryAfterSeconds: 7, plan: 'pro' };
        throw new AuthTunaError(req.params.code as ErrorCode, facts, { cause: new Error('inside') });
      });
    });
    for (const [code, status] of Object.entries(STATUS)) {
      const answer = await request(app).get(`/fail/${code}`);
      expect([code, answer.status]).toEqual([code, status]);
      expect(answer.headers['content-type']).toMatch(PROBLEM);
      expect(answer.body).toMatchObject({ code, status, title: expect.any(String), plan: 'pro' });
      expect(answer.body.type).toBe(`http://localhost:3000/auth/errors/${code}`);
      expect((await request(app).get(new URL(answer.body.type).pathname)).status).toBe(200);
      expect(JSON.stringify(answer.body)).not.toContain('inside');
      expect([code, answer.headers['www-authenticate'] !== undefined]).toEqual([code, status === 401]);
      if (status === 429) expect(answer.headers['retry-after']).toBe('7');
      const page = await request(app).get(`/fail/${code}`).set('Accept', HTML);
      if (page.status === 303) {
        // A browser that opened an address is led to where the refusal is cured, and comes back.
        expect([401, 403]).toContain(status);
        expect(page.headers.location).toMatch(/^\/auth\/.*returnTo=/);
      } else {
        expect([code, page.status]).toEqual([code, status]);
        expect(page.headers['content-type']).toMatch(/^text\/html/);
      }
    }
  });

  test('invalid_input lists errors by field; what is no JSON, too large, or of another type is told apart', async () => {
    const { app } = await host();
    const post = (path: string) => request(app).post(`/auth/${path}`);
    const fieldsOf = async (path: string, body: object) => {
      const answer = await post(path).send(body).expect(422);
      expect(answer.body).toMatchObject({ code: 'invalid_input', status: 422 });
      return (answer.body.errors as { field: string; message: string }[]).map(({ field }) => field).sort();
    };
    expect(await fieldsOf('login', {})).toEqual(['login', 'password']);
    expect(await fieldsOf('signup', {})).toEqual(['email', 'password']);
    expect(await fieldsOf('signup', { email: 'no address', password: PASSWORD })).toEqual(['email']);
    expect(await fieldsOf('signup', { email: 'a@example.com', username: '!', password: PASSWORD })).toEqual([
      'username',
    ]);
    expect(await fieldsOf('reset-password', { token: 5 })).toEqual(['newPassword', 'token']);
    const weak = await post('signup').send({ email: 'a@example.com', password: 'short' }).expect(422);
    expect(weak.body.code).toBe('weak_password');
    const codes = await Promise.all([
      post('login').type('json').send('{'),
      post('login').type('text/plain').send('login=a'),
      post('login').send({ login: 'a', password: 'x'.repeat(40_000) }),
      request(app).put('/auth/login'),
      post('login').send({ login: 'a@example.com', password: PASSWORD }),
      post('verify-email').send({ token: 'nothing' }),
    ]).then((answers) => answers.map(({ status, body }) => [status, body.code]));
    expect(codes).toEqual([
      [400, 'malformed_request'],
      [415, 'unsupported_media_type'],
      [413, 'payload_too_large'],
      [405, 'method_not_allowed'],
      [401, 'invalid_credentials'],
      [400, 'invalid_token'],
    ]);
  });

  test('what happens to a session and an account is told apart by code', async () => {
    const { app, authTuna, clock, signedIn } = await host(
      { mfa: { requiredForRoles: ['moderator'] }, trustedOrigins: ['https://admin.example.com'] },
      (host_, { router, requireUser, requireSecondFactor, csrf }) => {
        host_.use(router());
        host_.get('/me', requireUser(), (_req, res) => void res.json({}));
        host_.get('/vault', requireSecondFactor(), (_req, res) => void res.json({}));
        host_.post('/open', csrf(), (_req, res) => void res.json({}));
      },
    );
    const { user, agent } = await signedIn('ada@example.com');
    const saidTo = async (asked: PromiseLike<{ status: number; body: { code?: string } }>) => {
      const { status, body } = await asked;
      return [status, body.code];
    };
    const withToken = (token: string, path = '/me') =>
      saidTo(request(app).get(path).set('Cookie', `at_sess=${token}`));
    const signIn = () =>
      saidTo(request(app).post('/auth/login').send({ login: 'ada@example.com', password: PASSWORD }));
    const cookieOf = (answer: { headers: Record<string, unknown> }) =>
      /at_sess=([^;,]+)/.exec(cookiesOf(answer))?.[1] ?? '';

    const ended = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    await authTuna.sessions.revoke(ended.session.id, SYSTEM);
    expect(await withToken(ended.token)).toEqual([401, 'session_revoked']);
    expect(await withToken('nonsense')).toEqual([401, 'unauthenticated']);

    const { token } = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    expect(await withToken(token)).toEqual([200, undefined]);
    clock.advance({ seconds: 601 });
    const renewed = cookieOf(await request(app).get('/me').set('Cookie', `at_sess=${token}`));
    expect(await withToken(renewed)).toEqual([200, undefined]);
    clock.advance({ seconds: 60 });
    expect(await withToken(token)).toEqual([401, 'superseded']);
    expect(await withToken(renewed)).toEqual([200, undefined]);

    const { secret } = await authTuna.mfa.beginTotp(user.id, by(user));
    await authTuna.mfa.confirmTotp(user.id, totpCode(secret, clock), by(user));
    const weak = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    expect(await withToken(weak.token, '/vault')).toEqual([401, 'second_factor_required']);
    await authTuna.mfa.disable(user.id, SYSTEM);
    const plain = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    await authTuna.roles.assign({ userId: user.id, role: 'moderator', scope: 'global' }, SYSTEM);
    expect(await withToken(plain.token)).toEqual([403, 'enrollment_required']);
    await authTuna.roles.unassign({ userId: user.id, role: 'moderator', scope: 'global' }, SYSTEM);

    await authTuna.passwords.requireChange(user.id, SYSTEM);
    expect(await withToken(plain.token)).toEqual([403, 'password_change_required']);
    await authTuna.users.suspend(user.id, 'spam', SYSTEM);
    expect((await withToken(plain.token))[0]).toBe(401);
    expect(await signIn()).toEqual([403, 'account_suspended']);
    await authTuna.users.delete(user.id, SYSTEM);
    expect(await signIn()).toEqual([401, 'invalid_credentials']);

    const from = (origin: string) => saidTo(request(app).post('/open').set('Origin', origin));
    expect(await from('https://evil.example')).toEqual([403, 'cross_site_request']);
    for (const origin of ['http://localhost:3000', 'https://admin.example.com'])
      expect(await from(origin)).toEqual([200, undefined]);
    expect((await agent.get('/me')).status).toBe(401);
  });

  test('rate_limited is 429 with Retry-After after too many wrong passwords', async () => {
    const { app } = await host();
    const attempt = () =>
      request(app).post('/auth/login').send({ login: 'ada@example.com', password: NEW_PASSWORD });
    let answer = await attempt().expect(401);
    for (let time = 0; time < 50 && answer.status === 401; time += 1) answer = await attempt();
    expect(answer.status).toBe(429);
    expect(answer.body.code).toBe('rate_limited');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });
});

describe('routes', () => {
  test('auth: sign-up with and without a confirmed address, sign-in, user-info, change of password, sign-out', async () => {
    const { app } = await host();
    const agent = request.agent(app);
    const input = { email: 'ada@example.com', username: 'ada', password: PASSWORD };
    const created = await agent.post('/auth/signup').send(input).expect(201);
    expect(created.body.user).toMatchObject({ email: 'ada@example.com', username: 'ada' });
    expect(cookiesOf(created)).toMatch(/at_sess=.*HttpOnly/);
    expect((await agent.get('/auth/user-info').expect(200)).body).toMatchObject({ email: 'ada@example.com' });
    expect((await request(app).post('/auth/signup').send(input).expect(409)).body.code).toBe('conflict');
    for (const login of ['ada@example.com', 'ada']) {
      const answer = await request(app)
        .post('/auth/login')
        .send({ login, password: PASSWORD, rememberMe: true })
        .expect(200);
      expect(Object.keys(answer.body)).toEqual(['user']);
      expect(cookiesOf(answer)).toMatch(/at_sess=[^;]+;.*Max-Age=\d+/);
    }
    const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    expect((await agent.post('/auth/change-password').send(change).expect(200)).body).toBeTypeOf('object');
    await agent.get('/auth/user-info').expect(200);
    const out = await agent.post('/auth/logout').expect(204);
    expect(out.text).toBe('');
    await agent.get('/auth/user-info').expect(401);
    await agent.post('/auth/logout').expect(204);
    await request(app).post('/auth/login').send({ login: 'ada', password: PASSWORD }).expect(401);
  });

  test('auth: with confirmed addresses the sign-up answers 202 without a session, and mails lead on', async () => {
    const { app, authTuna, clock, tokenFor } = await host({ mail: MAIL });
    const agent = request.agent(app);
    const post = (path: string, body: object) => agent.post(`/auth/${path}`).send(body);
    const email = 'ada@example.com';
    const created = await post('signup', { email, password: PASSWORD }).expect(202);
    expect(cookiesOf(created)).not.toContain('at_sess=');
    expect((await post('login', { login: email, password: PASSWORD }).expect(403)).body.code).toBe(
      'email_not_verified',
    );
    const first = await tokenFor(email);
    clock.advance({ minutes: 2 });
    await post('verify-email/resend', { email }).expect(202);
    const token = await tokenFor(email);
    expect(token).not.toBe(first);
    expect((await post('verify-email', { token }).expect(200)).body).toBeTypeOf('object');
    expect((await post('verify-email', { token }).expect(400)).body.code).toBe('invalid_token');
    await post('login', { login: email, password: PASSWORD }).expect(200);

    clock.advance({ minutes: 2 });
    await post('forgot-password', { email: 'nobody@example.com' }).expect(202);
    await post('forgot-password', { email }).expect(202);
    await post('reset-password', { token: await tokenFor(email), newPassword: NEW_PASSWORD }).expect(200);
    await post('login', { login: email, password: NEW_PASSWORD }).expect(200);
    await post('change-email', { newEmail: 'countess@example.com' }).expect(202);
    await post('change-email/confirm', { token: await tokenFor('countess@example.com') }).expect(200);
    await post('change-email/undo', { token: await tokenFor(email) }).expect(200);
    expect((await authTuna.users.findByEmail(email))?.email).toBe(email);
    expect((await post('unlock', { token: 'nothing' }).expect(400)).body.code).toBe('invalid_token');
  });

  test('pages: HTML for a browser, a form needs its token, and a form that succeeds gets 303', async () => {
    const { app } = await host();
    const agent = request.agent(app);
    const pages = ['login', 'signup', 'forgot-password', 'verify-email', 'passwordless/link'];
    for (const path of pages) {
      const page = await agent.get(`/auth/${path}`).set('Accept', HTML).expect(200);
      expect([path, page.headers['content-type']]).toEqual([path, 'text/html; charset=utf-8']);
    }
    const { text } = await agent.get('/auth/signup').set('Accept', HTML);
    const csrfToken = /name="csrfToken" value="([^"]+)"/.exec(text)?.[1] ?? '';
    const send = (fields: object) => agent.post('/auth/signup').type('form').set('Accept', HTML).send(fields);
    const fields = { email: 'ada@example.com', password: PASSWORD };
    await send(fields).expect(403);
    const refused = await send({ ...fields, email: 'none', csrfToken }).expect(422);
    expect(refused.headers['content-type']).toMatch(/^text\/html/);
    const done = await send({ ...fields, csrfToken }).expect(303);
    expect(done.headers.location).toMatch(/^\//);
    expect(cookiesOf(done)).toContain('at_sess=');
    for (const path of ['/auth/step-up', '/auth/mfa/setup'])
      expect([path, (await agent.get(path).set('Accept', HTML)).status]).toEqual([path, 200]);
    const anonymous = await request(app).get('/auth/user-info').set('Accept', 'application/json').expect(401);
    expect(anonymous.headers['content-type']).toMatch(PROBLEM);
  });

  test('mfa: enrollment, 202 with the factors at the next sign-in, verify with a code and with a recovery code', async () => {
    const { app, clock, signedIn } = await host();
    const { agent, user } = await signedIn('ada@example.com');
    const begun = await agent.post('/auth/mfa/totp').expect(201);
    const code = () => {
      clock.advance({ seconds: 30 });
      return totpCode(begun.body.secret, clock);
    };
    const confirmed = await agent.post('/auth/mfa/totp/confirm').send({ code: code() }).expect(201);
    expect(confirmed.body.recoveryCodes).toHaveLength(10);
    expect((await agent.get('/auth/mfa').expect(200)).body).toBeTypeOf('object');

    const signIn = async () => {
      const browser = request.agent(app);
      const answer = await browser
        .post('/auth/login')
        .send({ login: 'ada@example.com', password: PASSWORD })
        .expect(202);
      expect(answer.body).toEqual({
        secondFactor: { factors: expect.arrayContaining(['totp', 'recovery_code']) },
      });
      expect(cookiesOf(answer)).not.toContain('at_sess=');
      await browser.get('/auth/user-info').expect(401);
      return browser;
    };
    const first = await signIn();
    expect((await first.post('/auth/mfa/verify').send({ code: '000000' }).expect(401)).body.code).toBe(
      'invalid_credentials',
    );
    expect((await first.post('/auth/mfa/verify').send({ code: code() }).expect(200)).body.user.id).toBe(
      user.id,
    );
    await first.get('/auth/user-info').expect(200);
    const second = await signIn();
    await second.post('/auth/mfa/verify').send({ code: confirmed.body.recoveryCodes[0] }).expect(200);
    await request(app).post('/auth/mfa/verify').send({ code: '000000' }).expect(400);

    clock.advance({ minutes: 11 });
    await second.post('/auth/mfa/recovery-codes').expect(401);
    await second.post('/auth/step-up').send({ password: PASSWORD, code: code() }).expect(200);
    expect((await second.post('/auth/mfa/recovery-codes').expect(201)).body.recoveryCodes).toHaveLength(10);
    await second.delete('/auth/mfa/totp').expect(204);
    await request(app).post('/auth/login').send({ login: 'ada@example.com', password: PASSWORD }).expect(200);
  });

  test('mfa: from code, a sign-in that waits is completed with its pending token', async () => {
    const { authTuna, clock } = await host();
    const { users, auth, mfa } = authTuna;
    const ada = await users.create({ email: 'ada@example.com', password: PASSWORD });
    const { secret } = await mfa.beginTotp(ada.id, by(ada));
    const { recoveryCodes } = await mfa.confirmTotp(ada.id, totpCode(secret, clock), by(ada));
    const waiting = await auth.login({ login: 'ada@example.com', password: PASSWORD }, SYSTEM);
    if (waiting.status !== 'second_factor_required') throw new Error(waiting.status);
    expect(waiting.factors).toEqual(expect.arrayContaining(['totp', 'recovery_code']));
    const { result } = await mfa.completeSignIn(waiting.pendingToken, recoveryCodes[0] ?? '', SYSTEM);
    expect(result.status).toBe('signed_in');
    clock.advance({ seconds: 30 });
    expect(await mfa.verify(ada.id, totpCode(secret, clock), by(ada))).toBe(true);
  });

  test('passwordless: 202 for everybody, and 200 with the cookie for who has the code or the link', async () => {
    const { app, authTuna, clock, mailbox, tokenFor } = await host({ mail: MAIL });
    const email = 'ada@example.com';
    await authTuna.users.create({ email, emailVerified: true });
    const agent = request.agent(app);
    const post = (path: string, body: object) => agent.post(`/auth/passwordless/${path}`).send(body);
    await post('code', { email: 'nobody@example.com' }).expect(202);
    await post('code', { email }).expect(202);
    await authTuna.mailer.deliver();
    const code = /\b(\d{6}|\d{3} \d{3})\b/.exec(mailbox.latestTo(email)?.text ?? '')?.[1] ?? '';
    const wrong = code.startsWith('0') ? '111111' : '000000';
    expect((await post('code/consume', { email, code: wrong }).expect(401)).body.code).toBe(
      'invalid_credentials',
    );
    expect((await post('code/consume', { email, code }).expect(200)).body.user.email).toBe(email);
    await agent.get('/auth/user-info').expect(200);
    await agent.post('/auth/logout').expect(204);
    clock.advance({ minutes: 2 });
    await post('link', { email }).expect(202);
    const token = await tokenFor(email);
    expect((await post('link/consume', { token: 'nothing' }).expect(400)).body.code).toBe('invalid_token');
    expect((await post('link/consume', { token }).expect(200)).body.user.email).toBe(email);
    expect((await post('link/consume', { token }).expect(400)).body.code).toBe('invalid_token');
  });

  test('passkeys: registered, listed, renamed, used to sign in and to step up, deleted', async () => {
    const { app, clock, signedIn } = await host();
    const { agent, user } = await signedIn();
    const at = (path: string) => `/auth/passkeys${path}`;
    const authenticator = new Authenticator('http://localhost:3000');
    const options = (await agent.post(at('/register/options')).expect(200)).body;
    const made = await agent.post(at('/register')).send(authenticator.create(options)).expect(201);
    const { id } = made.body.passkey;
    expect((await agent.get(at('')).expect(200)).body).toMatchObject({ items: [{ id }], nextCursor: null });
    await agent
      .patch(at(`/${id}`))
      .send({ name: 'Laptop' })
      .expect(200);

    const other = request.agent(app);
    const challenge = (await other.post(at('/sign-in/options')).expect(200)).body;
    const stranger = request.agent(app);
    const asked = (await stranger.post(at('/sign-in/options')).expect(200)).body;
    const forged = authenticator.get(asked, { signature: 'AAAA' });
    expect((await stranger.post(at('/sign-in')).send(forged).expect(401)).body.code).toBe(
      'invalid_credentials',
    );
    const answer = await other.post(at('/sign-in')).send(authenticator.get(challenge)).expect(200);
    expect(answer.body.user.id).toBe(user.id);

    const waiting = request.agent(app);
    const login = { login: user.email, password: PASSWORD };
    const half = await waiting.post('/auth/login').send(login).expect(202);
    expect(half.body.secondFactor.factors).toContain('passkey');
    const second = (await waiting.post(at('/sign-in/options')).expect(200)).body;
    await waiting.post(at('/sign-in')).send(authenticator.get(second)).expect(200);
    await waiting.get('/auth/user-info').expect(200);

    clock.advance({ minutes: 11 });
    await other.delete(at(`/${id}`)).expect(401);
    const again = (await other.post(at('/sign-in/options')).expect(200)).body;
    const raised = await other.post(at('/sign-in')).send(authenticator.get(again)).expect(200);
    expect(cookiesOf(raised)).toContain('at_sess=');
    await other.delete(at(`/${id}`)).expect(204);
    await request(app).get(at('')).expect(401);
  });

  test('social: the journey to a provider and back, linking from the account, unlinking', async () => {
    const clock = new TestClock();
    const mock = await startMockProvider({ clock });
    onTestFinished(() => mock.close());
    const { app, authTuna, signedIn } = await host({ clock, social: { providers: [mock.provider] } });
    const travel = async (agent: ReturnType<typeof request.agent>, url: string) => {
      const back = await fetch(url, { redirect: 'manual' });
      const { pathname, search } = new URL(back.headers.get('location') ?? '');
      return agent.get(pathname + search);
    };
    mock.signInAs({ email: 'grace@example.com', name: 'Grace' });
    const agent = request.agent(app);
    const start = await agent.get('/auth/social/mock/login');
    expect(start.status).toBe(303);
    const back = await travel(agent, start.headers.location ?? '');
    expect(back.status).toBe(303);
    expect((await agent.get('/auth/user-info').expect(200)).body.email).toBe('grace@example.com');
    await request(app).get('/auth/social/nobody/login').expect(404);
    const foreign = await request(app).get('/auth/social/mock/callback?code=x&state=y').expect(400);
    expect(foreign.body.code).toBe('invalid_token');

    const { agent: ada, user } = await signedIn('ada@example.com');
    mock.signInAs({ email: 'ada@elsewhere.example' });
    const link = await ada.post('/auth/social/mock/link').send({}).expect(200);
    expect((await travel(ada, link.body.url)).status).toBe(303);
    expect(await authTuna.social.list(user.id)).toMatchObject([{ provider: 'mock' }]);
    expect((await ada.get('/auth/social').expect(200)).body).toBeTypeOf('object');
    await ada.delete('/auth/social/mock').expect(204);
    await request(app).get('/auth/social').expect(401);
  });

  test('account: one’s own data and sessions', async () => {
    const { app, signedIn } = await host();
    const { agent, user } = await signedIn('ada@example.com');
    const other = request.agent(app);
    await other.post('/auth/login').send({ login: 'ada@example.com', password: PASSWORD }).expect(200);
    expect((await agent.get('/account').expect(200)).body).toMatchObject({ id: user.id });
    expect((await agent.patch('/account').send({ username: 'ada' }).expect(200)).body.username).toBe('ada');
    const listed = await agent.get('/account/sessions').expect(200);
    expect(listed.body).toMatchObject({ items: expect.any(Array), nextCursor: null });
    expect(listed.body.items).toHaveLength(2);
    const gone = await agent.delete('/account/sessions').expect(204);
    expect(gone.text).toBe('');
    await other.get('/account').expect(401);
    await agent.get('/account').expect(200);
    const [own] = (await agent.get('/account/sessions')).body.items;
    await agent.delete('/account/sessions/nothing').expect(404);
    await agent.delete(`/account/sessions/${own.id}`).expect(204);
    await agent.get('/account').expect(401);
  });
});

test('what a host writes down compiles, and a misspelled permission does not', () => {
  const compiled = (prisma: PrismaLike, req: Request) => {
    const options: AuthTunaOptions = { baseUrl: 'http://localhost', secrets: [SECRET], prisma };
    const plain: AuthTuna = createAuthTuna(options);
    const named = createAuthTuna({ ...options, permissions: { doc: ['read'] } as const });
    const asPlain: AuthTuna = createAuthTuna({ baseUrl: '', secrets: [], permissions: { doc: ['read'] } });
    const strict = createAuthTuna({ baseUrl: '', secrets: [], permissions: { doc: ['read'] } });
    strict.requirePermission(['doc:read', 'users:read'], { match: 'any' });
    // @ts-expect-error no permission of that name was declared
    strict.requirePermission('doc:rede');
    const auth: Auth = req.auth;
    const user: Express.User | null = auth.user;
    const id: string | undefined = req.user?.id;
    return [plain, named, asPlain, user, id];
  };
  expect(compiled).toBeTypeOf('function');
});
