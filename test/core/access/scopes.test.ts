import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf } from '../../support/people.js';

test('a scope knows its parent, those above and those directly below', async () => {
  const { scopes } = (await startApp()).authTuna;
  expect(await scopes.register({ id: 'org:1', name: 'Acme', ownerId: 'somebody' }, SYSTEM)).toEqual({
    id: 'org:1',
    parent: null,
    ownerId: 'somebody',
    name: 'Acme',
  });
  await scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'team:1', parent: 'project:1' }, SYSTEM);
  await scopes.register({ id: 'org:2', parent: 'global' }, SYSTEM);
  expect(await scopes.parentOf('team:1')).toBe('project:1');
  expect(await scopes.parentOf('org:2')).toBeNull();
  expect(await scopes.parentOf('org:unknown')).toBeNull();
  expect(await scopes.ancestorsOf('team:1')).toEqual(['project:1', 'org:1', 'global']);
  expect(await scopes.ancestorsOf('global')).toEqual([]);
  const below = async (id: string) => (await scopes.childrenOf(id)).items.map((node) => node.id);
  expect(await below('global')).toEqual(['org:1', 'org:2']);
  expect(await below('org:1')).toEqual(['project:1']);
  expect(await below('team:1')).toEqual([]);
});

test('names that are no scope, circles, depth and names that are taken are refused', async () => {
  const { scopes } = (await startApp()).authTuna;
  for (const id of ['', 'org', 'global', 'Org:1', 'org:', 'org:a b', 'org:1:2', `org:${'x'.repeat(129)}`]) {
    expect(await codeOf(scopes.register({ id }, SYSTEM)), id).toBe('invalid_input');
    expect(await codeOf(scopes.move(id, null, SYSTEM)), id).toBe('invalid_input');
    expect(await codeOf(scopes.remove(id, SYSTEM)), id).toBe('invalid_input');
    expect(await codeOf(scopes.parentOf(id)), id).toBe('invalid_input');
    if (id !== 'global') expect(await codeOf(scopes.childrenOf(id)), id).toBe('invalid_input');
  }
  expect(await codeOf(scopes.register({ id: 'org:1', parent: 'no scope' }, SYSTEM))).toBe('invalid_input');
  expect(await codeOf(scopes.register({ id: 'org:1', parent: 'org:1' }, SYSTEM))).toBe('conflict');
  for (let depth = 1; depth <= 16; depth += 1)
    await scopes.register({ id: `n:${depth}`, parent: depth === 1 ? null : `n:${depth - 1}` }, SYSTEM);
  expect(await codeOf(scopes.register({ id: 'n:17', parent: 'n:16' }, SYSTEM))).toBe('conflict');
  expect(await scopes.ancestorsOf('n:16')).toHaveLength(16);
  expect(await codeOf(scopes.register({ id: 'n:3' }, SYSTEM))).toBe('conflict');
  expect(await codeOf(scopes.move('n:2', 'n:9', SYSTEM))).toBe('conflict');
  expect(await codeOf(scopes.move('n:99', null, SYSTEM))).toBe('not_found');
  expect(await codeOf(scopes.move('n:2', 'nowhere', SYSTEM))).toBe('invalid_input');
  expect(await codeOf(scopes.remove('n:99', SYSTEM))).toBe('not_found');
});

test('of eight who move scopes at once into circles nobody closes one', async () => {
  const { scopes } = (await startApp()).authTuna;
  const ids = Array.from({ length: 4 }, (_, index) => `n:${index}`);
  for (const id of ids) await scopes.register({ id }, SYSTEM);
  const answers = await Promise.all(
    ids.flatMap((id, index) => [
      codeOf(scopes.move(id, ids[(index + 1) % 4] as string, SYSTEM)),
      codeOf(scopes.move(id, ids[(index + 3) % 4] as string, SYSTEM)),
    ]),
  );
  for (const answer of answers) expect(['done', 'conflict']).toContain(answer);
  expect(answers).toContain('done');
  for (const id of ids) expect((await scopes.ancestorsOf(id)).at(-1)).toBe('global');
});

test('registering takes <type>:create at the parent, moving and removing <type>:manage', async () => {
  const { authTuna } = await startApp();
  const { scopes, roles, users } = authTuna;
  const [lead, plain] = (await Promise.all(
    ['lead', 'plain'].map(async (name) => (await users.create({ email: `${name}@example.com` })).id),
  )) as [string, string];
  await roles.assign({ userId: lead, role: 'project_admin', scope: 'project:1' }, SYSTEM);
  await scopes.register({ id: 'project:1' }, SYSTEM);
  expect(await codeOf(scopes.register({ id: 'team:1', parent: 'project:1' }, as(plain)))).toBe('forbidden');
  expect(await codeOf(scopes.register({ id: 'team:1', parent: 'project:1' }, as(lead)))).toBe('done');
  expect(await codeOf(scopes.register({ id: 'team:1', parent: 'project:1' }, as(lead)))).toBe('conflict');
  expect(await codeOf(scopes.register({ id: 'team:2', parent: 'project:2' }, as(lead)))).toBe('forbidden');
  expect(await codeOf(scopes.move('team:1', 'project:2', as(lead)))).toBe('forbidden');
  expect(await codeOf(scopes.remove('team:1', as(plain)))).toBe('forbidden');
  expect(await codeOf(scopes.remove('team:1', as(lead)))).toBe('done');
  expect(await codeOf(scopes.remove('team:1', as(lead)))).toBe('forbidden'); // gone, and no longer below anything of hers
});

test('a scope that is removed takes what was given there and its own roles along, and nothing else (RB-10)', async () => {
  const { authTuna } = await startApp({ permissions: { doc: ['read'] } });
  const { scopes, roles, users, access, audit } = authTuna;
  await scopes.register({ id: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  const { id: ada } = await users.create({ email: 'ada@example.com' });
  await roles.create({ name: 'helper', ownedBy: 'org:1', permissions: ['doc:read'] });
  await roles.create({ name: 'helper', ownedBy: 'org:2', permissions: ['doc:read'] });
  await roles.assign({ userId: ada, role: 'org_member', scope: 'org:1' }, SYSTEM);
  await roles.assign({ userId: ada, role: 'helper', scope: 'project:1' }, SYSTEM);
  await roles.assign({ userId: ada, role: 'project_member', scope: 'project:1' }, SYSTEM);
  expect(await access.can(ada, 'doc:read', 'project:1')).toBe(true);
  await scopes.remove('org:1', SYSTEM);
  expect(await scopes.parentOf('project:1')).toBeNull();
  expect(await access.can(ada, 'org:read', 'org:1')).toBe(false);
  expect(await access.can(ada, 'project:read', 'project:1')).toBe(true);
  expect((await roles.assignmentsOf(ada)).map(({ role, scope }) => `${role} ${scope}`)).toEqual([
    'user global',
    'project_member project:1',
  ]);
  expect(await roles.find('helper', 'org:1')).toBeNull();
  expect(await roles.find('helper', 'org:2')).not.toBeNull();
  // The name comes back, its people and roles do not.
  await scopes.register({ id: 'org:1' }, SYSTEM);
  await scopes.move('project:1', 'org:1', SYSTEM);
  expect(await access.can(ada, 'doc:read', 'project:1')).toBe(false);
  expect(await access.can(ada, 'org:read', 'org:1')).toBe(false);
  const told = (await audit.list({ scope: 'org:1' })).items.map(({ type }) => type);
  expect(told).toEqual(expect.arrayContaining(['scope.registered', 'scope.removed', 'role.assigned']));
});

test('children come in pages, also when the one at the end of a page was removed (AD-4)', async () => {
  const { scopes } = (await startApp()).authTuna;
  const ids = ['a', 'b', 'c', 'd', 'e'].map((name) => `team:${name}`);
  for (const id of ids) await scopes.register({ id, parent: 'org:1' }, SYSTEM);
  const first = await scopes.childrenOf('org:1', { limit: 2 });
  expect(first).toMatchObject({ items: [{ id: 'team:a' }, { id: 'team:b' }], nextCursor: 'team:b' });
  await scopes.remove('team:b', SYSTEM);
  const second = await scopes.childrenOf('org:1', { limit: 2, cursor: 'team:b' });
  expect(second.items.map(({ id }) => id)).toEqual(['team:c', 'team:d']);
  const third = await scopes.childrenOf('org:1', { limit: 2, cursor: String(second.nextCursor) });
  expect(third).toMatchObject({ items: [{ id: 'team:e' }], nextCursor: null });
  for (const limit of [0, 101, Number.NaN])
    expect(await codeOf(scopes.childrenOf('org:1', { limit })), String(limit)).toBe('invalid_input');
});

test('neither a move nor a removal takes from somebody who ranks as high as the actor further down, what they hold further up (RB-5)', async () => {
  const { authTuna } = await startApp({
    roles: {
      reader: { permissions: ['doc:read'], level: 1 },
      keeper: { permissions: ['org:*', 'project:*', 'team:*'], level: 9 },
    },
  });
  const { scopes, roles, users, access } = authTuna;
  for (const [id, parent] of [['org:a'], ['org:b'], ['project:p', 'org:a'], ['team:t', 'project:p']] as const)
    await scopes.register({ id, ...(parent !== undefined && { parent }) }, SYSTEM);
  const [ada, bob] = [
    await users.create({ email: 'ada@example.com' }),
    await users.create({ email: 'bob@example.com' }),
  ];
  await roles.assign({ userId: ada.id, role: 'keeper', scope: 'global' }, SYSTEM);
  await roles.assign({ userId: bob.id, role: 'reader', scope: 'org:a' }, SYSTEM);
  await roles.assign({ userId: bob.id, role: 'reader', scope: 'project:p' }, SYSTEM);
  await roles.assign({ userId: bob.id, role: 'keeper', scope: 'team:t' }, SYSTEM);
  const move = () => scopes.move('project:p', 'org:b', as(ada.id));
  const remove = () => scopes.remove('project:p', as(ada.id));
  for (const act of [move, remove]) expect(await codeOf(act())).toBe('forbidden');
  expect(await access.can(bob.id, 'doc:read', 'team:t')).toBe(true);

  await roles.unassign({ userId: bob.id, role: 'keeper', scope: 'team:t' }, SYSTEM);
  await move();
  await roles.unassign({ userId: bob.id, role: 'reader', scope: 'org:a' }, SYSTEM);
  await remove();
  expect(await access.can(bob.id, 'doc:read', 'team:t')).toBe(false);
});
