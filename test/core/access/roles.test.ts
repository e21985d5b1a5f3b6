import { expect, test } from 'vitest';
import { type AuthTunaError, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf, codesOf, every, person } from '../../support/people.js';

test('a role that is made is found, listed by rank, and told apart from those of scopes', async () => {
  const { authTuna } = await startApp({ permissions: { doc: ['read'] } });
  const { roles, permissions } = authTuna;
  await roles.create({ name: 'base', level: 3 });
  const made = await roles.create({
    name: 'editor',
    description: 'Edits.',
    level: 12,
    permissions: ['doc:read', 'doc:write', 'page:*', 'doc:read'],
    includes: ['base', 'base'],
    at: ['org', 'project'],
  });
  const expected = {
    name: 'editor',
    description: 'Edits.',
    level: 12,
    permissions: ['doc:read', 'doc:write', 'page:*'],
    includes: ['base'],
    at: ['org', 'project'],
    mayAssign: [],
    ownedBy: null,
    origin: 'database',
  };
  expect(made).toEqual(expected);
  expect(await roles.get('editor')).toEqual(expected);
  // A script declares the permissions of a role with it.
  expect(await permissions.find('doc:write')).toMatchObject({ name: 'doc:write', description: null });
  await roles.create({ name: 'helper', ownedBy: 'org:1' });
  expect((await roles.find('helper', 'org:1'))?.ownedBy).toBe('org:1');
  expect(await roles.find('helper')).toBeNull();
  expect(await roles.find('helper', 'org:2')).toBeNull();
  expect(await roles.find('editor', 'org:1')).toBeNull();
  expect((await roles.list({ ownedBy: 'org:1' })).items.map(({ name }) => name)).toEqual(['helper']);
  const listed = (await roles.list()).items;
  expect(listed.map(({ name }) => name)).not.toContain('helper');
  const levels = listed.map(({ level }) => level ?? -1);
  expect(levels).toEqual([...levels].sort((a, b) => b - a));
});

test('ensure leaves a role that is there as it is, also when ten call it at once', async () => {
  const { roles } = (await startApp()).authTuna;
  const made = await Promise.all(
    Array.from({ length: 10 }, (_, index) => roles.ensure({ name: 'editor', level: index })),
  );
  expect(new Set(made.map(({ level }) => level)).size).toBe(1);
  expect(await roles.ensure({ name: 'editor', level: 50, permissions: ['a:b'] })).toEqual(made[0]);
  expect(await codeOf(roles.create({ name: 'editor' }))).toBe('conflict');
});

test('a role that cannot be is refused with the field that is wrong', async () => {
  const { roles } = (await startApp()).authTuna;
  const fieldOf = (change: Promise<unknown>) =>
    change.then(
      () => 'done',
      (error: AuthTunaError) => `${error.code} ${error.details.errors?.[0]?.field}`,
    );
  await roles.create({ name: 'editor' });
  for (const name of ['', 'Editor', '1st', 'a b', 'x'.repeat(65), 'a:b'])
    expect(await fieldOf(roles.create({ name })), name).toBe('invalid_input name');
  for (const level of [-1, 101, 1.5, Number.NaN]) {
    expect(await fieldOf(roles.create({ name: 'new', level })), String(level)).toBe('invalid_input level');
    expect(await fieldOf(roles.update('editor', { level }, SYSTEM)), String(level)).toBe(
      'invalid_input level',
    );
  }
  for (const permission of ['doc', 'doc: read', 'doc:*:read', '*:read', ''])
    expect(await fieldOf(roles.create({ name: 'new', permissions: [permission] })), permission).toBe(
      'invalid_input permissions',
    );
  expect(await fieldOf(roles.create({ name: 'new', at: ['Org'] }))).toBe('invalid_input at');
  for (const ownedBy of ['global', 'org', 'org:1:2'])
    expect(await fieldOf(roles.create({ name: 'new', ownedBy })), ownedBy).toMatch(/^invalid_input/);
  expect(await codeOf(roles.create({ name: 'new', includes: ['nothing'] }))).toBe('not_found');
  expect(await roles.find('new')).toBeNull();
});

test('a change of a role counts from the next decision on, and unknown names are not found', async () => {
  const instance = await startApp({ permissions: { doc: ['read', 'edit'] } });
  const { roles, access } = instance.authTuna;
  await roles.create({ name: 'reader', permissions: ['doc:read'] });
  await roles.create({ name: 'editor', level: 5 });
  const ada = await person(instance, 'ada', 'editor');
  const can = () => access.canAll(ada, [{ permission: 'doc:read' }, { permission: 'doc:edit' }]);
  expect(await can()).toEqual([false, false]);
  await roles.update(
    'editor',
    { includes: ['reader', 'reader'], description: 'Edits.', level: null },
    SYSTEM,
  );
  expect(await roles.get('editor')).toMatchObject({
    includes: ['reader'],
    description: 'Edits.',
    level: null,
  });
  expect(await can()).toEqual([true, false]);
  await roles.addPermission('editor', 'doc:edit', SYSTEM);
  await roles.addPermission('editor', 'doc:edit', SYSTEM);
  expect(await can()).toEqual([true, true]);
  await roles.removePermission('editor', 'doc:edit', SYSTEM);
  await roles.update('editor', { includes: [], description: null }, SYSTEM);
  expect(await roles.get('editor')).toMatchObject({ permissions: [], includes: [], description: null });
  expect(await can()).toEqual([false, false]);

  const calls1 = {
    get: roles.get('nothing'),
    update: roles.update('nothing', {}, SYSTEM),
    'update, included': roles.update('editor', { includes: ['nothing'] }, SYSTEM),
    delete: roles.delete('nothing', SYSTEM),
    'delete, of a scope': roles.delete('editor', SYSTEM, 'org:1'),
    'add to nothing': roles.addPermission('nothing', 'doc:read', SYSTEM),
    'add nothing': roles.addPermission('editor', 'doc:nothing', SYSTEM),
    'remove what is not there': roles.removePermission('editor', 'doc:edit', SYSTEM),
    'allow nothing': roles.allowAssign('editor', 'nothing', SYSTEM),
    'disallow what is not there': roles.disallowAssign('editor', 'reader', SYSTEM),
    'holders of nothing': roles.usersWith('nothing', 'global'),
  };
  expect(await codesOf(calls1)).toEqual(every(calls1, 'not_found'));
});

test('without roles:manage nobody changes a role, and nobody deletes a shipped one', async () => {
  const instance = await startApp();
  const { roles } = instance.authTuna;
  await roles.create({ name: 'plain', level: 1 });
  const root = await person(instance, 'root', 'superadmin');
  const admin = await person(instance, 'admin', 'admin'); // assigns roles, but does not make them
  const calls2 = {
    create: roles.create({ name: 'new' }, as(admin)),
    update: roles.update('plain', { level: 2 }, as(admin)),
    delete: roles.delete('plain', as(admin)),
    add: roles.addPermission('plain', 'users:read', as(admin)),
    'delete shipped': roles.delete('moderator', as(root)),
  };
  expect(await codesOf(calls2)).toEqual(every(calls2, 'forbidden'));
  expect(await codeOf(roles.create({ name: 'new', permissions: ['no:such'] }, as(root)))).toBe('not_found');
  expect(await codeOf(roles.create({ name: 'new', permissions: ['users:read'] }, as(root)))).toBe('done');
  expect(await codeOf(roles.delete('new', as(root)))).toBe('done');
  expect(await codeOf(roles.create({ name: 'new' }, { userId: null, ip: null, userAgent: null }))).toBe(
    'unauthenticated',
  );
});

test('assigning: again is no error and no second row, unknown names are not found, and the place must fit', async () => {
  const instance = await startApp();
  const { roles, audit } = instance.authTuna;
  const ada = await person(instance, 'ada');
  const held = { userId: ada, role: 'project_member', scope: 'project:1' };
  await roles.assign(held, SYSTEM);
  await roles.assign(held, SYSTEM);
  expect((await roles.assignmentsOf(ada)).map(({ role, scope }) => `${role} ${scope}`)).toEqual([
    'user global',
    'project_member project:1',
  ]);
  expect((await audit.list({ type: 'role.assigned', targetId: ada })).items).toHaveLength(1);
  const past = new Date(instance.clock.now().getTime());
  const calls = {
    'unknown user': roles.assign({ ...held, userId: 'nobody' }, SYSTEM),
    'unknown role': roles.assign({ ...held, role: 'nothing' }, SYSTEM),
    'no scope': roles.assign({ ...held, scope: 'project' }, SYSTEM),
    'wrong type': roles.assign({ ...held, scope: 'org:1' }, SYSTEM),
    'ends now': roles.assign({ ...held, expiresAt: past }, SYSTEM),
    'ends at no time': roles.assign({ ...held, expiresAt: new Date('never') }, SYSTEM),
    'unknown actor': roles.assign({ ...held, scope: 'project:2' }, as('nobody')),
    'not held': roles.unassign({ ...held, scope: 'project:2' }, SYSTEM),
    'of an unknown user': roles.unassign({ ...held, userId: 'nobody' }, SYSTEM),
    'of an unknown role': roles.unassign({ ...held, role: 'nothing' }, SYSTEM),
  };
  expect(await codesOf(calls)).toEqual({
    ...every(calls, 'not_found'),
    'no scope': 'invalid_input',
    'wrong type': 'invalid_input',
    'ends now': 'invalid_input',
    'ends at no time': 'invalid_input',
    'unknown actor': 'forbidden',
  });
});

test('revoking takes rank over the holder and the right to give the role', async () => {
  const instance = await startApp();
  const { roles } = instance.authTuna;
  const admin = await person(instance, 'admin', 'admin');
  const lead = await person(instance, 'lead', 'team_lead', 'team:1');
  const plain = await person(instance, 'plain');
  const held = { userId: lead, role: 'team_lead', scope: 'team:1' };
  expect(await codeOf(roles.unassign(held, as(plain)))).toBe('forbidden');
  expect(await codeOf(roles.unassign(held, as(admin)))).toBe('done');
  expect(await codeOf(roles.unassign(held, as(admin)))).toBe('not_found');
});

test('an assignment ends when its time comes, without a job, and can be prolonged or given anew (RB-8)', async () => {
  const instance = await startApp({ permissions: { doc: ['read'] } });
  const { roles, access, users } = instance.authTuna;
  await roles.create({ name: 'reader', permissions: ['doc:read'] });
  const ada = await person(instance, 'ada');
  const held = { userId: ada, role: 'reader', scope: 'project:1' };
  const inSeconds = (seconds: number) => new Date(instance.clock.now().getTime() + seconds * 1000);
  const seen = async () => [
    await access.can(ada, 'doc:read', 'project:1'),
    (await roles.assignmentsOf(ada)).some(({ role }) => role === 'reader'),
    (await roles.usersWith('reader', 'project:1')).items.length === 1,
    (await access.usersWith('doc:read', 'project:1')).items.length === 1,
    (await users.list({ role: 'reader' })).items.length === 1,
  ];
  const yes = Array.from({ length: 5 }, () => true);
  const no = yes.map(() => false);
  await roles.assign({ ...held, expiresAt: inSeconds(60) }, SYSTEM);
  expect(await seen()).toEqual(yes);
  instance.clock.advance({ seconds: 59 });
  expect(await seen()).toEqual(yes);
  instance.clock.advance({ seconds: 1 });
  expect(await seen()).toEqual(no);
  // The row is still there, and counts again with a new end.
  await roles.assign({ ...held, expiresAt: inSeconds(30) }, SYSTEM);
  expect(await seen()).toEqual(yes);
  await roles.assign(held, SYSTEM);
  instance.clock.advance({ days: 400 });
  expect(await seen()).toEqual(yes);
  expect((await roles.assignmentsOf(ada)).find(({ role }) => role === 'reader')?.expiresAt).toBeNull();
});

test('in a request a role that ended, or a permission that was added, counts without a new sign-in (RB-8)', async () => {
  const { authTuna, clock, signedIn } = await startApp(
    { permissions: { doc: ['read', 'edit'] } },
    {
      routes(app, tuna) {
        const both = ['doc:read', 'doc:edit'];
        const roles = ['reader', 'editor'];
        const ok = (_req: unknown, res: { json(body: object): unknown }) => void res.json({});
        app.get('/any', tuna.requirePermission(both, { match: 'any', scopeFrom: () => 'org:1' }), ok);
        app.get('/all', tuna.requirePermission(both, { scopeFrom: () => 'org:1' }), ok);
        app.get('/any-role', tuna.requireRole(roles, { scope: 'org:1' }), ok);
        app.get('/all-roles', tuna.requireRole(roles, { scope: 'org:1', match: 'all' }), ok);
      },
    },
  );
  const { roles } = authTuna;
  const { user, browser } = await signedIn();
  await roles.create({ name: 'reader', permissions: ['doc:read'] });
  await roles.create({ name: 'editor' });
  const statuses = async () => {
    const answers: number[] = [];
    for (const path of ['/any', '/all', '/any-role', '/all-roles'])
      answers.push((await browser.get(path)).status);
    return answers;
  };
  expect(await statuses()).toEqual([403, 403, 403, 403]);
  const expiresAt = new Date(clock.now().getTime() + 60_000);
  await roles.assign({ userId: user.id, role: 'reader', scope: 'org:1', expiresAt }, SYSTEM);
  expect(await statuses()).toEqual([200, 403, 200, 403]);
  await roles.addPermission('reader', 'doc:edit', SYSTEM);
  expect(await statuses()).toEqual([200, 200, 200, 403]);
  await roles.assign({ userId: user.id, role: 'editor', scope: 'org:1' }, SYSTEM);
  expect(await statuses()).toEqual([200, 200, 200, 200]);
  clock.advance({ seconds: 60 });
  expect(await statuses()).toEqual([403, 403, 200, 403]);
});

test('assignableBy says what assign then does, and names each role once', async () => {
  const instance = await startApp({ permissions: { doc: ['read'] } });
  const { roles, scopes } = instance.authTuna;
  await scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  await roles.create({ name: 'helper', ownedBy: 'org:1', level: 1 });
  // A later role of everybody, which the scope's own stands in front of there.
  await roles.create({ name: 'helper', level: 1, permissions: ['users:read'] });
  const owner = await person(instance, 'owner', 'org_owner', 'org:1');
  const plain = await person(instance, 'plain');
  const target = await person(instance, 'target');
  expect(await roles.assignableBy(as(plain), 'org:1')).toEqual([]);
  expect(await roles.assignableBy(SYSTEM, 'global')).toEqual([
    'admin',
    'helper',
    'moderator',
    'owner',
    'superadmin',
    'user',
  ]);
  const all = new Set((await roles.list()).items.map(({ name }) => name));
  for (const scope of ['org:1', 'project:1', 'org:2', 'global']) {
    const said = await roles.assignableBy(as(owner), scope);
    expect(said).toEqual([...new Set(said)].sort());
    const done: string[] = [];
    for (const role of all)
      if ((await codeOf(roles.assign({ userId: target, role, scope }, as(owner)))) === 'done')
        done.push(role);
    expect(done.sort(), scope).toEqual(said);
  }
  expect(await roles.assignableBy(as(owner), 'org:1')).toContain('helper');
  const byScript = await roles.assignableBy(SYSTEM, 'org:1');
  expect(byScript.filter((name) => name === 'helper')).toHaveLength(1);
  expect(await codeOf(roles.assignableBy(as(owner), 'nowhere'))).toBe('invalid_input');
});

test('who holds a role comes in pages, each person once, also while people come and go (AD-4)', async () => {
  const instance = await startApp();
  const { roles, users } = instance.authTuna;
  const ids: string[] = [];
  for (let index = 0; index < 7; index += 1)
    ids.push(await person(instance, `p${index}`, 'team_member', 'team:1'));
  await person(instance, 'elsewhere', 'team_member', 'team:2');
  ids.sort();
  const first = await roles.usersWith('team_member', 'team:1', { limit: 3 });
  expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 3));
  // The person at the end of the first page is gone when the second is asked for.
  await users.suspend(ids[2] as string, 'test', SYSTEM);
  const second = await roles.usersWith('team_member', 'team:1', {
    limit: 3,
    cursor: String(first.nextCursor),
  });
  expect(second.items.map(({ id }) => id)).toEqual(ids.slice(3, 6));
  const third = await roles.usersWith('team_member', 'team:1', {
    limit: 3,
    cursor: String(second.nextCursor),
  });
  expect(third).toMatchObject({ items: [{ id: ids[6] }], nextCursor: null });
  for (const limit of [0, 101, 1.5, -1, 1e9])
    expect(await codeOf(roles.usersWith('team_member', 'team:1', { limit })), String(limit)).toBe(
      'invalid_input',
    );
});
