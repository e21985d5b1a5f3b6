import { expect, test } from 'vitest';
import { KeyRing } from '../../src/crypto/key-ring.js';

const FIRST = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
const SECOND = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';
const PURPOSES = ['sess', 'rot', 'csrf', 'enc', 'pepper', 'lookup', 'device', 'bus'] as const;

test('every purpose has a key of its own from every secret (SM-4)', () => {
  const ring = new KeyRing([FIRST, SECOND]);
  const keys = PURPOSES.flatMap((purpose) => ring.all(purpose).map((key) => key.bytes.toString('hex')));
  expect(new Set(keys).size).toBe(PURPOSES.length * 2);
  for (const key of keys) expect(key.length).toBeGreaterThanOrEqual(64);
});

test('the first secret signs, all are found by their kid, an unknown kid is null (SM-2)', () => {
  const old = new KeyRing([FIRST]);
  const rotated = new KeyRing([SECOND, FIRST]);
  const { kid, bytes } = old.current('sess');
  expect(rotated.current('sess').kid).not.toBe(kid);
  expect(rotated.find('sess', kid)?.bytes.equals(bytes)).toBe(true);
  expect(new KeyRing([SECOND]).find('sess', kid)).toBeNull();
  for (const odd of ['', '__proto__', 'constructor', '../../dev/null', 'x'.repeat(10_000)])
    expect(rotated.find('sess', odd)).toBeNull();
});

test('a kid tells nothing of its secret, and a ring that is logged prints no key', () => {
  const ring = new KeyRing([FIRST]);
  const { kid } = ring.current('sess');
  expect(FIRST).not.toContain(kid);
  expect(new KeyRing([FIRST, SECOND]).current('sess').kid).toBe(kid);
  expect(new KeyRing([SECOND]).current('sess').kid).not.toBe(kid);
  expect(JSON.stringify(ring)).toBe('{}');
});

test('a lookup digest is keyed and steady', () => {
  expect(new KeyRing([FIRST]).lookup('a')).toBe(new KeyRing([FIRST, SECOND]).lookup('a'));
  expect(new KeyRing([FIRST]).lookup('a')).not.toBe(new KeyRing([SECOND]).lookup('a'));
});
