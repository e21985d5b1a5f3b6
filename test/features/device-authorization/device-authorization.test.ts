// Sign-in of tools without a browser (RFC 8628): a public client library drives it, and what a thief or an impatient tool may try is refused.
import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, type TestInstance } from '../../support/app.js';
import { enrolTotp, json } from '../../support/factors.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

interface Begun {
  device_code: string;
  user_code: string;
  verification_uri: string;
  verification_uri_complete: string;
  expires_in: number;
  interval: number;
}

const post = (app: Pick<TestInstance, 'url'>, path: string, body: object) =>
  fetch(app.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'acme-cli/1.2' },
    body: JSON.stringify(body),
  });
const begin = async (app: TestInstance, more: object = {}): Promise<Begun> =>
  json(post(app, '/auth/device', { client_id: 'acme-cli', ...more }), 200);
const poll = (
  app: Pick<TestInstance, 'url'>,
  { device_code }: Pick<Begun, 'device_code'>,
  client = 'acme-cli',
) => post(app, '/auth/token', { grant_type: GRANT, device_code, client_id: client });
/** `200`, or the status and the error of OAuth. */
const outcome = async (answer: Promise<Response>) => {
  const response = await answer;
  const { error } = (await response.json()) as { error?: string };
  return error === undefined ? String(response.status) : `${response.status} ${error}`;
};

test('a tool that asks wrongly reads why as JSON, although it posts a form', async () => {
  const app = await startMailedApp();
  const body = new URLSearchParams({ scope: 'project:read' });
  const answer = await fetch(`${app.url}/auth/device`, { method: 'POST', body });
  expect(answer.status).toBe(422);
  const { error, error_description } = await json(answer);
  expect([error, error_description]).toEqual(['invalid_request', expect.stringContaining('client_id')]);
});

test('oauth4webapi signs a tool in that a person approves on the page, with the permissions that the page named', async () => {
  const app = await startMailedApp();
  const { authTuna, url, clock } = app;
  const { user, browser } = await app.signedIn('ada@example.com');
  await authTuna.roles.create({ name: 'member', permissions: ['project:read', 'project:update'] });
  await authTuna.roles.assign({ userId: user.id, role: 'member', scope: 'global' }, SYSTEM);
  const insecure = { [oauth.allowInsecureRequests]: true };
  const server: oauth.AuthorizationServer = {
    issuer: url,
    token_endpoint: `${url}/auth/token`,
    device_authorization_endpoint: `${url}/auth/device`,
  };
  const client: oauth.Client = { client_id: 'acme-cli' };
  const asked = await oauth.deviceAuthorizationRequest(
    server,
    client,
    oauth.None(),
    { scope: 'project:read' },
    insecure,
  );
  const begun = await oauth.processDeviceAuthorizationResponse(server, client, asked);
  expect(begun).toMatchObject({ expires_in: 900, interval: 5, verification_uri: `${url}/auth/device` });
  expect(begun.user_code).toMatch(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/);
  const exchange = async () => {
    const { device_code } = begun;
    const answer = await oauth.deviceCodeGrantRequest(server, client, oauth.None(), device_code, insecure);
    return oauth.processDeviceCodeResponse(server, client, answer);
  };
  await expect(exchange()).rejects.toMatchObject({ error: 'authorization_pending', status: 400 });

  // The short address, with the code typed as people type.
  const visitor = new PageVisitor(browser);
  expect((await visitor.open('/auth/device')).html).toContain('name="user_code"');
  const typed = begun.user_code.replace('-', ' ').toLowerCase();
  const page = await visitor.open(`/auth/device?user_code=${encodeURIComponent(typed)}`);
  for (const shown of [begun.user_code, 'acme-cli', 'project:read', 'ada@example.com'])
    expect(page.html).toContain(shown);
  const approved = await visitor.send(page);
  expect([approved.status, approved.html.includes('The tool is connected')]).toEqual([200, true]);

  clock.advance({ seconds: 5 });
  const tokens = await exchange();
  expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'project:read' });
  const may = async (method: string) => {
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    return (await fetch(`${url}/projects/1`, { method, headers })).status;
  };
  expect(await may('GET')).toBe(200);
  const reports = await fetch(`${url}/reports`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  expect(reports.status).toBe(403);
  await expect(exchange()).rejects.toMatchObject({ error: 'invalid_grant', status: 400 });
  expect((await app.mailTo('ada@example.com')).text).toContain('acme-cli');
  const entries = await authTuna.audit.list({ type: 'device_authorization.approved' });
  expect(entries.items).toMatchObject([{ actorId: user.id, data: { clientId: 'acme-cli' } }]);
});

test('a tool that asks too often must wait longer, and learns of a refusal and of the end', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn('ada@example.com');
  const asked = await begin(app);
  const at = async (seconds: number) => {
    app.clock.advance({ seconds });
    return outcome(poll(app, asked));
  };
  expect(await at(0)).toBe('400 authorization_pending');
  expect(await at(2)).toBe('400 slow_down'); // 10 s from here on
  expect(await at(6)).toBe('400 slow_down'); // 15 s
  expect(await at(15)).toBe('400 authorization_pending');
  expect(await outcome(poll(app, asked, 'other-cli'))).toBe('400 invalid_grant');
  await json(browser.post('/auth/device/deny', { user_code: asked.user_code }), 200);
  expect(await at(15)).toBe('400 access_denied');
  expect((await browser.post('/auth/device/approve', { user_code: asked.user_code })).status).toBe(400);

  const late = await begin(app);
  app.clock.advance({ seconds: 900 });
  expect(await outcome(poll(app, late))).toBe('400 expired_token');
  expect(await outcome(poll(app, { device_code: 'nothing' }))).toBe('400 invalid_grant');
  for (const body of [{}, { client_id: '<script>' }, { client_id: 'cli', scope: 'not a scope' }])
    expect((await post(app, '/auth/device', body)).status).toBe(422);
});

test('of twenty racing exchanges over two instances one gets tokens', async () => {
  const first = await startMailedApp();
  const second = await startMailedApp(
    { baseUrl: first.url },
    { database: first.database, clock: first.clock },
  );
  const { user, browser } = await first.signedIn('ada@example.com');
  const provedAt = first.clock.now();
  first.clock.advance({ seconds: 60 });
  const asked = await begin(first);
  await json(browser.post('/auth/device/approve', { user_code: asked.user_code }), 200);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => outcome(poll(index % 2 === 0 ? first : second, asked))),
  );
  expect(answers.filter((answer) => answer === '200')).toHaveLength(1);
  expect(new Set(answers)).toEqual(new Set(['200', '400 invalid_grant']));
  const sessions = await first.authTuna.sessions.list(user.id);
  const tools = sessions.filter(({ kind }) => kind === 'bearer');
  // The proof is as old as the person's own: fetching tokens makes nothing fresher.
  expect(tools).toMatchObject([{ authenticatedAt: provedAt }]);
});

test('approving needs a session with a recent and full proof, and no token or key does it', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  const { user, browser } = await app.signedIn('ada@example.com');
  const { user_code } = await begin(app);
  const { access_token } = await authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
  const { key } = await authTuna.apiKeys.create({ userId: user.id, name: 'Key' }, SYSTEM);
  const bare = (headers: Record<string, string>) =>
    fetch(`${app.url}/auth/device/approve`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ user_code }),
    });
  expect((await bare({})).status).toBe(401);
  expect((await bare({ authorization: `Bearer ${access_token}` })).status).toBe(403);
  expect((await bare({ 'x-api-key': key })).status).toBe(403);
  app.clock.advance({ seconds: 601 });
  const stale = await browser.post('/auth/device/approve', { user_code });
  expect([stale.status, (await json(stale)).code]).toEqual([401, 'recent_login_required']);
  const visitor = new PageVisitor(browser);
  expect((await visitor.open(`/auth/device?user_code=${user_code}`)).html).toContain('/auth/step-up');
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  const shown = await json(browser.get(`/auth/device?user_code=${user_code}`), 200);
  expect(shown).toMatchObject({ clientId: 'acme-cli', device: 'acme-cli', scopes: null });
  await json(browser.post('/auth/device/approve', { user_code }), 200);
});

test('an approval ends when the person signs out everywhere, is suspended, or has a factor that it was not made with', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  const approved = async (email: string) => {
    const { user, browser } = await app.signedIn(email);
    const asked = await begin(app);
    await json(browser.post('/auth/device/approve', { user_code: asked.user_code }), 200);
    return { user, browser, asked };
  };
  const ada = await approved('ada@example.com');
  await authTuna.sessions.revokeAll(ada.user.id, SYSTEM);
  const bob = await approved('bob@example.com');
  await authTuna.users.suspend(bob.user.id, 'test', SYSTEM);
  const eve = await approved('eve@example.com');
  await enrolTotp(app, eve.browser);
  for (const { asked } of [ada, bob, eve]) expect(await outcome(poll(app, asked))).toBe('400 invalid_grant');
});

test('codes cannot be guessed: a person may look up thirty in ten minutes', async () => {
  const app = await startMailedApp();
  const { browser } = await app.signedIn('ada@example.com');
  const { user_code } = await begin(app);
  const statuses: number[] = [];
  for (let guess = 0; guess < 30; guess += 1)
    statuses.push((await browser.get('/auth/device?user_code=BBBB-BBBB')).status);
  expect(new Set(statuses)).toEqual(new Set([400]));
  expect((await browser.post('/auth/device/approve', { user_code })).status).toBe(429);
  app.clock.advance({ seconds: 700 });
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  expect((await browser.post('/auth/device/approve', { user_code })).status).toBe(200);
});
