import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { onTestFinished } from 'vitest';
import type { AuthTuna } from '../../src/authtuna-interface.js';
import { type AuthTunaOptions, createAuthTuna, currentUser, type User } from '../../src/index.js';
import { TestClock } from '../../src/testing/index.js';
import { Browser } from './browser.js';
import { freshDatabase, type TestDatabase } from './database.js';

export const SECRET = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
export const PASSWORD = 'correct horse battery staple';

/** Collects what is logged instead of printing it. */
export class TestLogger {
  readonly lines: { level: string; message: string; facts?: object }[] = [];
  debug = (message: string, facts?: object) => void this.lines.push({ level: 'debug', message, facts });
  info = (message: string, facts?: object) => void this.lines.push({ level: 'info', message, facts });
  warn = (message: string, facts?: object) => void this.lines.push({ level: 'warn', message, facts });
  error = (message: string, facts?: object) => void this.lines.push({ level: 'error', message, facts });
}

export interface TestInstance {
  authTuna: AuthTuna;
  app: Express;
  clock: TestClock;
  logger: TestLogger;
  database: TestDatabase;
  /** `http://localhost:<port>` of the listening server. */
  url: string;
  /** A browser with a jar of its own. */
  browser(options?: { userAgent?: string }): Browser;
  /** A user with PASSWORD, and a browser that is signed in as them. */
  signedIn(email?: string): Promise<{ user: User; browser: Browser }>;
}

/**
 * An instance on a database of its own behind a real server, with `/auth`, `/me`, `/projects/:projectId` and `/reports`, closed after the test.
 *
 * `baseUrl` is `http://localhost:<port>` unless given. A second instance on the same database: `startApp({}, { database, clock })`.
 */
export async function startApp(
  options: Partial<AuthTunaOptions> = {},
  shared: {
    database?: TestDatabase;
    clock?: TestClock;
    routes?: (app: Express, authTuna: AuthTuna) => void;
    /** Only the routers that `routes` mounts. */
    isBare?: boolean;
  } = {},
): Promise<TestInstance> {
  const database = shared.database ?? (await freshDatabase());
  const clock = shared.clock ?? new TestClock();
  const logger = new TestLogger();
  const app = express();
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://localhost:${port}`;

  const authTuna = createAuthTuna({
    baseUrl: url,
    secrets: [SECRET],
    ...(options.prisma === undefined && { databaseUrl: database.url }),
    clock,
    logger,
    ...options,
    password: { bcryptCost: options.baseUrl?.startsWith('https:') ? 10 : 4, ...options.password },
  }) as unknown as AuthTuna;
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await authTuna.close();
    if (shared.database === undefined) await database.drop();
  });
  await authTuna.ready();

  app.use(authTuna.session());
  if (shared.isBare !== true) app.use(authTuna.router());
  shared.routes?.(app, authTuna);
  app.get('/public', (req, res) => void res.json({ userId: req.user?.id ?? null }));
  app.get('/me', authTuna.requireUser(), (req, res) => void res.json(currentUser(req)));
  app.post('/me/x', authTuna.requireUser(), (req, res) => void res.json({ userId: currentUser(req).id }));
  const project = authTuna.requirePermission('project:read', { scopeFrom: 'projectId' });
  app.get('/projects/:projectId', project, (req, res) => void res.json({ id: req.params.projectId }));
  app.post('/projects/:projectId', project, (req, res) => void res.json({ id: req.params.projectId }));
  app.get(
    '/reports',
    authTuna.requireRole(['admin', 'moderator']),
    (_req, res) => void res.json({ reports: [] }),
  );
  app.use(authTuna.errorHandler());

  let people = 0;
  const browser = (browserOptions: { userAgent?: string } = {}) => new Browser(url, browserOptions.userAgent);
  return {
    authTuna,
    app,
    clock,
    logger,
    database,
    url,
    browser,
    async signedIn(address) {
      people += 1;
      const email = address ?? `person${people}@example.com`;
      const user = await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
      const signedInBrowser = browser();
      const answer = await signedInBrowser.post('/auth/login', { login: email, password: PASSWORD });
      if (answer.status !== 200) throw new Error(`sign-in failed: ${answer.status} ${await answer.text()}`);
      return { user, browser: signedInBrowser };
    },
  };
}
