import { expect, test } from 'vitest';
import { type Actor, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf } from '../../support/people.js';

test('a permission is made, found, described anew and listed by name', async () => {
  const { authTuna, clock } = await startApp({ permissions: { page: ['read'] } });
  const { permissions } = authTuna;
  const made = await permissions.create({ name: 'doc:page:read', description: 'Read pages.', tool: 'docs' });
  expect(made).toEqual({
    name: 'doc:page:read',
    description: 'Read pages.',
    tool: 'docs',
    createdAt: clock.now(),
  });
  expect(await permissions.get('doc:page:read')).toEqual(made);
  await permissions.update('doc:page:read', { description: null }, SYSTEM);
  expect(await permissions.get('doc:page:read')).toEqual({ ...made, description: null });
  await permissions.update('doc:page:read', { tool: 'wiki' }, SYSTEM);
  expect(await permissions.get('doc:page:read')).toEqual({ ...made, description: null, tool: 'wiki' });
  const names = (await permissions.list()).items.map(({ name }) => name);
  expect(names).toEqual([...names].sort());
  expect(names).toEqual(expect.arrayContaining(['doc:page:read', 'page:read', 'users:read']));
  expect(await permissions.find('doc:page')).toBeNull();
});

test('a name that is none, one that is taken and one that is not there are told apart', async () => {
  const { permissions } = (await startApp()).authTuna;
  for (const name of ['', 'doc', 'doc: read', 'doc read', 'Doc:read', 'doc:*', '*', 'doc:', ':read'])
    for (const call of [permissions.create({ name }), permissions.ensure({ name })])
      expect(await codeOf(call), name).toBe('invalid_input');
  const [first, ...others] = await Promise.all(
    Array.from({ length: 8 }, (_, index) => permissions.ensure({ name: 'doc:read', tool: `tool${index}` })),
  );
  for (const other of others) expect(other).toEqual(first);
  expect(await permissions.ensure({ name: 'doc:read', tool: 'another' })).toEqual(first);
  expect(await codeOf(permissions.create({ name: 'doc:read' }))).toBe('conflict');
  expect(await codeOf(permissions.get('doc:edit'))).toBe('not_found');
  expect(await codeOf(permissions.update('doc:edit', { tool: 'x' }, SYSTEM))).toBe('not_found');
  expect(await codeOf(permissions.delete('doc:edit', SYSTEM))).toBe('not_found');
});

test('the catalog changes by permissions:manage only, which an admin does not have', async () => {
  const { permissions, users, roles, audit } = (await startApp()).authTuna;
  const { id: admin } = await users.create({ email: 'admin@example.com' });
  await roles.assign({ userId: admin, role: 'admin', scope: 'global' }, SYSTEM);
  const { id: keeper } = await users.create({ email: 'keeper@example.com' });
  await roles.create({ name: 'keeper', permissions: ['permissions:manage'] });
  await roles.assign({ userId: keeper, role: 'keeper', scope: 'global' }, SYSTEM);
  const attempts = (actor: Actor) => [
    () => permissions.create({ name: 'doc:read' }, actor),
    () => permissions.update('doc:read', { tool: 'docs' }, actor),
    () => permissions.delete('doc:read', actor),
  ];
  for (const attempt of attempts(as(admin))) expect(await codeOf(attempt())).toBe('forbidden');
  expect(
    await codeOf(permissions.create({ name: 'doc:read' }, { userId: null, ip: null, userAgent: null })),
  ).toBe('unauthenticated');
  for (const attempt of attempts(as(keeper))) expect(await codeOf(attempt())).toBe('done');
  const lines = (await audit.list({ actorId: keeper, targetId: 'doc:read' })).items.map(({ type }) => type);
  expect(lines.sort()).toEqual(['permission.created', 'permission.deleted', 'permission.updated']);
});

test('a permission that is deleted is gone from every role, and comes back without holders', async () => {
  const { permissions, users, roles, access } = (await startApp({ permissions: { doc: ['read', 'edit'] } }))
    .authTuna;
  await roles.create({ name: 'reader', permissions: ['doc:read', 'doc:edit'] });
  const { id: ada } = await users.create({ email: 'ada@example.com' });
  await roles.assign({ userId: ada, role: 'reader', scope: 'global' }, SYSTEM);
  expect(await access.can(ada, 'doc:read')).toBe(true);
  await permissions.delete('doc:read', SYSTEM);
  expect(await access.can(ada, 'doc:read')).toBe(false);
  expect(await access.can(ada, 'doc:edit')).toBe(true);
  expect((await roles.get('reader')).permissions).toEqual(['doc:edit']);
  await permissions.create({ name: 'doc:read' });
  expect(await access.can(ada, 'doc:read')).toBe(false);
});
