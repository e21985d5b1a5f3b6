import { expect, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { enrolTotp } from '../../support/factors.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as, person } from '../../support/people.js';

const HOSTILE = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{constructor}}';alert(3)//`;

async function administrator(
  app: TestInstance,
  role = 'superadmin',
): Promise<{ id: string; browser: Browser }> {
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

test('people are created, found, changed, suspended with reason and end, deleted, restored and erased over HTTP', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  const made = await json(
    browser.post('/admin/users', { email: 'Ada@Example.com', username: 'ada', emailVerified: true }),
    201,
  );
  expect(made).toMatchObject({ email: 'ada@example.com', username: 'ada', roles: ['user'] });
  expect(JSON.stringify(made)).not.toContain('sessionEpoch');
  const path = `/admin/users/${made.id}`;
  expect((await json(browser.get('/admin/users?search=ada'), 200)).items).toMatchObject([
    { id: made.id, roles: ['user'] },
  ]);
  expect(await json(browser.patch(path, { username: 'lovelace' }), 200)).toMatchObject({
    username: 'lovelace',
  });
  const until = new Date(app.clock.now().getTime() + 86_400_000).toISOString();
  expect(await json(browser.post(`${path}/suspend`, { reason: 'spam', until }), 200)).toMatchObject({
    suspendedReason: 'spam',
    suspendedUntil: until,
  });
  expect((await json(browser.get('/admin/users?status=suspended'), 200)).items).toHaveLength(1);
  expect(await json(browser.post(`${path}/unsuspend`, { reason: 'a mistake' }), 200)).toMatchObject({
    suspendedAt: null,
  });
  expect((await browser.delete(path)).status).toBe(204);
  expect(await json(browser.get(path), 200)).toMatchObject({ deletedAt: expect.any(String) });
  expect(await json(browser.post(`${path}/restore`), 200)).toMatchObject({
    deletedAt: null,
    roles: ['user'],
  });
  expect((await browser.post(`${path}/erase`)).status).toBe(204);
  expect((await browser.get(path)).status).toBe(404);
  for (const [body, status] of [
    [{ reason: '' }, 422],
    [{ reason: 'x', until: '2001-01-01' }, 422],
    [{ reason: 'x', until: 'soon' }, 422],
    [{ reason: 'x', other: 1 }, 422],
  ] as const) {
    const { id } = await app.authTuna.users.create({ email: `p${JSON.stringify(body).length}@example.com` });
    expect([body, (await browser.post(`/admin/users/${id}/suspend`, body)).status]).toEqual([body, status]);
  }
  for (const query of [
    'limit=1000000000',
    'limit=0',
    `search=${'x'.repeat(65)}`,
    'other=1',
    'status=x',
    'search=a&search=b',
  ])
    expect([query, (await browser.get(`/admin/users?${query}`)).status]).toEqual([query, 422]);
});

test('a forced new password ends the sessions and mails a link; factors go in 72 hours; an address is confirmed', async () => {
  const app = await startMailedApp();
  const { browser } = await administrator(app);
  const { user, browser: ada } = await app.signedIn('ada@example.com');
  await enrolTotp(app, ada);
  const path = `/admin/users/${user.id}`;
  expect(await json(browser.post(`${path}/password-reset`), 200)).toMatchObject({ mustChangePassword: true });
  expect((await ada.get('/me')).status).toBe(401);
  expect((await app.mailTo(user.email)).text).toContain('/auth/reset-password');
  const { effectiveAt } = await json(browser.post(`${path}/factors-reset`), 200);
  expect(new Date(effectiveAt).getTime() - app.clock.now().getTime()).toBe(72 * 3_600_000);
  await app.authTuna.users.update(user.id, { emailVerified: false }, SYSTEM);
  expect(await json(browser.post(`${path}/verify`), 200)).toMatchObject({
    emailVerifiedAt: expect.any(String),
  });
});

test('a password that an administrator chose opens nothing but the choice of another (PW-7)', async () => {
  const app = await startApp();
  const { id, browser } = await administrator(app);
  const email = 'ada@example.com';
  const body = { email, password: PASSWORD, emailVerified: true };
  const made = await json(browser.post('/admin/users', body), 201);
  const ada = app.browser();
  const chosen = `${PASSWORD} of her own`;
  for (const known of [PASSWORD, `${PASSWORD} again`]) {
    await ada.post('/auth/login', { login: email, password: known });
    expect((await json(ada.get('/me'), 403)).code).toBe('password_change_required');
    await app.authTuna.passwords.set(made.id, `${PASSWORD} again`, as(id));
  }
  await ada.post('/auth/login', { login: email, password: `${PASSWORD} again` });
  const change = { currentPassword: `${PASSWORD} again`, newPassword: chosen };
  await json(ada.post('/auth/change-password', change), 200);
  expect((await ada.get('/me')).status).toBe(200);
});

test('roles are given and taken away at a scope, sessions are listed and ended', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  const { user, browser: ada } = await app.signedIn('ada@example.com');
  const path = `/admin/users/${user.id}`;
  const given = await json(browser.post(`${path}/assignments`, { role: 'org_member', scope: 'org:1' }), 201);
  expect(given.items).toContainEqual(expect.objectContaining({ role: 'org_member', scope: 'org:1' }));
  expect((await json(browser.get(`${path}/assignments`), 200)).items).toHaveLength(2);
  expect((await browser.delete(`${path}/assignments?role=org_member&scope=org:1`)).status).toBe(204);
  expect((await browser.delete(`${path}/assignments?role=org_member&scope=org:1`)).status).toBe(404);
  expect((await json(browser.get(`${path}/sessions`), 200)).items).toHaveLength(1);
  expect((await json(browser.get('/admin/sessions'), 200)).items.length).toBeGreaterThan(1);
  expect((await browser.delete(`${path}/sessions`)).status).toBe(204);
  expect((await ada.get('/me')).status).toBe(401);
});

test('every change asks for a fresh proof, and a form of another site changes nothing (AD-3, MB-3, CS-2)', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  const id = await person(app, 'ada');
  const visitor = new PageVisitor(browser);
  const page = await visitor.open(`/admin/users/${id}`);
  const forged = await visitor.postFields(`/admin/users/${id}/suspend`, { csrfToken: 'forged', reason: 'x' });
  expect(forged.status).toBe(403);
  const foreign = await visitor.postFields(
    `/admin/users/${id}/suspend`,
    { csrfToken: page.csrfToken, reason: 'x' },
    { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  );
  expect(foreign.status).toBe(403);
  app.clock.advance({ minutes: 11 });
  const late = await browser.post(`/admin/users/${id}/suspend`, { reason: 'x' });
  expect([late.status, ((await late.json()) as { code: string }).code]).toEqual([
    401,
    'recent_login_required',
  ]);
  const form = await visitor.postFields(`/admin/users/${id}/suspend`, {
    csrfToken: page.csrfToken,
    reason: 'x',
  });
  expect([form.status, form.headers.get('location')]).toEqual([
    303,
    `/auth/step-up?returnTo=${encodeURIComponent(`/admin/users/${id}?confirmed=again`)}`,
  ]);
  expect(await app.authTuna.users.get(id)).toMatchObject({ suspendedAt: null });
});

test('the audit log is filtered and exported, each export is itself recorded, and no cell is a formula (AD-4, AU-1)', async () => {
  const app = await startApp();
  const { browser, id: admin } = await administrator(app);
  const id = await person(app, 'ada');
  await app.authTuna.users.suspend(id, '=HYPERLINK("//e")', as(admin));
  const found = await json(
    browser.get(`/admin/audit?type=user.suspended&actor=${admin}&target=${id}&outcome=success`),
    200,
  );
  expect(found.items).toMatchObject([{ type: 'user.suspended', targetId: id, reason: '=HYPERLINK("//e")' }]);
  const csv = await browser.get('/admin/audit/export?format=csv&type=user.suspended');
  expect([csv.status, csv.headers.get('content-type')]).toEqual([200, 'text/csv; charset=utf-8']);
  const text = await csv.text();
  expect(text.trimEnd().split('\r\n')).toHaveLength(2);
  expect(text).toContain(`"'=HYPERLINK(""//e"")"`);
  const lines = (await (await browser.get('/admin/audit/export?q=ada@example.com')).text())
    .trimEnd()
    .split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { targetId: string }).targetId)).toContain(id);
  expect((await app.authTuna.audit.list({ type: 'audit.exported' })).items).toHaveLength(2);
  for (const query of ['outcome=x', 'from=soon', `q=${'x'.repeat(65)}`, 'other=1', 'format=xml'])
    expect([query, (await browser.get(`/admin/audit/export?${query}`)).status]).toEqual([query, 422]);
  app.clock.advance({ minutes: 11 });
  expect((await browser.get('/admin/audit/export')).status).toBe(401);
});

test('roles, permissions and scopes are managed, and `why` tells which role said yes', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  await json(browser.post('/admin/permissions', { name: 'post:publish', description: 'Publish.' }), 201);
  await json(
    browser.post('/admin/roles', {
      name: 'editor',
      level: 20,
      permissions: ['post:publish'],
      at: ['project'],
    }),
    201,
  );
  await json(browser.post('/admin/roles/editor/permissions', { permission: 'post:*' }), 200);
  expect(await json(browser.patch('/admin/roles/editor', { level: 30 }), 200)).toMatchObject({ level: 30 });
  expect(await json(browser.post('/admin/roles/editor/may-assign', { role: 'user' }), 200)).toMatchObject({
    mayAssign: ['user'],
  });
  await json(browser.post('/admin/scopes', { id: 'project:1', name: 'Sardine' }), 201);
  await json(browser.post('/admin/scopes', { id: 'team:1', parent: 'project:1' }), 201);
  expect((await json(browser.get('/admin/scopes?parent=project:1'), 200)).items).toMatchObject([
    { id: 'team:1' },
  ]);
  const id = await person(app, 'ada');
  await json(browser.post(`/admin/users/${id}/assignments`, { role: 'editor', scope: 'project:1' }), 201);
  const why = await json(
    browser.get('/admin/why?user=ada@example.com&permission=post:publish&scope=team:1'),
    200,
  );
  expect(why).toMatchObject({
    allowed: true,
    chain: ['team:1', 'project:1', 'global'],
    grants: [{ role: 'editor', scope: 'project:1' }],
  });
  expect(await json(browser.get('/admin/why?user=nobody&permission=post:publish'), 200)).toMatchObject({
    allowed: false,
  });
  expect((await browser.delete('/admin/scopes/team:1')).status).toBe(204);
  expect((await browser.delete('/admin/roles/editor')).status).toBe(204);
  expect((await browser.delete('/admin/roles/admin')).status).toBe(403);
  expect((await browser.delete('/admin/permissions/post:publish')).status).toBe(204);
});

test('numbers, mails, waits and jobs are shown; a wait is ended and a mail tried again', async () => {
  const app = await startMailedApp();
  const { browser } = await administrator(app);
  const { user } = await app.signedIn('ada@example.com');
  for (let n = 0; n < 8; n += 1)
    await app.browser().post('/auth/login', { login: user.email, password: 'wrong wrong wrong' });
  const stats = await json(browser.get('/admin/stats?days=3'), 200);
  expect(stats).toMatchObject({
    users: 2,
    liveSessions: expect.any(Number),
    days: [{}, {}, { signIns: expect.any(Number) }],
  });
  expect(stats.days[2].failures).toBeGreaterThan(3);
  const waits = await json(browser.get('/admin/throttles'), 200);
  expect(waits.items.length).toBeGreaterThan(0);
  expect(JSON.stringify(waits)).not.toContain('ada');
  expect((await browser.delete(`/admin/throttles/${encodeURIComponent(waits.items[0].id)}`)).status).toBe(
    204,
  );
  await app.browser().post('/auth/forgot-password', { email: user.email });
  expect((await json(browser.get('/admin/mails'), 200)).items).toMatchObject([
    { template: 'password-reset', to: user.email },
  ]);
  expect((await json(browser.get('/admin/mails?status=dead'), 200)).items).toEqual([]);
  const jobs = await json(browser.get('/admin/jobs'), 200);
  expect(jobs).toMatchObject({ health: { database: 'up' } });
  expect(jobs.items.map(({ name }: { name: string }) => name)).toContain('audit.seal');
  expect(await json(browser.post('/admin/jobs/audit.seal/run'), 200)).toMatchObject({
    note: expect.any(String),
  });
  for (const query of ['days=0', 'days=91', 'days=x'])
    expect((await browser.get(`/admin/stats?${query}`)).status).toBe(422);
});

test('no administrator ends the wait of a person of equal or higher rank, nor of themselves (AD-3)', async () => {
  const app = await startApp();
  const { browser } = await administrator(app, 'admin');
  const boss = await administrator(app);
  const waitsOf = async (login: string) => {
    for (let n = 0; n < 8; n += 1)
      await app.browser().post('/auth/login', { login, password: 'wrong wrong wrong' });
    const { items } = await json(boss.browser.get('/admin/throttles'), 200);
    return items.map(({ id }: { id: string }) => `/admin/throttles/${encodeURIComponent(id)}`) as string[];
  };
  const known = new Set<string>();
  for (const [login, status] of [
    ['superadmin@example.com', 403],
    ['admin@example.com', 403],
    ['nobody@example.com', 204],
  ] as const) {
    const [path = '', ...others] = (await waitsOf(login)).filter((each) => !known.has(each));
    expect([login, others]).toEqual([login, []]);
    known.add(path);
    expect([login, (await browser.delete(path)).status]).toEqual([login, status]);
  }
  const [ofBoss = '', ofModerator = ''] = known;
  expect((await boss.browser.delete(ofModerator)).status).toBe(204);
  expect((await boss.browser.delete(ofBoss)).status).toBe(403);
});

test('an administrator acts as a person for half an hour, marked everywhere, and comes back by one click (AD-5)', async () => {
  const app = await startApp();
  const { browser, id: admin } = await administrator(app);
  const { user } = await app.signedIn('ada@example.com');
  expect((await browser.post(`/admin/users/${user.id}/impersonate`, {})).status).toBe(422);
  const begun = await json(
    browser.post(`/admin/users/${user.id}/impersonate`, { reason: 'ticket 4711' }),
    200,
  );
  expect(begun.session).toMatchObject({ userId: user.id, impersonatorId: admin });
  expect(await json(browser.get('/me'), 200)).toMatchObject({ id: user.id });
  const page = await new PageVisitor(browser).open('/account/security');
  expect(page.html).toContain('You are acting as');
  expect(page.action).toBe('/admin/impersonation/end');
  await browser.post('/me/x');
  const [started] = (await app.authTuna.audit.list({ type: 'impersonation.started' })).items;
  expect(started).toMatchObject({ actorId: admin, targetId: user.id, reason: 'ticket 4711' });
  expect((await app.authTuna.sessions.list(user.id)).map(({ impersonatorId }) => impersonatorId)).toContain(
    admin,
  );

  const ended = await new PageVisitor(browser).submit(page);
  expect([ended.status, ended.headers.get('location')]).toEqual([303, `/admin/users/${user.id}`]);
  expect(await json(browser.get('/me'), 200)).toMatchObject({ id: admin });
  expect((await app.authTuna.audit.list({ type: 'impersonation.ended' })).items).toMatchObject([
    { actorId: user.id, impersonatorId: admin },
  ]);
  expect((await browser.post('/admin/impersonation/end')).status).toBe(409);

  await json(browser.post(`/admin/users/${user.id}/impersonate`, { reason: 'again' }), 200);
  app.clock.advance({ minutes: 31 });
  expect((await browser.get('/me')).status).toBe(401);
});

test('acting as a person changes nothing of the account, opens no administration and goes no further (AD-5)', async () => {
  const app = await startApp();
  const { browser, id: admin } = await administrator(app);
  const target = await administrator(app, 'admin');
  const other = await person(app, 'other');
  await json(browser.post(`/admin/users/${target.id}/impersonate`, { reason: 'ticket' }), 200);
  const free = ['/auth/logout', '/admin/impersonation/end'];
  const guarded = app.authTuna
    .routes()
    .filter(
      ({ method, guard, path, isPage }) =>
        !isPage && guard !== null && method !== 'GET' && !free.includes(path),
    );
  expect(guarded.length).toBeGreaterThan(60);
  for (const { method, path, guard } of guarded) {
    if (guard?.optional === true) continue;
    const answer = await browser.request(
      method,
      path.replace(/:\w+/g, 'x'),
      method === 'DELETE' ? undefined : {},
    );
    expect([method, path, answer.status]).toEqual([method, path, 403]);
  }
  for (const path of ['/admin', '/admin/users', '/admin/audit', '/account/export'])
    expect([path, (await browser.get(path)).status]).toEqual([path, 403]);
  expect((await browser.post(`/admin/users/${other}/impersonate`, { reason: 'further' })).status).toBe(403);
  // The administrator is signed out everywhere: the borrowed session ends as well.
  await app.authTuna.sessions.revokeAll(admin, SYSTEM);
  expect((await browser.post('/me/x')).status).toBe(401);
});

test('of a suspended or deleted person nobody borrows a session, and a stolen cookie of the way back is worth nothing to others (AD-5)', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  const suspended = await person(app, 'suspended');
  await app.authTuna.users.suspend(suspended, 'spam', SYSTEM);
  expect((await browser.post(`/admin/users/${suspended}/impersonate`, { reason: 'x' })).status).toBe(409);
  const deleted = await person(app, 'deleted');
  await app.authTuna.users.delete(deleted, SYSTEM);
  expect((await browser.post(`/admin/users/${deleted}/impersonate`, { reason: 'x' })).status).toBe(404);
  const { user, browser: ada } = await app.signedIn('ada@example.com');
  await json(browser.post(`/admin/users/${user.id}/impersonate`, { reason: 'x' }), 200);
  // A way back that belongs to somebody else leads nowhere.
  browser.jar.set('at_own', ada.jar.get('at_sess') ?? '');
  expect((await browser.post('/admin/impersonation/end')).status).toBe(204);
  expect((await browser.get('/me')).status).toBe(401);
  expect(browser.jar.has('at_own')).toBe(false);
});

test('hostile names, reasons, agents and scopes are text on every page (AD-1, D8)', async () => {
  const app = await startApp();
  const { browser, id: admin } = await administrator(app);
  const ada = await person(app, 'ada');
  await app.authTuna.users.suspend(ada, HOSTILE.slice(0, 90), { ...as(admin), userAgent: HOSTILE });
  await app.authTuna.roles.create({ name: 'hostile', description: HOSTILE });
  await app.authTuna.permissions.create({ name: 'hostile:do', description: HOSTILE, tool: HOSTILE });
  await app.authTuna.scopes.register({ id: 'org:1', name: HOSTILE }, SYSTEM);
  await app.authTuna.audit.record({
    type: 'x.y',
    actor: { ...as(ada), ip: HOSTILE },
    target: { type: HOSTILE, id: HOSTILE },
    scope: HOSTILE,
    reason: HOSTILE,
  });
  const { webhook } = await app.authTuna.webhooks.create(
    { url: 'http://localhost:9/"><script>alert(1)</script>', events: '*' },
    SYSTEM,
  );
  await app.authTuna.audit.record({ type: 'x.z', actor: as(ada), reason: HOSTILE });
  const visitor = new PageVisitor(browser);
  const encoded = encodeURIComponent(HOSTILE.slice(0, 60));
  for (const path of [
    '/admin/stats',
    `/admin/users?search=${encoded}`,
    '/admin/users?status=suspended',
    `/admin/users/${ada}`,
    '/admin/new-user',
    '/admin/roles',
    '/admin/roles/hostile',
    '/admin/permissions',
    '/admin/scopes',
    `/admin/why?user=${encoded}&permission=${encoded}&scope=${encoded}`,
    '/admin/why',
    '/admin/sessions',
    '/admin/webhooks',
    `/admin/webhooks/${webhook.id}`,
    '/admin/mails',
    '/admin/throttles',
    '/admin/jobs',
    `/admin/audit?q=${encoded}&type=${encoded}&scope=${encoded}`,
    '/admin/audit',
    `/admin/users/${ada}?done=${encoded}`,
  ]) {
    const page = await visitor.open(path);
    expect([path, page.status]).toEqual([path, 200]);
    expect([path, /<script>alert|onerror=alert\(2\)>(?!&)/.test(page.html.replaceAll('&lt;', ''))]).toEqual([
      path,
      false,
    ]);
    expect(page.html).not.toContain('<img');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe');
  }
});

test('by form, without a script: a person is created, suspended, given a role, and each step is confirmed', async () => {
  const app = await startApp();
  const { browser } = await administrator(app);
  const visitor = new PageVisitor(browser);
  const created = await visitor.send(await visitor.open('/admin/new-user'), { email: 'ada@example.com' });
  expect(created.html).toContain('ada@example.com');
  expect(created.html).toContain('Created.');
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  const path = `/admin/users/${user?.id}`;
  const fields = { csrfToken: created.csrfToken };
  const refused = await visitor.postFields(`${path}/suspend`, fields);
  expect([refused.status, (await refused.text()).includes('Please fill this in.')]).toEqual([422, true]);
  const suspended = await visitor.postFields(`${path}/suspend`, { ...fields, reason: 'spam' });
  expect([suspended.status, suspended.headers.get('location')]).toEqual([303, `${path}?done=suspended`]);
  const given = await visitor.postFields(`${path}/assignments`, {
    ...fields,
    role: 'moderator',
    scope: 'global',
  });
  expect(given.headers.get('location')).toBe(`${path}?done=assigned`);
  const twice = await visitor.send(await visitor.open('/admin/new-user'), { email: 'ada@example.com' });
  expect([twice.status, twice.html.includes('There is an account with this address already.')]).toEqual([
    409,
    true,
  ]);
  const stranger = await app.browser().get('/admin/users', { headers: { accept: 'text/html' } });
  expect([stranger.status, stranger.headers.get('location')]).toEqual([
    303,
    '/auth/login?returnTo=%2Fadmin%2Fusers',
  ]);
});

test("lists come page by page, and pages of the host's own stand in the navigation (AD-4)", async () => {
  const app = await startApp(
    {},
    {
      isBare: true,
      routes(host, authTuna) {
        host.use('/auth', authTuna.routers.auth());
        host.use('/admin', authTuna.routers.admin({ links: [{ label: 'Billing', path: '/billing' }] }));
      },
    },
  );
  const { browser } = await administrator(app);
  for (let n = 0; n < 60; n += 1) await app.authTuna.users.create({ email: `p${n}@example.com` });
  const page = await new PageVisitor(browser).open('/admin/users');
  expect(page.html).toContain('href="/billing"');
  expect(page.html.match(/@example\.com<\/bdi>/g)).toHaveLength(50);
  const next = /href="(\/admin\/users\?cursor[^"]+)"/.exec(page.html)?.[1]?.replace('&#x3D;', '=') ?? '';
  expect((await new PageVisitor(browser).open(next)).html.match(/@example\.com<\/bdi>/g)).toHaveLength(11);
});

test('a page costs the same number of statements, however many people, roles and entries it shows (D43)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const app = await startApp({ prisma: client }, { database });
  const { browser } = await administrator(app);
  const visitor = new PageVisitor(browser);
  const cost = async (path: string) => {
    await visitor.open(path); // what is remembered afterwards is not counted
    const counts: number[] = [];
    for (let time = 0; time < 3; time += 1) {
      statements.length = 0;
      expect([path, (await visitor.open(path)).status]).toEqual([path, 200]);
      counts.push(statements.length);
    }
    return Math.min(...counts); // mails that are sent in the background ask the same database
  };
  const first = await person(app, 'first');
  const paths = [
    '/admin/users',
    `/admin/users/${first}`,
    '/admin/roles',
    '/admin/sessions',
    '/admin/audit',
    '/admin/orgs',
    '/admin/api-keys',
    '/admin/service-accounts',
    '/account/history',
  ];
  const affecting = (users: readonly string[]) =>
    `/admin/bulk?action=delete&${users.map((id) => `users=${id}`).join('&')}`;
  const bulk = await cost(affecting([first]));
  const few = await Promise.all(paths.map(() => 0));
  for (const [index, path] of paths.entries()) few[index] = await cost(path);
  const people: string[] = [];
  for (let n = 0; n < 30; n += 1) {
    const id = await person(app, `more${n}`, n % 3 === 0 ? 'moderator' : undefined);
    await app.authTuna.sessions.create(id, ['pwd'], SYSTEM);
    await app.authTuna.sessions.create(first, ['pwd'], SYSTEM);
    await app.authTuna.roles.assign({ userId: first, role: 'org_member', scope: `org:${n}` }, SYSTEM);
    await app.authTuna.roles.create({ name: `more${n}` });
    const org = await app.authTuna.orgs.create({ name: `Org ${n}`, ownerId: id }, SYSTEM);
    const program = await app.authTuna.serviceAccounts.create({ orgId: org.id, name: 'ci' }, SYSTEM);
    await app.authTuna.apiKeys.create({ userId: program.id, name: 'key' }, SYSTEM);
    people.push(id);
  }
  for (const [index, path] of paths.entries()) expect([path, await cost(path)]).toEqual([path, few[index]]);
  expect(await cost(affecting(people))).toBe(bulk);
});
