import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { KeyRing } from '../../../src/crypto/key-ring.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';
import { enrolTotp, halfSignedIn, json } from '../../support/factors.js';
import { startMailedApp, tokenIn } from '../../support/mailed-app.js';
import { as, codeOf, person } from '../../support/people.js';

/** A place that takes a token: the status of a request that presents one there. */
type Place = (token: string) => Promise<number>;

/** One token of each type, none of them spent, and the place where it belongs. */
async function everyToken() {
  const app = await startMailedApp({ passwordless: { magicLink: { bindToBrowser: false } } });
  const { authTuna, url } = app;
  const known = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
  const send = async (method: string, path: string, headers: Record<string, string>, body?: object) => {
    const answer = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': known, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  const posted = (path: string, bodyOf: (token: string) => object): Place => {
    return (token) => send('POST', path, {}, bodyOf(token));
  };
  const mailed = async (address: string, path: string) => tokenIn(await app.mailTo(address), path);

  const ada = await app.signedIn('ada@example.com');
  const bearer = await authTuna.bearer.issue(ada.user.id, { amr: ['pwd'] }, SYSTEM);
  const { key } = await authTuna.apiKeys.create({ userId: ada.user.id, name: 'Key' }, SYSTEM);
  const bob = await app.signedIn('bob@example.com');
  const factor = await enrolTotp(app, bob.browser);
  const trusting = await halfSignedIn(app, 'bob@example.com');
  await json(trusting.post('/auth/mfa/verify', { code: factor.nextCode(), trustDevice: true }), 200);
  const waiting = await halfSignedIn(app, 'bob@example.com');
  const code = factor.nextCode();

  await app.browser().post('/auth/signup', { email: 'new@example.com', password: PASSWORD });
  for (const name of ['reset', 'link']) await person(app, name);
  await app.browser().post('/auth/forgot-password', { email: 'reset@example.com' });
  await app.browser().post('/auth/passwordless/link', { email: 'link@example.com' });
  const carol = await app.signedIn('carol@example.com');
  await json(carol.browser.post('/auth/change-email', { newEmail: 'carol2@example.com' }), 202);
  const dan = await app.signedIn('dan@example.com');
  await json(dan.browser.post('/auth/change-email', { newEmail: 'dan2@example.com' }), 202);
  const confirmed = await mailed('dan2@example.com', '/auth/change-email/confirm');
  await json(app.browser().post('/auth/change-email/confirm', { token: confirmed }), 200);
  const eve = await app.signedIn('eve@example.com');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(ada.user.id));
  await authTuna.orgs.invite(
    `org:${org.id}`,
    { email: 'eve@example.com', role: 'org_member' },
    as(ada.user.id),
  );

  const device = await json(app.browser().post('/auth/device', { client_id: 'tool' }), 200);
  await json(ada.browser.post('/auth/device/approve', { user_code: device.user_code }), 200);

  const [session] = await authTuna.sessions.list(ada.user.id);
  const there = { audience: 'https://files.example.com', nonce: 'nonce-of-the-browser' };
  const inSession = { ...as(ada.user.id), sessionId: session?.id ?? '' };
  const handedOver = await authTuna.handOver.issue(there, inSession);

  const tokens: Record<string, string> = {
    session: ada.browser.jar.get('at_sess') ?? '',
    'access token': bearer.access_token,
    'refresh token': bearer.refresh_token,
    'API key': key,
    'device code': device.device_code,
    'hand-over': handedOver.token,
    'trusted browser': trusting.jar.get('at_trusted') ?? '',
    'pending sign-in': waiting.jar.get('at_pending') ?? '',
    'proof of an address': await mailed('new@example.com', '/auth/verify-email'),
    'password reset': await mailed('reset@example.com', '/auth/reset-password'),
    'link that signs in': await mailed('link@example.com', '/auth/passwordless/link/open'),
    'change of address': await mailed('carol2@example.com', '/auth/change-email/confirm'),
    'way back to an address': await mailed('dan@example.com', '/auth/change-email/undo'),
    invitation: await mailed('eve@example.com', '/orgs/invitations/accept'),
  };
  // The spent ones last: what one place uses up must not be missing in another.
  const places: Record<keyof typeof tokens, Place> = {
    session: (token) => send('GET', '/me', { cookie: `at_sess=${token}` }),
    'access token': (token) => send('GET', '/auth/user-info', { authorization: `Bearer ${token}` }),
    'API key': (token) => send('GET', '/me', { 'x-api-key': token }),
    'refresh token': posted('/auth/token', (token) => ({
      grant_type: 'refresh_token',
      refresh_token: token,
    })),
    'hand-over': async (token) =>
      (await codeOf(authTuna.handOver.accept(token, there, as('')))) === 'done' ? 200 : 400,
    'device code': posted('/auth/token', (token) => ({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: token,
      client_id: 'tool',
    })),
    'pending sign-in': (token) =>
      send('POST', '/auth/mfa/verify', { cookie: `at_pending=${token}` }, { code }),
    'trusted browser': async (token) => {
      const body = { login: 'bob@example.com', password: PASSWORD };
      const status = await send('POST', '/auth/login', { cookie: `at_trusted=${token}` }, body);
      return status === 202 ? 401 : status; // the second factor is asked for as if there were no cookie
    },
    'proof of an address': posted('/auth/verify-email', (token) => ({ token })),
    'password reset': posted('/auth/reset-password', (token) => ({ token, newPassword: `${PASSWORD} 2` })),
    'link that signs in': posted('/auth/passwordless/link/consume', (token) => ({ token })),
    'change of address': posted('/auth/change-email/confirm', (token) => ({ token })),
    'way back to an address': posted('/auth/change-email/undo', (token) => ({ token })),
    invitation: async (token) => (await eve.browser.post('/orgs/invitations/accept', { token })).status,
  };
  return { app, tokens, places };
}

test('of every type of token and every place that takes one, each counts in its own place and in no other (JW-3)', async () => {
  const { tokens, places } = await everyToken();
  expect(Object.keys(places).sort()).toEqual(Object.keys(tokens).sort());
  expect(Object.entries(tokens).filter(([, token]) => token.length < 20)).toEqual([]);
  const wrong: string[] = [];
  for (const [place, present] of Object.entries(places)) {
    for (const [type, token] of Object.entries(tokens)) {
      if (type === place) continue;
      const status = await present(token);
      if (status < 400 || status >= 500) wrong.push(`${type} as ${place}: ${status}`);
    }
  }
  // Nothing that was tried in a wrong place was spent by it.
  for (const [place, present] of Object.entries(places)) {
    const status = await present(tokens[place] ?? '');
    if (status !== 200) wrong.push(`${place}: ${status}`);
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
