// `authtuna/remote`: a server that asks an AuthTuna server over HTTP knows who calls and what they may do, within the same bound.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { type RemoteOptions, remote } from '../../src/remote/index.js';
import { startApp, type TestInstance, TestLogger } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { person } from '../support/people.js';

async function listening(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer({}, handler as never).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

/** The way between the two servers: it keeps what was asked, and can be cut. */
async function line(to: string) {
  const asked: string[] = [];
  const state = { isCut: false };
  const url = await listening(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    asked.push(body);
    if (state.isCut) return void res.destroy();
    const headers = { 'content-type': 'application/json', 'x-api-key': String(req.headers['x-api-key']) };
    const answer = await fetch(to + req.url, { method: 'POST', headers, body });
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  return { url, asked, state };
}

/** An AuthTuna server, and a server without its database. */
async function twoServers(options: Partial<RemoteOptions> = {}) {
  const app = await startApp();
  const { authTuna, clock } = app;
  await authTuna.roles.create({ name: 'gateway', permissions: ['tokens:introspect'] });
  const gateway = await person(app, 'gateway', 'gateway');
  const { key } = await authTuna.apiKeys.create({ userId: gateway, name: 'Files' }, SYSTEM);
  const way = await line(app.url);
  const files = remote({ url: way.url, key, clock, logger: new TestLogger(), ...options });
  const host = express();
  host.use(files.session());
  host.get('/open', (req, res) => void res.json({ userId: req.user?.id ?? null, method: req.auth.method }));
  host.get('/me', files.requireUser(), (req, res) => {
    res.json({
      id: req.user?.id,
      method: req.auth.method,
      since: req.auth.session?.createdAt instanceof Date,
    });
  });
  host.get('/browsers', files.requireUser({ credentials: ['session'] }), (_req, res) => void res.json({}));
  const project = files.requirePermission('project:read', { scopeFrom: 'projectId' });
  host.get('/projects/:projectId', project, (_req, res) => void res.json({}));
  host.post('/projects/:projectId', project, (_req, res) => void res.json({}));
  host.get('/reports', files.requireRole(['admin', 'moderator']), (_req, res) => void res.json({}));
  host.use(files.errorHandler());
  const url = await listening(host as never);
  const { user, browser } = await app.signedIn('ada@example.com');
  await authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  return { ...app, way, files, url, user, jar: jarOf(browser), key };
}

const jarOf = (browser: Browser) => ({
  cookie: browser.cookieHeader,
  'user-agent': browser.userAgent,
  'sec-fetch-site': 'same-origin',
});
const statusOf = async (url: string, path: string, headers: Record<string, string>, method = 'GET') =>
  (await fetch(url + path, { method, headers })).status;

test('a server without the database knows who calls, by cookie, token and key, and what they may do', async () => {
  const { authTuna, url, user, jar, way, files } = await twoServers();
  const { access_token } = await authTuna.bearer.issue(
    user.id,
    { amr: ['pwd'], scope: 'project:read' },
    SYSTEM,
  );
  const { key } = await authTuna.apiKeys.create({ userId: user.id, name: 'Key', grants: [] }, SYSTEM);
  const bearer = { authorization: `Bearer ${access_token}` };
  const me = async (headers: Record<string, string>) => (await fetch(`${url}/me`, { headers })).json();
  expect(await me(jar)).toEqual({ id: user.id, method: 'session', since: true });
  expect(await me(bearer)).toMatchObject({ id: user.id, method: 'access_token' });
  expect(await me({ 'x-api-key': key })).toMatchObject({ id: user.id, method: 'api_key' });
  const statuses = async (path: string) => [
    await statusOf(url, path, {}),
    await statusOf(url, path, jar),
    await statusOf(url, path, bearer),
    await statusOf(url, path, { 'x-api-key': key }),
  ];
  expect(await statuses('/projects/42')).toEqual([401, 200, 200, 403]); // the key has no grants
  expect(await statuses('/projects/43')).toEqual([401, 403, 403, 403]);
  expect(await statuses('/reports')).toEqual([401, 403, 403, 403]);
  expect(await statuses('/browsers')).toEqual([401, 200, 403, 403]);
  expect(await statusOf(url, '/me', { ...jar, authorization: 'Bearer nothing' })).toBe(401);
  expect(await statusOf(url, '/me', { ...jar, authorization: `DPoP ${access_token}` })).toBe(401);
  expect(await statusOf(url, '/me', { authorization: `Bearer ${'a'.repeat(5000)}` })).toBe(400);
  expect(await statusOf(url, '/me', { ...bearer, 'x-api-key': key })).toBe(400);
  expect(await (await fetch(`${url}/open`)).json()).toEqual({ userId: null, method: 'anonymous' });
  expect(await files.access.can(user.id, 'project:read', 'project:42')).toBe(true);
  expect(await files.access.can(user.id, 'project:read', 'project:43')).toBe(false);
  // Cookies of others do not leave the server that got them.
  await statusOf(url, '/me', { ...jar, cookie: `${jar.cookie}; other=secret-of-another` });
  expect(way.asked.join()).not.toContain('secret-of-another');
});

test('what was said is believed for ten seconds, on safe methods alone, and while the other server is away (SS-8)', async () => {
  const { authTuna, clock, url, user, jar, way } = await twoServers();
  const get = () => statusOf(url, '/projects/42', jar);
  const post = () => statusOf(url, '/projects/42', jar, 'POST');
  expect(await get()).toBe(200);
  const before = way.asked.length;
  for (let repeated = 0; repeated < 20; repeated += 1) expect(await get()).toBe(200);
  expect(way.asked.length).toBe(before); // steady state asks nothing
  await authTuna.roles.unassign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  expect([await get(), await post()]).toEqual([200, 403]);
  clock.advance({ seconds: 10 });
  expect(await get()).toBe(403);

  await authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  clock.advance({ seconds: 10 });
  expect(await get()).toBe(200);
  way.state.isCut = true;
  expect([await get(), await post()]).toEqual([200, 503]);
  clock.advance({ seconds: 10 });
  expect(await get()).toBe(503);
  expect(await statusOf(url, '/open', {})).toBe(200); // nothing has to be asked about a visitor
  way.state.isCut = false;
  expect(await get()).toBe(200);
  await authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect(await post()).toBe(401);
  clock.advance({ seconds: 10 });
  expect(await get()).toBe(401);
});

test('a decision about a user by id is asked for each time, for nothing says what it is for (SS-8)', async () => {
  const { authTuna, files, user } = await twoServers();
  const can = () => files.access.can(user.id, 'project:read', 'project:42');
  expect(await can()).toBe(true);
  await authTuna.roles.unassign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  expect(await can()).toBe(false);
});

test('parallel requests of one browser ask once, and a flood of one bad token is answered from memory', async () => {
  const { url, jar, way } = await twoServers();
  const before = way.asked.length;
  await Promise.all(Array.from({ length: 20 }, () => statusOf(url, '/open', jar)));
  expect(way.asked.length - before).toBe(1);
  const bad = { authorization: 'Bearer nothing' };
  const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(url, '/me', bad)));
  expect(new Set(statuses)).toEqual(new Set([401]));
  expect(way.asked.length - before).toBe(2);
});

test('another site cannot use the cookie, a person who must do something else first waits, and a wrong key is no yes', async () => {
  const { authTuna, clock, url, user, jar } = await twoServers({ origins: ['https://files.example.com'] });
  const from = (origin: string) => ({ ...jar, origin, 'sec-fetch-site': 'cross-site' });
  expect(await statusOf(url, '/projects/42', from('https://evil.example'), 'POST')).toBe(403);
  const { 'sec-fetch-site': _site, ...silent } = jar;
  expect(await statusOf(url, '/projects/42', silent, 'POST')).toBe(403);
  expect(await statusOf(url, '/projects/42', { ...from('https://files.example.com') }, 'POST')).toBe(200);
  const ownPage = { ...jar, origin: 'https://files.example.com', 'sec-fetch-site': 'same-origin' };
  expect(await statusOf(url, '/projects/42', ownPage, 'POST')).toBe(200);
  await authTuna.passwords.requireChange(user.id, SYSTEM);
  clock.advance({ seconds: 10 });
  const due = await fetch(`${url}/me`, { headers: jar });
  expect([due.status, (await due.json()) as object]).toEqual([
    403,
    expect.objectContaining({ code: 'password_change_required' }),
  ]);

  const other = await twoServersWithoutRight();
  expect(await statusOf(other.url, '/me', other.jar)).toBe(503);
  expect(() => remote({ url: 'http://auth.example.com', key: 'x' })).toThrow('https');
});

/** A key whose owner may not ask. */
async function twoServersWithoutRight(): Promise<{ url: string; jar: Record<string, string> }> {
  const app: TestInstance = await startApp();
  const owner = await person(app, 'owner');
  const { key } = await app.authTuna.apiKeys.create({ userId: owner, name: 'Files' }, SYSTEM);
  const files = remote({ url: app.url, key, clock: app.clock, logger: new TestLogger() });
  const host = express();
  host.use(files.session());
  host.get('/me', files.requireUser(), (_req, res) => void res.json({}));
  host.use(files.errorHandler());
  const { browser } = await app.signedIn('bob@example.com');
  return { url: await listening(host as never), jar: jarOf(browser) };
}

test('what ends sooner than the bound ends there too, and a key whose uses are counted is asked about each time (SS-8)', async () => {
  const { authTuna, clock, url, user } = await twoServers();
  const expiresAt = new Date(clock.now().getTime() + 3000);
  await authTuna.roles.assign(
    { userId: user.id, role: 'project_member', scope: 'project:7', expiresAt },
    SYSTEM,
  );
  const { key } = await authTuna.apiKeys.create(
    { userId: user.id, name: 'Counted', rateLimit: { limit: 2, windowSeconds: 60 } },
    SYSTEM,
  );
  const { access_token } = await authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
  const token = { authorization: `Bearer ${access_token}` };
  expect(await statusOf(url, '/projects/7', token)).toBe(200);
  clock.advance({ seconds: 4 });
  expect(await statusOf(url, '/projects/7', token)).toBe(403);
  const counted = { authorization: `Bearer ${key}` };
  const statuses = [];
  for (let use = 0; use < 4; use += 1) statuses.push(await statusOf(url, '/me', counted));
  expect(statuses).toEqual([200, 200, 429, 429]);
});

test('a hand-over with a nonce that none can be is no fault of the server', async () => {
  const { files } = await twoServers();
  for (const nonce of ['', 'short'])
    await expect(
      files.acceptHandOver('no token', { audience: 'https://files.example.com', nonce }),
    ).rejects.toMatchObject({ code: 'invalid_token' });
});
