import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { as, codeOf, codesOf, person } from '../../support/people.js';

async function orgWithOwner() {
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        const read = authTuna.requirePermission('org:read', { scopeFrom: 'orgId' });
        host.get('/orgs-of-host/:orgId', read, (req, res) => void res.json({ kind: req.user?.kind }));
      },
    },
  );
  const owner = await person(app, 'owner', 'org_owner', 'org:acme');
  const bot = await app.authTuna.serviceAccounts.create({ orgId: 'acme', name: 'CI' }, as(owner));
  return { ...app, owner, bot };
}

test('a service account is a user that nobody signs in to', async () => {
  const { authTuna, bot, owner, browser } = await orgWithOwner();
  expect(bot).toMatchObject({ kind: 'service', orgId: 'acme', name: 'CI', createdById: owner });
  const user = await authTuna.users.get(bot.id);
  expect(user).toMatchObject({ id: bot.id, kind: 'service' });
  expect(await authTuna.roles.assignmentsOf(bot.id)).toEqual([]);
  expect(await codeOf(authTuna.sessions.create(bot.id, ['pwd'], SYSTEM))).toBe('forbidden');
  // Not even with a password that somebody set.
  await authTuna.users.update(bot.id, { email: 'bot@example.com', emailVerified: true }, SYSTEM);
  await authTuna.passwords.set(bot.id, PASSWORD, SYSTEM);
  const answer = await browser().post('/auth/login', { login: 'bot@example.com', password: PASSWORD });
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ code: 'invalid_credentials' });
});

test('service accounts are no people in lists, and can be listed by themselves', async () => {
  const { authTuna, bot, owner } = await orgWithOwner();
  const people = (await authTuna.users.list()).items.map(({ id }) => id);
  expect(people).toEqual([owner]);
  expect((await authTuna.users.list({ kind: 'service' })).items.map(({ id }) => id)).toEqual([bot.id]);
  expect((await authTuna.serviceAccounts.list({ orgId: 'acme' }, as(owner))).items).toEqual([bot]);
  expect(await codeOf(authTuna.serviceAccounts.list({ orgId: 'other' }, SYSTEM))).toBe('not_found');
  const { items } = await authTuna.audit.list({ type: 'service_account.created' });
  expect(items).toMatchObject([
    { actorId: owner, targetType: 'service_account', targetId: bot.id, scope: 'org:acme' },
  ]);
});

test('its key acts with its roles and names it in the audit log', async () => {
  const { authTuna, bot, owner, url } = await orgWithOwner();
  const { key, apiKey } = await authTuna.apiKeys.create({ userId: bot.id, name: 'Deploy' }, as(owner));
  const open = () => fetch(`${url}/orgs-of-host/acme`, { headers: { authorization: `Bearer ${key}` } });
  expect((await open()).status).toBe(403);
  await authTuna.roles.assign({ userId: bot.id, role: 'org_member', scope: 'org:acme' }, as(owner));
  const answer = await open();
  expect([answer.status, await answer.json()]).toEqual([200, { kind: 'service' }]);
  const denied = (await authTuna.audit.list({ type: 'access.denied' })).items;
  expect(denied).toMatchObject([{ actorId: bot.id, apiKeyId: apiKey.id }]);
  await authTuna.serviceAccounts.delete(bot.id, as(owner));
  expect((await open()).status).toBe(401);
  expect(await codeOf(authTuna.serviceAccounts.get(bot.id, as(owner)))).toBe('not_found');
});

test('only who holds apikeys:manage at the organization and outranks the account holds its keys', async () => {
  const app = await orgWithOwner();
  const { authTuna, bot, owner } = app;
  const admin = await person(app, 'admin', 'org_admin', 'org:acme');
  const other = await person(app, 'other', 'org_owner', 'org:other');
  await authTuna.roles.create({ name: 'keeper', permissions: ['apikeys:manage'], level: 20 });
  const keeper = await person(app, 'keeper', 'keeper', 'org:acme');
  const create = (userId: string) => authTuna.apiKeys.create({ userId: bot.id, name: 'x' }, as(userId));
  expect(
    await codesOf({
      owner: create(owner),
      admin: create(admin),
      other: create(other),
      itself: create(bot.id),
      keeper: create(keeper),
      made: authTuna.serviceAccounts.create({ orgId: 'acme', name: 'x' }, as(admin)),
    }),
  ).toEqual({
    owner: 'done',
    admin: 'forbidden',
    other: 'forbidden',
    itself: 'forbidden',
    keeper: 'done',
    made: 'forbidden',
  });
  // Whoever has a key of the account has its roles, so a role above the keeper's ends that.
  await authTuna.roles.assign({ userId: bot.id, role: 'org_admin', scope: 'org:acme' }, as(owner));
  expect(await codeOf(create(keeper))).toBe('forbidden');
  const [{ id = '' } = {}] = (await authTuna.apiKeys.list(bot.id)).items;
  expect(await codeOf(authTuna.apiKeys.rotate(id, {}, as(keeper)))).toBe('not_found');
  expect(await codeOf(authTuna.apiKeys.revoke(id, as(keeper)))).toBe('forbidden');
  expect(await codeOf(authTuna.apiKeys.revoke(id, as(owner)))).toBe('done');
});

test('a key of an account is not held by a person below a role or a thing that the account has elsewhere', async () => {
  const app = await orgWithOwner();
  const { authTuna, bot, owner } = app;
  const create = (userId: string) => authTuna.apiKeys.create({ userId: bot.id, name: 'x' }, as(userId));
  expect(await codeOf(create(owner))).toBe('done');
  const both = await person(app, 'both', 'org_owner', 'org:acme');
  await authTuna.roles.assign({ userId: both, role: 'org_owner', scope: 'org:other' }, SYSTEM);
  await authTuna.roles.assign({ userId: bot.id, role: 'org_admin', scope: 'org:other' }, SYSTEM);
  expect(await codesOf({ owner: create(owner), both: create(both) })).toEqual({
    owner: 'forbidden',
    both: 'done',
  });
  await authTuna.roles.unassign({ userId: bot.id, role: 'org_admin', scope: 'org:other' }, SYSTEM);
  expect(await codeOf(create(owner))).toBe('done');
  await authTuna.scopes.register({ id: 'folder:7', ownerId: bot.id }, SYSTEM);
  expect(await codeOf(create(owner))).toBe('forbidden');
});

test('mails about a key go to its maker, and to those in charge once the maker no longer looks after the account', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  const maker = await person(app, 'maker', 'org_owner', 'org:acme');
  await person(app, 'second', 'org_owner', 'org:acme');
  const bot = await authTuna.serviceAccounts.create({ orgId: 'acme', name: 'CI' }, as(maker));
  const keys = [];
  for (const name of ['one', 'two'])
    keys.push((await authTuna.apiKeys.create({ userId: bot.id, name }, as(maker))).key);
  const readers = async () => {
    const of = async (name: string) => (await app.mailsTo(`${name}@example.com`)).length;
    return { maker: await of('maker'), second: await of('second') };
  };
  const stranger = { userId: null, ip: null, userAgent: null };
  expect(await authTuna.apiKeys.revokeLeaked(keys[0] ?? '', stranger)).toBe(true);
  expect(await readers()).toEqual({ maker: 1, second: 0 });
  await authTuna.roles.unassign({ userId: maker, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  expect(await authTuna.apiKeys.revokeLeaked(keys[1] ?? '', stranger)).toBe(true);
  expect(await readers()).toEqual({ maker: 1, second: 1 });
});

test('a service account cannot be superadmin, and wrong input is refused', async () => {
  const { authTuna, bot } = await orgWithOwner();
  const superadmin = { userId: bot.id, role: 'superadmin', scope: 'global' };
  expect(
    await codesOf({
      superadmin: authTuna.roles.assign(superadmin, SYSTEM),
      org: authTuna.serviceAccounts.create({ orgId: 'a:b', name: 'x' }, SYSTEM),
      name: authTuna.serviceAccounts.create({ orgId: 'acme', name: ' ' }, SYSTEM),
    }),
  ).toEqual({ superadmin: 'invalid_input', org: 'invalid_input', name: 'invalid_input' });
});

test('the accounts of an organization go with its scope', async () => {
  const { authTuna, bot } = await orgWithOwner();
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM).catch(() => {});
  const { key } = await authTuna.apiKeys.create({ userId: bot.id, name: 'x' }, SYSTEM);
  await authTuna.scopes.remove('org:acme', SYSTEM);
  expect(await authTuna.apiKeys.verify(key)).toBeNull();
  expect(await authTuna.users.find(bot.id)).toBeNull();
});

test('a service account owns no organization, so its own one goes without a loss elsewhere (RB-7)', async () => {
  const app = await startApp();
  const { apiKeys, orgs, roles, serviceAccounts, users } = app.authTuna;
  const owner = await person(app, 'owner');
  const [{ id: home }, { id: other }] = [
    await orgs.create({ name: 'Home' }, as(owner)),
    await orgs.create({ name: 'Other' }, as(owner)),
  ];
  const bot = await serviceAccounts.create({ orgId: home, name: 'CI' }, as(owner));
  const scope = `org:${other}`;
  const assign = (role: string) => codeOf(roles.assign({ userId: bot.id, role, scope }, as(owner)));
  expect([await assign('org_owner'), await assign('org_admin')]).toEqual(['invalid_input', 'done']);
  expect(await codeOf(orgs.transfer(other, { toUserId: bot.id }, SYSTEM))).toBe('invalid_input');
  expect(await codeOf(orgs.create({ name: 'Third', ownerId: bot.id }, SYSTEM))).toBe('forbidden');
  const { key } = await apiKeys.create({ userId: bot.id, name: 'x' }, as(owner));
  await orgs.delete(home, as(owner));
  expect([await apiKeys.verify(key), await users.find(bot.id)]).toEqual([null, null]);
  expect(await codeOf(roles.unassign({ userId: owner, role: 'org_owner', scope }, SYSTEM))).toBe('conflict');
});

test('a service account that is restored holds no role, and its keys stay ended', async () => {
  const { authTuna, bot, owner } = await orgWithOwner();
  const { key } = await authTuna.apiKeys.create({ userId: bot.id, name: 'x' }, as(owner));
  await authTuna.serviceAccounts.delete(bot.id, as(owner));
  await authTuna.users.restore(bot.id, SYSTEM);
  expect(await authTuna.roles.assignmentsOf(bot.id)).toEqual([]);
  expect(await authTuna.apiKeys.verify(key)).toBeNull();
});
