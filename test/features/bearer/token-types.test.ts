import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { KeyRing } from '../../../src/crypto/key-ring.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';
import { enrolTotp } from '../../support/factors.js';
import { person } from '../../support/people.js';

test('each type of token counts in its own place and in no other (JW-3)', async () => {
  const app = await startApp();
  const { authTuna, url } = app;
  const { user, browser } = await app.signedIn('ada@example.com');
  await authTuna.roles.create({ name: 'gateway', permissions: ['tokens:introspect'] });
  const gateway = await person(app, 'gateway', 'gateway');
  const bearer = await authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
  const { key } = await authTuna.apiKeys.create({ userId: gateway, name: 'Key' }, SYSTEM);
  const half = await app.signedIn('bob@example.com');
  await enrolTotp(app, half.browser);
  const waiting = app.browser();
  await waiting.post('/auth/login', { login: 'bob@example.com', password: PASSWORD });

  const tokens: Record<string, string> = {
    session: browser.jar.get('at_sess') ?? '',
    access: bearer.access_token,
    refresh: bearer.refresh_token,
    apiKey: key,
    pending: waiting.jar.get('at_pending') ?? '',
  };
  expect(Object.values(tokens).every((token) => token.length > 20)).toBe(true);

  const headers = { 'content-type': 'application/json', 'user-agent': browser.userAgent };
  const post = (path: string, body: object, more: Record<string, string> = {}) =>
    fetch(url + path, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });
  /** Whether a token is good in a place; tried with all tokens, and nothing here spends one that belongs. */
  const places: Record<string, (token: string) => Promise<boolean>> = {
    session: async (token) =>
      (await fetch(`${url}/me`, { headers: { ...headers, cookie: `at_sess=${token}` } })).status === 200,
    access: async (token) => {
      const authorization = `Bearer ${token}`;
      return (await fetch(`${url}/auth/user-info`, { headers: { authorization } })).status === 200;
    },
    apiKey: async (token) => (await fetch(`${url}/me`, { headers: { 'x-api-key': token } })).status === 200,
    refresh: async (token) =>
      (await post('/auth/token', { grant_type: 'refresh_token', refresh_token: token })).status === 200,
    pending: async (token) => {
      const answer = await fetch(`${url}/auth/mfa/challenge`, {
        headers: { accept: 'text/html', cookie: `at_pending=${token}` },
        redirect: 'manual',
      });
      return answer.status === 200;
    },
  };
  const wrong: string[] = [];
  for (const [place, isGood] of Object.entries(places)) {
    for (const [type, token] of Object.entries(tokens)) {
      if ((await isGood(token)) !== (place === type)) wrong.push(`${type} as ${place}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('forged and foreign access tokens are refused without an error of the server (JW-1, JW-2, JW-3, JW-4)', async () => {
  const app = await startApp();
  const { user } = await app.signedIn('ada@example.com');
  const { access_token } = await app.authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
  const ring = new KeyRing([SECRET]);
  const { kid, bytes } = ring.current('access');
  const now = Math.floor(app.clock.now().getTime() / 1000);
  const payload = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;
  const made = (claims: object = {}, header: object = {}, key: Uint8Array = bytes) =>
    new SignJWT({ ...payload, ...claims })
      .setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt', ...header } as { alg: string })
      .sign(key);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const status = async (token: string) =>
    (await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${token}` } })).status;
  expect(await status(await made())).toBe(200);
  const unsigned = (alg: string) => `${part({ alg, kid, typ: 'at+jwt' })}.${part(payload)}.`;
  const forged: Record<string, string> = {
    none: unsigned('none'),
    NONE: unsigned('NONE'),
    otherKey: await made({}, {}, ring.current('sess').bytes),
    otherType: await made({}, { typ: 'at-sess+jwt' }),
    noType: await made({}, { typ: undefined }),
    noKid: await made({}, { kid: undefined }),
    otherKid: await made({}, { kid: '../../dev/null' }),
    protoKid: await made({}, { kid: '__proto__' }),
    longKid: await made({}, { kid: 'k'.repeat(10_000) }),
    jku: await made({}, { jku: 'https://evil.example/jwks' }),
    jwk: await made({}, { jwk: { kty: 'oct', k: 'AAAA' } }),
    issuer: await made({ iss: 'https://evil.example' }),
    audience: await made({ aud: 'https://evil.example' }),
    expired: await made({ exp: now - 31 }),
    noExpiry: await made({ exp: undefined }),
    textExpiry: await made({ exp: 'tomorrow' }).catch(() => 'x.y.z'),
    tooLong: await made({ exp: now + 86_400 }),
    future: await made({ iat: now + 31, exp: now + 100 }),
    otherUser: await made({ sub: 'somebody' }),
    otherSession: await made({ sid: 'nothing' }),
    truncated: access_token.slice(0, -1),
    huge: `${access_token}${'a'.repeat(5000)}`,
  };
  const answers = await Promise.all(
    Object.entries(forged).map(async ([what, token]) => `${what} ${await status(token)}`),
  );
  expect(answers.filter((answer) => !answer.endsWith(' 401'))).toEqual([]);
});
