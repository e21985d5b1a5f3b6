import { expect, test } from 'vitest';
import { createAuthTuna, SYSTEM } from '../../../src/index.js';
import { SECRET, startApp } from '../../support/app.js';

const PAGE = Array.from({ length: 200 }, (_, index) => `project:${index}`);

/** Projects of the host's own table: the even ones hang below `org:acme`, the odd ones below `org:other`, and no others exist. */
async function hostProjects() {
  const asked: string[][] = [];
  let isDown = false;
  const parents = new Map(PAGE.map((scope, index) => [scope, index % 2 === 0 ? 'org:acme' : 'org:other']));
  const app = await startApp({
    resolveScopes: async (scopes) => {
      asked.push([...scopes].sort());
      if (isDown) throw new Error('the table is locked');
      return new Map(
        scopes.map((scope) => [scope, parents.has(scope) ? { parent: parents.get(scope) ?? null } : null]),
      );
    },
  });
  const { authTuna } = app;
  const { user, browser } = await app.signedIn();
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await authTuna.roles.assign({ userId: user.id, role: 'org_member', scope: 'org:acme' }, SYSTEM);
  asked.length = 0;
  return {
    ...app,
    user,
    browser,
    asked,
    parents,
    goDown() {
      isDown = true;
    },
  };
}

test('a page of two hundred things of the host is one question to its table for each level of the tree (RB-8)', async () => {
  const { authTuna, user, asked } = await hostProjects();
  const checks = [...PAGE, 'project:none'].map((scope) => ({ permission: 'project:read', scope }) as const);
  const answers = await authTuna.access.canAll(user.id, checks);
  expect(answers).toEqual([...PAGE.map((_, index) => index % 2 === 0), false]);
  expect(asked[0]).toEqual([...PAGE, 'project:none'].sort());
  expect(asked.slice(1)).toEqual([['org:other']]); // org:acme is a row of ours
});

test('a guarded request of a known thing asks nothing, and after scopes.changed it asks again (RB-8)', async () => {
  const { authTuna, browser, asked, parents } = await hostProjects();
  expect((await browser.get('/projects/4')).status).toBe(200);
  expect(asked).toHaveLength(1);
  expect((await browser.get('/projects/4')).status).toBe(200);
  expect(asked).toHaveLength(1);
  parents.set('project:4', 'org:other');
  authTuna.scopes.changed('project:4');
  expect((await browser.get('/projects/4')).status).toBe(403);
  parents.delete('project:4');
  authTuna.scopes.changed('project:4');
  expect((await browser.get('/projects/4')).status).toBe(403);
});

test('a table that does not answer denies with 503 (RB-8)', async () => {
  const { browser, goDown } = await hostProjects();
  goDown();
  expect((await browser.get('/projects/4')).status).toBe(503);
});

test('resolveScope and resolveScopes together are refused at the start', () => {
  expect(() =>
    createAuthTuna({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET],
      resolveScope: async () => null,
      resolveScopes: async () => ({}),
    }),
  ).toThrow(/resolveScopes: does what resolveScope does; keep one of them/);
});
