import { expect, test } from 'vitest';
import { KeyRing } from '../../src/crypto/key-ring.js';
import { systemRandom } from '../../src/crypto/random.js';
import { Vault } from '../../src/crypto/vault.js';

const FIRST = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
const SECOND = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';
const vaultOf = (...secrets: string[]) => new Vault(new KeyRing(secrets), systemRandom);
const place = ['Totp', 'seed', 'user-1'];

test('what is sealed opens at its own place only (SM-3)', () => {
  const vault = vaultOf(FIRST);
  const sealed = vault.seal('the seed 🔑', place);
  expect(vault.open(sealed, place)).toBe('the seed 🔑');
  expect(vault.open(sealed, ['Totp', 'seed', 'user-2'])).toBeNull();
  // The parts of a place are joined unambiguously.
  expect(vault.open(sealed, ['Totp', 'seeduser-1'])).toBeNull();
  expect(vault.open(sealed, ['Totp', 'seed,user-1'])).toBeNull();
  expect(sealed).not.toContain('seed');
  expect(vault.seal('the seed 🔑', place)).not.toBe(sealed);
});

test('a flipped bit, a cut tag, another key and nonsense are refused, never an error (SM-3)', () => {
  const vault = vaultOf(FIRST);
  const sealed = vault.seal('text', place);
  const [version, kid, ...parts] = sealed.split('.');
  for (const [index, part] of parts.entries()) {
    const bytes = Buffer.from(part, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const changed = parts.map((each, other) => (other === index ? flipped.toString('base64url') : each));
      expect(vault.open([version, kid, ...changed].join('.'), place)).toBeNull();
    }
  }
  const [nonce, ciphertext, tag = ''] = parts;
  for (const short of [tag.slice(0, 6), tag.slice(0, 16), ''])
    expect(vault.open([version, kid, nonce, ciphertext, short].join('.'), place)).toBeNull();
  for (const odd of [
    '',
    '.',
    'v1',
    'v1....',
    'v2.x.y.z.t',
    sealed.replace('v1', 'v0'),
    `v1.${'A'.repeat(8)}.${parts.join('.')}`,
    '\0'.repeat(100),
  ])
    expect(vault.open(odd, place), odd).toBeNull();
  expect(vaultOf(SECOND).open(sealed, place)).toBeNull();
});

test('an older secret still opens; what it sealed is known to be old (SM-2)', () => {
  const sealed = vaultOf(FIRST).seal('text', place);
  const rotated = vaultOf(SECOND, FIRST);
  expect(rotated.open(sealed, place)).toBe('text');
  expect(rotated.isCurrent(sealed)).toBe(false);
  expect(rotated.isCurrent(rotated.seal('text', place))).toBe(true);
});
