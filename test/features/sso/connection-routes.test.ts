import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startAcme } from '../../support/acme.js';
import { PASSWORD } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { enrolTotp, json } from '../../support/factors.js';
import { CLIENT } from '../../support/openid-provider.js';
import { PageVisitor } from '../../support/page-visitor.js';

const AT = '/auth/social/connections';

async function startWithOwner(options: Parameters<typeof startAcme>[0] = {}) {
  const acme = await startAcme(options);
  const login = async (email: string, browser: Browser = acme.browser()) => {
    await json(browser.post('/auth/login', { login: email, password: PASSWORD }), 200);
    return browser;
  };
  return { ...acme, login, ownerBrowser: await login('owner@acme.example') };
}

test('an owner connects a provider, proves a domain and demands it, over HTTP', async () => {
  const { ownerBrowser, idp, records, authTuna } = await startWithOwner({ verified: false });
  const made = await json(
    ownerBrowser.post(AT, {
      scope: 'org:acme',
      name: 'Acme Labs',
      issuer: idp.issuer,
      ...CLIENT,
      rolesClaim: 'groups',
      roleMapping: { staff: 'org_member' },
    }),
    201,
  );
  expect(made).toMatchObject({ provider: `sso-${made.id}`, scope: 'org:acme', domains: [] });
  expect(JSON.stringify(made)).not.toContain(CLIENT.clientSecret);
  const listed = await json(ownerBrowser.get(`${AT}?scope=org:acme`), 200);
  expect(listed.items.map(({ name }: { name: string }) => name).sort()).toEqual(['Acme', 'Acme Labs']);

  const domain = await json(ownerBrowser.post(`${AT}/${made.id}/domains`, { domain: 'Labs.example' }), 201);
  expect(domain).toMatchObject({ domain: 'labs.example', verifiedAt: null, required: false });
  const at = `${AT}/${made.id}/domains/labs.example`;
  await json(ownerBrowser.post(`${at}/verify`), 409);
  await json(ownerBrowser.patch(at, { required: true }), 409);
  records.set(domain.record.name, [[domain.record.value]]);
  expect((await json(ownerBrowser.post(`${at}/verify`), 200)).verifiedAt).toEqual(expect.any(String));
  expect((await json(ownerBrowser.patch(at, { required: true }), 200)).required).toBe(true);
  expect(await authTuna.sso.discover('x@labs.example')).toMatchObject({ required: true });

  const changed = await json(ownerBrowser.patch(`${AT}/${made.id}`, { name: 'Labs', roleMapping: {} }), 200);
  expect(changed).toMatchObject({ name: 'Labs', roleMapping: {}, domains: [{ domain: 'labs.example' }] });
  expect(await json(ownerBrowser.get(`${AT}/${made.id}`), 200)).toEqual(changed);
  await json(ownerBrowser.delete(at), 204);
  await json(ownerBrowser.delete(`${AT}/${made.id}`), 204);
  await json(ownerBrowser.get(`${AT}/${made.id}`), 404);
  const { items } = await authTuna.audit.list({ scope: 'org:acme', limit: 50 });
  const types = items.map(({ type }) => type);
  for (const type of ['created', 'updated', 'deleted']) expect(types).toContain(`sso_connection.${type}`);
  for (const type of ['added', 'verified', 'updated', 'removed'])
    expect(types).toContain(`sso_domain.${type}`);
});

test('each route of a connection asks for who may manage it, for a recent login, and for its own site', async () => {
  const { ownerBrowser, browser, signedIn, connection, idp, clock } = await startWithOwner();
  const domain = `${AT}/${connection.id}/domains/acme.example`;
  const input = { scope: 'org:acme', name: 'X', issuer: idp.issuer, clientId: 'x' };
  const changes: [string, string, unknown?][] = [
    ['POST', AT, input],
    ['PATCH', `${AT}/${connection.id}`, { name: 'Evil' }],
    ['POST', `${AT}/${connection.id}/domains`, { domain: 'evil.example' }],
    ['POST', `${domain}/verify`],
    ['PATCH', domain, { required: true }],
    ['POST', `${domain}/demand`],
    ['POST', `${domain}/release`],
    ['POST', `${domain}/remove`],
    ['DELETE', domain],
    ['POST', `${AT}/${connection.id}/settings`, { name: 'Evil' }],
    ['POST', `${AT}/${connection.id}/roles`, { claim: 'groups', value: 'x', role: 'org_member' }],
    ['POST', `${AT}/${connection.id}/roles/remove`, { value: 'staff' }],
    ['POST', `${AT}/${connection.id}/remove`],
    ['DELETE', `${AT}/${connection.id}`],
  ];
  const reads: [string, string, unknown?][] = [
    ['GET', `${AT}?scope=org:acme`],
    ['GET', `${AT}/${connection.id}`],
  ];
  const { browser: mallory } = await signedIn('mallory@example.com');
  for (const [method, path, body] of [...reads, ...changes]) {
    expect((await browser().request(method, path, body)).status, `${method} ${path}`).toBe(401);
    // Of a connection a stranger learns no more than of one that nobody has.
    const expected = path.includes(connection.id) ? 404 : 403;
    expect((await mallory.request(method, path, body)).status, `${method} ${path}`).toBe(expected);
  }
  for (const [method, path, body] of changes) {
    const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    const forged = await ownerBrowser.request(method, path, body, { headers });
    expect([forged.status, (await json(forged)).code], `${method} ${path}`).toEqual([
      403,
      'cross_site_request',
    ]);
  }
  clock.advance({ minutes: 10, seconds: 1 });
  for (const [method, path, body] of changes) {
    const late = await ownerBrowser.request(method, path, body);
    expect([late.status, (await json(late)).code], `${method} ${path}`).toEqual([
      401,
      'recent_login_required',
    ]);
  }
  await json(ownerBrowser.get(`${AT}/${connection.id}`), 200);
});

test('what a connection is made of is read strictly', async () => {
  const { ownerBrowser, connection, idp } = await startWithOwner();
  const input = { scope: 'org:acme', name: 'X', issuer: idp.issuer, clientId: 'x' };
  for (const wrong of [
    { ...input, id: 'mine' },
    { ...input, createdAt: '2000-01-01' },
    { ...input, scope: 'global' },
    { ...input, scope: 'org:acme/../x' },
    { ...input, name: '' },
    { ...input, name: 'two\nlines' },
    { ...input, name: 'right\u202Eleft' },
    { ...input, issuer: 'ftp://example.com' },
    { ...input, issuer: 'javascript:alert(1)' },
    { ...input, linkVerifiedEmails: 'yes' },
    { ...input, roleMapping: ['org_owner'] },
    { ...input, clientId: undefined },
  ])
    expect((await ownerBrowser.post(AT, wrong)).status, JSON.stringify(wrong)).toBe(422);
  for (const change of [{ issuer: 'https://evil.example' }, { scope: 'org:other' }, { id: 'x' }])
    expect((await ownerBrowser.patch(`${AT}/${connection.id}`, change)).status).toBe(422);
  expect((await ownerBrowser.get(AT)).status).toBe(422);
  for (const domain of ['localhost', 'a b.example', '10.0.0.1', 'x'.repeat(300), '*.example'])
    expect((await ownerBrowser.post(`${AT}/${connection.id}/domains`, { domain })).status, domain).toBe(422);
  const form = await ownerBrowser.post(`${AT}?scope=org%3Aacme`, undefined, {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    rawBody: 'scope=org:acme',
  });
  expect(form.status).toBe(403); // without the token of a page
});

test('the pages of connections show them to whom the routes do, never a secret, and lead through the step-up', async () => {
  const { ownerBrowser, connection, signedIn, idp, clock, authTuna } = await startWithOwner();
  const owner = new PageVisitor(ownerBrowser);
  const list = `${AT}?scope=org%3Aacme`;
  const shown = await owner.open(list);
  expect(shown.html).toContain(`href="${AT}/${connection.id}"`);
  const fields = { csrfToken: shown.csrfToken, scope: 'org:acme', name: 'Labs', ...CLIENT };
  const refused = await owner.postFields(list, { ...fields, issuer: `${idp.issuer}/none` });
  expect(refused.status).toBe(503);
  const again = await refused.text();
  expect(again).toContain('Check the issuer');
  expect(again).toContain('value="Labs"');
  expect(again).not.toContain('a client secret');
  const made = await owner.postFields(list, { ...fields, issuer: idp.issuer });
  expect(made.status).toBe(303);
  const page = made.headers.get('location') ?? '';
  const labs = await owner.open(page);
  expect(labs.html).toContain(`/auth/social/sso-${page.slice(AT.length + 1)}/callback`);
  expect(labs.html).not.toContain('a client secret');
  // A box that is not ticked is a box that was emptied; the secret stays.
  await authTuna.sso.update(page.slice(AT.length + 1), { linkVerifiedEmails: true }, SYSTEM);
  const saved = await owner.postFields(`${page}/settings`, { csrfToken: labs.csrfToken, name: 'Lab' });
  expect([saved.status, saved.headers.get('location')]).toEqual([303, page]);
  expect(await authTuna.sso.get(page.slice(AT.length + 1), SYSTEM)).toMatchObject({
    name: 'Lab',
    linkVerifiedEmails: false,
  });

  const stranger = new PageVisitor((await signedIn('mallory@example.com')).browser);
  for (const [path, status] of [
    [list, 403],
    [AT, 422],
    [page, 404],
    [`${AT}/none`, 404],
  ] as const) {
    const answer = await stranger.open(path);
    expect([path, answer.status]).toEqual([path, status]);
    expect(answer.html).not.toContain('Lab');
  }
  clock.advance({ minutes: 10, seconds: 1 });
  for (const [form, back] of [
    [list, `${list}&confirmed=again`],
    [`${page}/remove`, `${page}?confirmed=again`],
  ] as const) {
    const late = await owner.postFields(form, fields);
    expect(late.headers.get('location')).toBe(`/auth/step-up?returnTo=${encodeURIComponent(back)}`);
  }
});

test('the sign-in page asks for an organization once one has proved a domain, and leads to its provider', async () => {
  const { browser, prove, connection, idp, url } = await startWithOwner({ verified: false });
  const visitor = new PageVisitor(browser());
  expect((await visitor.open('/auth/login')).html).not.toContain('Sign in with your organization');
  await prove();
  const page = await visitor.open('/auth/login?returnTo=%2Freports');
  expect(page.html).toContain('Sign in with your organization');
  expect(page.html).toContain('action="/auth/social/sso/login"');

  const unknown = await visitor.open(
    '/auth/social/sso/login?email=ada%40nowhere.example&returnTo=%2Freports',
  );
  expect(unknown.status).toBe(404);
  expect(unknown.html).toContain('We know no organization with this address.');
  expect(unknown.html).toContain('value="ada@nowhere.example"');
  expect((await visitor.open('/auth/social/sso/login')).html).toContain('name="email"');

  const found = await visitor.open('/auth/social/sso/login?email=bob%40acme.example&returnTo=%2Freports');
  const refresh = found.headers.get('refresh') ?? '';
  expect(found.status).toBe(200);
  expect(refresh).toBe(
    `0; url=/auth/social/${connection.provider}/login?email=bob%40acme.example&returnTo=%2Freports`,
  );
  const start = await visitor.browser.get(refresh.slice('0; url='.length));
  const target = new URL(start.headers.get('location') ?? '');
  expect(target.origin).toBe(idp.issuer);
  expect(target.searchParams.get('login_hint')).toBe('bob@acme.example');
  const back = await visitor.browser.get((await idp.visit(target.href)).slice(url.length));
  expect(back.headers.get('location')).toBe('/reports');
});

test('a right password of a domain that demands single sign-on leads to it; a wrong one is told as any other', async () => {
  const { browser, connections, connection, actor, authTuna } = await startWithOwner();
  await authTuna.users.create({ email: 'bob@acme.example', password: PASSWORD, emailVerified: true });
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  const visitor = new PageVisitor(browser());
  const login = await visitor.open('/auth/login?returnTo=%2Freports');
  const wrong = await visitor.send(login, { login: 'bob@acme.example', password: 'something else entirely' });
  expect(wrong.status).toBe(401);
  expect(wrong.html).not.toContain(connection.provider);
  const refused = await visitor.send(login, { login: 'bob@acme.example', password: PASSWORD });
  expect(refused.status).toBe(403);
  expect(refused.html).toContain('Acme, which asks you to use its own sign-in');
  expect(refused.html).toContain(`href="/auth/social/${connection.provider}/login?returnTo&#x3D;%2Freports"`);
  expect(visitor.browser.jar.has('at_sess')).toBe(false);
});

test('an owner whose provider is gone still gets in, with a second factor and never without, and it is recorded', async () => {
  const acme = await startWithOwner();
  const { ownerBrowser, connections, connection, actor, authTuna, browser, clock } = acme;
  const admin = await authTuna.users.create({
    email: 'admin@acme.example',
    password: PASSWORD,
    emailVerified: true,
  });
  await authTuna.roles.assign({ userId: admin.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  const adminBrowser = await acme.login('admin@acme.example');
  await enrolTotp(acme, adminBrowser);
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  const credentials = { login: 'owner@acme.example', password: PASSWORD };
  await json(browser().post('/auth/login', credentials), 403); // no second factor enrolled yet
  await json(browser().post('/auth/login', { ...credentials, login: 'admin@acme.example' }), 403); // no owner

  const totp = await enrolTotp(acme, ownerBrowser);
  const half = browser();
  await json(half.post('/auth/login', credentials), 202);
  expect((await half.get('/me')).status).toBe(401);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  expect((await half.get('/me')).status).toBe(200);
  const { items } = await authTuna.audit.list({ type: 'sso_connection.bypassed' });
  expect(items).toMatchObject([
    {
      scope: 'org:acme',
      targetId: connection.id,
      data: { amr: expect.arrayContaining(['pwd', 'otp']) },
    },
  ]);

  // A browser that is trusted elsewhere is not trusted here.
  expect(half.jar.has('at_trusted')).toBe(true);
  clock.advance({ minutes: 1 });
  const trusted = browser();
  trusted.jar.set('at_trusted', half.jar.get('at_trusted') ?? '');
  await json(trusted.post('/auth/login', credentials), 202);

  // And so the demand can be ended.
  await json(half.patch(`${AT}/${connection.id}/domains/acme.example`, { required: false }), 200);
  await json(browser().post('/auth/login', { ...credentials, login: 'admin@acme.example' }), 202);
});

test('people of other domains are not concerned, and other providers vouch for nobody of the domain', async () => {
  const { browser, connections, connection, actor, signedIn } = await startWithOwner();
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  await signedIn('somebody@example.com');
  await json(browser().post('/auth/login', { login: 'somebody@example.com', password: PASSWORD }), 200);
});

test('journeys to providers are limited by address, as JSON and as a page', async () => {
  const { browser, connection } = await startWithOwner();
  const visitor = browser();
  const statuses = new Set<number>();
  for (let count = 0; count < 60; count += 1)
    statuses.add((await visitor.get(`/auth/social/${connection.provider}/login`)).status);
  expect([...statuses]).toEqual([303]);
  for (const path of [
    `/auth/social/${connection.provider}/login`,
    '/auth/social/sso/login?email=bob%40acme.example',
  ]) {
    const refused = await visitor.get(path);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 'rate_limited' });
  }
  const page = await new PageVisitor(browser()).open(`/auth/social/${connection.provider}/login`);
  expect(page.status).toBe(429);
  expect(page.html).toContain('<h1>');
});

test('the page of a connection maps groups to roles one by one, offers only those that its reader may assign, and keeps a refused form', async () => {
  const { ownerBrowser, connection, authTuna } = await startWithOwner();
  await authTuna.roles.create({ name: 'auditor', permissions: ['users:manage'], level: 90 }, SYSTEM);
  const owner = new PageVisitor(ownerBrowser);
  const page = `${AT}/${connection.id}`;
  const shown = await owner.open(page);
  const offered = [...shown.html.matchAll(/<option value="([^"]+)"/g)].map(([, role]) => role);
  expect(offered).toContain('org_admin');
  expect(offered).not.toContain('auditor');
  const { csrfToken } = shown;
  const add = (value: string, role: string, claim = 'groups') =>
    owner.postFields(`${page}/roles`, { csrfToken, claim, value, role });
  const mapping = async () => (await authTuna.sso.get(connection.id, SYSTEM)).roleMapping;

  const added = await add('constructor', 'org_member');
  expect([added.status, added.headers.get('location')]).toEqual([303, page]);
  await add('staff', 'org_admin');
  expect(Object.entries(await mapping()).sort()).toEqual([
    ['constructor', 'org_member'],
    ['leads', 'org_admin'],
    ['staff', 'org_admin'],
  ]);
  expect((await owner.postFields(`${page}/roles/remove`, { csrfToken, value: 'staff' })).status).toBe(303);
  await owner.postFields(`${page}/roles/remove`, { csrfToken, value: 'constructor' });
  expect(await mapping()).toEqual({ leads: 'org_admin' });

  const refused = await add('everybody', 'auditor');
  expect(refused.status).toBe(403);
  const empty = await add('', 'org_member', 'teams');
  expect(empty.status).toBe(422);
  expect(await empty.text()).toContain('value="teams"');
  expect(await mapping()).toEqual({ leads: 'org_admin' });
});

test('of twenty people who map a group each at once nobody loses what another was told is saved', async () => {
  const { connection, connections, actor } = await startWithOwner();
  const values = Array.from({ length: 20 }, (_, number) => `group-${number}`);
  const answers = await Promise.allSettled(
    values.map((value) => connections.mapRole(connection.id, { value, role: 'org_member' }, actor)),
  );
  const saved = values.filter((_, index) => answers[index]?.status === 'fulfilled');
  expect(saved.length).toBeGreaterThan(0);
  for (const answer of answers)
    if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'conflict' });
  const { roleMapping } = await connections.get(connection.id, actor);
  expect(Object.keys(roleMapping)).toEqual(expect.arrayContaining(saved));
  expect(Object.keys(roleMapping).filter((value) => value.startsWith('group-'))).toHaveLength(saved.length);
});
