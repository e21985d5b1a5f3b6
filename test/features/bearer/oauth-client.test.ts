import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
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
