import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { as, codeOf, person } from '../../support/people.js';

test('an organization asks its members for a second factor, for shorter sessions and for addresses of its domains', async () => {
  const app = await startApp();
  const { authTuna } = app;
  const { user, browser } = await app.signedIn('mia@acme.example');
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  await authTuna.orgs.addMember(scope, { userId: user.id, role: 'org_member' }, as(owner));
  expect((await browser.get('/me')).status).toBe(200);
  await authTuna.orgs.update(
    org.id,
    {
      policy: { requireSecondFactor: true, sessionMaxSeconds: 600, allowedEmailDomains: ['Acme.Example'] },
    },
    as(owner),
  );
  app.clock.advance({ seconds: 11 });
  const refused = await browser.get('/me');
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
    403,
    'enrollment_required',
  ]);
  await authTuna.orgs.update(org.id, { policy: { requireSecondFactor: false } }, as(owner));
  const again = app.browser();
  await again.post('/auth/login', { login: 'mia@acme.example', password: PASSWORD });
  expect((await again.get('/me')).status).toBe(200);
  app.clock.advance({ seconds: 601 });
  expect((await again.get('/me')).status).toBe(401);

  const outsider = await person(app, 'outsider');
  const add = () =>
    codeOf(authTuna.orgs.addMember(scope, { userId: outsider, role: 'org_member' }, as(owner)));
  expect(await add()).toBe('conflict');
  const invitation = { email: 'x@other.example', role: 'org_member' };
  expect(await codeOf(authTuna.orgs.invite(scope, invitation, as(owner)))).toBe('conflict');
  await authTuna.orgs.update(org.id, { policy: { allowedEmailDomains: [] } }, SYSTEM);
  expect(await add()).toBe('done');
});
