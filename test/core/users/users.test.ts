import { expect, onTestFinished, test } from 'vitest';
import type { UserQuery } from '../../../src/core/users/user-list.js';
import { type Actor, type AuthTunaError, SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { freshDatabase, openDatabase } from '../../support/database.js';
import { as, codeOf, codesOf, every } from '../../support/people.js';

test('a user that is made is found by id, address and name, and shows no internal column', async () => {
  const { authTuna, clock } = await startApp();
  const { users, roles } = authTuna;
  const ada = await users.create({ email: ' Ada@Example.COM', username: 'Ada.Love', emailVerified: true });
  expect(ada).toEqual({
    id: ada.id,
    kind: 'person',
    email: 'ada@example.com',
    username: 'ada.love',
    emailVerifiedAt: clock.now(),
    suspendedAt: null,
    suspendedUntil: null,
    suspendedReason: null,
    deletedAt: null,
    mustChangePassword: false,
    createdAt: clock.now(),
    updatedAt: clock.now(),
    lastLoginAt: null,
  });
  for (const found of [
    users.find(ada.id),
    users.findByEmail('ADA@example.com'),
    users.findByUsername('ADA.love'),
  ])
    expect(await found).toEqual(ada);
  expect((await roles.assignmentsOf(ada.id)).map(({ role, scope }) => [role, scope])).toEqual([
    ['user', 'global'],
  ]);
  for (const found of [
    users.find('nobody'),
    users.findByEmail('no address'),
    users.findByUsername('no name'),
  ])
    expect(await found).toBeNull();
  expect(await codeOf(users.get('nobody'))).toBe('not_found');
});

test('an address and what a name looks like belong to one user, for either alone, on create and update', async () => {
  const { users } = (await startApp()).authTuna;
  const ada = await users.create({ email: 'ada@example.com', username: 'paul' });
  const bob = await users.create({ email: 'bob@example.com', username: 'bob' });
  const fieldOf = (change: Promise<unknown>) =>
    change.then(
      () => 'done',
      (error: AuthTunaError) => `${error.code} ${error.details.field}`,
    );
  expect(await fieldOf(users.create({ email: 'ADA@example.com' }))).toBe('conflict email');
  for (const username of ['PAUL', 'p.a.u.l', 'pau1'])
    expect(await fieldOf(users.create({ email: 'new@example.com', username })), username).toBe(
      'conflict username',
    );
  expect(await users.findByEmail('new@example.com')).toBeNull();
  expect(await fieldOf(users.update(bob.id, { email: 'ada@example.com' }))).toBe('conflict email');
  expect(await fieldOf(users.update(bob.id, { username: 'paul' }))).toBe('conflict username');
  expect(await users.get(bob.id)).toEqual(bob);
  // Their own are no obstacle, and without a name there is nothing to share.
  expect(await users.update(ada.id, { email: 'Ada@example.com', username: 'Paul' })).toMatchObject({
    email: 'ada@example.com',
    username: 'paul',
  });
  expect(await users.update(ada.id, { username: null })).toMatchObject({ username: null });
  expect(await fieldOf(users.update(bob.id, { username: null }))).toBe('done');
  expect(await fieldOf(users.create({ email: 'new@example.com', username: 'paul' }))).toBe('done');
  for (const change of [{ email: 'two@@at' }, { username: 'a b' }])
    expect(await fieldOf(users.update(bob.id, change))).toMatch(/^invalid_input/);
  expect(await fieldOf(users.update('nobody', {}))).toMatch(/^not_found/);
});

test('ensure gives the one user of an address, also when ten ask at once', async () => {
  const { users } = (await startApp()).authTuna;
  const made = await Promise.all(
    Array.from({ length: 10 }, () => users.ensure({ email: 'ada@example.com', username: 'ada' })),
  );
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  expect((await users.ensure({ email: 'ADA@example.com', username: 'other' })).username).toBe('ada');
  expect(await codeOf(users.ensure({ email: 'bob@example.com', username: 'ada' }))).toBe('conflict');
});

test('an address that changes is unproved, ends the sessions, and is nothing to change of oneself', async () => {
  const { authTuna, signedIn } = await startApp();
  const { users } = authTuna;
  const { user, browser } = await signedIn();
  for (const change of [{ email: 'new@example.com' }, { emailVerified: true }])
    expect(await codeOf(users.update(user.id, change, as(user.id)))).toBe('forbidden');
  expect(await users.update(user.id, { username: 'ada' }, as(user.id))).toMatchObject({ username: 'ada' });
  expect((await browser.get('/me')).status).toBe(200);
  expect(await users.update(user.id, { email: 'new@example.com' })).toMatchObject({
    email: 'new@example.com',
    emailVerifiedAt: null,
  });
  expect((await browser.post('/me/x')).status).toBe(401);
});

test('making and changing others takes users:manage', async () => {
  const { users, roles } = (await startApp()).authTuna;
  const plain = await users.create({ email: 'plain@example.com' });
  const other = await users.create({ email: 'other@example.com' });
  const moderator = await users.create({ email: 'moderator@example.com' });
  await roles.assign({ userId: moderator.id, role: 'moderator', scope: 'global' }, SYSTEM);
  const attempts = (actor: Actor) => ({
    create: users.create({ email: `by-${actor.userId}@example.com`.toLowerCase() }, actor),
    update: users.update(other.id, { emailVerified: true }, actor),
    suspend: users.suspend(other.id, 'x', actor),
    unsuspend: users.unsuspend(other.id, 'x', actor),
    restore: users.restore(other.id, actor),
  });
  const calls1 = attempts(as(plain.id));
  expect(await codesOf(calls1)).toEqual(every(calls1, 'forbidden'));
  const calls2 = attempts({ userId: null, ip: null, userAgent: null });
  expect(await codesOf(calls2)).toEqual(every(calls2, 'unauthenticated'));
  expect(await codeOf(users.create({ email: 'made@example.com' }, as(moderator.id)))).toBe('done');
  const calls3 = {
    update: users.update('nobody', {}, as(moderator.id)),
    suspend: users.suspend('nobody', 'x', as(moderator.id)),
    unsuspend: users.unsuspend('nobody', 'x', as(moderator.id)),
    delete: users.delete('nobody', as(moderator.id)),
    restore: users.restore('nobody', as(moderator.id)),
  };
  expect(await codesOf(calls3)).toEqual(every(calls3, 'not_found'));
});

test('a suspension holds until it is lifted or its time is over, and says until when', async () => {
  const { authTuna, clock, browser } = await startApp();
  const { users } = authTuna;
  const { id } = await users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const signIn = async () =>
    (await browser().post('/auth/login', { login: 'ada@example.com', password: PASSWORD })).status;
  const until = new Date(clock.now().getTime() + 3_600_000);
  expect(await codeOf(users.suspend(id, 'x', SYSTEM, { until: clock.now() }))).toBe('invalid_input');
  await users.suspend(id, 'spam', SYSTEM, { until });
  expect(await users.get(id)).toMatchObject({
    suspendedAt: clock.now(),
    suspendedUntil: until,
    suspendedReason: 'spam',
  });
  expect(await signIn()).toBe(403);
  const listed = async (status: 'active' | 'suspended') => (await users.list({ status })).items.length;
  expect([await listed('active'), await listed('suspended')]).toEqual([0, 1]);
  clock.advance({ seconds: 3600 });
  expect([await listed('active'), await listed('suspended')]).toEqual([1, 0]);
  expect(await signIn()).toBe(200);
  await users.suspend(id, 'again', SYSTEM);
  clock.advance({ days: 1000 });
  expect(await signIn()).toBe(403);
  await users.unsuspend(id, 'sorry', SYSTEM);
  expect(await users.get(id)).toMatchObject({ suspendedAt: null, suspendedReason: null });
  expect(await signIn()).toBe(200);
});

test('who was deleted is nowhere, keeps the address, and comes back with the role user alone', async () => {
  const { authTuna, browser } = await startApp();
  const { users, roles, access, apiKeys, scopes } = authTuna;
  const { id } = await users.create({
    email: 'ada@example.com',
    username: 'ada',
    password: PASSWORD,
    emailVerified: true,
  });
  await roles.assign({ userId: id, role: 'admin', scope: 'global' }, SYSTEM);
  const signIn = async () =>
    (await browser().post('/auth/login', { login: 'ada', password: PASSWORD })).status;
  await scopes.register({ id: 'doc:1', ownerId: id }, SYSTEM);
  expect(await access.can(id, 'resource:manage', 'doc:1')).toBe(true);
  const { key } = await apiKeys.create({ userId: id, name: 'x' }, SYSTEM);
  expect(await apiKeys.verify(key)).not.toBeNull();
  await users.delete(id, SYSTEM);
  expect(await signIn()).toBe(401);
  for (const found of [users.find(id), users.findByEmail('ada@example.com'), users.findByUsername('ada')])
    expect(await found).toBeNull();
  expect((await users.list()).items).toEqual([]);
  expect((await users.list({ status: 'deleted' })).items).toMatchObject([{ id }]);
  const calls4 = {
    delete: users.delete(id, SYSTEM),
    suspend: users.suspend(id, 'x', SYSTEM),
    update: users.update(id, { username: 'eve' }),
    assign: roles.assign({ userId: id, role: 'admin', scope: 'global' }, SYSTEM),
  };
  expect(await codesOf(calls4)).toEqual(every(calls4, 'not_found'));
  expect(await codeOf(users.create({ email: 'ada@example.com' }))).toBe('conflict');
  await users.restore(id, SYSTEM);
  await users.restore(id, SYSTEM);
  expect(await signIn()).toBe(200);
  expect((await roles.assignmentsOf(id)).map(({ role }) => role)).toEqual(['user']);
  expect(await access.can(id, 'users:manage')).toBe(false);
  expect(await access.can(id, 'resource:manage', 'doc:1')).toBe(false);
  expect(await apiKeys.verify(key)).toBeNull();
});

test('the superadmins are counted right through suspending, lifting, deleting and restoring (RB-7)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna, clock } = await startApp({}, { database });
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const { users, roles } = authTuna;
  const counted = async () => {
    const counters = connection.client.counter as unknown as {
      findUnique(args: object): Promise<{ value: number }>;
    };
    return (await counters.findUnique({ where: { name: 'superadmin' } })).value;
  };
  const make = async (name: string) => {
    const { id } = await users.create({ email: `${name}@example.com` });
    await roles.assign({ userId: id, role: 'superadmin', scope: 'global' }, SYSTEM);
    return id;
  };
  const take = (userId: string) => roles.unassign({ userId, role: 'superadmin', scope: 'global' }, SYSTEM);
  const [one, two, three] = [await make('one'), await make('two'), await make('three')];
  const steps: [string, () => Promise<unknown>, number][] = [
    ['made', async () => {}, 3],
    ['given twice', () => roles.assign({ userId: one, role: 'superadmin', scope: 'global' }, SYSTEM), 3],
    ['suspended', () => users.suspend(two, 'x', SYSTEM), 2],
    ['suspended twice', () => users.suspend(two, 'y', SYSTEM), 2],
    ['lifted', () => users.unsuspend(two, 'x', SYSTEM), 3],
    ['lifted twice', () => users.unsuspend(two, 'x', SYSTEM), 3],
    [
      'suspended for a while',
      () => users.suspend(two, 'x', SYSTEM, { until: new Date(clock.now().getTime() + 1000) }),
      2,
    ],
    ['taken from the suspended', () => take(two), 2],
    [
      'given to the suspended',
      () => roles.assign({ userId: two, role: 'superadmin', scope: 'global' }, SYSTEM),
      2,
    ],
    ['deleted while suspended', () => users.delete(two, SYSTEM), 2],
    ['restored, as a plain user', () => users.restore(two, SYSTEM), 2],
    ['lifted, as a plain user', () => users.unsuspend(two, 'x', SYSTEM), 2],
    ['deleted', () => users.delete(three, SYSTEM), 1],
    ['restored', () => users.restore(three, SYSTEM), 1],
    ['given again', () => roles.assign({ userId: three, role: 'superadmin', scope: 'global' }, SYSTEM), 2],
    ['taken', () => take(one), 1],
  ];
  for (const [what, step, after] of steps) {
    await step();
    expect(await counted(), what).toBe(after);
  }
  expect(await codeOf(take(three))).toBe('conflict');
  expect(await counted()).toBe(1);
});

test('of a suspension and its lifting at the same moment neither waits for the other (DB-4)', async () => {
  const { users } = (await startApp()).authTuna;
  for (let round = 0; round < 20; round += 1) {
    const { id } = await users.create({ email: `person${round}@example.com` });
    await users.suspend(id, 'spam', SYSTEM);
    const answers = await Promise.all([
      codeOf(users.unsuspend(id, 'no spam', SYSTEM)),
      codeOf(users.suspend(id, 'spam again', SYSTEM)),
    ]);
    for (const answer of answers) expect(['done', 'conflict']).toContain(answer);
  }
});

test('people are listed newest first in pages, each once, also while people leave the list (AD-4)', async () => {
  const { authTuna, clock } = await startApp();
  const { users } = authTuna;
  const ids: string[] = [];
  for (let index = 0; index < 9; index += 1) {
    if (index % 3 === 0) clock.advance({ seconds: 1 }); // three of each moment
    ids.push((await users.create({ email: `p${index}@example.com` })).id);
  }
  const all = (await users.list()).items.map(({ id }) => id);
  expect([...all].sort()).toEqual([...ids].sort());
  for (const [from, moment] of [6, 3, 0].entries())
    expect(all.slice(from * 3, from * 3 + 3).sort()).toEqual(ids.slice(moment, moment + 3).sort());
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await users.list({ status: 'active', limit: 2, ...(cursor !== undefined && { cursor }) });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor ?? undefined;
    // The one that the next page begins behind leaves the list.
    if (cursor !== undefined) await users.suspend(cursor, 'x', SYSTEM);
  } while (cursor !== undefined);
  expect(seen).toEqual(all);
  expect(await users.list({ limit: 9 })).toMatchObject({ nextCursor: null });
  expect((await users.list({ limit: 8 })).nextCursor).toBe(all[7]);
  expect(await users.list({ cursor: 'nobody' })).toEqual({ items: [], nextCursor: null });
  for (const query of [
    { limit: 0 },
    { limit: 101 },
    { limit: 1e9 },
    { limit: 1.5 },
    { search: 'x'.repeat(65) },
    { search: 'a\0' },
    { cursor: '\0' },
  ])
    expect(await codeOf(users.list(query)), JSON.stringify(query)).toBe('invalid_input');
});

test('a list is narrowed by part of a name or address, by role, place and status', async () => {
  const { users, roles } = (await startApp()).authTuna;
  await users.create({ email: 'ada_b@example.com', username: 'countess' });
  await users.create({ email: 'adaxb@example.com' });
  const { id: cleo } = await users.create({ email: 'cleo@example.org', username: 'cleo' });
  await roles.assign({ userId: cleo, role: 'org_member', scope: 'org:1' }, SYSTEM);
  const found = async (query: UserQuery) =>
    (await users.list(query)).items.map(({ email }) => email.split('@')[0]).sort();
  expect(await found({ search: 'ADA' })).toEqual(['ada_b', 'adaxb']);
  expect(await found({ search: 'OUNT' })).toEqual(['ada_b']);
  for (const search of ['%', 'a%b', '\\', "'", '@example.net'])
    expect(await found({ search }), search).toEqual([]);
  expect(await found({ search: '.org' })).toEqual(['cleo']);
  expect(await found({ role: 'org_member' })).toEqual(['cleo']);
  expect(await found({ role: 'org_member', scope: 'org:1' })).toEqual(['cleo']);
  expect(await found({ role: 'org_member', scope: 'org:10' })).toEqual([]);
  expect(await found({ scope: 'org:1' })).toEqual(['cleo']);
  expect(await found({ role: 'nothing' })).toEqual([]);
  expect(await found({ role: 'user', status: 'active', search: 'c' })).toEqual(['ada_b', 'adaxb', 'cleo']);
});
