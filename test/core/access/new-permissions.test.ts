// Shows what an existing database hears of a permission that a new version brings.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';

test('the log names once the stored shipped roles that lack a new permission, and changes none of them', async () => {
  const first = await startApp();
  const told = ({ logger }: typeof first) =>
    logger.lines
      .filter(({ message }) => message.includes('is new in this version'))
      .map(({ message }) => message);
  expect(told(first)).toEqual([]);
  // A database as an earlier version left it: it knows no such permission.
  await first.authTuna.permissions.delete('webhooks:manage', SYSTEM);
  const { database, clock } = first;
  const second = await startApp({}, { database, clock });
  expect(told(second)).toEqual([
    expect.stringContaining("authTuna.roles.addPermission('admin', 'webhooks:manage', SYSTEM)"),
  ]);
  expect((await second.authTuna.roles.get('admin')).permissions).not.toContain('webhooks:manage');
  await second.authTuna.roles.addPermission('admin', 'webhooks:manage', SYSTEM);
  expect(told(await startApp({}, { database, clock }))).toEqual([]);
});
