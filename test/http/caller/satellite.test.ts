// Satellites: servers with `session()` alone on the database of the main one.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';

test('a satellite on the same database knows the sessions of the main server, and their end (SS-8)', async () => {
  const main = await startApp({ trustedOrigins: ['http://files.localhost'] });
  const satellite = await startApp(
    { baseUrl: main.url, trustedOrigins: ['http://files.localhost'] },
    { database: main.database, clock: main.clock, isBare: true },
  );
  const { user, browser } = await main.signedIn();
  await main.authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: 'project:42' }, SYSTEM);
  const ask = async (method: string, path: string, more: Record<string, string> = {}) =>
    (
      await fetch(satellite.url + path, {
        method,
        headers: { cookie: browser.cookieHeader, 'user-agent': browser.userAgent, ...more },
      })
    ).status;
  expect(await ask('GET', '/me')).toBe(200);
  expect(await ask('GET', '/projects/42')).toBe(200);
  expect(await ask('POST', '/me/x', { origin: 'http://files.localhost' })).toBe(200);
  expect(
    await ask('POST', '/me/x', { origin: 'http://evil.localhost', 'sec-fetch-site': 'cross-site' }),
  ).toBe(403);
  expect(await ask('POST', '/auth/login')).toBe(404); // nothing of the main server is mounted
  await main.authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect(await ask('POST', '/me/x')).toBe(401);
  main.clock.advance({ seconds: 10 });
  expect(await ask('GET', '/me')).toBe(401);
});
