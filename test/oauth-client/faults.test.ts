import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { oidc } from '../../src/index.js';
import { TestClock } from '../../src/testing/index.js';
import { startApp } from '../support/app.js';
import { CLIENT, startLyingProvider } from '../support/openid-provider.js';
import { PageVisitor } from '../support/page-visitor.js';
import { startLyingApp } from '../support/social.js';

const WORDS = 'User is not assigned to the client application <b>x</b>';

test('an error of the authorization endpoint is named in the log with its description and a cure, never in the answer (OA-9)', async () => {
  const { attempt, faults, lying } = await startLyingApp();
  for (const [error, status, level, cure] of [
    ['access_denied', 400, 'info', /does not let this person use the app/],
    ['user_cancelled_login', 400, 'info', /canceled/],
    ['invalid_request', 400, 'warn', /redirect URI/],
    ['invalid_scope', 400, 'warn', /change `scopes`/],
    ['unauthorized_client', 400, 'warn', /authorization code grant/],
    ['unsupported_response_type', 400, 'warn', /response type `code`/],
    ['login_required', 400, 'warn', /`prompt: none`/],
    ['consent_required', 400, 'warn', /`prompt: none`/],
    ['interaction_required', 400, 'warn', /`prompt: none`/],
    ['account_selection_required', 400, 'warn', /`prompt: none`/],
    ['server_error', 503, 'warn', /fault of its own/],
    ['temporarily_unavailable', 503, 'warn', /later/],
    ['AADSTS50105', 400, 'warn', /documentation/],
    ['constructor', 400, 'warn', /documentation/],
  ] as const) {
    const { answer } = await attempt((query) => {
      query.delete('code');
      query.set('error', error);
      query.set('error_description', WORDS);
    });
    expect(answer.status, error).toBe(status);
    expect(await answer.text(), error).not.toContain('assigned');
    expect(faults().at(-1), error).toEqual({
      level,
      message: expect.stringMatching(/^oidc refused a sign-in\. /),
      facts: { provider: 'Single sign-on', error, description: WORDS },
    });
    expect(faults().at(-1)?.message, error).toMatch(cure);
  }
  expect(lying.requests).not.toContain('POST /token');
});

test('the page of a refused sign-in shows our words only (OA-9)', async () => {
  const { lying, browser } = await startLyingApp();
  const visitor = new PageVisitor(browser());
  for (const [error, said] of [
    ['access_denied', 'You canceled'],
    ['invalid_scope', 'did not confirm'],
  ] as const) {
    const start = await visitor.browser.get('/auth/social/oidc/login');
    const back = new URL(lying.answerTo(start.headers.get('location') ?? ''));
    back.searchParams.delete('code');
    back.searchParams.set('error', error);
    back.searchParams.set('error_description', WORDS);
    const page = await visitor.open(back.pathname + back.search);
    expect(page.html).toContain(said);
    expect(page.html).not.toContain('assigned');
    expect(page.html).not.toContain(error);
  }
});

test('a refusal without `iss` is still told as the refusal that it is', async () => {
  const { attempt, faults } = await startLyingApp();
  const { answer } = await attempt((query) => {
    query.delete('code');
    query.delete('iss');
    query.set('error', 'access_denied');
  });
  expect(await answer.text()).toContain('was canceled');
  expect(faults()[0]?.message).toMatch(/refused a sign-in/);
});

test('what is wrong with an ID token is named in the log with the cure, never in the answer (OA-3)', async () => {
  const { lying, attempt, faults } = await startLyingApp();
  const lies: [string, Record<string, unknown>, RegExp, object][] = [
    ['audience', { aud: 'another app' }, /for another client\. Set clientId/, { expected: 'app' }],
    ['party', { aud: ['app', 'b'], azp: 'b' }, /for another client\. Set clientId/, { expected: 'app' }],
    ['issuer', { iss: 'https://evil.example' }, /of another issuer/, { received: 'https://evil.example' }],
    ['nonce', { nonce: 'x'.repeat(43) }, /of another sign-in\. The `nonce`/, {}],
    ['no nonce', { nonce: undefined }, /of another sign-in\. The `nonce`/, {}],
    ['no expiry', { exp: undefined }, /without a valid exp/, {}],
  ];
  for (const [name, claims, message, facts] of lies) {
    lying.claims = (honest) => ({ ...honest, ...claims });
    const { answer } = await attempt();
    expect(answer.status, name).toBe(400);
    expect(await answer.json(), name).toEqual({
      type: expect.any(String),
      title: expect.any(String),
      status: 400,
      code: 'invalid_token',
      detail: 'The sign-in could not be confirmed. Please try again.',
      returnTo: '/',
    });
    expect(faults().at(-1), name).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(message),
      facts,
    });
  }
  expect(faults()).toHaveLength(lies.length);
});

test('an answer of another issuer, and one that lacks the promised `iss`, are named in the log (OA-4)', async () => {
  const { attempt, faults } = await startLyingApp();
  await attempt((query) => query.set('iss', 'https://evil.example'));
  await attempt((query) => query.delete('iss'));
  await attempt((query) => query.delete('code'));
  expect(faults()).toMatchObject([
    { message: expect.stringContaining('another issuer'), facts: { received: 'https://evil.example' } },
    { message: expect.stringContaining('left it out') },
    { message: expect.stringContaining('neither a code nor an error') },
  ]);
});

test('a refusal of the token endpoint is named in the log with its description and a cure, never in the answer (OA-9)', async () => {
  const { lying, attempt, faults, url } = await startLyingApp();
  const described = (error: unknown) => ({ error, error_description: WORDS });
  const facebook = { error: { type: 'OAuthException', message: WORDS } };
  for (const [name, told, status, cure, description] of [
    ['code', { status: 400, body: described('invalid_grant') }, 400, /at each sign-in, register/, WORDS],
    ['client', { status: 401, body: described('invalid_client') }, 400, /Check clientId/, WORDS],
    ['GitHub', { status: 200, body: described('bad_verification_code') }, 400, /begin again/, WORDS],
    ['URI', { status: 200, body: described('redirect_uri_mismatch') }, 400, /callback URL/, WORDS],
    ['Facebook', { status: 400, body: facebook }, 400, /documentation/, WORDS],
    ['no JSON object', { status: 400, body: 'text' }, 400, /documentation/, null],
    ['theirs', { status: 502, body: described('server_error') }, 503, /fault of its own/, WORDS],
  ] as const) {
    lying.tokens = () => told;
    const { answer } = await attempt();
    expect(answer.status, name).toBe(status);
    expect(await answer.text(), name).not.toContain('assigned');
    expect(faults().at(-1), name).toMatchObject({
      message: expect.stringMatching(/^oidc refused a token request\. /),
      facts: { description, status: told.status, redirectUri: `${url}/auth/social/oidc/callback` },
    });
    expect(faults().at(-1)?.message, name).toMatch(cure);
  }
});

test('a provider that repeats the secrets of a request does not bring them into the log (OA-9)', async () => {
  const { lying, attempt, logger } = await startLyingApp({ authentication: 'post' });
  const repeated: string[] = [];
  lying.intercept = (req, res) => {
    if (req.url !== '/token') return false;
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      const form = new URLSearchParams(body);
      repeated.push(...['code', 'code_verifier', 'client_secret'].map((name) => form.get(name) ?? ''));
      const error_description = `line\u0000\r\nline ${[...form.values()].join(' ')} ${body}`;
      res.writeHead(400, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ error: 'invalid_grant', error_description }));
    });
    return true;
  };
  await attempt();
  expect(repeated).toEqual([expect.stringMatching(/^code-/), expect.any(String), CLIENT.clientSecret]);
  const logged = inspect(logger.lines, { depth: 10, maxStringLength: null });
  for (const secret of repeated) expect(logged).not.toContain(secret);
  expect(logged).not.toMatch(/a.client.secret/);
  expect(logged).toContain('line line authorization_code [removed]');
});

test('a discovery document that cannot be used is named in the log with its address (OA-9)', async () => {
  const lying = await startLyingProvider();
  const { browser, logger } = await startApp(
    { social: { providers: [oidc({ issuer: lying.issuer, ...CLIENT })] } },
    { clock: new TestClock(new Date()) },
  );
  const url = `${lying.issuer}/.well-known/openid-configuration`;
  for (const [change, message, facts] of [
    [{ issuer: 'https://evil.example' }, /of another issuer/, { received: 'https://evil.example' }],
    [{ issuer: undefined }, /of another issuer/, {}],
    [{ token_endpoint: undefined }, /incomplete discovery document/, {}],
    [{ authorization_endpoint: 'javascript:alert(1)' }, /must not be sent to/, {}],
  ] as const) {
    lying.discovery = (honest) => ({ ...honest, ...change });
    const answer = await browser().get('/auth/social/oidc/login');
    expect(answer.status).toBe(503);
    expect(await answer.text()).not.toContain('evil');
    expect(logger.lines.filter(({ message: said }) => said.startsWith('oidc ')).at(-1)).toMatchObject({
      message: expect.stringMatching(message),
      facts: { url, ...facts },
    });
  }
  for (const [status, body] of [
    [404, '{}'],
    [200, '<html>'],
  ] as const) {
    lying.intercept = (_req, res) => {
      res.writeHead(status).end(body);
      return true;
    };
    expect((await browser().get('/auth/social/oidc/login')).status).toBe(503);
    expect(logger.lines.filter(({ message }) => message.startsWith('oidc ')).at(-1)).toMatchObject({
      message: expect.stringContaining('has no discovery document. Check issuer'),
      facts: { url, status },
    });
  }
});

test('a provider that does not answer at all is named in the log with the reason', async () => {
  const { browser, logger } = await startApp({
    social: { providers: [oidc({ issuer: 'http://localhost:1', ...CLIENT })] },
  });
  expect((await browser().get('/auth/social/oidc/login')).status).toBe(503);
  expect(logger.lines.find(({ message }) => message.startsWith('oidc '))).toMatchObject({
    message: expect.stringContaining('has no discovery document. Check issuer'),
    facts: { url: 'http://localhost:1/.well-known/openid-configuration', error: expect.stringMatching(/\w/) },
  });
});
