import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isPermissionName,
  isPermissionPattern,
  isScope,
  matches,
  parseScope,
} from '../../../src/core/access/scope-name.js';
import { filled, growthOf } from '../../support/linear.js';

describe('scopes', () => {
  test('a scope is a type and an id', () => {
    expect(parseScope('project:42')).toEqual({ type: 'project', id: '42' });
    expect(parseScope('my_doc-type2:A.b_c~d-9')).toEqual({ type: 'my_doc-type2', id: 'A.b_c~d-9' });
    expect(parseScope(`org:${'x'.repeat(128)}`)?.id).toHaveLength(128);
  });

  test('global is a kind of its own (RB-3)', () => {
    expect(parseScope('global')).toEqual({ type: 'global', id: '' });
    expect(parseScope('global:1')).toBeNull();
    expect(parseScope('Global')).toBeNull();
  });

  test.each([
    'A%2Fteam:1',
    'team:A%2Fb',
    '*',
    'org:*',
    'org:',
    ':1',
    'org',
    '',
    'org:1//x',
    'org:1/x',
    'org:1:2',
    'org:1\0',
    'org:1\n',
    '\norg:1',
    'Org:1',
    '1org:1',
    '-org:1',
    'org:é',
    'оrg:1',
    'org :1',
    'org: 1',
    `org:${'x'.repeat(129)}`,
    `${'t'.repeat(65)}:1`,
  ])('%j is no scope (RB-3)', (scope) => {
    expect(parseScope(scope)).toBeNull();
    expect(isScope(scope)).toBe(false);
  });

  test.each([[['org:1']], [{ toString: () => 'org:1' }], [null], [undefined], [1]])(
    '%j, which is no string, is no scope (RB-3)',
    (scope) => {
      expect(isScope(scope)).toBe(false);
    },
  );

  test('what parses is spelled exactly as its parts', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const name = parseScope(text);
        return name === null || text === 'global' || `${name.type}:${name.id}` === text;
      }),
    );
  });
});

describe('permissions', () => {
  test.each(['project:read', 'org:teams:invite', 'a-b_c:1'])('%s is a permission', (name) => {
    expect(isPermissionName(name)).toBe(true);
    expect(isPermissionPattern(name)).toBe(false);
  });

  test.each([
    'read',
    'project:',
    ':read',
    'project::read',
    'Project:read',
    'project:*',
    '*',
    'a b:c',
    'a:b\n',
    '',
    `a:${'b'.repeat(99)}`,
    ['a:b'],
    null,
  ])('%j is no permission', (name) => {
    expect(isPermissionName(name)).toBe(false);
  });

  test.each(['*', 'project:*', 'org:teams:*'])('%s is a pattern', (pattern) => {
    expect(isPermissionPattern(pattern)).toBe(true);
  });

  test.each(['project*', '*:read', 'project:*:read', 'project:r*', '**', ':*', 'project:**', null])(
    '%j is no pattern',
    (pattern) => {
      expect(isPermissionPattern(pattern)).toBe(false);
    },
  );

  test.each([
    ['*', 'project:read', true],
    ['project:*', 'project:read', true],
    ['project:*', 'project:files:read', true],
    ['project:*', 'projects:read', false],
    ['project:read', 'project:read', true],
    ['project:read', 'project:reads', false],
    ['project:read', 'project:read:all', false],
    ['*', 'project:*', true],
    ['project:*', 'project:*', true],
    ['project:*', 'project:files:*', true],
    ['project:files:*', 'project:*', false],
    ['project:*', '*', false],
    ['project:read', 'project:*', false],
  ])('%s covers %s: %s', (pattern, permission, covered) => {
    expect(matches(pattern, permission)).toBe(covered);
  });
});

test('the time for hostile text grows with its length and no faster (DO-4)', () => {
  const work = (text: string) => {
    parseScope(text);
    isPermissionName(text);
    isPermissionPattern(text);
    isPermissionPattern(`${text}:*`);
  };
  for (const part of ['a:', 'a', 'a-', ':']) expect(growthOf(filled(part), work), part).toBeLessThan(30);
});
