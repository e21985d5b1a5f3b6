// Tokens that are bound to a key of the client (RFC 9449): a public client library drives them, and a copied token is worth nothing.
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/crypto/digest.js';
import { type AuthTunaOptions, SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { codeOf, person } from '../../support/people.js';

const insecure = { [oauth.allowInsecureRequests]: true };

async function start(
  dpop: NonNullable<AuthTunaOptions['bearer']>['dpop'],
  more: Partial<AuthTunaOptions> = {},
) {
  const app = await startApp({ bearer: { dpop: dpop as 'optional' }, ...more });
  const user = await app.authTuna.users.create({
    email: 'ada@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  return { ...app, user };
}

/** A key of a client, and proofs of it. */
async function keyOf(app: Pick<TestInstance, 'clock' | 'url'>) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const proof = (htm: string, path: string, claims: object = {}, header: object = {}) =>
    new SignJWT({ htm, htu: app.url + path, jti: crypto.randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header } as { alg: string })
      .setIssuedAt(
        Math.floor(app.clock.now().getTime() / 1000) + Number((claims as { age?: number }).age ?? 0),
      )
      .sign(privateKey);
  return {
    jwk,
    proof,
    privateJwk: await exportJWK(privateKey),
    thumbprint: await calculateJwkThumbprint(jwk),
  };
}

const ask = (app: Pick<TestInstance, 'url'>, body: object, headers: Record<string, string> = {}) =>
  fetch(`${app.url}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const login = { grant_type: 'password', username: 'ada@example.com', password: PASSWORD };
const outcome = async (answer: Promise<Response>) => {
  const response = await answer;
  const { error } = (await response.json()) as { error?: string };
  return `${response.status} ${error ?? 'tokens'}`;
};

test('oauth4webapi gets bound tokens, uses them and refreshes them, unmodified', async () => {
  const app = await start('optional', { bearer: { dpop: 'optional', algorithm: 'ES256' } });
  const { url, authTuna, user } = app;
  const skew = Math.floor((app.clock.now().getTime() - Date.now()) / 1000);
  const client: oauth.Client = { client_id: 'app', [oauth.clockSkew]: skew };
  const server: oauth.AuthorizationServer = { issuer: url, token_endpoint: `${url}/auth/token` };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const parameters = new URLSearchParams({ username: 'ada@example.com', password: PASSWORD });
  const granted = await oauth.genericTokenEndpointRequest(
    server,
    client,
    oauth.None(),
    'password',
    parameters,
    {
      ...insecure,
      DPoP,
    },
  );
  const tokens = await oauth.processGenericTokenEndpointResponse(server, client, granted);
  expect(tokens.token_type).toBe('dpop');
  const renewal = await oauth.refreshTokenGrantRequest(
    server,
    client,
    oauth.None(),
    tokens.refresh_token ?? '',
    {
      ...insecure,
      DPoP,
    },
  );
  const renewed = await oauth.processRefreshTokenResponse(server, client, renewal);
  for (const method of ['GET', 'POST']) {
    const target = new URL(`${url}/me${method === 'POST' ? '/x' : ''}?a=1`);
    const answer = await oauth.protectedResourceRequest(
      renewed.access_token,
      method,
      target,
      undefined,
      undefined,
      {
        ...insecure,
        DPoP,
      },
    );
    expect(answer.status).toBe(200);
  }
  const introspected = await authTuna.bearer.introspect(renewed.access_token);
  const jkt = await DPoP.calculateThumbprint();
  expect(introspected).toMatchObject({ active: true, sub: user.id, token_type: 'DPoP', cnf: { jkt } });
});

test('a copied token is worth nothing without its key, and a proof counts once and for its own request', async () => {
  const first = await start('optional');
  const second = await startApp(
    { bearer: { dpop: 'optional' }, baseUrl: first.url },
    { database: first.database, clock: first.clock },
  );
  const [own, thief] = [await keyOf(first), await keyOf(first)];
  const answer = await ask(first, login, { dpop: await own.proof('POST', '/auth/token') });
  const tokens = (await answer.json()) as { access_token: string; refresh_token: string; token_type: string };
  expect(tokens.token_type).toBe('DPoP');
  const { access_token: token } = tokens;
  const ath = sha256(token);
  const use = async (dpop: string | undefined, scheme = 'DPoP', at: { url: string } = first) => {
    const headers = { authorization: `${scheme} ${token}`, ...(dpop !== undefined && { dpop }) };
    const response = await fetch(`${at.url}/me`, { headers });
    return [response.status, response.headers.get('www-authenticate')?.split(',')[0] ?? null];
  };
  const proof = await own.proof('GET', '/me', { ath });
  expect(await use(proof)).toEqual([200, null]);
  expect(await use(proof)).toEqual([401, 'DPoP error="invalid_dpop_proof"']);
  expect(await use(proof, 'DPoP', second)).toEqual([401, 'DPoP error="invalid_dpop_proof"']);
  expect(await use(await own.proof('GET', '/me', { ath }), 'Bearer')).toEqual([
    401,
    'DPoP error="invalid_token"',
  ]);
  const bad: Record<string, string | undefined> = {
    none: undefined,
    otherKey: await thief.proof('GET', '/me', { ath }),
    otherMethod: await own.proof('POST', '/me', { ath }),
    otherPath: await own.proof('GET', '/me/x', { ath }),
    otherHost: await own.proof('GET', '/me', { ath, htu: 'https://evil.example/me' }),
    otherToken: await own.proof('GET', '/me', { ath: sha256('other') }),
    noToken: await own.proof('GET', '/me'),
    old: await own.proof('GET', '/me', { ath, age: -120 }),
    future: await own.proof('GET', '/me', { ath, age: 120 }),
    noId: await own.proof('GET', '/me', { ath, jti: undefined }),
    otherType: await own.proof('GET', '/me', { ath }, { typ: 'JWT' }),
    privateKey: await own.proof('GET', '/me', { ath }, { jwk: own.privateJwk }),
    foreignKey: await own.proof('GET', '/me', { ath }, { jwk: thief.jwk }),
    huge: `${await own.proof('GET', '/me', { ath })}${'a'.repeat(5000)}`,
    twice: `${await own.proof('GET', '/me', { ath })}, ${await own.proof('GET', '/me', { ath })}`,
  };
  const letIn: string[] = [];
  for (const [what, text] of Object.entries(bad)) if ((await use(text))[0] !== 401) letIn.push(what);
  expect(letIn).toEqual([]);

  // A refresh token alone is worth nothing, and its thief does not end the owner's session.
  const renewal = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
  expect(await outcome(ask(first, renewal))).toBe('400 invalid_grant');
  const theirs = { dpop: await thief.proof('POST', '/auth/token') };
  expect(await outcome(ask(first, renewal, theirs))).toBe('400 invalid_grant');
  const ours = { dpop: await own.proof('POST', '/auth/token') };
  expect(await outcome(ask(second, renewal, ours))).toBe('200 tokens');
});

test('a request that is refused for another reason uses up no proof and stores none', async () => {
  const app = await start('optional');
  const { proof } = await keyOf(app);
  const first = await ask(app, login, { dpop: await proof('POST', '/auth/token') });
  const { refresh_token } = (await first.json()) as { refresh_token: string };
  const device = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: 'a.b',
    client_id: 'x',
  };
  const refused = [
    { grant_type: 'refresh_token', refresh_token: 'garbage' },
    { grant_type: 'refresh_token', refresh_token, client_id: 'another' },
    { ...login, password: 'wrong' },
    device,
  ];
  const dpop = await proof('POST', '/auth/token');
  for (const body of refused) expect(await outcome(ask(app, body, { dpop }))).toBe('400 invalid_grant');
  const renewal = { grant_type: 'refresh_token', refresh_token };
  expect(await outcome(ask(app, renewal, { dpop }))).toBe('200 tokens');
  expect(await outcome(ask(app, renewal, { dpop }))).toBe('400 invalid_dpop_proof');
  expect(await outcome(ask(app, login, { dpop }))).toBe('400 invalid_dpop_proof');
});

test('where a proof is required, nothing without one is given out or accepted', async () => {
  const plain = await start(undefined);
  const before = await plain.authTuna.bearer.issue(plain.user.id, { amr: ['pwd'] }, SYSTEM);
  const app = await startApp(
    { bearer: { dpop: 'required' }, baseUrl: plain.url },
    { database: plain.database, clock: plain.clock },
  );
  expect(await outcome(ask(app, login))).toBe('400 invalid_dpop_proof');
  expect(await outcome(ask(app, login, { dpop: 'nothing' }))).toBe('400 invalid_dpop_proof');
  const { proof } = await keyOf(plain);
  expect(await outcome(ask(app, login, { dpop: await proof('POST', '/auth/token') }))).toBe('200 tokens');
  const authorization = `Bearer ${before.access_token}`;
  expect((await fetch(`${app.url}/me`, { headers: { authorization } })).status).toBe(401);
  for (const token of [before.access_token, before.refresh_token])
    expect(await app.authTuna.bearer.introspect(token)).toEqual({ active: false });
  const renewal = { grant_type: 'refresh_token', refresh_token: before.refresh_token };
  const proved = { dpop: await proof('POST', '/auth/token') };
  expect(await outcome(ask(app, renewal, proved))).toBe('400 invalid_grant');
  expect(await codeOf(app.authTuna.bearer.issue(plain.user.id, { amr: ['pwd'] }, SYSTEM))).toBe('conflict');
  // Keys are no tokens: they go on.
  const { key } = await app.authTuna.apiKeys.create(
    { userId: await person(app, 'key'), name: 'Key' },
    SYSTEM,
  );
  expect((await fetch(`${app.url}/me`, { headers: { 'x-api-key': key } })).status).toBe(200);
});
