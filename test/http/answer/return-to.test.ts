import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeReturnTo } from '../../../src/http/answer/return-to.js';

const ORIGIN = 'https://app.example.com';

test.each([
  ['/', '/'],
  ['/projects/42', '/projects/42'],
  ['/search?q=a%20b&next=/x#part', '/search?q=a%20b&next=/x#part'],
  ['/search?next=https://evil.example', '/search?next=https://evil.example'],
  ['/über', '/%C3%BCber'],
  ['/a/../b', '/b'],
  ['/files/a%2Fb', '/files/a%2Fb'],
  ['/@evil.example', '/@evil.example'],
  ['/:80', '/:80'],
])('%s leads to %s', (value, path) => {
  expect(safeReturnTo(value, ORIGIN)).toBe(path);
});

test.each([
  '//evil.example',
  '///evil.example',
  '////evil.example',
  '//evil.example/..',
  '//app.example.com@evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '\\\\evil.example',
  '/\\/evil.example',
  '/a\\..\\..\\evil.example',
  '/\t/evil.example',
  '\t//evil.example',
  '/\n/evil.example',
  '/\r/evil.example',
  '/\r\nLocation: https://evil.example',
  '/\0/evil.example',
  ' //evil.example',
  '/ /evil.example',
  '\u00a0//evil.example',
  '/\u0085/evil.example',
  '/\u2028/evil.example',
  '/%09/evil.example',
  '/%2f/evil.example',
  '/%2F%2Fevil.example',
  '/%5cevil.example',
  '/%5C%5Cevil.example',
  '/%0d%0aevil.example',
  '/%00/evil.example',
  '/%252fevil.example',
  '/%25255cevil.example',
  '/%20/evil.example',
  '/.//evil.example',
  '/..//evil.example',
  '/a/..//evil.example',
  '/%2e//evil.example',
  '/%2e%2e//evil.example',
  '/a/%2e%2e//evil.example',
  '/./%2fevil.example',
  'https:evil.example',
  'https:/evil.example',
  'https://evil.example',
  'HTTPS://evil.example',
  'http://app.example.com',
  'https://app.example.com/x',
  'https://app.example.com@evil.example',
  'https://app.example.com.evil.example',
  'evil.example',
  '.evil.example',
  '@evil.example',
  ':80',
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,x',
  'vbscript:x',
  'blob:https://app.example.com/1',
  'file:///etc/passwd',
  '',
  '?next=/x',
  '#x',
  'x/y',
  '/％０９\\evil',
  `/${'a'.repeat(2048)}`,
])('%j leads home (OA-8, D10)', (value) => {
  expect(safeReturnTo(value, ORIGIN)).toBe('/');
});

test.each([[undefined], [null], [42], [['/x']], [{ toString: () => '/x' }]])(
  '%j, which is no string, leads home (OA-8)',
  (value) => {
    expect(safeReturnTo(value, ORIGIN)).toBe('/');
  },
);

test('whatever is sent, a browser that follows the answer stays on the origin (OA-8)', () => {
  const piece = fc.constantFrom(
    '/',
    '\\',
    '%2f',
    '%5c',
    '.',
    '..',
    '%2e',
    '@',
    ':',
    '\t',
    '%09',
    'evil.example',
    'https:',
    '?',
    '#',
    '／',
    '。',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = safeReturnTo(pieces.join(''), ORIGIN);
      const decodedOnce = path.replace(/%2f|%5c/gi, '/');
      return (
        new URL(path, ORIGIN).origin === ORIGIN &&
        new URL(decodedOnce, ORIGIN).origin === ORIGIN &&
        safeReturnTo(path, ORIGIN) === path
      );
    }),
    { numRuns: 5000 },
  );
});
