import { expect, test } from 'vitest';
import { startApp } from '../../support/app.js';

test('a misspelt permission of a declared role stops the start beside declared permissions, and makes none', async () => {
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
