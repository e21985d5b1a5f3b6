import { expect, test } from 'vitest';
import { type Actor, SYSTEM } from '../../../src/index.js';
import { BOB, startAcme } from '../../support/acme.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { CLIENT, type Person } from '../../support/openid-provider.js';

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
  records.set(domain.record.name, [[domain.record.value], [claimed.record.value]]);
  await expect(connections.verifyDomain(other.id, 'acme.example', SYSTEM)).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('a domain whose record was replaced by that of another organization moves there with nothing of the first one', async () => {
  const { connections, connection, actor, records, signIn, domain, authTuna, idp } = await startAcme({
    linkVerifiedEmails: true,
  });
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  expect((await signIn(BOB)).answer.status).toBe(303);
  await authTuna.scopes.register({ id: 'org:buyer' }, SYSTEM);
  const input = { scope: 'org:buyer', name: 'Buyer', issuer: idp.issuer, ...CLIENT };
  const other = await connections.create(input, SYSTEM);
  const claimed = await connections.addDomain(other.id, 'acme.example', SYSTEM);
  records.set(domain.record.name, [[claimed.record.value]]);
  await connections.verifyDomain(other.id, 'acme.example', SYSTEM);

  expect(await connections.discover('bob@acme.example')).toEqual({
    provider: other.provider,
    name: 'Buyer',
    required: false,
  });
  expect((await connections.get(connection.id, actor)).domains).toMatchObject([
    { domain: 'acme.example', verifiedAt: null, required: false },
  ]);
  const told = (await authTuna.audit.list({ scope: 'org:acme', type: 'sso_domain.removed' })).items;
  expect(told).toMatchObject([{ reason: 'proved_by_another', data: { domain: 'acme.example' } }]);
  // The identity that the first one gave out opens nothing any more.
  const begun = await authTuna.social.beginSignIn(connection.provider, { browser: 'a browser' });
  const back = new URL(await idp.visit(begun.url));
  const answer = authTuna.social.finishSignIn(
    connection.provider,
    Object.fromEntries(back.searchParams),
    { browser: 'a browser' },
    SYSTEM,
  );
  await expect(answer).rejects.toMatchObject({ code: 'forbidden' });
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
  const { signIn, authTuna, enter: begin } = await startAcme({ linkVerifiedEmails: true });
  await authTuna.users.create({ email: 'victim@example.com', password: PASSWORD, emailVerified: true });
  const enter = async (person: Person) => {
    const { answer, browser: visitor } = await begin(person);
    expect((await visitor.get('/me')).status).toBe(answer.status === 303 ? 200 : 401);
    return answer.status;
  };
  expect(await enter({ sub: 'm-1', email: 'victim@example.com', email_verified: true })).toBe(403);
  expect(await enter({ sub: 'm-2', email: 'new@example.com', email_verified: true })).toBe(403);
  expect(await enter({ sub: 'm-3', email: 'bob@sub.acme.example', email_verified: true })).toBe(403);
  expect(await authTuna.users.findByEmail('new@example.com')).toBeNull();
  expect((await signIn(BOB)).answer.status).toBe(303);
});

test('an account of the domain is entered only where the organization said so and both sides are proved', async () => {
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

test("an address outside the proved domains is not proved by an organization's provider, whatever it says (OA-7)", async () => {
  const { authTuna, connections, connection, actor, enter } = await startAcme({ linkVerifiedEmails: true });
  await connections.addDomain(connection.id, 'labs.example', actor);
  const accounts = [
    { email: 'proved@labs.example', emailVerified: true },
    { email: 'unproved@labs.example', emailVerified: false },
    { email: 'proved@example.com', emailVerified: true },
    { email: 'unproved@example.com', emailVerified: false },
  ];
  for (const account of accounts) {
    const { id } = await authTuna.users.create({ ...account, password: PASSWORD });
    const { answer, browser } = await enter({
      sub: account.email,
      email: account.email,
      email_verified: true,
    });
    expect([answer.status, (await browser.get('/me')).status]).toEqual([403, 401]);
    expect(await authTuna.social.list(id)).toEqual([]);
    const after = await authTuna.users.findByEmail(account.email);
    expect(after?.emailVerifiedAt === null).toBe(!account.emailVerified);
  }
  for (const email of ['nobody@labs.example', 'nobody@example.com']) {
    expect((await enter({ sub: email, email, email_verified: true })).answer.status).toBe(403);
    expect(await authTuna.users.findByEmail(email)).toBeNull();
  }
});

test.each(['given up', 'proved by another'])(
  'an organization whose domain was %s proves no address there, nor takes anything from an account, also of people it knows (OA-7)',
  async (loss) => {
    const { authTuna, connections, connection, domain, records, actor, browser, enter, idp, url } =
      await startAcme();
    const email = 'bob@acme.example';
    const bob = browser();
    expect((await bob.post('/auth/signup', { email, password: PASSWORD })).status).toBe(201);
    const begun = await bob.post(`/auth/social/${connection.provider}/link`, {});
    idp.person = { ...BOB, email_verified: false };
    const back = await idp.visit(((await begun.json()) as { url: string }).url);
    expect((await bob.get(back.slice(url.length))).status).toBe(303);
    const user = await authTuna.users.findByEmail(email);
    expect(await authTuna.social.list(user!.id)).toHaveLength(1);

    if (loss === 'given up') await connections.removeDomain(connection.id, 'acme.example', actor);
    else {
      await authTuna.scopes.register({ id: 'org:buyer' }, SYSTEM);
      const input = { scope: 'org:buyer', name: 'Buyer', issuer: idp.issuer, ...CLIENT };
      const other = await connections.create(input, SYSTEM);
      const claimed = await connections.addDomain(other.id, 'acme.example', SYSTEM);
      records.set(domain.record.name, [[claimed.record.value]]);
      await connections.verifyDomain(other.id, 'acme.example', SYSTEM);
    }
    for (const email_verified of [true, undefined]) {
      const { answer, browser: intruder } = await enter({ ...BOB, email_verified });
      expect([answer.status, (await intruder.get('/me')).status]).toEqual([403, 401]);
      expect(await (await bob.get('/me')).json()).toMatchObject({ email, emailVerifiedAt: null });
    }
    expect((await browser().post('/auth/login', { login: email, password: PASSWORD })).status).toBe(200);
  },
);

test("a person's new address elsewhere is not proved by the organization that they came from (OA-7)", async () => {
  const { authTuna, enter } = await startAcme();
  expect((await enter(BOB)).answer.status).toBe(303);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  const email = 'bob@elsewhere.example';
  await authTuna.users.update(bob!.id, { email }, SYSTEM);
  const { answer, browser } = await enter({ ...BOB, email, email_verified: true });
  expect([answer.status, (await browser.get('/me')).status]).toEqual([403, 401]);
  expect((await authTuna.users.findByEmail(email))?.emailVerifiedAt).toBeNull();
});

test('a provider that says nothing of email_verified is believed within the proved domains, for newcomers and for accounts', async () => {
  const silent = (name: string): Person => ({ sub: name, email: `${name}@acme.example` });
  const { authTuna, connections, connection, actor, signIn, browser } = await startAcme({
    linkVerifiedEmails: true,
  });
  const proved = async (email: string) =>
    (await authTuna.users.findByEmail(email))?.emailVerifiedAt instanceof Date;
  const newcomer = await signIn(silent('bob'));
  expect(newcomer.answer.status).toBe(303);
  expect(await proved('bob@acme.example')).toBe(true);

  const owner = await signIn(silent('owner'));
  expect(owner.answer.status).toBe(303);
  expect(await (await owner.browser.get('/me')).json()).toMatchObject({ email: 'owner@acme.example' });

  // Who comes back had no proof at first.
  expect((await signIn({ ...silent('eve'), email_verified: false })).answer.status).toBe(303);
  expect(await proved('eve@acme.example')).toBe(false);
  expect((await signIn(silent('eve'))).answer.status).toBe(303);
  expect(await proved('eve@acme.example')).toBe(true);

  // Where there is no other way in, an account that a stranger has made is theirs too.
  const stranger = { email: 'zoe@acme.example', password: PASSWORD };
  expect((await browser().post('/auth/signup', stranger)).status).toBe(201);
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  expect((await signIn(silent('zoe'))).answer.status).toBe(303);
  expect(await proved('zoe@acme.example')).toBe(true);
});

test('a provider that says anything but true of email_verified is not believed, also within the proved domains (OA-7)', async () => {
  const { authTuna, connections, connection, actor, signIn } = await startAcme({ linkVerifiedEmails: true });
  for (const [index, said] of [false, 'false', 'true', 0, 1, null].entries()) {
    const email = `person${index}@acme.example`;
    const person = { sub: email, email, email_verified: said };
    // The second time it is somebody known, whose account waits for a proof.
    for (const visit of ['first', 'second']) {
      expect((await signIn(person)).answer.status, visit).toBe(303);
      expect((await authTuna.users.findByEmail(email))?.emailVerifiedAt, `${visit}: ${said}`).toBeNull();
    }
  }
  const impostor = { sub: 'liar', email: 'owner@acme.example', email_verified: false };
  for (const required of [false, true]) {
    await connections.requireSso(connection.id, 'acme.example', required, actor);
    const { answer, browser } = await signIn(impostor);
    expect([answer.status, (await browser.get('/me')).status]).toEqual([409, 401]);
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

test('nobody leaves the address for which single sign-on is demanded, but for another such one, or as an owner', async () => {
  const { connections, connection, actor, signIn, authTuna } = await startAcme();
  const { browser } = await signIn(BOB);
  const wanted = (newEmail: string) => browser.post('/auth/change-email', { newEmail });
  expect((await wanted('bob@elsewhere.example')).status).toBe(202);
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  const refused = await wanted('bob@elsewhere.example');
  expect(refused.status).toBe(403);
  expect(await refused.json()).toMatchObject({
    code: 'forbidden',
    detail: expect.stringContaining('managed by'),
  });
  expect((await wanted('robert@acme.example')).status).toBe(202);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  await authTuna.roles.assign({ userId: bob!.id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  expect((await wanted('bob@elsewhere.example')).status).toBe(202);
});

test('connections are managed by who may manage the organization, with roles they may assign', async () => {
  const { authTuna, connections, connection, actor, idp, signedIn } = await startAcme();
  const { user } = await signedIn('mallory@example.com');
  const mallory: Actor = { userId: user.id, ip: null, userAgent: null };
  const input = { scope: 'org:acme', name: 'X', issuer: idp.issuer, clientId: 'x' };
  for (const attempt of [
    () => connections.update(connection.id, { clientId: 'x' }, mallory),
    () => connections.delete(connection.id, mallory),
    () => connections.addDomain(connection.id, 'example.com', mallory),
    () => connections.requireSso(connection.id, 'acme.example', true, mallory),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: 'not_found' });
  }
  for (const attempt of [
    () => connections.create(input, mallory),
    () => connections.create({ ...input, roleMapping: { all: 'superadmin' } }, actor),
    () => connections.update(connection.id, { roleMapping: { all: 'admin' } }, actor),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: 'forbidden' });
  }
  expect((await connections.list('org:acme', actor)).map(({ id }) => id)).toEqual([connection.id]);
  expect(JSON.stringify(await connections.get(connection.id, actor))).not.toContain(CLIENT.clientSecret);
  await connections.delete(connection.id, actor);
  expect(await authTuna.sso.discover('bob@acme.example')).toBeNull();
});

test('a connection on the public internet only, whatever its name resolves to (OA-9)', async () => {
  const { authTuna } = await startApp({
    baseUrl: 'https://app.example.com',
    signUp: { requireVerifiedEmail: false },
  });
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  const create = (issuer: string) =>
    authTuna.sso.create({ scope: 'org:acme', name: 'X', issuer, clientId: 'x' }, SYSTEM);
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

test('a mapping gives nobody more than who sets it up may assign, however it is changed', async () => {
  const { authTuna, connections, connection, actor } = await startAcme();
  await connections.update(connection.id, { roleMapping: { leads: 'org_owner' } }, actor);
  const admin = await authTuna.users.create({ email: 'admin@acme.example', emailVerified: true });
  await authTuna.roles.assign({ userId: admin.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  const lesser: Actor = { userId: admin.id, ip: null, userAgent: null };
  // Whoever reads another claim as groups decides who becomes an owner.
  for (const change of [
    { rolesClaim: 'department' },
    { clientId: 'mine' },
    { roleMapping: { x: 'org_owner' } },
  ])
    await expect(connections.update(connection.id, change, lesser)).rejects.toMatchObject({
      code: 'forbidden',
    });
  expect((await connections.update(connection.id, { name: 'Acme Ltd' }, lesser)).name).toBe('Acme Ltd');
  const mapped = await connections.update(connection.id, { roleMapping: { x: 'org_member' } }, lesser);
  expect(mapped).toMatchObject({ rolesClaim: 'groups', roleMapping: { x: 'org_member' } });
});

test('roles that claims gave go with the mapping, and with the connection; those that a person gave stay', async () => {
  const { authTuna, connections, connection, actor, signIn } = await startAcme();
  await signIn(BOB);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  const rolesOf = async () =>
    (await authTuna.roles.assignmentsOf(bob!.id))
      .filter(({ scope }) => scope === 'org:acme')
      .map(({ role }) => role)
      .sort();
  expect(await rolesOf()).toEqual(['org_admin', 'org_member']);
  await connections.update(connection.id, { roleMapping: { staff: 'org_member' } }, actor);
  expect(await rolesOf()).toEqual(['org_member']);
  await authTuna.roles.assign({ userId: bob!.id, role: 'org_admin', scope: 'org:acme' }, actor);
  await connections.update(
    connection.id,
    { roleMapping: { staff: 'org_member', leads: 'org_admin' } },
    actor,
  );
  await connections.delete(connection.id, actor);
  expect(await rolesOf()).toEqual(['org_admin']);
});

test('a mapped role that was deleted keeps nobody from signing in', async () => {
  const { authTuna, connections, connection, actor, signIn, logger } = await startAcme();
  await authTuna.roles.create({ name: 'reviewer', at: ['org'], level: 5, ownedBy: 'org:acme' }, SYSTEM);
  await connections.update(connection.id, { roleMapping: { staff: 'reviewer', leads: 'org_member' } }, actor);
  await authTuna.roles.delete('reviewer', SYSTEM, 'org:acme');
  const { answer, browser } = await signIn(BOB);
  expect(answer.status).toBe(303);
  expect((await browser.get('/me')).status).toBe(200);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  expect((await authTuna.roles.assignmentsOf(bob!.id)).map(({ role }) => role)).toContain('org_member');
  expect(logger.lines.some(({ message }) => message.includes('mapped role'))).toBe(true);
});

test('a stranger who signed up with an address of a domain that demands single sign-on keeps nothing of it', async () => {
  const { authTuna, connections, connection, actor, browser, signIn } = await startAcme();
  const stranger = browser();
  const password = 'what the stranger has chosen';
  expect((await stranger.post('/auth/signup', { email: BOB.email, password })).status).toBe(201);
  expect((await signIn(BOB)).answer.status).toBe(409);
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  const { answer, browser: bob } = await signIn(BOB);
  expect(answer.status).toBe(303);
  expect(await (await bob.get('/me')).json()).toMatchObject({
    email: BOB.email,
    emailVerifiedAt: expect.any(String),
  });
  expect((await stranger.post('/me/x')).status).toBe(401);
  expect((await browser().post('/auth/login', { login: BOB.email, password })).status).toBe(401);
  const user = await authTuna.users.findByEmail(BOB.email ?? '');
  expect(await authTuna.passwords.verify(user!.id, password)).toBe(false);
  expect(await authTuna.social.list(user!.id)).toHaveLength(1);
});

test('an organization that is removed takes its connection and domains along, and the domain is free', async () => {
  const { authTuna, connections, connection, signIn, records, idp } = await startAcme();
  await signIn(BOB);
  const bob = await authTuna.users.findByEmail('bob@acme.example');
  await authTuna.scopes.remove('org:acme', SYSTEM);
  await expect(connections.get(connection.id, SYSTEM)).rejects.toMatchObject({ code: 'not_found' });
  expect(await connections.discover('bob@acme.example')).toBeNull();
  expect(await authTuna.social.list(bob!.id)).toEqual([]);
  await authTuna.scopes.register({ id: 'org:next' }, SYSTEM);
  const input = { scope: 'org:next', name: 'Next', issuer: idp.issuer, ...CLIENT };
  const next = await connections.create(input, SYSTEM);
  const { record } = await connections.addDomain(next.id, 'acme.example', SYSTEM);
  records.set(record.name, [[record.value]]);
  expect((await connections.verifyDomain(next.id, 'acme.example', SYSTEM)).verifiedAt).not.toBeNull();
});
