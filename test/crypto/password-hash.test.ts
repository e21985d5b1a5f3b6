import bcrypt from 'bcrypt';
import { expect, onTestFinished, test, vi } from 'vitest';
import { KeyRing } from '../../src/crypto/key-ring.js';
import { PasswordHasher } from '../../src/crypto/password-hash.js';

const FIRST = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
const SECOND = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';
const hasherOf = (secrets: string[], more: { cost?: number; pepper?: string; concurrency?: number } = {}) =>
  new PasswordHasher(new KeyRing(secrets), { cost: 4, concurrency: 2, ...more });

test('nothing is cut at 72 bytes (PW-3)', async () => {
  const hasher = hasherOf([FIRST]);
  for (const head of ['a'.repeat(72), '🔑'.repeat(18)]) {
    const stored = await hasher.hash(`${head}X and more`);
    expect(await hasher.verify(`${head}X and more`, stored)).toBe(true);
    expect(await hasher.verify(`${head}Y and more`, stored)).toBe(false);
    expect(await hasher.verify(head, stored)).toBe(false);
  }
  expect(await hasher.verify('a\0c', await hasher.hash('a\0b'))).toBe(false); // bcrypt would end at the zero byte
});

test('one password in two Unicode forms is one password; case and spaces count (PW-2)', async () => {
  const hasher = hasherOf([FIRST]);
  const stored = await hasher.hash('caf\u00e9 au lait ');
  expect(await hasher.verify('cafe\u0301 au lait ', stored)).toBe(true);
  expect(await hasher.verify('caf\u00e9 au lait', stored)).toBe(false);
  expect(await hasher.verify('Caf\u00e9 au lait ', stored)).toBe(false);
});

test('the row names scheme, key and cost; two hashes of one password differ; without the pepper nothing verifies (PW-4)', async () => {
  const hasher = hasherOf([FIRST], { pepper: 'a pepper of its own' });
  const stored = await hasher.hash('correct horse battery');
  expect(stored).toMatch(/^hmac384-bcrypt\$nfkc\$[\w-]{8}\$\$2b\$04\$/);
  expect(await hasher.hash('correct horse battery')).not.toBe(stored);
  expect(
    await hasherOf([SECOND], { pepper: 'a pepper of its own' }).verify('correct horse battery', stored),
  ).toBe(false);
  expect(await hasherOf([FIRST]).verify('correct horse battery', stored)).toBe(false);
  expect(
    await hasherOf([SECOND, FIRST], { pepper: 'a pepper of its own' }).verify(
      'correct horse battery',
      stored,
    ),
  ).toBe(true);
});

test("a weaker cost, an older secret and an import are outdated; today's is not (PW-5)", async () => {
  const hasher = hasherOf([SECOND, FIRST], { cost: 5 });
  expect(hasher.isOutdated(await hasher.hash('x'))).toBe(false);
  expect(hasher.isOutdated(await hasherOf([SECOND], { cost: 4 }).hash('x'))).toBe(true);
  expect(hasher.isOutdated(await hasherOf([FIRST], { cost: 5 }).hash('x'))).toBe(true);
  expect(hasher.isOutdated(await bcrypt.hash('x', 5))).toBe(true);
});

test('an imported bcrypt hash verifies, but never for more than 72 bytes (PW-3)', async () => {
  const hasher = hasherOf([FIRST]);
  const head = 'a'.repeat(72);
  const imported = await bcrypt.hash(head, 4);
  expect(await hasher.verify(head, imported)).toBe(true);
  expect(await hasher.verify(`${head}b`, imported)).toBe('too_long');
  expect(await hasher.verify('anything', null)).toBe(false);
  for (const odd of ['', 'garbage', '$2b$04$', 'hmac384-bcrypt$nfkc$x$garbage'])
    expect(await hasher.verify('anything', odd), odd).toBe(false);
});

test('a comparison is as much work as one of today’s cost, whatever the stored hash cost, and where there is none (LG-1)', async () => {
  const hasher = hasherOf([FIRST], { cost: 8 });
  const spent: number[] = [];
  const { hash, compare } = bcrypt;
  const costOf = (stored: string) => Number(/^\$2.\$(\d\d)/.exec(stored)?.[1] ?? 0);
  vi.spyOn(bcrypt, 'hash').mockImplementation((async (input: string, cost: number) => {
    spent.push(2 ** cost);
    return hash(input, cost);
  }) as never);
  vi.spyOn(bcrypt, 'compare').mockImplementation((async (input: string, stored: string) => {
    spent.push(2 ** costOf(stored));
    return compare(input, stored);
  }) as never);
  onTestFinished(() => void vi.restoreAllMocks());
  for (const stored of [
    null,
    await hasherOf([FIRST], { cost: 8 }).hash('x'),
    await hash('x', 4),
    await hash('x', 7),
    await hasherOf([FIRST], { cost: 5 }).hash('x'),
  ]) {
    spent.length = 0;
    await hasher.verify('y', stored);
    expect(
      spent.reduce((sum, work) => sum + work, 0),
      String(stored),
    ).toBe(2 ** 8);
  }
});
