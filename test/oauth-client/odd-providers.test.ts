import { createSecretKey } from 'node:crypto';
import { CompactEncrypt, generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { oidc } from '../../src/index.js';
import { TestClock } from '../../src/testing/index.js';
import { BOB, startAcme } from '../support/acme.js';
import { startApp } from '../support/app.js';
import { CLIENT, startLyingProvider } from '../support/openid-provider.js';
import { startLyingApp, startSocialApp } from '../support/social.js';

const ONLY_SUBJECT = ({ iss, aud, sub, iat, exp, nonce }: Record<string, unknown>) => ({
  iss,
  aud,
  sub,
  iat,
  exp,
  nonce,
});
const ADA = { sub: 'ada-1', email: 'ada@example.com', email_verified: true, name: 'Ada' };

test('a provider that tells the address at UserInfo only is asked there', async () => {
  const { browser, signIn, idp, authTuna } = await startSocialApp();
  const ada = browser();
  expect((await signIn(ada)).status).toBe(303);
  expect(idp.requests).toContain('GET /me');
  const user = await authTuna.users.findByEmail('ada@example.com');
  expect(user?.emailVerifiedAt).not.toBeNull();
  expect(await authTuna.social.list(user!.id)).toMatchObject([{ email: 'ada@example.com', name: 'Ada' }]);
});

test("an organization's provider that tells groups at UserInfo only gives the roles of those groups", async () => {
  const { signIn, idp, authTuna } = await startAcme();
  expect((await signIn(BOB)).answer.status).toBe(303);
  expect(idp.requests).toContain('GET /me');
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  const roles = await authTuna.roles.assignmentsOf(bob!.id);
  expect(roles.filter(({ scope }) => scope === 'org:acme').map(({ role }) => role)).toContain('org_admin');
});

const byForm = (authorization: string | undefined, form: URLSearchParams) =>
  authorization === undefined &&
  form.get('client_id') === CLIENT.clientId &&
  form.get('client_secret') === CLIENT.clientSecret;

test('a provider that takes the secret in the form only gets it there', async () => {
  const { lying, attempt } = await startLyingApp();
  lying.admits = byForm;
  lying.discovery = (honest) => ({
    ...honest,
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_post'],
  });
  expect((await attempt()).answer.status).toBe(303);
});

test('a provider that announces both ways, or none, gets the secret in the header', async () => {
  for (const announced of [undefined, ['client_secret_post', 'client_secret_basic']]) {
    const { lying, attempt } = await startLyingApp();
    lying.admits = (authorization, form) =>
      authorization?.startsWith('Basic ') === true && !form.has('client_secret');
    lying.discovery = (honest) => ({ ...honest, token_endpoint_auth_methods_supported: announced });
    expect((await attempt()).answer.status).toBe(303);
  }
});

test('a client that is registered for one way while both are announced is named in the log, and `authentication` cures it', async () => {
  const { lying, attempt, faults } = await startLyingApp();
  lying.admits = byForm;
  expect((await attempt()).answer.status).toBe(400);
  expect(faults()).toMatchObject([
    {
      message: expect.stringContaining('set `authentication` of oidc() to `post` or `basic`'),
      facts: { error: 'invalid_client', status: 401 },
    },
  ]);
  const cured = await startLyingApp({ authentication: 'post' });
  cured.lying.admits = byForm;
  expect((await cured.attempt()).answer.status).toBe(303);
});

test('a provider that accepts no secret at all is named in the log', async () => {
  const { lying, attempt, faults } = await startLyingApp();
  lying.discovery = (honest) => ({ ...honest, token_endpoint_auth_methods_supported: ['private_key_jwt'] });
  await attempt();
  expect(faults()[0]).toMatchObject({
    message: expect.stringContaining('Allow client_secret_basic or client_secret_post'),
    facts: { announced: ['private_key_jwt'] },
  });
});

test('a provider whose clock is 240 s off is named in the log with both times; one that is off by a minute signs in', async () => {
  const { lying, attempt, faults, clock } = await startLyingApp();
  const now = Math.floor(clock.now().getTime() / 1000);
  for (const [off, life, message] of [
    [240, 300, /issued 240 s ahead of the clock of this server.*NTP/],
    // Tokens of Doorkeeper live two minutes: a provider whose clock is late sends them after their end.
    [-240, 120, /issued 240 s behind the clock of this server.*NTP/],
  ] as const) {
    lying.claims = (honest) => ({ ...honest, iat: now + off, exp: now + off + life });
    const { answer, ada } = await attempt();
    expect(answer.status).toBe(400);
    expect((await ada.get('/me')).status).toBe(401);
    expect(faults().at(-1)).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(message),
      facts: { iat: now + off, now },
    });
  }
  for (const off of [55, -55]) {
    lying.claims = (honest) => ({ ...honest, iat: now + off, exp: now + off + 120 });
    expect((await attempt()).answer.status, String(off)).toBe(303);
  }
});

// https://github.com/outline/outline/issues/12878, https://github.com/quarkusio/quarkus/issues/42341
test('a provider that signs UserInfo is believed when its keys signed it for this client', async () => {
  const { lying, attempt, authTuna, faults } = await startLyingApp();
  lying.claims = ONLY_SUBJECT;
  const { privateKey } = await generateKeyPair('RS256');
  const common = { iss: lying.issuer, aud: CLIENT.clientId };
  const wrong: [string, () => Promise<string>][] = [
    [
      'another key',
      () =>
        new SignJWT({ ...ADA, ...common }).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(privateKey),
    ],
    ['another audience', () => lying.sign({ ...ADA, ...common, aud: 'another' })],
    ['another issuer', () => lying.sign({ ...ADA, ...common, iss: 'https://evil.example' })],
    ['another person', () => lying.sign({ ...ADA, ...common, sub: 'eve-1' })],
    ['no token', async () => 'gibberish'],
  ];
  for (const [name, userInfo] of wrong) {
    lying.userInfo = userInfo;
    const { answer, ada } = await attempt();
    expect(answer.status, name).toBe(400);
    expect((await ada.get('/me')).status, name).toBe(401);
    expect(faults().at(-1)?.message, name).toMatch(/at UserInfo/);
  }
  expect((await authTuna.users.list()).items).toEqual([]);
  lying.userInfo = () => lying.sign({ ...ADA, ...common });
  expect((await attempt()).answer.status).toBe(303);
  expect((await authTuna.users.findByEmail('ada@example.com'))?.emailVerifiedAt).not.toBeNull();
});

// https://github.com/christiaangoossens/hass-oidc-auth/issues/77, https://github.com/auth0/auth0-react/issues/130
test('a provider that signs with the client secret, or encrypts, is named in the log with the cure', async () => {
  const { lying, attempt, faults } = await startLyingApp();
  lying.idToken = (claims) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(createSecretKey(Buffer.from(CLIENT.clientSecret)));
  expect((await attempt()).answer.status).toBe(400);
  expect(faults().at(-1)?.message).toMatch(/^oidc signs its ID tokens with HS256\. .*RS256 or ES256/);

  const { publicKey } = await generateKeyPair('RSA-OAEP-256');
  lying.idToken = (claims) =>
    new CompactEncrypt(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM' })
      .encrypt(publicKey);
  expect((await attempt()).answer.status).toBe(400);
  expect(faults().at(-1)?.message).toMatch(/^oidc encrypts its ID tokens\. Turn the encryption/);
});

// https://github.com/panva/openid-client/issues/666, https://github.com/H2CK/oidc/issues/250
test('tokens that come with status 201, a life in text, and no type are tokens', async () => {
  const { lying, attempt } = await startLyingApp();
  lying.tokens = ({ token_type: _, ...honest }) => ({ status: 201, body: { ...honest, expires_in: '300' } });
  expect((await attempt()).answer.status).toBe(303);
});

// https://github.com/panva/openid-client/issues/166
test('a provider that publishes two keys under one name is named in the log', async () => {
  const { lying, attempt, faults } = await startLyingApp();
  lying.intercept = (req, res) => {
    if (req.url !== '/jwks') return false;
    const keys = ['AQAB', 'Aw'].map((e) => ({ kty: 'RSA', kid: 'k1', use: 'sig', alg: 'RS256', n: 'wQ', e }));
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
    return true;
  };
  expect((await attempt()).answer.status).toBe(400);
  expect(faults().at(-1)).toMatchObject({
    message: expect.stringContaining('Every key at jwks_uri needs a `kid` of its own'),
    facts: { kid: 'k1' },
  });
});

test.each([
  ['without', '', '/'],
  ['with', '/', ''],
])(
  'an issuer that is configured %s the slash that its document has otherwise works',
  async (_, ours, theirs) => {
    const lying = await startLyingProvider();
    const { browser } = await startApp(
      { social: { providers: [oidc({ issuer: lying.issuer + ours, ...CLIENT })] } },
      { clock: new TestClock(new Date()) },
    );
    const attempt = async (iss: string) => {
      lying.claims = (honest) => ({ ...honest, iss });
      const ada = browser();
      const start = await ada.get('/auth/social/oidc/login');
      const back = new URL(lying.answerTo(start.headers.get('location') ?? ''));
      return (await ada.get(back.pathname + back.search)).status;
    };
    lying.discovery = (honest) => ({ ...honest, issuer: lying.issuer + theirs });
    expect(await attempt(lying.issuer + theirs)).toBe(303);
    // The ID token must spell the issuer as the document does (OpenID Connect Core 3.1.3.7).
    expect(await attempt(lying.issuer + ours)).toBe(400);
  },
);

test('UserInfo is not asked when the ID token tells enough', async () => {
  const { lying, attempt } = await startLyingApp();
  lying.userInfo = () => ADA;
  expect((await attempt()).answer.status).toBe(303);
  expect(lying.requests).not.toContain('GET /userinfo');
});

test('UserInfo of another person, or of nobody, signs nobody in (OA-3)', async () => {
  const { lying, attempt, faults, authTuna } = await startLyingApp();
  lying.claims = ONLY_SUBJECT;
  for (const sub of ['eve-1', undefined, '', ['ada-1']]) {
    lying.userInfo = () => ({ ...ADA, sub });
    const { answer, ada } = await attempt();
    expect(answer.status).toBe(400);
    expect((await ada.get('/me')).status).toBe(401);
    expect(faults().at(-1)?.message).toContain('described another person at UserInfo');
  }
  expect((await authTuna.users.list()).items).toEqual([]);
});

test('an address of the ID token is not proved by what UserInfo says of another address (OA-7)', async () => {
  for (const [email, isProved] of [
    ['mine@example.com', false],
    ['ada@example.com', true],
  ] as const) {
    const { lying, attempt, authTuna } = await startLyingApp(
      {},
      { signUp: { requireVerifiedEmail: false } },
      ['groups'],
    );
    lying.claims = (honest) => ({ ...ONLY_SUBJECT(honest), email: 'ada@example.com' });
    lying.userInfo = () => ({ ...ADA, email });
    expect((await attempt()).answer.status).toBe(303);
    expect(lying.requests).toContain('GET /userinfo');
    const user = await authTuna.users.findByEmail('ada@example.com');
    expect(user).not.toBeNull();
    expect(user?.emailVerifiedAt !== null).toBe(isProved);
  }
});

test('while UserInfo does not answer nobody enters, and nobody loses the roles of their groups', async () => {
  const { signIn, idp, authTuna, logger } = await startAcme();
  expect((await signIn(BOB)).answer.status).toBe(303);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  const before = await authTuna.roles.assignmentsOf(bob!.id);
  idp.refusesUserInfo = true;
  expect((await signIn(BOB)).answer.status).toBe(503);
  expect(await authTuna.roles.assignmentsOf(bob!.id)).toEqual(before);
  expect(logger.lines.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('did not answer at UserInfo, which was asked for email, groups'),
  );
});
