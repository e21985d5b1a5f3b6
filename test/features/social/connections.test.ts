import { expect, test } from 'vitest';
import { type Actor, SYSTEM } from '../../../src/index.js';
import { TestClock } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { CLIENT, type Person, startOpenIdProvider } from '../../support/openid-provider.js';

const BOB: Person = {
  sub: 'bob-1',
  email: 'bob@acme.example',
  email_verified: true,
  groups: ['staff', 'leads'],
};

/** An organisation whose owner has connected its provider and claimed acme.example; the zone is in `records`. */
async function startAcme(options: { linkVerifiedEmails?: boolean; verified?: boolean } = {}) {
  const records = new Map<string, string[][]>();
  const idp = await startOpenIdProvider(BOB);
  const app = await startApp(
    {
      social: {
        resolveTxt: async (name) => {
          const found = records.get(name);
          if (found === undefined) throw new Error('ENOTFOUND');
          return found;
        },
      },
    },
    { clock: new TestClock(new Date()) },
  );
  const { authTuna } = app;
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  const owner = await authTuna.users.create({
    email: 'owner@acme.example',
    password: PASSWORD,
    emailVerified: true,
  });
  await authTuna.roles.assign({ userId: owner.id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  const actor: Actor = { userId: owner.id, ip: null, userAgent: null };
  await idp.allow('http://localhost:1/unused');
  const connection = await authTuna.social.connections.create(
    {
      scope: 'org:acme',
      name: 'Acme',
      issuer: idp.issuer,
      ...CLIENT,
      rolesClaim: 'groups',
      roleMapping: { staff: 'org_member', leads: 'org_admin' },
      ...(options.linkVerifiedEmails !== undefined && { linkVerifiedEmails: options.linkVerifiedEmails }),
    },
    actor,
  );
  await idp.allow(`${app.url}/auth/social/${connection.provider}/callback`);
  const { connections } = authTuna.social;
  const domain = await connections.addDomain(connection.id, 'Acme.Example', actor);
  const prove = async () => {
    records.set(domain.record.name, [
      ['v=spf1 -all'],
      [domain.record.value.slice(0, 10), domain.record.value.slice(10)],
    ]);
    await connections.verifyDomain(connection.id, 'acme.example', actor);
  };
  if (options.verified !== false) await prove();
  const signIn = async (person: Person, browser = app.browser()) => {
    idp.person = person;
    const start = await browser.get(`/auth/social/sso/login?email=${encodeURIComponent(person.email ?? '')}`);
    if (start.status !== 303) return { answer: start, browser };
    const back = await idp.visit(start.headers.get('location') ?? '');
    return { answer: await browser.get(back.slice(app.url.length)), browser };
  };
  return { ...app, idp, owner, actor, connection, connections, domain, records, prove, signIn };
}

test('a domain counts once its TXT record is there, and belongs to one connection', async () => {
  const { connections, connection, actor, records, prove, signIn, domain, authTuna, idp } = await startAcme({
    verified: false,
  });
  expect(domain.record).toMatchObject({ type: 'TXT', name: '_authtuna-challenge.acme.example' });
  const refused = connections.verifyDomain(connection.id, 'acme.example', actor);
  await expect(refused).rejects.toMatchObject({ code: 'conflict' });
  records.set(domain.record.name, [['authtuna-domain=something else']]);
  await expect(connections.verifyDomain(connection.id, 'acme.example', actor)).rejects.toMatchObject({
    code: 'conflict',
  });
  expect((await signIn(BOB)).answer.status).toBe(404);
  await prove();
  expect((await signIn(BOB)).answer.status).toBe(303);

  await authTuna.scopes.register({ id: 'org:evil' }, SYSTEM);
  const other = await connections.create(
    { scope: 'org:evil', name: 'Evil', issuer: idp.issuer, ...CLIENT },
    SYSTEM,
  );
  const claimed = await connections.addDomain(other.id, 'acme.example', SYSTEM);
  expect(claimed.record.value).not.toBe(domain.record.value);
  records.set(domain.record.name, [[claimed.record.value]]);
  await expect(connections.verifyDomain(other.id, 'acme.example', SYSTEM)).rejects.toMatchObject({
    code: 'conflict',
  });
});

test("people of the domain are led to their provider and get the roles of their groups, today's and no others", async () => {
  const { signIn, authTuna, connection } = await startAcme();
  const { browser, answer } = await signIn(BOB);
  expect(answer.status).toBe(303);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  expect(bob?.emailVerifiedAt).not.toBeNull();
  expect((await authTuna.social.list(bob!.id))[0]?.provider).toBe(connection.provider);
  const rolesOf = async () =>
    (await authTuna.roles.assignmentsOf(bob!.id))
      .filter(({ scope }) => scope === 'org:acme')
      .map(({ role }) => role)
      .sort();
  expect(await rolesOf()).toEqual(['org_admin', 'org_member']);
  await authTuna.roles
    .assign({ userId: bob!.id, role: 'project_member', scope: 'org:acme' }, SYSTEM)
    .catch(() => {});
  await signIn({ ...BOB, groups: ['staff', 'constructor', '__proto__'] });
  expect(await rolesOf()).toEqual(['org_member']);
  expect((await browser.get('/me')).status).toBe(200);
});

test('a connection vouches for its own domains and for nobody else', async () => {
  const { signIn, authTuna, idp, connection, browser, url } = await startAcme({ linkVerifiedEmails: true });
  await authTuna.users.create({ email: 'victim@example.com', password: PASSWORD, emailVerified: true });
  const enter = async (person: Person) => {
    idp.person = person;
    const visitor = browser();
    const start = await visitor.get(`/auth/social/${connection.provider}/login`);
    const answer = await visitor.get(
      (await idp.visit(start.headers.get('location') ?? '')).slice(url.length),
    );
    expect((await visitor.get('/me')).status).toBe(answer.status === 303 ? 200 : 401);
    return answer.status;
  };
  expect(await enter({ sub: 'm-1', email: 'victim@example.com', email_verified: true })).toBe(403);
  expect(await enter({ sub: 'm-2', email: 'new@example.com', email_verified: true })).toBe(403);
  expect(await enter({ sub: 'm-3', email: 'bob@sub.acme.example', email_verified: true })).toBe(403);
  expect(await authTuna.users.findByEmail('new@example.com')).toBeNull();
  expect((await signIn(BOB)).answer.status).toBe(303);
});

test('an account of the domain is entered only where the organisation said so and both sides are proved', async () => {
  for (const linkVerifiedEmails of [false, true]) {
    const { signIn, authTuna } = await startAcme({ linkVerifiedEmails });
    await authTuna.users.create({ email: 'bob@acme.example', password: PASSWORD, emailVerified: true });
    expect((await signIn(BOB)).answer.status).toBe(linkVerifiedEmails ? 303 : 409);
    expect(
      (await signIn({ ...BOB, sub: 'liar', email: 'owner@acme.example', email_verified: false })).answer
        .status,
    ).toBe(409);
  }
});

test('where single sign-on is required, other ways in are refused once they are proved, and not before', async () => {
  const { browser, connections, connection, actor, signIn, authTuna } = await startAcme({
    linkVerifiedEmails: true,
  });
  const ada = browser();
  expect((await ada.post('/auth/login', { login: 'owner@acme.example', password: PASSWORD })).status).toBe(
    200,
  );
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  expect((await ada.get('/me')).status).toBe(200);
  const answers = [];
  for (const login of ['owner@acme.example', 'nobody@acme.example']) {
    const answer = await browser().post('/auth/login', { login, password: 'a wrong password, surely' });
    answers.push([answer.status, await answer.text()]);
  }
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.[0]).toBe(401);
  const right = await browser().post('/auth/login', { login: 'owner@acme.example', password: PASSWORD });
  expect(right.status).toBe(403);
  expect(await right.json()).toMatchObject({ sso: `/auth/social/${connection.provider}/login` });
  const { answer, browser: owner } = await signIn({
    sub: 'owner-1',
    email: 'owner@acme.example',
    email_verified: true,
  });
  expect(answer.status).toBe(303);
  expect((await owner.get('/me')).status).toBe(200);
  const user = await authTuna.users.findByEmail('owner@acme.example');
  expect((await authTuna.sessions.list(user!.id)).map(({ amr }) => amr)).toContainEqual(['social', 'sso']);
});

test('connections are managed by who may manage the organisation, with roles they may assign', async () => {
  const { authTuna, connections, connection, actor, idp, signedIn } = await startAcme();
  const { user } = await signedIn('mallory@example.com');
  const mallory: Actor = { userId: user.id, ip: null, userAgent: null };
  const input = { scope: 'org:acme', name: 'X', issuer: idp.issuer, clientId: 'x' };
  for (const attempt of [
    () => connections.create(input, mallory),
    () => connections.update(connection.id, { clientId: 'x' }, mallory),
    () => connections.delete(connection.id, mallory),
    () => connections.addDomain(connection.id, 'example.com', mallory),
    () => connections.requireSso(connection.id, 'acme.example', true, mallory),
    () => connections.create({ ...input, roleMapping: { all: 'superadmin' } }, actor),
    () => connections.update(connection.id, { roleMapping: { all: 'admin' } }, actor),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: 'forbidden' });
  }
  expect((await connections.list('org:acme', actor)).map(({ id }) => id)).toEqual([connection.id]);
  expect(JSON.stringify(await connections.get(connection.id, actor))).not.toContain(CLIENT.clientSecret);
  await connections.delete(connection.id, actor);
  expect(await authTuna.social.connections.discover('bob@acme.example')).toBeNull();
});

test('OA-9: a connection on the public internet only, whatever its name resolves to', async () => {
  const { authTuna } = await startApp({
    baseUrl: 'https://app.example.com',
    signUp: { requireVerifiedEmail: false },
  });
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  const create = (issuer: string) =>
    authTuna.social.connections.create({ scope: 'org:acme', name: 'X', issuer, clientId: 'x' }, SYSTEM);
  for (const issuer of [
    'http://idp.example.com',
    'https://127.0.0.1',
    'https://localhost',
    'https://10.0.0.1',
    'https://169.254.169.254/latest',
    'https://[::1]',
    'https://[::ffff:10.0.0.1]',
    'https://0x7f.1',
    'https://user:password@example.com',
    'ftp://example.com',
    'not a url',
  ]) {
    await expect(create(issuer), issuer).rejects.toMatchObject({ code: 'invalid_input' });
  }
  // A name that resolves to the own machine is found out when the connection is made.
  await expect(create('https://localhost.')).rejects.toMatchObject({
    code: expect.stringMatching(/unavailable|invalid_input/),
  });
});
