import { createHash, pbkdf2Sync, scryptSync } from 'node:crypto';
import { hash as argon2 } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import { expect, test } from 'vitest';
import { foreignComparison } from '../../src/crypto/foreign-hash.js';
import { KeyRing } from '../../src/crypto/key-ring.js';
import { PasswordHasher } from '../../src/crypto/password-hash.js';
import { firebaseHash, recognizeHash } from '../../src/crypto/recognize-hash.js';

const PASSWORD = 'pässword of the old days';
const SALT = 'q8Jr2VfT6yLx0Hn4';

/** The hashes of other systems for PASSWORD, as those systems write them. */
async function foreignHashes(): Promise<Record<string, string>> {
  const hexSalt = '0123456789abcdef0123456789abcdef';
  const betterAuth = scryptSync(PASSWORD.normalize('NFKC'), hexSalt, 64, {
    N: 16384,
    r: 16,
    p: 1,
    maxmem: 2 ** 27,
  });
  const pbkdf2 = (digest: string, length: number) => pbkdf2Sync(PASSWORD, SALT, 1000, length, digest);
  const scrypt = scryptSync(PASSWORD, SALT, 64, { N: 2 ** 10, r: 8, p: 1 });
  return {
    bcrypt: await bcrypt.hash(PASSWORD, 4),
    'laravel (2y)': (await bcrypt.hash(PASSWORD, 4)).replace('$2b$', '$2y$'),
    argon2id: await argon2(PASSWORD, { memoryCost: 1024, timeCost: 2, parallelism: 1 }),
    'better-auth': `${hexSalt}:${betterAuth.toString('hex')}`,
    'django pbkdf2': `pbkdf2_sha256$1000$${SALT}$${pbkdf2('sha256', 32).toString('base64')}`,
    'django argon2': `argon2${await argon2(PASSWORD, { memoryCost: 1024, timeCost: 2, parallelism: 1 })}`,
    'django scrypt': `scrypt$1024$${SALT}$8$1$${scrypt.toString('base64')}`,
    'django bcrypt_sha256': `bcrypt_sha256$${await bcrypt.hash(createHash('sha256').update(PASSWORD).digest('hex'), 4)}`,
    'werkzeug pbkdf2': `pbkdf2:sha256:1000$${SALT}$${pbkdf2('sha256', 32).toString('hex')}`,
    'werkzeug scrypt': `scrypt:1024:8:1$${SALT}$${scrypt.toString('hex')}`,
    passlib: `$pbkdf2-sha512$1000$${Buffer.from(SALT).toString('base64').replaceAll('+', '.').replaceAll('=', '')}$${pbkdf2('sha512', 64).toString('base64').replaceAll('+', '.').replaceAll('=', '')}`,
    phc: `$pbkdf2-sha1$i=1000,l=20$${Buffer.from(SALT).toString('base64').replaceAll('=', '')}$${pbkdf2('sha1', 20).toString('base64').replaceAll('=', '')}`,
  };
}

function hasher(): PasswordHasher {
  return new PasswordHasher(new KeyRing(['Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA']), { cost: 4, concurrency: 2 });
}

test('hashes of twelve kinds are compared as the other system made them, and are due for replacement', async () => {
  for (const [system, written] of Object.entries(await foreignHashes())) {
    const stored = recognizeHash(written);
    expect(stored, system).not.toBeNull();
    expect(await hasher().verify(PASSWORD, stored), system).toBe(true);
    expect(await hasher().verify(`${PASSWORD}.`, stored), system).toBe(false);
    expect(hasher().isOutdated(stored ?? ''), system).toBe(true);
  }
});

test('a hash of Firebase is compared: the example of its own repository', async () => {
  const stored = firebaseHash(
    'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
    '42xEC+ixf3L2lw==',
    {
      signerKey: 'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
      saltSeparator: 'Bw==',
      rounds: 8,
      memCost: 14,
    },
  );
  expect(await hasher().verify('user1password', stored)).toBe(true);
  expect(await hasher().verify('user2password', stored)).toBe(false);
});

test('a hash that would cost too much, is too short, or is of no known kind is not taken over (DO-1)', () => {
  const key = Buffer.alloc(32).toString('base64');
  for (const text of [
    '',
    'hunter2',
    '5f4dcc3b5aa765d61d8327deb882cf99',
    'md5$salt$5f4dcc3b5aa765d61d8327deb882cf99',
    '$2b$10$tooshort',
    `$pbkdf2-sha256$i=900000000$c2FsdA$${key}`,
    `$pbkdf2-md5$i=1000$c2FsdA$${key}`,
    `$scrypt$ln=24,r=64,p=1$c2FsdA$${key}`,
    '$scrypt$ln=14,r=8,p=1$c2FsdA$AAAA',
    '$argon2id$v=19$m=99999999,t=3,p=1$c2FsdHNhbHQ$AAAA',
    'hmac384-bcrypt$nfkc$k1$x',
  ])
    expect(recognizeHash(text), text).toBeNull();
  expect(foreignComparison('no hash')).toBeNull();
});
