import type { Express } from 'express';
import { expect, test } from 'vitest';
import { type AuthTuna, type CreateKeyInput, SYSTEM } from '../../../src/index.js';
import { DAY } from '../../support/api-keys.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { json } from '../../support/factors.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor, toldBy } from '../../support/page-visitor.js';
import { as, person } from '../../support/people.js';

/** Routes that say who is calling. */
function routes(app: Express, authTuna: AuthTuna): void {
  app.get('/who', (req, res) => {
    const { method, user, apiKey, session } = req.auth;
    res.json({ method, userId: user?.id ?? null, keyId: apiKey?.id ?? null, hasSession: session !== null });
  });
  const docs = authTuna.requirePermission('doc:read', { scopeFrom: 'projectId' });
  app.get('/docs/:projectId', docs, (_req, res) => void res.json({}));
  app.post('/docs/:projectId', docs, (_req, res) => void res.json({}));
  app.get('/browser', authTuna.requireUser({ credentials: ['session'] }), (_req, res) => void res.json({}));
  app.get('/recent', authTuna.requireRecentLogin(), (_req, res) => void res.json({}));
  app.post('/form', authTuna.csrf(), authTuna.requireUser(), (_req, res) => void res.json({}));
}

interface Asked {
  key?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

async function ask({ url }: Pick<TestInstance, 'url'>, path: string, asked: Asked = {}) {
  const { key, method = 'GET', headers = {}, body } = asked;
  return fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

const statusOf = async (...given: Parameters<typeof ask>) => (await ask(...given)).status;

async function keyOf({ authTuna }: TestInstance, userId: string, input: Partial<CreateKeyInput> = {}) {
  return authTuna.apiKeys.create({ userId, name: 'Script', ...input }, SYSTEM);
}

test('a key in either header is its owner, and one credential decides (CS-6, AK-5)', async () => {
  const app = await startApp({}, { routes });
  const { user, browser } = await app.signedIn();
  const bob = await person(app, 'bob');
  const { key, apiKey } = await keyOf(app, bob);
  const expected = { method: 'api_key', userId: bob, keyId: apiKey.id, hasSession: false };
  expect(await (await ask(app, '/who', { key })).json()).toEqual(expected);
  expect(await (await ask(app, '/who', { headers: { 'x-api-key': key } })).json()).toEqual(expected);
  expect(await statusOf(app, '/me', { key, headers: { 'x-api-key': key } })).toBe(400);
  expect(await statusOf(app, '/me', { headers: { 'x-api-key': key, authorization: 'Basic eDp5' } })).toBe(
    200,
  );
  expect(await statusOf(app, '/me', { headers: { authorization: `bearer  ${key}` } })).toBe(200);
  // A cookie beside it does not count, whether the key is good or not.
  const cookie = browser.cookieHeader;
  const asUser = { cookie, 'user-agent': browser.userAgent };
  expect(await (await ask(app, '/who', { headers: asUser })).json()).toMatchObject({ userId: user.id });
  expect(await (await ask(app, '/who', { key, headers: { cookie } })).json()).toEqual(expected);
  const bad: Record<string, string>[] = [
    { authorization: 'Bearer at_live_x' },
    { 'x-api-key': 'anything' },
    { 'x-api-key': '' },
  ];
  for (const headers of bad)
    expect(await statusOf(app, '/me', { headers: { ...headers, cookie } })).toBe(401);
  const answer = await ask(app, '/me', { key });
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('set-cookie')).toBeNull();
  expect(await statusOf(app, '/me/x', { key, method: 'POST' })).toBe(200);
});

test('a request that carries a key and no cookie needs no cross-site check; beside a cookie it does (CS-1, CS-6)', async () => {
  const app = await startApp({}, { routes });
  const ada = await person(app, 'ada');
  const { key } = await keyOf(app, ada);
  const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  expect(await statusOf(app, '/form', { method: 'POST', key, headers })).toBe(200);
  const withCookie = { ...headers, cookie: 'at_sess=x' };
  expect(await statusOf(app, '/form', { method: 'POST', key, headers: withCookie })).toBe(403);
  expect(await statusOf(app, '/form', { method: 'POST', headers })).toBe(403);
});

test('a key limited to `user` opens nothing more though its owner is superadmin (AK-3, D2)', async () => {
  const app = await startApp({}, { routes });
  const { authTuna } = app;
  const ada = await person(app, 'ada', 'superadmin');
  const all = await keyOf(app, ada);
  const limited = await keyOf(app, ada, { grants: [{ role: 'user', scope: 'global' }] });
  const bobs = await keyOf(app, await person(app, 'bob'));
  const open = async (key: string) =>
    Promise.all(['/docs/1', '/reports', '/projects/7', '/me'].map((path) => statusOf(app, path, { key })));
  expect(await open(all.key)).toEqual([200, 403, 200, 200]);
  expect(await open(limited.key)).toEqual(await open(bobs.key));
  expect(await open(limited.key)).toEqual([403, 403, 403, 200]);
  // What its owner owns is no role of the key.
  await authTuna.permissions.create({ name: 'doc:read' });
  await authTuna.roles.addPermission('owner', 'doc:read', SYSTEM);
  await authTuna.scopes.register({ id: 'project:9', ownerId: ada }, SYSTEM);
  expect(await statusOf(app, '/docs/9', { key: limited.key })).toBe(403);
});

test('a role that its owner loses is lost to the key on both instances at once, and does not come back (AK-3, SS-8)', async () => {
  const first = await startApp({}, { routes });
  const second = await startApp({}, { routes, database: first.database, clock: first.clock });
  const { roles } = first.authTuna;
  const ada = await person(first, 'ada');
  await roles.create({ name: 'reader', permissions: ['doc:read'] });
  const held = { userId: ada, role: 'reader', scope: 'project:1' };
  await roles.assign(held, SYSTEM);
  const { key } = await keyOf(first, ada, { grants: [{ role: 'reader', scope: 'project:1' }] });
  const both = async (method: string) =>
    Promise.all([first, second].map((app) => statusOf(app, '/docs/1', { key, method })));
  expect(await both('GET')).toEqual([200, 200]);
  expect(await both('POST')).toEqual([200, 200]);
  await roles.unassign(held, SYSTEM);
  expect(await both('POST')).toEqual([403, 403]);
  first.clock.advance({ seconds: 10 });
  expect(await both('GET')).toEqual([403, 403]);
  await roles.assign(held, SYSTEM);
  first.clock.advance({ seconds: 10 });
  expect(await both('POST')).toEqual([403, 403]);
});

test('an assignment that ends by itself ends in the key at that moment (AK-3)', async () => {
  const app = await startApp({}, { routes });
  const ada = await person(app, 'ada');
  await app.authTuna.roles.create({ name: 'reader', permissions: ['doc:read'] });
  const expiresAt = new Date(app.clock.now().getTime() + 5000);
  await app.authTuna.roles.assign({ userId: ada, role: 'reader', scope: 'project:1', expiresAt }, SYSTEM);
  const { key } = await keyOf(app, ada, { grants: [{ role: 'reader', scope: 'project:1' }] });
  expect(await statusOf(app, '/docs/1', { key })).toBe(200);
  app.clock.advance({ seconds: 5 });
  expect(await statusOf(app, '/docs/1', { key })).toBe(403);
});

test('a publishable key passes no guard, and nothing in the address changes that (D3)', async () => {
  const app = await startApp({}, { routes });
  const ada = await person(app, 'ada', 'superadmin');
  const { key, apiKey } = await keyOf(app, ada, { kind: 'publishable' });
  expect(await (await ask(app, '/who', { key })).json()).toEqual({
    method: 'api_key',
    userId: null,
    keyId: apiKey.id,
    hasSession: false,
  });
  for (const path of [
    '/me',
    '/me?allow_public_key=1',
    '/docs/1',
    '/projects/1?credentials=api_key',
    '/browser',
  ])
    expect(await statusOf(app, path, { key })).toBe(403);
});

test('the key of an all-powerful owner opens no route of credentials, factors, keys or the account (AK-4, D22)', async () => {
  const app = await startApp({}, { routes });
  const ada = await person(app, 'ada', 'superadmin');
  const { key } = await keyOf(app, ada, { kind: 'master' });
  expect(await statusOf(app, '/docs/1', { key })).toBe(200);
  // Made for keys: other servers ask there about the requests that they receive.
  const isForServers = (path: string) =>
    path === '/auth/token/introspect' || path.startsWith('/auth/remote/');
  const guarded = app.authTuna.routes().filter(({ guard, path }) => guard !== null && !isForServers(path));
  expect(guarded.length).toBeGreaterThan(40);
  const answers = await Promise.all(
    guarded.map(async ({ method, path }) => {
      const address = path.replace(/:\w+/g, 'x');
      return `${await statusOf(app, address, { key, method, ...(method !== 'GET' && { body: {} }) })} ${method} ${path}`;
    }),
  );
  expect(answers.filter((answer) => !answer.startsWith('403'))).toEqual([]);
  expect(await statusOf(app, '/browser', { key })).toBe(403);
  expect(await statusOf(app, '/recent', { key })).toBe(403);
  expect((await app.authTuna.apiKeys.list(ada)).items).toHaveLength(1);
});

/** Not of a job, which runs when it likes. */
const isOfRequests = (statement: string) => !/Lease|OutboxMessage|Audit/.test(statement);

test('a good key costs no query in steady state on safe methods (AK-2, D22)', async () => {
  const database = await freshDatabase();
  const { client, statements } = countingClient(database);
  const app = await startApp({ prisma: client }, { database, routes });
  const ada = await person(app, 'ada', 'superadmin');
  const { key } = await keyOf(app, ada);
  expect(await statusOf(app, '/docs/1', { key })).toBe(200);
  const before = statements.length;
  for (let round = 0; round < 50; round += 1) expect(await statusOf(app, '/docs/1', { key })).toBe(200);
  expect(statements.slice(before).filter(isOfRequests)).toEqual([]);
  await client.$disconnect();
});

test('the last use is written at most once a minute (AK-6)', async () => {
  const database = await freshDatabase();
  const { client, statements } = countingClient(database);
  const app = await startApp({ prisma: client }, { database, routes });
  const ada = await person(app, 'ada');
  const { key, apiKey } = await keyOf(app, ada);
  const written = () => statements.filter((text) => /^UPDATE .*lastUsedAt/i.test(text)).length;
  const begun = app.clock.now();
  for (let second = 0; second < 60; second += 1) {
    await ask(app, '/me/x', { key, method: 'POST' });
    app.clock.advance({ seconds: 1 });
  }
  expect(written()).toBe(1);
  expect((await app.authTuna.apiKeys.list(ada)).items[0]?.lastUsedAt).toEqual(begun);
  await ask(app, '/me/x', { key, method: 'POST' });
  expect(written()).toBe(2);
  expect((await app.authTuna.apiKeys.list(ada)).items).toMatchObject([{ id: apiKey.id }]);
  await client.$disconnect();
});

test('a key works from its addresses alone; elsewhere it looks wrong and is recorded once a minute', async () => {
  const app = await startApp({ trustedProxies: 1 }, { routes });
  const ada = await person(app, 'ada');
  const { key, apiKey } = await keyOf(app, ada, { allowedIps: ['203.0.113.0/24', '2001:db8::1'] });
  expect(apiKey.allowedIps).toEqual(['203.0.113.0/24', '2001:db8::1/128']);
  const from = (ip: string) => statusOf(app, '/me', { key, headers: { 'x-forwarded-for': ip } });
  expect(await from('203.0.113.9')).toBe(200);
  expect(await from('2001:db8::1')).toBe(200);
  expect(await from('198.51.100.1')).toBe(401);
  expect(await from('2001:db8::2')).toBe(401);
  expect(await from('garbage')).toBe(401);
  const refused = (await app.authTuna.audit.list({ type: 'api_key.refused' })).items;
  expect(refused).toMatchObject([{ outcome: 'denied', reason: 'address', targetId: apiKey.id }]);
});

test('a key may be used as often as its limit says', async () => {
  const app = await startApp({}, { routes });
  const ada = await person(app, 'ada');
  const { key } = await keyOf(app, ada, { rateLimit: { limit: 3, windowSeconds: 60 } });
  const answers = await Promise.all(Array.from({ length: 6 }, () => statusOf(app, '/me', { key })));
  expect(answers.sort()).toEqual([200, 200, 200, 429, 429, 429]);
  app.clock.advance({ seconds: 70 });
  expect(await statusOf(app, '/me', { key })).toBe(200);
});

test('a program is told that its key does not count, and where no key counts (RFC 6750 section 3.1)', async () => {
  const app = await startApp({}, { routes });
  const { key, apiKey } = await keyOf(app, await person(app, 'ada'));
  await app.authTuna.apiKeys.revoke(apiKey.id, SYSTEM);
  const ended = await ask(app, '/me', { key });
  expect([ended.status, ended.headers.get('www-authenticate')]).toEqual([
    401,
    'Bearer error="invalid_token"',
  ]);
  expect((await json(ended)).detail).toBe('This API key is not valid, or not any more.');
  const other = await keyOf(app, await person(app, 'bob'));
  const closed = await ask(app, '/browser', { key: other.key });
  expect([closed.status, (await json(closed)).detail]).toEqual([403, 'This cannot be done with an API key.']);
});

test('a scanner that posts a form, or posts wrongly, reads JSON', async () => {
  const app = await startApp({}, { routes });
  const { key } = await keyOf(app, await person(app, 'ada'));
  const report = async (fields: Record<string, string>) => {
    const body = new URLSearchParams(fields);
    const answer = await fetch(`${app.url}/auth/api-keys/revoke-leaked`, { method: 'POST', body });
    return [answer.status, (await json(answer)).revoked ?? null];
  };
  expect(await report({ text: key })).toEqual([422, null]);
  expect(await report({ key })).toEqual([200, true]);
});

test('a key in an address is refused and flagged once, or let through and flagged where asked for (AK-5)', async () => {
  const app = await startMailedApp({}, { routes });
  const ada = await person(app, 'ada');
  const { key, apiKey } = await keyOf(app, ada);
  const inAddress = `/me?api_key=${key}`;
  expect(await statusOf(app, inAddress)).toBe(401);
  expect((await json(ask(app, inAddress))).detail).toContain('Send it as Authorization: Bearer');
  expect(await statusOf(app, inAddress, { key })).toBe(400);
  expect(await statusOf(app, '/public?api_key=something-of-the-host')).toBe(200);
  expect(await statusOf(app, '/me', { key })).toBe(200);
  const exposed = (await app.authTuna.audit.list({ type: 'api_key.exposed' })).items;
  expect(exposed).toMatchObject([{ targetId: apiKey.id, apiKeyId: apiKey.id }]);
  const mails = await app.mailsTo('ada@example.com');
  expect(mails.filter(({ subject }) => subject.includes('known to others'))).toHaveLength(1);
  const [listed] = (await app.authTuna.apiKeys.list(ada)).items;
  expect(listed?.exposedAt).toEqual(app.clock.now());
  // A text that others have seen does not work on beside its successor, unless somebody says so; then the key stays flagged.
  const actor = as(ada);
  const late = await app.authTuna.apiKeys.rotate(apiKey.id, { overlapSeconds: 60 }, actor);
  expect(late.apiKey.exposedAt).toEqual(app.clock.now());
  const replaced = await app.authTuna.apiKeys.rotate(apiKey.id, {}, actor);
  expect(replaced.apiKey.exposedAt).toBeNull();
  expect(await statusOf(app, '/me', { key: late.key })).toBe(401);
  expect(await statusOf(app, '/me', { key: replaced.key })).toBe(200);
  const loud = await startApp(
    { apiKeys: { allowQueryParameter: true } },
    { routes, database: app.database, clock: app.clock },
  );
  const other = await keyOf(loud, ada);
  expect(await statusOf(loud, `/me?api_key=${other.key}`)).toBe(200);
  expect((await loud.authTuna.audit.list({ type: 'api_key.exposed' })).items).toHaveLength(2);
});

test('people make, see, replace and revoke their own keys, after a recent login (AK-7)', async () => {
  const app = await startApp({}, { routes });
  const { user, browser } = await app.signedIn();
  const other = await app.signedIn();
  const made = await browser.post('/auth/api-keys', { name: 'Script', expiresInSeconds: 30 * DAY });
  expect(made.status).toBe(201);
  expect(made.headers.get('cache-control')).toBe('no-store');
  const { apiKey, key } = (await made.json()) as { apiKey: { id: string }; key: string };
  expect(await statusOf(app, '/me', { key })).toBe(200);
  for (const field of ['userId', 'ownerId', 'permissions', 'rateLimit', 'id']) {
    const answer = await browser.post('/auth/api-keys', { name: 'x', [field]: user.id });
    expect(answer.status).toBe(422);
  }
  expect(
    await statusOf(app, '/auth/api-keys', { method: 'POST', body: { name: 'x', userId: user.id } }),
  ).toBe(401);
  const listed = await (await browser.get('/auth/api-keys')).json();
  expect(listed).toMatchObject({ items: [{ id: apiKey.id, userId: user.id }], nextCursor: null });
  expect(JSON.stringify(listed)).not.toContain(key.split('_')[3]);
  const foreign = `/auth/api-keys/${apiKey.id}`;
  expect((await other.browser.post(`${foreign}/rotate`, {})).status).toBe(404);
  expect((await other.browser.delete(foreign)).status).toBe(404);
  expect((await browser.delete('/auth/api-keys/%00')).status).toBe(404);
  const rotated = await browser.post(`${foreign}/rotate`, { overlapSeconds: 60 });
  expect(rotated.status).toBe(200);
  const next = ((await rotated.json()) as { key: string }).key;
  expect([await statusOf(app, '/me', { key }), await statusOf(app, '/me', { key: next })]).toEqual([
    200, 200,
  ]);
  app.clock.advance({ seconds: 601 });
  expect((await browser.post('/auth/api-keys', { name: 'x' })).status).toBe(401);
  expect((await browser.post('/auth/step-up', { password: PASSWORD })).status).toBe(200);
  expect((await browser.delete(foreign)).status).toBe(204);
  expect(await statusOf(app, '/me', { key: next })).toBe(401);
});

test('the page makes a key from a form, shows it once, and replaces and revokes keys', async () => {
  const app = await startApp({}, { routes });
  const { user, browser } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/auth/api-keys/manage');
  expect(page.status).toBe(200);
  const { csrfToken } = page;
  const shown = await visitor.postFields('/auth/api-keys/manage', {
    csrfToken,
    name: 'From the page',
    lifetimeDays: '30',
    grants: 'user global',
  });
  expect(shown.status).toBe(200);
  const key = /at_live_\w+/.exec(await shown.text())?.[0] as string;
  expect(await statusOf(app, '/me', { key })).toBe(200);
  const [made] = (await app.authTuna.apiKeys.list(user.id)).items;
  expect(made?.grants).toEqual([{ role: 'user', scope: 'global' }]);
  const { html } = await visitor.open('/auth/api-keys/manage');
  expect(html).toContain('From the page');
  expect(html).not.toContain(key);
  const refused = await visitor.postFields('/auth/api-keys/manage', { csrfToken, lifetimeDays: '90' });
  expect(refused.status).toBe(422);
  const replaced = await visitor.postFields(`/auth/api-keys/${made?.id}/replace`, { csrfToken });
  expect(await replaced.text()).toMatch(/at_live_\w{50}/);
  const question = new RegExp(`<details class="confirm">(?:(?!</details>).)*/${made?.id}/revoke"`, 's');
  expect(html).toMatch(question);
  expect(html).toContain('<p>Programs that use it stop working at once. It cannot be brought back.</p>');
  const revoked = await visitor.postFields(`/auth/api-keys/${made?.id}/revoke`, { csrfToken });
  expect(revoked.status).toBe(303);
  const told = toldBy(await visitor.open('/auth/api-keys/manage'));
  expect(told).toEqual(['API keys', 'The key is revoked. Programs can no longer use it.']);
  expect(await statusOf(app, '/me', { key })).toBe(401);
});

test('owners are mailed before a key expires, once, and keys that ended long ago are removed', async () => {
  const app = await startMailedApp({}, { routes });
  const ada = await person(app, 'ada');
  await keyOf(app, ada, { name: 'Long', expiresInSeconds: 30 * DAY });
  await keyOf(app, ada, { name: 'Short', expiresInSeconds: 5 * DAY });
  const warned = async () => {
    await app.authTuna.jobs.run('api-keys');
    const mails = await app.mailsTo('ada@example.com');
    return mails.filter(({ subject }) => subject.includes('expires soon')).length;
  };
  expect(await warned()).toBe(0);
  app.clock.advance({ seconds: 23 * DAY });
  expect(await warned()).toBe(1);
  expect((await app.mailTo('ada@example.com')).text).toContain('Long');
  app.clock.advance({ seconds: DAY });
  expect(await warned()).toBe(1);
  app.clock.advance({ seconds: 40 * DAY });
  await app.authTuna.jobs.run('clean-up');
  expect((await app.authTuna.apiKeys.list(ada)).items).toEqual([]);
});

test('a password that is set by a mailed link ends the keys; one that the owner changes does not (SS-11, D23)', async () => {
  const app = await startMailedApp({}, { routes });
  const { user, browser } = await app.signedIn('ada@example.com');
  const { key } = await keyOf(app, user.id);
  const changed = { currentPassword: PASSWORD, newPassword: 'another staple of battery horses' };
  expect((await browser.post('/auth/change-password', changed)).status).toBeLessThan(300);
  expect(await statusOf(app, '/me', { key })).toBe(200);
  await app.authTuna.auth.requestPasswordReset('ada@example.com', as(user.id));
  const { text } = await app.mailTo('ada@example.com');
  const token = /token=([\w.-]+)/.exec(text)?.[1] as string;
  const reset = { token, newPassword: 'a third staple of battery horses' };
  expect((await app.browser().post('/auth/reset-password', reset)).status).toBeLessThan(300);
  expect(await statusOf(app, '/me/x', { key, method: 'POST' })).toBe(401);
  expect(await statusOf(app, '/me', { key })).toBe(401);
});
