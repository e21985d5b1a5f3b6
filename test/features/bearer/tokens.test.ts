import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { type AuthTuna, type AuthTunaOptions, createAuthTuna, SYSTEM } from '../../../src/index.js';
import { TestClock } from '../../../src/testing/index.js';
import { PASSWORD, SECRET, startApp, type TestInstance } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { enrolTotp, json, totpCode } from '../../support/factors.js';
import { as, codeOf, person } from '../../support/people.js';

const OTHER_SECRET = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';

interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
}

function routes(app: Express, authTuna: AuthTuna): void {
  app.get('/who', (req, res) => {
    const { method, user, session } = req.auth;
    res.json({ method, userId: user?.id ?? null, kind: session?.kind ?? null });
  });
  const docs = authTuna.requirePermission('doc:read', { scopeFrom: 'projectId' });
  app.get('/docs/:projectId', docs, (_req, res) => void res.json({}));
  app.post('/docs/:projectId', docs, (_req, res) => void res.json({}));
  app.get('/admins', authTuna.requireRole('superadmin'), (_req, res) => void res.json({}));
}

async function start(options: Partial<AuthTunaOptions> = {}, shared: Parameters<typeof startApp>[1] = {}) {
  return startApp(options, { routes, ...shared });
}

function post(
  { url }: Pick<TestInstance, 'url'>,
  path: string,
  body: object,
  headers: Record<string, string> = {},
) {
  return fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

async function signIn(app: TestInstance, email = 'ada@example.com'): Promise<Tokens> {
  const body = { grant_type: 'password', username: email, password: PASSWORD };
  const answer = await post(app, '/auth/token', body);
  if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Tokens;
}

async function ada(app: TestInstance): Promise<string> {
  const { id } = await app.authTuna.users.create({
    email: 'ada@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  return id;
}

const refresh = (app: Pick<TestInstance, 'url'>, token: string) =>
  post(app, '/auth/token', { grant_type: 'refresh_token', refresh_token: token });

const statusOf = async (app: Pick<TestInstance, 'url'>, path: string, token: string, method = 'GET') =>
  (await fetch(app.url + path, { method, headers: { authorization: `Bearer ${token}` } })).status;

test('a password gives a pair of tokens, by JSON and by form, and no cookie', async () => {
  const app = await start();
  const id = await ada(app);
  const form = await fetch(`${app.url}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', username: 'ada@example.com', password: PASSWORD }),
  });
  expect(form.status).toBe(200);
  expect(form.headers.get('set-cookie')).toBeNull();
  expect(form.headers.get('cache-control')).toBe('no-store');
  const tokens = (await form.json()) as Tokens;
  expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 600 });
  expect(tokens.refresh_token).toMatch(/^rt_[\w-]{22}_[\w-]{70}$/);
  const claims = decodeJwt(tokens.access_token);
  expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg: 'HS256', typ: 'at+jwt' });
  expect(claims).toMatchObject({ sub: id, iss: app.url, aud: app.url, client_id: 'first-party' });
  const who = await fetch(`${app.url}/who`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  expect(await who.json()).toEqual({ method: 'access_token', userId: id, kind: 'bearer' });
  const { access_token } = await signIn(app);
  expect(await statusOf(app, '/me', access_token)).toBe(200);
  expect(await statusOf(app, '/me/x', access_token, 'POST')).toBe(200);
  expect(await statusOf(app, '/auth/user-info', access_token)).toBe(200);
  // Tokens open nothing that changes credentials.
  expect(await statusOf(app, '/account/sessions', access_token)).toBe(403);
  expect((await app.authTuna.sessions.list(id)).map(({ kind }) => kind)).toEqual(['bearer', 'bearer']);
});

test('refusals have the form of OAuth and our code beside it (RFC 6749 section 5.2)', async () => {
  const app = await start();
  const id = await ada(app);
  const wrong = { grant_type: 'password', username: 'ada@example.com', password: 'wrong password here' };
  const cases: [object, number, string, string][] = [
    [wrong, 400, 'invalid_grant', 'invalid_credentials'],
    [{ ...wrong, username: 'nobody@example.com' }, 400, 'invalid_grant', 'invalid_credentials'],
    [{ grant_type: 'refresh_token', refresh_token: 'rt_x' }, 400, 'invalid_grant', 'invalid_token'],
    [{ grant_type: 'client_credentials' }, 400, 'unsupported_grant_type', 'malformed_request'],
    [{ grant_type: '__proto__' }, 400, 'unsupported_grant_type', 'malformed_request'],
    [{}, 422, 'invalid_request', 'invalid_input'],
    [{ grant_type: 'password' }, 422, 'invalid_request', 'invalid_input'],
    [{ ...wrong, scope: 'not a scope' }, 422, 'invalid_request', 'invalid_input'],
  ];
  for (const [body, status, error, code] of cases) {
    const answer = await post(app, '/auth/token', body);
    expect([answer.status, await answer.json()]).toEqual([
      status,
      expect.objectContaining({ error, code, error_description: expect.any(String), status }),
    ]);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  }
  await app.authTuna.users.suspend(id, 'test', SYSTEM);
  const suspended = await post(app, '/auth/token', { ...wrong, password: PASSWORD });
  expect(await suspended.json()).toMatchObject({ error: 'invalid_grant', code: 'account_suspended' });
});

test('an access token lives ten minutes at most, names its session and ends with it (RT-1)', async () => {
  const settings = { bearer: { accessTokenSeconds: 601 } };
  expect(() => createAuthTuna({ baseUrl: 'http://localhost', secrets: [SECRET], ...settings })).toThrow(
    'accessTokenSeconds',
  );
  const app = await start();
  const id = await ada(app);
  const { access_token } = await signIn(app);
  const { iat = 0, exp = 0, sid } = decodeJwt(access_token);
  expect(exp - iat).toBe(600);
  expect((await app.authTuna.sessions.list(id)).map((session) => session.id)).toEqual([sid]);
  await app.authTuna.sessions.revoke(String(sid), SYSTEM);
  expect(await statusOf(app, '/me/x', access_token, 'POST')).toBe(401);
});

const partsOf = (token: string) => [token.slice(3, 25), token.slice(26)] as const;

test('a copy of the database yields no refresh token, and using one leaves one that counts (RT-1)', async () => {
  const app = await start();
  const id = await ada(app);
  const tokens = await signIn(app);
  const [sessionId, secret] = partsOf(tokens.refresh_token);
  expect(Buffer.from(secret, 'base64url').length).toBeGreaterThanOrEqual(32);
  // The thief has every row, and the program, but not the secrets: what it derives from the same row is another token.
  const thief = await start(
    { secrets: [OTHER_SECRET], baseUrl: app.url },
    { database: app.database, clock: app.clock },
  );
  expect(await codeOf(thief.authTuna.bearer.refresh(tokens.refresh_token, SYSTEM))).toBe('invalid_token');
  const forged = await thief.authTuna.bearer.issue(id, { amr: ['pwd'] }, SYSTEM);
  const guesses = [forged.refresh_token, `rt_${sessionId}_${partsOf(forged.refresh_token)[1]}`];
  for (const guess of guesses) expect((await refresh(app, guess)).status).toBe(400);

  const next = (await (await refresh(app, tokens.refresh_token)).json()) as Tokens;
  const again = (await (await refresh(app, tokens.refresh_token)).json()) as Tokens;
  expect(again.refresh_token).toBe(next.refresh_token);
});

test('fifty parallel refreshes over two instances give one successor and one live family (RT-2)', async () => {
  const first = await start();
  const second = await start({}, { database: first.database, clock: first.clock });
  const id = await ada(first);
  const { refresh_token } = await signIn(first);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => refresh(index % 2 === 0 ? first : second, refresh_token)),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
  const tokens = (await Promise.all(answers.map((answer) => answer.json()))) as Tokens[];
  expect(new Set(tokens.map((each) => each.refresh_token)).size).toBe(1);
  expect(await first.authTuna.sessions.list(id)).toHaveLength(1);
  const [{ refresh_token: next = '' } = {}] = tokens;
  expect((await refresh(second, next)).status).toBe(200);
});

test('a late request with a replaced token is no theft on an instance whose clock is behind (RT-3)', async () => {
  const first = await start();
  const clock = new TestClock(new Date(first.clock.now().getTime() - 2000));
  const second = await start({}, { database: first.database, clock });
  await ada(first);
  const { refresh_token: oldest } = await signIn(first);
  const next = (await (await refresh(first, oldest)).json()) as Tokens;
  const latest = (await (await refresh(first, next.refresh_token)).json()) as Tokens;
  expect((await refresh(second, oldest)).status).toBe(200);
  expect((await refresh(first, latest.refresh_token)).status).toBe(200);
});

test('fifty parallel refreshes over two instances and a line that loses answers leave one family and sign nobody out (RT-2, RT-4)', async () => {
  const first = await start();
  const second = await start({ baseUrl: first.url }, { database: first.database, clock: first.clock });
  const id = await ada(first);
  const tokens = await signIn(first);
  let answers = 0;
  const line = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    const target = answers % 2 === 0 ? first : second;
    const answer = await fetch(`${target.url}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const text = await answer.text();
    answers += 1;
    if (answers % 3 === 0) return void res.destroy(); // stored there, and never heard of here
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
  }).listen(0, '127.0.0.1');
  await once(line, 'listening');
  onTestFinished(() => {
    line.closeAllConnections();
    line.close();
  });
  const url = `http://127.0.0.1:${(line.address() as AddressInfo).port}`;
  /** Asks again until an answer arrives, as an app does. */
  const renew = async (): Promise<{ status: number; refresh_token?: string }> => {
    const body = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    for (;;) {
      const answer = await post({ url }, '/auth/token', body).catch(() => null);
      if (answer !== null) return { status: answer.status, ...((await answer.json()) as object) };
    }
  };
  const renewed = await Promise.all(Array.from({ length: 50 }, renew));
  expect(answers).toBeGreaterThan(50); // some were lost
  expect(new Set(renewed.map(({ status }) => status))).toEqual(new Set([200]));
  const successors = new Set(renewed.map(({ refresh_token }) => refresh_token));
  expect(successors.size).toBe(1);
  expect((await refresh(second, [...successors][0] ?? '')).status).toBe(200);
  expect((await first.authTuna.sessions.list(id)).map(({ kind }) => kind)).toEqual(['bearer']);
});

test('a lost answer is repeated, until ten seconds after its token was used; then the old token ends the family (RT-3, RT-4)', async () => {
  const app = await start();
  const id = await ada(app);
  const begun = await signIn(app);
  const lost = (await (await refresh(app, begun.refresh_token)).json()) as Tokens;
  app.clock.advance({ seconds: 3600 });
  const again = (await (await refresh(app, begun.refresh_token)).json()) as Tokens;
  expect(again.refresh_token).toBe(lost.refresh_token);
  const next = (await (await refresh(app, again.refresh_token)).json()) as Tokens;
  expect(next.refresh_token).not.toBe(again.refresh_token);
  app.clock.advance({ seconds: 10 });
  const straggler = (await (await refresh(app, begun.refresh_token)).json()) as Tokens;
  expect(straggler.refresh_token).toBe(again.refresh_token);
  app.clock.advance({ seconds: 1 });
  expect((await refresh(app, begun.refresh_token)).status).toBe(400);
  const ended = await refresh(app, next.refresh_token);
  expect([ended.status, await ended.json()]).toMatchObject([400, { code: 'invalid_token' }]);
  expect(await statusOf(app, '/me/x', next.access_token, 'POST')).toBe(401);
  expect(await app.authTuna.sessions.list(id)).toEqual([]);
  const { items } = await app.authTuna.audit.list({ type: 'session.breached' });
  expect(items).toMatchObject([{ reason: 'refresh_token_reused' }]);
});

test('forty thieves with an old token cause one verdict and one audit entry', async () => {
  const app = await start();
  await ada(app);
  const begun = await signIn(app);
  const next = (await (await refresh(app, begun.refresh_token)).json()) as Tokens;
  await refresh(app, next.refresh_token);
  app.clock.advance({ seconds: 11 });
  const answers = await Promise.all(Array.from({ length: 40 }, () => refresh(app, begun.refresh_token)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]));
  expect((await app.authTuna.audit.list({ type: 'session.breached' })).items).toHaveLength(1);
});

test('refreshing ends after 14 idle days and after 30 days (RT-4)', async () => {
  const day = 86_400;
  const app = await start();
  await ada(app);
  const idle = await signIn(app);
  app.clock.advance({ seconds: 14 * day });
  expect((await refresh(app, idle.refresh_token)).status).toBe(400);
  let { refresh_token } = await signIn(app);
  for (let days = 13; days <= 26; days += 13) {
    app.clock.advance({ seconds: 13 * day });
    const answer = await refresh(app, refresh_token);
    expect(answer.status).toBe(200);
    ({ refresh_token } = (await answer.json()) as Tokens);
  }
  app.clock.advance({ seconds: 4 * day });
  expect((await refresh(app, refresh_token)).status).toBe(400);
});

test('suspension, a new password and signing out everywhere end tokens at once on unsafe routes, and within the bound elsewhere (RT-4, SS-8, SS-11)', async () => {
  const app = await start();
  const bearer = { issuer: app.url, audience: app.url };
  const other = await start({ bearer }, { database: app.database, clock: app.clock });
  const id = await ada(app);
  const events: Record<string, () => Promise<unknown>> = {
    revoked: () => app.authTuna.sessions.revokeAll(id, as(id)),
    password: () => app.authTuna.passwords.set(id, PASSWORD, SYSTEM),
    suspended: () => app.authTuna.users.suspend(id, 'test', SYSTEM),
  };
  for (const [what, change] of Object.entries(events)) {
    const { access_token, refresh_token } = await signIn(app);
    expect(await statusOf(other, '/me', access_token), what).toBe(200);
    await change();
    expect(await statusOf(app, '/me', access_token), what).toBe(401);
    expect(await statusOf(other, '/me/x', access_token, 'POST'), what).toBe(401);
    expect((await refresh(other, refresh_token)).status, what).toBe(400);
    app.clock.advance({ seconds: 11 });
    expect(await statusOf(other, '/me', access_token), what).toBe(401);
  }
});

test('an access token costs no query in steady state on safe methods', async () => {
  const database = await freshDatabase();
  const { client, statements } = countingClient(database);
  const app = await start({ prisma: client }, { database });
  await ada(app);
  const { access_token } = await signIn(app);
  expect(await statusOf(app, '/me', access_token)).toBe(200);
  const before = statements.length;
  for (let round = 0; round < 30; round += 1) expect(await statusOf(app, '/me', access_token)).toBe(200);
  for (const garbage of ['x', 'a.b.c', `${access_token}x`, 'rt_'.padEnd(96, 'a')])
    expect(await statusOf(app, '/me', garbage)).toBe(401);
  expect(statements.slice(before)).toEqual([]);
  await client.$disconnect();
});

test('an access token ends after its ten minutes, give or take half a minute of clocks (JW-4)', async () => {
  const app = await start();
  await ada(app);
  const { access_token } = await signIn(app);
  expect(await statusOf(app, '/me', access_token)).toBe(200);
  app.clock.advance({ seconds: 620 });
  expect(await statusOf(app, '/me', access_token)).toBe(200);
  app.clock.advance({ seconds: 11 });
  expect(await statusOf(app, '/me', access_token)).toBe(401);
});

test('tokens with a scope may do those permissions and nothing else, through refreshing too', async () => {
  const app = await start();
  const id = await ada(app);
  await app.authTuna.roles.assign({ userId: id, role: 'superadmin', scope: 'global' }, SYSTEM);
  const body = { grant_type: 'password', username: 'ada@example.com', password: PASSWORD };
  const opened = async (token: string) =>
    Promise.all(['/docs/1', '/projects/1', '/admins', '/me'].map((path) => statusOf(app, path, token)));
  const full = await signIn(app);
  expect(await opened(full.access_token)).toEqual([200, 200, 200, 200]);
  const answer = await post(app, '/auth/token', { ...body, scope: 'doc:read post:*' });
  const limited = (await answer.json()) as Tokens & { scope: string };
  expect(limited.scope).toBe('doc:read post:*');
  expect(await opened(limited.access_token)).toEqual([200, 403, 403, 200]);
  const next = (await (await refresh(app, limited.refresh_token)).json()) as Tokens;
  expect(await opened(next.access_token)).toEqual([200, 403, 403, 200]);
});

test('a refresh token is of the client that asked for it', async () => {
  const app = await start();
  await ada(app);
  const body = { grant_type: 'password', username: 'ada@example.com', password: PASSWORD, client_id: 'ios' };
  const { refresh_token, access_token } = (await (await post(app, '/auth/token', body)).json()) as Tokens;
  expect(decodeJwt(access_token)).toMatchObject({ client_id: 'ios' });
  expect((await refresh(app, refresh_token)).status).toBe(400);
  const renewed = { grant_type: 'refresh_token', refresh_token, client_id: 'ios' };
  expect((await post(app, '/auth/token', renewed)).status).toBe(200);
});

test('revoking either token ends the family, and signing out with an access token does too (RFC 7009)', async () => {
  const app = await start();
  await ada(app);
  for (const kind of ['access_token', 'refresh_token'] as const) {
    const tokens = await signIn(app);
    expect(
      (await post(app, '/auth/token/revoke', { token: tokens[kind], token_type_hint: kind })).status,
    ).toBe(200);
    expect(await statusOf(app, '/me', tokens.access_token)).toBe(401);
    expect((await refresh(app, tokens.refresh_token)).status).toBe(400);
  }
  expect((await post(app, '/auth/token/revoke', { token: 'of nobody' })).status).toBe(200);
  const { access_token, refresh_token } = await signIn(app);
  const out = await post(app, '/auth/logout', {}, { authorization: `Bearer ${access_token}` });
  expect([out.status, await out.json()]).toEqual([200, { revoked: 1 }]);
  expect((await refresh(app, refresh_token)).status).toBe(400);
});

test('a sign-out with a token that is over says so, and revoking by it ends its session all the same (RFC 7009)', async () => {
  const app = await start();
  await ada(app);
  const { access_token, refresh_token } = await signIn(app);
  const authorization = `Bearer ${access_token}`;
  app.clock.advance({ minutes: 11 });
  const answer = await post(app, '/auth/logout', {}, { authorization });
  expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
    401,
    'Bearer error="invalid_token"',
  ]);
  expect(await answer.json()).toMatchObject({
    code: 'unauthenticated',
    detail: 'This access token is not valid, or has expired. Refresh it, or sign in again.',
  });
  expect((await post(app, '/auth/logout', {}, { authorization: 'Bearer nothing' })).status).toBe(401);
  expect((await post(app, '/auth/token/revoke', { token: access_token })).status).toBe(200);
  const renewal = await post(app, '/auth/token', { grant_type: 'refresh_token', refresh_token });
  expect([renewal.status, (await json(renewal)).detail]).toEqual([
    400,
    'This refresh token is not valid any more. Sign in again.',
  ]);
});

test('a refusal names the fields that are wrong, for a program that shows one sentence', async () => {
  const app = await start();
  const answer = await post(app, '/auth/token', { grant_type: 'password', username: 'ada@example.com' });
  expect((await json(answer)).error_description).toContain('password');
  const text = await fetch(`${app.url}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'x',
  });
  expect([text.status, (await json(text)).detail]).toEqual([
    415,
    'Send this request as application/json or application/x-www-form-urlencoded.',
  ]);
});

test('tokens are looked at by an API key with tokens:introspect alone (RFC 7662)', async () => {
  const app = await start();
  const id = await ada(app);
  const tokens = await signIn(app);
  const { authTuna } = app;
  await authTuna.roles.create({ name: 'gateway', permissions: ['tokens:introspect'] });
  const gateway = await person(app, 'gateway', 'gateway');
  const { key } = await authTuna.apiKeys.create({ userId: gateway, name: 'Gateway' }, SYSTEM);
  const look = (token: string, authorization?: string) =>
    post(app, '/auth/token/introspect', { token }, authorization === undefined ? {} : { authorization });
  const active = await (await look(tokens.access_token, `Bearer ${key}`)).json();
  expect(active).toMatchObject({ active: true, sub: id, iss: app.url, aud: app.url, token_type: 'Bearer' });
  expect(await (await look(tokens.refresh_token, `Bearer ${key}`)).json()).toMatchObject({
    active: true,
    sub: id,
  });
  expect(await (await look('garbage', `Bearer ${key}`)).json()).toEqual({ active: false });
  expect((await look(tokens.access_token)).status).toBe(401);
  expect((await look(tokens.access_token, `Bearer ${tokens.access_token}`)).status).toBe(403);
  const plain = await authTuna.apiKeys.create({ userId: id, name: 'Plain' }, SYSTEM);
  expect((await look(tokens.access_token, `Bearer ${plain.key}`)).status).toBe(403);
  await authTuna.sessions.revokeAll(id, SYSTEM);
  expect(await authTuna.bearer.introspect(tokens.access_token)).toEqual({ active: false });
  expect(await authTuna.bearer.introspect(tokens.refresh_token)).toEqual({ active: false });
});

for (const algorithm of ['EdDSA', 'ES256'] as const)
  test(`${algorithm}: others verify tokens by the published keys, also across a rotation of the secrets (JW-5)`, async () => {
    const bearer = { algorithm, audience: 'https://api.example.com', issuer: 'https://login.example.com' };
    const before = await start({ bearer });
    await ada(before);
    const old = await signIn(before);
    const shared = { database: before.database, clock: before.clock };
    const after = await start({ bearer, secrets: [OTHER_SECRET, SECRET] }, shared);
    const next = (await (await refresh(after, old.refresh_token)).json()) as Tokens;
    const published = await fetch(`${after.url}/auth/token/jwks`);
    expect(published.headers.get('cache-control')).toBe('public, max-age=300');
    const jwks = (await published.json()) as JSONWebKeySet;
    expect(jwks.keys).toHaveLength(2);
    expect(JSON.stringify(jwks)).not.toMatch(/"d":/);
    const keys = createLocalJWKSet(jwks);
    const options = { ...bearer, typ: 'at+jwt', algorithms: [algorithm], currentDate: before.clock.now() };
    for (const { access_token } of [old, next]) {
      expect((await jwtVerify(access_token, keys, options)).payload.sid).toBe(decodeJwt(access_token).sid);
      expect(await statusOf(after, '/me', access_token)).toBe(200);
    }
    expect(decodeProtectedHeader(next.access_token).kid).not.toBe(
      decodeProtectedHeader(old.access_token).kid,
    );
    // A secret that is taken out too early signs people out and does nothing worse.
    const gone = await start({ bearer, secrets: [OTHER_SECRET] }, shared);
    expect(await statusOf(gone, '/me', old.access_token)).toBe(401);
    expect(await statusOf(gone, '/me', next.access_token)).toBe(200);
  });

test('a due second factor is a step of its own, and its pending token is good for one sign-in', async () => {
  const app = await start();
  const { browser } = await app.signedIn('bob@example.com');
  const { secret } = await enrolTotp(app, browser);
  app.clock.advance({ seconds: 30 });
  const body = { grant_type: 'password', username: 'bob@example.com', password: PASSWORD };
  const asked = await post(app, '/auth/token', body);
  expect(asked.status).toBe(401);
  const waiting = (await asked.json()) as { pending_token: string };
  expect(waiting).toMatchObject({
    error: 'mfa_required',
    code: 'second_factor_required',
    pending_token: expect.any(String),
    factors: expect.arrayContaining(['totp']),
  });
  const step = (code: string) =>
    post(app, '/auth/token', {
      grant_type: 'urn:authtuna:second-factor',
      pending_token: waiting.pending_token,
      code,
    });
  const wrong = await step('000000');
  expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: 'invalid_credentials' }]);
  const code = totpCode(secret, app.clock);
  const done = await step(code);
  expect(done.status).toBe(200);
  const { access_token } = (await done.json()) as Tokens;
  expect(await statusOf(app, '/me', access_token)).toBe(200);
  expect((await step(code)).status).toBe(400);
});

test('tokens for scripts come from issue, refresh and revoke, which say what is wrong', async () => {
  const app = await start();
  const id = await ada(app);
  const { bearer } = app.authTuna;
  const tokens = await bearer.issue(id, { amr: ['pwd'], scope: 'doc:read' }, SYSTEM);
  expect(tokens).toMatchObject({ token_type: 'Bearer', scope: 'doc:read' });
  const next = await bearer.refresh(tokens.refresh_token, as(id));
  expect(await bearer.introspect(next.access_token)).toMatchObject({ active: true, sub: id });
  expect(await codeOf(bearer.refresh('rt_garbage', as(id)))).toBe('invalid_token');
  expect(await codeOf(bearer.issue(id, { amr: ['pwd'] }, as(id)))).toBe('forbidden');
  expect(await codeOf(bearer.issue(id, { amr: [] }, SYSTEM))).toBe('invalid_input');
  expect(await codeOf(bearer.issue('nobody', { amr: ['pwd'] }, SYSTEM))).toBe('not_found');
  expect(await bearer.revoke(next.refresh_token, as(id))).toBe(1);
  expect(await bearer.revoke(next.refresh_token, as(id))).toBe(0);
});
