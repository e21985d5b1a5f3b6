// Shows that organizations, API keys and service accounts are managed at /admin by routes and by forms, within rights and rank.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as, person } from '../../support/people.js';

const HOSTILE = `"><img src=x onerror=alert(1)>`;

async function signedInAs(app: TestInstance, role: string): Promise<{ id: string; browser: Browser }> {
  const { user, browser } = await app.signedIn(`${role}@example.com`);
  await app.authTuna.roles.assign({ userId: user.id, role, scope: 'global' }, SYSTEM);
  await browser.post('/auth/login', { login: user.email, password: PASSWORD });
  return { id: user.id, browser };
}

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, each checked by what is read of it
async function json(answer: Promise<Response>, status: number): Promise<any> {
  const response = await answer;
  const text = await response.text();
  expect([response.status, text.slice(0, 300)]).toEqual([status, expect.any(String)]);
  return text === '' ? null : JSON.parse(text);
}

test('organizations are found, founded, changed, handed over and deleted over HTTP, each by its permission', async () => {
  const app = await startApp();
  const { browser, id: admin } = await signedInAs(app, 'admin');
  const moderator = await signedInAs(app, 'moderator');
  const owner = await person(app, 'owner');
  const acme = await app.authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const member = await person(app, 'member', 'org_member', `org:${acme.id}`);

  expect(await json(browser.get('/admin/orgs?search=acm'), 200)).toEqual({
    items: [
      {
        id: acme.id,
        slug: 'acme',
        name: 'Acme',
        metadata: {},
        policy: {
          requireSecondFactor: false,
          sessionMaxSeconds: null,
          allowedEmailDomains: [],
          joinByDomain: false,
        },
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
      },
    ],
    nextCursor: null,
  });
  expect(await json(browser.get('/admin/orgs/acme'), 200)).toMatchObject({ id: acme.id });
  const policy = { allowedEmailDomains: ['example.com'], requireSecondFactor: true };
  expect(await json(browser.patch('/admin/orgs/acme', { name: 'Acme Two', policy }), 200)).toMatchObject({
    name: 'Acme Two',
    policy,
  });
  expect((await browser.post('/admin/orgs/acme/transfer', { userId: member })).status).toBe(204);
  const members = await json(browser.get('/admin/orgs/acme/members'), 200);
  expect(
    members.items
      .map(({ user, roles }: { user: { email: string }; roles: string[] }) => [user.email, ...roles])
      .sort(),
  ).toEqual([
    ['member@example.com', 'org_member', 'org_owner'],
    ['owner@example.com', 'org_admin'],
  ]);
  expect((await browser.post('/admin/orgs/acme/transfer', { userId: admin })).status).toBe(409);
  const founded = await json(browser.post('/admin/orgs', { name: 'Second' }), 201);
  expect(await app.authTuna.access.hasRole(admin, 'org_owner', `org:${founded.id}`)).toBe(true);
  expect((await browser.post('/admin/orgs', { name: 'Third', slug: 'acme' })).status).toBe(409);

  // For somebody else by those who may make owners, and by nobody else.
  const gift = await json(browser.post('/admin/orgs', { name: 'Gift', ownerId: member }), 201);
  const { access, audit, serviceAccounts } = app.authTuna;
  const owns = (userId: string) => access.hasRole(userId, 'org_owner', `org:${gift.id}`);
  expect([await owns(member), await owns(admin)]).toEqual([true, false]);
  expect((await audit.list({ type: 'org.created', targetId: gift.id })).items).toMatchObject([
    { actorId: admin, data: { ownerId: member } },
  ]);
  const robot = await serviceAccounts.create({ orgId: gift.id, name: 'robot' }, SYSTEM);
  for (const [who, ownerId, status] of [
    [browser, 'nobody', 404],
    [browser, robot.id, 403],
    [browser, '', 422],
    [moderator.browser, member, 403],
    [moderator.browser, moderator.id, 201],
  ] as const)
    expect([ownerId, (await who.post('/admin/orgs', { name: 'Try', ownerId })).status]).toEqual([
      ownerId,
      status,
    ]);
  const refusals = await audit.list({ type: 'org.created', actorId: moderator.id, outcome: 'denied' });
  expect(refusals.items).toMatchObject([{ targetId: member }]);
  const visitor = new PageVisitor(browser);
  const form = await visitor.open(`/admin/orgs?owner=${member}`);
  expect(form.html).toContain(`value="${member}"`);
  expect((await visitor.open(`/admin/users/${member}`)).html).toContain(
    `/admin/orgs?owner=${member}#ownerId`,
  );
  const csrfToken = /name="csrfToken" value="([^"]+)"/.exec(form.html)?.[1] ?? '';
  const unknown = await visitor.postFields('/admin/orgs', { csrfToken, name: 'Lost', ownerId: 'nobody' });
  expect([unknown.status, await unknown.text()]).toEqual([
    404,
    expect.stringContaining('There is no person with this id.'),
  ]);

  for (const [method, path, body] of [
    ['GET', '/admin/orgs', undefined],
    ['GET', '/admin/orgs/acme', undefined],
    ['GET', '/admin/orgs/acme/members', undefined],
    ['POST', '/admin/orgs/acme/transfer', { userId: owner }],
    ['PATCH', '/admin/orgs/acme', { name: 'Mine' }],
    ['DELETE', '/admin/orgs/acme', undefined],
  ] as const)
    expect([method, path, (await moderator.browser.request(method, path, body)).status]).toEqual([
      method,
      path,
      403,
    ]);
  for (const [path, body] of [
    ['/admin/orgs/acme', { other: 1 }],
    ['/admin/orgs/acme', { name: '' }],
    ['/admin/orgs/acme', { policy: { sessionMaxSeconds: 1 } }],
  ] as const)
    expect([body, (await browser.patch(path, body)).status]).toEqual([body, 422]);
  for (const query of ['limit=0', 'limit=101', `search=${'x'.repeat(65)}`, 'other=1'])
    expect([query, (await browser.get(`/admin/orgs?${query}`)).status]).toEqual([query, 422]);
  expect((await browser.get('/admin/orgs/unknown')).status).toBe(404);
  expect((await browser.delete('/admin/orgs/acme')).status).toBe(204);
  expect(await app.authTuna.orgs.find(acme.id)).toBeNull();
});

test("everybody's keys are listed newest first and revoked by rank, and keys are made for service accounts alone (AD-3)", async () => {
  const app = await startApp();
  const { browser, id: admin } = await signedInAs(app, 'admin');
  const { apiKeys, orgs } = app.authTuna;
  const ada = await person(app, 'ada');
  const root = await person(app, 'root', 'superadmin');
  const { apiKey: own } = await apiKeys.create({ userId: ada, name: 'script' }, as(ada));
  app.clock.advance({ seconds: 1 });
  const { apiKey: high } = await apiKeys.create({ userId: root, name: 'high' }, as(root));
  app.clock.advance({ seconds: 1 });
  const org = await orgs.create({ name: 'Acme' }, as(ada));
  const account = await json(browser.post('/admin/service-accounts', { orgId: org.id, name: 'ci' }), 201);
  const path = `/admin/service-accounts/${account.id}`;
  const made = await json(browser.post(`${path}/api-keys`, { name: 'deploy', expiresInSeconds: 3600 }), 201);
  expect(await apiKeys.verify(made.key)).toMatchObject({ id: made.apiKey.id, userId: account.id });

  const first = await json(browser.get('/admin/api-keys?limit=2'), 200);
  expect(first.items).toMatchObject([
    { id: made.apiKey.id, owner: { id: account.id, kind: 'service', name: 'ci' } },
    { id: high.id, owner: { id: root, kind: 'person', email: 'root@example.com', name: null } },
  ]);
  const rest = await json(browser.get(`/admin/api-keys?limit=2&cursor=${first.nextCursor}`), 200);
  expect(rest.items.map(({ id }: { id: string }) => id)).toEqual([own.id]);
  expect(JSON.stringify([first, rest])).not.toMatch(/hash|"kid"/);
  for (const user of [ada, 'ada@example.com'])
    expect((await json(browser.get(`/admin/api-keys?user=${user}`), 200)).items).toMatchObject([
      { id: own.id },
    ]);
  expect((await json(browser.get('/admin/api-keys?user=nobody'), 200)).items).toEqual([]);

  expect((await browser.delete(`/admin/api-keys/${high.id}`)).status).toBe(403);
  expect((await browser.delete(`/admin/api-keys/${own.id}`)).status).toBe(204);
  expect((await browser.delete('/admin/api-keys/AAAAAAAAAAAA')).status).toBe(404);
  expect((await json(browser.get(`/admin/api-keys?user=${ada}`), 200)).items).toMatchObject([
    { revokedAt: expect.any(String) },
  ]);
  expect((await json(browser.get(`/admin/api-keys?user=${root}`), 200)).items).toMatchObject([
    { revokedAt: null },
  ]);

  expect((await json(browser.get('/admin/service-accounts'), 200)).items).toMatchObject([
    { id: account.id, orgId: org.id, name: 'ci', createdById: admin },
  ]);
  expect((await json(browser.get(`/admin/service-accounts?org=${org.id}`), 200)).items).toHaveLength(1);
  expect((await browser.get('/admin/service-accounts?org=other')).status).toBe(404);
  // A person is no service account, and nobody makes a key in the name of a person.
  for (const id of [ada, root, admin])
    expect((await browser.post(`/admin/service-accounts/${id}/api-keys`, { name: 'x' })).status).toBe(404);
  // Where the account ranks as high as the administrator, a key of it would be a way up.
  await app.authTuna.roles.assign({ userId: account.id, role: 'admin', scope: 'global' }, SYSTEM);
  expect((await browser.post(`${path}/api-keys`, { name: 'up' })).status).toBe(403);
  expect((await browser.delete(path)).status).toBe(403);
  await app.authTuna.roles.unassign({ userId: account.id, role: 'admin', scope: 'global' }, SYSTEM);

  const moderator = await signedInAs(app, 'moderator');
  const refused = {
    keys: await moderator.browser.get('/admin/api-keys'),
    revoke: await moderator.browser.delete(`/admin/api-keys/${made.apiKey.id}`),
    accounts: await moderator.browser.get('/admin/service-accounts'),
    one: await moderator.browser.get(path),
    create: await moderator.browser.post('/admin/service-accounts', { orgId: org.id, name: 'x' }),
    key: await moderator.browser.post(`${path}/api-keys`, { name: 'x' }),
    delete: await moderator.browser.delete(path),
  };
  expect(new Set(Object.values(refused).map(({ status }) => status))).toEqual(new Set([403]));
  app.clock.advance({ minutes: 11 });
  expect((await browser.post(`${path}/api-keys`, { name: 'late' })).status).toBe(401);
  await browser.post('/auth/login', { login: 'admin@example.com', password: PASSWORD });
  expect((await browser.delete(path)).status).toBe(204);
  expect(await apiKeys.verify(made.key)).toBeNull();
});

test('by form, without a script: an organization, a service account and a key that is shown once; names are text (AD-1)', async () => {
  const app = await startApp();
  const { browser } = await signedInAs(app, 'superadmin');
  const visitor = new PageVisitor(browser);
  const list = await visitor.open('/admin/orgs');
  const csrfToken = / name="csrfToken" value="([^"]+)"/.exec(list.html)?.[1] ?? '';
  const send = (path: string, fields: Record<string, string>) =>
    visitor.postFields(path, { csrfToken, ...fields });
  const founded = await send('/admin/orgs', { name: HOSTILE, slug: 'hostile' });
  expect(founded.status).toBe(303);
  const org = founded.headers.get('location')?.split('?')[0] ?? '';
  const orgId = org.split('/').at(-1) ?? '';
  const taken = await send('/admin/orgs', { name: 'Again', slug: 'hostile' });
  expect([taken.status, (await taken.text()).includes('This short name is taken.')]).toEqual([409, true]);
  const changed = await send(`${org}/policy`, {
    joinByDomain: 'on',
    allowedEmailDomains: 'example.com acme.example',
  });
  expect(changed.headers.get('location')).toBe(`${org}?done=updated`);
  expect((await app.authTuna.orgs.get(orgId)).policy).toMatchObject({
    requireSecondFactor: false,
    joinByDomain: true,
    allowedEmailDomains: ['example.com', 'acme.example'],
  });
  expect((await send(`${org}/update`, { name: 'Harbour masters', slug: 'renamed' })).status).toBe(303);

  const made = await send('/admin/service-accounts', { orgId, name: HOSTILE });
  const account = made.headers.get('location')?.split('?')[0] ?? '';
  const issued = await (await send(`${account}/new-key`, { name: HOSTILE, lifetimeDays: '30' })).text();
  const key = /at_live_\w+/.exec(issued)?.[0] ?? '';
  const verified = await app.authTuna.apiKeys.verify(key);
  expect(verified?.userId).toBe(account.split('/').at(-1));
  const pages: string[] = [issued];
  for (const path of ['/admin/orgs', org, '/admin/service-accounts', account, '/admin/api-keys']) {
    const page = await visitor.open(path);
    expect([path, page.status, page.html.includes(key)]).toEqual([path, 200, false]);
    if (path !== '/admin/api-keys')
      expect([path, page.html.includes('Harbour masters')]).toEqual([path, true]);
    pages.push(page.html);
  }
  expect(pages.filter((html) => html.includes('<img'))).toEqual([]);
  const revoked = await send(`/admin/api-keys/${verified?.id}/revoke`, {});
  expect(revoked.headers.get('location')).toBe('/admin/api-keys?done=revoked');
  expect(await app.authTuna.apiKeys.verify(key)).toBeNull();
  expect((await send(`${account}/delete`, {})).headers.get('location')).toBe(
    '/admin/service-accounts?done=deleted',
  );
  const gone = await send(`${org}/delete`, {});
  expect(gone.headers.get('location')).toBe('/admin/orgs?done=deleted');
});
