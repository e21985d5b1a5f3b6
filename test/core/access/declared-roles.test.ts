import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';

test('a misspelled permission of a declared role stops the start beside declared permissions, and makes none', async () => {
  const permissions = { project: ['read'] };
  const roles = { viewer: { permissions: ['project:tpyo', 'project:*', 'users:read'] } };
  await expect(startApp({ permissions, roles })).rejects.toMatchObject({
    code: 'misconfigured',
    message: expect.stringContaining('roles.viewer: project:tpyo is no permission'),
  });
  // Without the option, the roles are where permissions are declared.
  const { authTuna } = await startApp({ roles });
  expect(await authTuna.permissions.get('project:tpyo')).toMatchObject({ name: 'project:tpyo' });
});

test('sync says what becomes of a stored role that differs from its declaration: reported, left, or changed', async () => {
  const first = await startApp({
    roles: { viewer: { permissions: ['project:read'] }, editor: { level: 20, mayAssign: ['viewer'] } },
  });
  const { database, clock } = first;
  const next = {
    viewer: { permissions: ['project:read', 'post:*', 'post:write'], level: 5 },
    editor: { level: 20, includes: ['viewer'] },
  };
  const start = async (roles: object) => {
    const app = await startApp({ roles: roles as never }, { database, clock });
    const lines = app.logger.lines.filter(({ message }) => message.includes('differs from its declaration'));
    return { ...app, lines: lines.map(({ message }) => message) };
  };
  const reported = await start(next);
  expect(reported.lines).toHaveLength(2);
  expect(reported.lines[0]).toContain("sync: 'update'");
  expect((await start({ ...next, sync: 'create' })).lines).toEqual([]);
  const viewer = { permissions: ['project:read'], level: null };
  expect(await reported.authTuna.roles.get('viewer')).toMatchObject(viewer);

  const [one, two] = await Promise.all([
    start({ ...next, sync: 'update' }),
    start({ ...next, sync: 'update' }),
  ]);
  for (const { authTuna, lines } of [one, two]) {
    expect(lines).toEqual([]);
    const role = await authTuna.roles.get('viewer');
    expect({ ...role, permissions: [...role.permissions].sort() }).toMatchObject({
      permissions: ['post:*', 'post:write', 'project:read'],
      level: 5,
    });
    expect(await authTuna.roles.get('editor')).toMatchObject({ includes: ['viewer'], mayAssign: [] });
  }
  await expect(startApp({ roles: { sync: 'always' } as never })).rejects.toThrow(
    /roles.sync: must be create/,
  );
});

test('a field that a manager does not know is refused, so that no grant lasts for ever by a slip of the pen', async () => {
  const { authTuna } = await startApp();
  const { users, roles, permissions, scopes } = authTuna;
  const ada = await users.create({ email: 'ada@example.com' });
  const grant = { userId: ada.id, role: 'moderator', scope: 'global' };
  const calls: Record<string, () => Promise<unknown>> = {
    expires: () => roles.assign({ ...grant, expires: new Date(0) } as never, SYSTEM),
    when: () => roles.unassign({ ...grant, when: 1 } as never, SYSTEM),
    permission: () => roles.create({ name: 'r', permission: ['a:b'] } as never, SYSTEM),
    mayAssign: () => roles.update('moderator', { mayAssign: [] } as never, SYSTEM),
    verified: () => users.create({ email: 'b@example.com', verified: true } as never, SYSTEM),
    name: () => users.update(ada.id, { name: 'Ada' } as never, SYSTEM),
    untill: () => users.suspend(ada.id, 'x', SYSTEM, { untill: new Date(0) } as never),
    desc: () => permissions.create({ name: 'a:b', desc: 'x' } as never, SYSTEM),
    owner: () => scopes.register({ id: 'project:1', owner: ada.id } as never, SYSTEM),
    remember: () => authTuna.sessions.create(ada.id, ['pwd'], SYSTEM, { remember: true } as never),
  };
  for (const [field, call] of Object.entries(calls))
    await expect(call(), field).rejects.toMatchObject({
      code: 'invalid_input',
      details: { errors: [{ field, rule: 'unknown_field' }] },
    });
  expect((await roles.assignmentsOf(ada.id)).map(({ role }) => role)).toEqual(['user']);
});
