import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp } from '../support/app.js';

test('a bearer token that is no good never falls back to a good cookie (CS-6)', async () => {
  const { signedIn } = await startApp();
  const { browser } = await signedIn();
  expect((await browser.get('/me')).status).toBe(200);
  for (const authorization of ['Bearer garbage', 'bearer ', 'Bearer eyJhbGciOiJub25lIn0.e30.']) {
    expect((await browser.get('/me', { headers: { authorization } })).status).toBe(401);
    expect((await browser.post('/me/x', {}, { headers: { authorization } })).status).toBe(401);
  }
  // Basic in front of an app is none of ours.
  expect((await browser.get('/me', { headers: { authorization: 'Basic dTpw' } })).status).toBe(200);
});

test('no origin is allowed to read an answer, least of all null (HD-3)', async () => {
  const { signedIn, url } = await startApp({ trustedOrigins: ['https://admin.example.com'] });
  const { browser } = await signedIn();
  for (const origin of ['null', `${url}.evil.test`, 'https://evil.test', 'https://admin.example.com']) {
    for (const path of ['/me', '/auth/user-info', '/auth/login']) {
      const answer = await browser.get(path, { headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    }
  }
});

test('whoever owns an organization can hand out its roles there, and nothing that reaches beyond it (D6)', async () => {
  const { authTuna } = await startApp();
  const person = (name: string) =>
    authTuna.users.create({ email: `${name}@example.com`, password: PASSWORD, emailVerified: true });
  const [owner, accomplice] = [await person('owner'), await person('accomplice')];
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await authTuna.roles.assign({ userId: owner.id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  const as = (userId: string) => ({ userId, ip: null, userAgent: null });

  for (const role of ['superadmin', 'admin', 'moderator']) {
    for (const scope of ['org:acme', 'global']) {
      const attempt = authTuna.roles.assign({ userId: accomplice.id, role, scope }, as(owner.id));
      await expect(attempt).rejects.toMatchObject({
        code: expect.stringMatching(/^(forbidden|invalid_input)$/),
      });
    }
  }
  await authTuna.roles.assign({ userId: accomplice.id, role: 'org_owner', scope: 'org:acme' }, as(owner.id));
  for (const role of ['superadmin', 'admin']) {
    const attempt = authTuna.roles.assign(
      { userId: accomplice.id, role, scope: 'global' },
      as(accomplice.id),
    );
    await expect(attempt).rejects.toMatchObject({ code: 'forbidden' });
  }
  expect(await authTuna.access.can(accomplice.id, 'users:manage')).toBe(false);
  expect(await authTuna.access.can(accomplice.id, 'project:read', 'org:other')).toBe(false);
});
