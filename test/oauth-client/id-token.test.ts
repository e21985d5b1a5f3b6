import { createSecretKey } from 'node:crypto';
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { expect, test } from 'vitest';
import { CLIENT, type LyingProvider, startLyingProvider } from '../support/openid-provider.js';
import { startLyingApp } from '../support/social.js';

test('what is wrong with an ID token signs nobody in (OA-3)', async () => {
  const { lying, attempt } = await startLyingApp();
  expect((await attempt()).answer.status).toBe(303);

  const seconds = Math.floor(Date.now() / 1000);
  const { privateKey: otherKey } = await generateKeyPair('RS256');
  const lies: [string, Partial<LyingProvider>][] = [
    ['nonce of another', { claims: (honest) => ({ ...honest, nonce: 'x'.repeat(43) }) }],
    ['no nonce', { claims: ({ nonce: _nonce, ...rest }) => rest }],
    ['other issuer', { claims: (honest) => ({ ...honest, iss: 'https://evil.example' }) }],
    ['issuer with a slash', { claims: (honest) => ({ ...honest, iss: `${honest.iss}/` }) }],
    ['other audience', { claims: (honest) => ({ ...honest, aud: 'another app' }) }],
    ['several audiences, no azp', { claims: (honest) => ({ ...honest, aud: [CLIENT.clientId, 'b'] }) }],
    ['azp of another', { claims: (honest) => ({ ...honest, aud: [CLIENT.clientId, 'b'], azp: 'b' }) }],
    ['expired', { claims: (honest) => ({ ...honest, iat: seconds - 500, exp: seconds - 120 }) }],
    ['no expiry', { claims: ({ exp: _exp, ...rest }) => rest }],
    ['issued long ago', { claims: (honest) => ({ ...honest, iat: seconds - 3600 }) }],
    ['issued tomorrow', { claims: (honest) => ({ ...honest, iat: seconds + 86_400 }) }],
    ['no subject', { claims: ({ sub: _sub, ...rest }) => rest }],
    ['empty subject', { claims: (honest) => ({ ...honest, sub: '' }) }],
    ['alg none', { idToken: async (claims) => new UnsecuredJWT(claims).encode() }],
    [
      'HS256 with the client secret',
      {
        idToken: (claims) =>
          new SignJWT(claims)
            .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
            .sign(createSecretKey(Buffer.from(CLIENT.clientSecret))),
      },
    ],
    [
      'HS256 with a public key',
      {
        idToken: async (claims) =>
          new SignJWT(claims)
            .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
            .sign(createSecretKey(Buffer.from(await exportSPKI((await generateKeyPair('RS256')).publicKey)))),
      },
    ],
    [
      'another key under the same name',
      {
        idToken: (claims) =>
          new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(otherKey),
      },
    ],
    [
      'an unknown key',
      {
        idToken: (claims) =>
          new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k2' }).sign(otherKey),
      },
    ],
    ['no token', { idToken: async () => '' }],
    ['not a token', { idToken: async () => 'a.b.c' }],
  ];
  const honest = { claims: lying.claims, idToken: lying.idToken };
  for (const [name, lie] of lies) {
    Object.assign(lying, honest, lie);
    const { answer, ada } = await attempt();
    expect(answer.status, name).toBe(400);
    expect(((await answer.json()) as { code: string }).code, name).toBe('invalid_token');
    expect((await ada.get('/me')).status, name).toBe(401);
  }
});

test('a token endpoint that redirects is not followed, one that is silent or endless is given up (OA-9)', async () => {
  const { lying, attempt } = await startLyingApp();
  const listener = await startLyingProvider();
  await attempt();
  lying.requests.length = 0;

  lying.intercept = (req, res) => {
    if (req.url !== '/token') return false;
    res.writeHead(307, { location: `${listener.issuer}/token` }).end();
    return true;
  };
  expect((await attempt()).answer.status).toBe(503);
  expect(listener.requests).toEqual([]);

  lying.intercept = (req, res) => {
    if (req.url !== '/token') return false;
    res.writeHead(200, { 'content-type': 'application/json' });
    res.write(`{"access_token":"${'x'.repeat(1024 * 1024)}`);
    res.end('"}');
    return true;
  };
  expect((await attempt()).answer.status).toBe(503);

  lying.intercept = (req) => req.url === '/token';
  const before = performance.now();
  const { answer } = await attempt();
  expect(performance.now() - before).toBeLessThan(6000);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: 'unavailable' });
});

test('what a provider writes as its error is not shown (OA-9)', async () => {
  const { attempt, logger } = await startLyingApp();
  const { answer } = await attempt((query) => {
    query.delete('code');
    query.set('error', '<script>alert(1)</script>');
    query.set('error_description', '<script>alert(2)</script>');
  });
  expect(answer.status).toBe(400);
  expect(await answer.text()).not.toContain('script');
  expect(logger.lines.some(({ message }) => message.includes('refused a sign-in'))).toBe(true);
});

test('a provider that promises iss and leaves it out is not believed (OA-4)', async () => {
  const { lying, attempt } = await startLyingApp();
  lying.requests.length = 0;
  const { answer } = await attempt((query) => query.delete('iss'));
  expect(answer.status).toBe(400);
  expect(lying.requests).not.toContain('POST /token');
});

test('parameters that come twice sign nobody in', async () => {
  const { attempt } = await startLyingApp();
  expect((await attempt((query) => query.append('code', 'another'))).answer.status).toBe(400);
  expect((await attempt((query) => query.append('state', 'another'))).answer.status).toBe(400);
});

test('a made-up key does not make us fetch the keys at every attempt', async () => {
  const { lying, attempt } = await startLyingApp();
  const { privateKey } = await generateKeyPair('RS256');
  lying.idToken = (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'made up' }).sign(privateKey);
  for (let attempts = 0; attempts < 5; attempts += 1) await attempt();
  expect(lying.requests.filter((request) => request === 'GET /jwks')).toHaveLength(1);
});

test('a discovery document that sends browsers to anything but a web address is refused (OA-9)', async () => {
  const { lying, browser } = await startLyingApp();
  lying.intercept = (req, res) => {
    if (req.url !== '/.well-known/openid-configuration') return false;
    const endpoints = { token_endpoint: `${lying.issuer}/token`, jwks_uri: `${lying.issuer}/jwks` };
    const document = { issuer: lying.issuer, authorization_endpoint: address, ...endpoints };
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    return true;
  };
  let address = '';
  for (address of [
    'javascript:alert(1)',
    'data:text/html,x',
    'http://evil.example/a',
    '//evil.example',
    'https://a:b@c.example',
  ])
    expect((await browser().get('/auth/social/oidc/login')).status, address).toBe(503);
  address = 'https://idp.example/authorize';
  expect((await browser().get('/auth/social/oidc/login')).status).toBe(303);
});
