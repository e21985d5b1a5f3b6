import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';
import { person } from '../../support/people.js';

/** The library takes https only unless told otherwise. */
const insecure = { [oauth.allowInsecureRequests]: true };

test('oauth4webapi drives token, refresh, introspection, revocation and the keys, unmodified', async () => {
  const app = await startApp({ bearer: { algorithm: 'ES256', audience: 'https://api.example.com' } });
  const { authTuna, url } = app;
  const { id } = await authTuna.users.create({
    email: 'ada@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  const server: oauth.AuthorizationServer = {
    issuer: url,
    token_endpoint: `${url}/auth/token`,
    revocation_endpoint: `${url}/auth/token/revoke`,
    introspection_endpoint: `${url}/auth/token/introspect`,
    jwks_uri: `${url}/auth/token/jwks`,
  };
  const client: oauth.Client = { client_id: 'cli' };
  const none = oauth.None();

  const parameters = new URLSearchParams({ username: 'ada@example.com', password: PASSWORD });
  const granted = await oauth.genericTokenEndpointRequest(
    server,
    client,
    none,
    'password',
    parameters,
    insecure,
  );
  const tokens = await oauth.processGenericTokenEndpointResponse(server, client, granted);
  expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 600 });

  const renewal = await oauth.refreshTokenGrantRequest(
    server,
    client,
    none,
    tokens.refresh_token ?? '',
    insecure,
  );
  const renewed = await oauth.processRefreshTokenResponse(server, client, renewal);
  expect(renewed.refresh_token).not.toBe(tokens.refresh_token);

  const me = await oauth.protectedResourceRequest(
    renewed.access_token,
    'GET',
    new URL(`${url}/me`),
    undefined,
    undefined,
    insecure,
  );
  expect(await me.json()).toMatchObject({ id });

  const request = new Request('https://api.example.com/', {
    headers: { authorization: `Bearer ${renewed.access_token}` },
  });
  // The library looks at the clock of the machine.
  const skew = Math.floor((app.clock.now().getTime() - Date.now()) / 1000);
  const claims = await oauth.validateJwtAccessToken({ ...server }, request, 'https://api.example.com', {
    ...insecure,
    [oauth.clockSkew]: skew,
  });
  expect(claims).toMatchObject({ sub: id, client_id: 'cli' });

  await authTuna.roles.create({ name: 'gateway', permissions: ['tokens:introspect'] });
  const gateway = await person(app, 'gateway', 'gateway');
  const { key } = await authTuna.apiKeys.create({ userId: gateway, name: 'Gateway' }, SYSTEM);
  const looked = await oauth.introspectionRequest(server, client, none, renewed.access_token, {
    ...insecure,
    headers: { 'x-api-key': key },
  });
  const found = await oauth.processIntrospectionResponse(server, client, looked);
  expect(found).toMatchObject({ active: true, sub: id, client_id: 'cli' });

  const revoked = await oauth.revocationRequest(server, client, none, renewed.access_token, insecure);
  expect(await oauth.processRevocationResponse(revoked)).toBeUndefined();

  const late = await oauth.refreshTokenGrantRequest(
    server,
    client,
    none,
    renewed.refresh_token ?? '',
    insecure,
  );
  const refusal = oauth.processRefreshTokenResponse(server, client, late);
  await expect(refusal).rejects.toMatchObject({ error: 'invalid_grant', status: 400 });
});

const VERIFIER = fileURLToPath(new URL('../../support/verify_access_token.py', import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;

/** What a verifier in Python says of a token: its claims, or why it does not count. */
async function inPython(keys: string, origin: string, now: Date, token: string): Promise<string> {
  const seconds = String(Math.floor(now.getTime() / 1000));
  const child = spawn('python3', [VERIFIER, keys, origin, origin, seconds]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  child.stdin.end(token);
  await once(child, 'close');
  return said.trim();
}

test.skipIf(!hasPython)(
  'a verifier in Python accepts access tokens by the published keys, across a rotation of secrets (JW-5)',
  async () => {
    const bearer = { algorithm: 'ES256' } as const;
    const first = await startApp({ bearer });
    const { user } = await first.signedIn('ada@example.com');
    const shared = { database: first.database, clock: first.clock };
    const old = await first.authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
    const rotated = { bearer, baseUrl: first.url };
    const secrets = ['q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E', SECRET];
    const after = await startApp({ ...rotated, secrets }, shared);
    const fresh = await after.authTuna.bearer.issue(user.id, { amr: ['pwd'] }, SYSTEM);
    const ask = (app: { url: string }, token: string) =>
      inPython(`${app.url}/auth/token/jwks`, first.url, first.clock.now(), token);
    for (const { access_token } of [old, fresh])
      expect(JSON.parse(await ask(after, access_token))).toMatchObject({ sub: user.id, iss: first.url });
    expect(await ask(first, fresh.access_token)).toBe('no such key');
    const [head, body, signature = ''] = fresh.access_token.split('.');
    const altered = `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(await ask(after, altered)).toBe('wrong signature');
    first.clock.advance({ seconds: 601 });
    expect(await ask(after, fresh.access_token)).toBe('wrong claims');
  },
);
