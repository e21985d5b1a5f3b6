// Roles that an organization defines for itself: how many and how large, since every process keeps those of all organizations.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf, person } from '../../support/people.js';

async function founded() {
  const app = await startApp();
  const owner = await person(app, 'owner');
  const org = await app.authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  const define = (name: string, patterns: string[] = [], actor = as(owner)) =>
    codeOf(app.authTuna.roles.create({ name, level: 1, permissions: patterns, ownedBy: scope }, actor));
  return { ...app, owner, scope, define };
}

const patterns = (role: number, count: number) =>
  Array.from({ length: count }, (_, index) => `project:x${role}-${index}:*`);

test('of many who define roles of an organization at once, none makes the hundred and first (RB-6)', async () => {
  const { authTuna, scope, define } = await founded();
  for (let index = 0; index < 97; index += 1) expect(await define(`role${index}`)).toBe('done');
  const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => define(`late${index}`)));
  expect(answers.filter((answer) => !['done', 'conflict', 'unavailable'].includes(answer))).toEqual([]);
  for (let index = 0; index < 5; index += 1) await define(`last${index}`);
  expect((await authTuna.roles.list({ ownedBy: scope, limit: 100 })).nextCursor).toBeNull();
  expect((await authTuna.roles.list({ ownedBy: scope, limit: 100 })).items).toHaveLength(100);
  expect(await define('script', [], SYSTEM)).toBe('done');
});

test('the roles of an organization hold at most 2,000 permissions and roles in all, however these come in (RB-6)', async () => {
  const { authTuna, owner, scope, define } = await founded();
  const { roles } = authTuna;
  for (let index = 0; index < 19; index += 1)
    expect(await define(`role${index}`, patterns(index, 100))).toBe('done');
  expect(await define('last', patterns(19, 99))).toBe('done');
  expect(await define('more', patterns(20, 2))).toBe('conflict');
  expect(await codeOf(roles.addPermission('last', 'project:one:*', as(owner), scope))).toBe('done');
  expect(await codeOf(roles.addPermission('last', 'project:two:*', as(owner), scope))).toBe('conflict');
  expect(await codeOf(roles.update('last', { includes: ['role1'] }, as(owner), scope))).toBe('conflict');
  const more = { permissions: patterns(19, 101) };
  expect(await codeOf(roles.update('last', more, as(owner), scope))).toBe('conflict');
  const fewer = { permissions: patterns(19, 90), includes: ['role1'] };
  expect(await codeOf(roles.update('last', fewer, as(owner), scope))).toBe('done');
  expect(await define('empty')).toBe('done');
});

test('roles that include one another in a long row are loaded about as fast as roles that include none', async () => {
  const loading = async (isRow: boolean) => {
    const roles = Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [
        `role${index}`,
        {
          level: 1,
          permissions: patterns(index, 60),
          ...(isRow && index > 0 && { includes: [`role${index - 1}`] }),
        },
      ]),
    );
    const { authTuna } = await startApp({ roles });
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await authTuna.roles.update('role0', { description: `${round}` }, SYSTEM);
      const began = performance.now();
      await authTuna.roles.find('role0');
      times.push(performance.now() - began);
    }
    return Math.min(...times);
  };
  const alone = await loading(false);
  const inRow = await loading(true);
  expect(inRow / alone).toBeLessThan(2);
});
