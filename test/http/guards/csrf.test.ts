import type { Request, Response } from 'express';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';
import { PageVisitor } from '../../support/page-visitor.js';

test('signing in by form needs the token of a page this browser opened (CS-2, CS-4)', async () => {
  const app = await startApp();
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const fields = { login: 'ada@example.com', password: PASSWORD };

  const clean = new PageVisitor(app.browser());
  const forged = await clean.postFields('/auth/login', fields);
  expect(forged.status).toBe(403);
  expect(forged.headers.get('set-cookie') ?? '').not.toContain('at_sess');

  // The attacker's own token does not help in the victim's browser.
  const attacker = new PageVisitor(app.browser());
  const token = (await attacker.open('/auth/login')).csrfToken;
  expect((await clean.postFields('/auth/login', { ...fields, csrfToken: token })).status).toBe(403);

  const page = await clean.open('/auth/login');
  const signedIn = await clean.postFields('/auth/login', { ...fields, csrfToken: page.csrfToken });
  expect(signedIn.status).toBe(303);
  expect(signedIn.headers.get('location')).toBe('/');
  expect(clean.browser.jar.has('at_sess')).toBe(true);
});

const SIBLING = 'http://sibling.localhost:9';

test('what a browser says about where an unsafe request comes from decides, on every route (CS-1)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const routes: [string, object][] = [
    ['/me/x', {}],
    ['/auth/login', { login: 'a@example.com', password: 'wrong umbrella quartz' }],
    ['/auth/signup', { email: 'eva@example.com', password: PASSWORD }],
    ['/auth/forgot-password', { email: 'eva@example.com' }],
    ['/auth/passwordless/link', { email: 'eva@example.com' }],
    ['/auth/logout', {}],
  ];
  const refused: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'same-site', origin: SIBLING },
    { 'sec-fetch-site': 'cross-site', origin: app.url },
    { origin: SIBLING },
    { origin: 'null' },
    { origin: 'https://evil.test', host: 'evil.test' },
  ];
  for (const [path, body] of routes) {
    for (const headers of refused) {
      const answer = await browser.post(path, body, { headers });
      expect({ path, headers, status: answer.status }).toEqual({ path, headers, status: 403 });
      expect(await answer.json()).toMatchObject({ code: 'cross_site_request' });
    }
  }
  expect(await app.authTuna.users.findByEmail('eva@example.com')).toBeNull();
  for (const headers of [
    {},
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: app.url },
  ] as Record<string, string>[])
    expect((await browser.post('/me/x', {}, { headers })).status).toBe(200);
});

test('a form of another session is refused, one of this session passes (CS-2)', async () => {
  const app = await startApp();
  const ada = new PageVisitor((await app.signedIn('ada@example.com')).browser);
  const bob = new PageVisitor((await app.signedIn('bob@example.com')).browser);
  const page = await ada.open('/auth/change-password');
  const fields = { currentPassword: PASSWORD, newPassword: 'plain umbrella quartz seventeen' };
  const bobs = (await bob.open('/auth/change-password')).csrfToken;
  expect((await ada.postFields('/auth/change-password', fields)).status).toBe(403);
  expect((await ada.postFields('/auth/change-password', { ...fields, csrfToken: bobs })).status).toBe(403);
  const accepted = await ada.submit(page, fields);
  expect(accepted.status).toBe(303);
  const asked = await ada.postFields(
    '/auth/logout',
    { csrfToken: (await ada.open('/auth/change-password')).csrfToken },
    { accept: 'application/json' },
  );
  expect(asked.status).toBe(204);
});

test('a form that was open for too long is shown again, and then works (CS-2)', async () => {
  const app = await startApp();
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const visitor = new PageVisitor(app.browser());
  const page = await visitor.open('/auth/login');
  app.clock.advance({ minutes: 61 });
  const fields = { login: 'ada@example.com', password: PASSWORD };
  const again = await visitor.send(page, fields);
  expect(again.status).toBe(403);
  expect(again.html).toContain('The form was open for too long');
  expect(again.fields.login).toBe('ada@example.com');
  expect(again.html).not.toContain(PASSWORD);
  expect((await visitor.submit(again, fields)).status).toBe(303);
});

test('two tokens of one page differ, so that compression gives nothing away (CS-2)', async () => {
  const app = await startApp();
  const visitor = new PageVisitor(app.browser());
  const first = await visitor.open('/auth/login');
  const second = await visitor.open('/auth/login');
  expect(first.csrfToken).not.toBe(second.csrfToken);
  expect(first.csrfToken.length).toBeGreaterThan(40);
});

test('a page of the host has forms of its own, before there is a session and with one (CS-2)', async () => {
  const app = await startApp(
    {},
    {
      routes: (host, authTuna) => {
        const form = (action: string) => (req: Request, res: Response) => {
          const token = authTuna.formToken(req, res);
          if (action === '/auth/login') res.set('Cache-Control', 'public, max-age=60'); // a host's slip
          res.send(
            `<form method="post" action="${action}"><input type="hidden" name="csrfToken" value="${token}"></form>`,
          );
        };
        host.get('/welcome', form('/auth/login'));
        host.get('/settings', form('/auth/logout'));
      },
    },
  );
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const visitor = new PageVisitor(app.browser());
  const welcome = await visitor.open('/welcome');
  expect(welcome.headers.get('cache-control')).toBe('no-store');
  const signedIn = await visitor.submit(welcome, { login: 'ada@example.com', password: PASSWORD });
  expect(signedIn.status).toBe(303);
  expect(await (await visitor.browser.get('/public')).json()).not.toEqual({ userId: null });

  const stranger = new PageVisitor(app.browser());
  const stolen = await stranger.submit(await visitor.open('/settings'));
  expect(stolen.status).toBe(303); // the stranger has no session that it could end
  expect(await (await visitor.browser.get('/public')).json()).not.toEqual({ userId: null });
  expect((await visitor.submit(await visitor.open('/settings'))).status).toBe(303);
  expect(await (await visitor.browser.get('/public')).json()).toEqual({ userId: null });
});

test('routes without a page take JSON only, and with { pages: false } all of them (CS-3)', async () => {
  const app = await startApp(
    {},
    {
      routes: (host, authTuna) => void host.use('/api/auth', authTuna.routers.auth({ pages: false })),
    },
  );
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const browser = app.browser();
  const login = await browser.post('/api/auth/login', undefined, {
    headers: form,
    rawBody: 'login=a&password=b',
  });
  expect(login.status).toBe(415);
  expect((await browser.get('/api/auth/login', { headers: { accept: 'text/html' } })).status).toBe(405);
  for (const type of ['text/plain', 'application/json-seq', 'multipart/form-data; boundary=x']) {
    const answer = await browser.post('/auth/login', undefined, {
      headers: { 'content-type': type },
      rawBody: '{}',
    });
    expect({ type, status: answer.status }).toEqual({ type, status: 415 });
  }
});

test('opening every page and address changes nothing in the database (CS-5)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const before = await dump(app);
  const paths = [
    ...[
      'login',
      'signup',
      'forgot-password',
      'reset-password?token=abc.def',
      'reset-password',
      'verify-email',
    ],
    ...[
      'verify-email?token=abc.def',
      'unlock?token=abc.def',
      'unlock',
      'change-email',
      'change-email/confirm',
      'change-email/undo',
    ],
    ...['change-password', 'user-info', 'logout', 'done/email_verified', 'done/nothing', 'errors/forbidden'],
    ...[
      'passwordless/link',
      'passwordless/link/sent',
      'passwordless/link/open?token=abc.def',
      'passwordless/code',
    ],
    ...[
      'passwordless/link/open',
      'passwordless/code/enter',
      'passwordless/link/consume',
      'assets/authtuna.css',
    ],
  ];
  for (const path of paths) {
    for (const accept of ['text/html', 'application/json']) {
      await browser.get(`/auth/${path}`, { headers: { accept } });
      await browser.request('HEAD', `/auth/${path}`, undefined, { headers: { accept } });
    }
    await browser.request('OPTIONS', `/auth/${path}`);
    await browser.get(`/auth/${path}`, { headers: { 'x-http-method-override': 'POST' } });
  }
  expect(await dump(app)).toBe(before);
});

async function dump(app: TestInstance): Promise<string> {
  const { client, close } = await openDatabase(app.database);
  const rows = await Promise.all([
    client.user.findMany({ orderBy: { id: 'asc' } }),
    client.password.findMany({ orderBy: { userId: 'asc' } }),
    client.session.findMany({ orderBy: { id: 'asc' } }),
    client.oneTimeToken.findMany({ orderBy: { id: 'asc' } }),
    client.outboxMessage.findMany({ orderBy: { id: 'asc' } }),
    client.auditEntry.findMany({ orderBy: { id: 'asc' } }),
    client.throttle.findMany({ orderBy: { key: 'asc' } }),
  ]);
  await close();
  return JSON.stringify(rows, (key, value) =>
    ['lastSeenAt', 'acknowledgedAt'].includes(key) ? undefined : value,
  );
}

test('a method override behind session() is asked for its origin and its row like any unsafe request (CS-1, SS-8)', async () => {
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        host.use('/override', (req, _res, next) => {
          if (req.query._method === 'DELETE') req.method = 'DELETE';
          next();
        });
        const guards = { user: authTuna.requireUser(), permission: authTuna.requirePermission('org:create') };
        for (const [way, guard] of Object.entries(guards))
          host.delete(`/override/${way}`, guard, (_req, res) => void res.json({ deleted: true }));
      },
    },
  );
  const { browser, user } = await app.signedIn();
  const other = await startApp({ baseUrl: app.url }, { database: app.database, clock: app.clock });
  const ask = (way: string, headers: Record<string, string> = {}) =>
    browser.get(`/override/${way}?_method=DELETE`, { headers });
  for (const way of ['user', 'permission']) {
    expect((await ask(way)).status).toBe(200);
    expect((await ask(way, { origin: app.url, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }] as Record<
      string,
      string
    >[]) {
      const refused = await ask(way, headers);
      expect([way, refused.status]).toEqual([way, 403]);
      expect(await refused.json()).toMatchObject({ code: 'cross_site_request' });
    }
  }
  await browser.get('/me'); // remembered here
  await other.authTuna.sessions.revokeAll(user.id, SYSTEM);
  for (const way of ['user', 'permission']) expect((await ask(way)).status).toBe(401);
});
