import { createCipheriv, createHash, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import bcrypt from 'bcrypt';
import { misconfigured } from '../errors.js';

// What an import may ask of a server at each sign-in; a hash that asks for more is not taken over.
const MAX_MEMORY_BYTES = 512 * 2 ** 20;
const MAX_ITERATIONS = 5_000_000;
const MAX_PARALLEL = 16;

/**
 * Compares a password with a hash that another system made.
 *
 * | hash | made by |
 * | --- | --- |
 * | `$argon2id$…`, `$argon2i$…`, `$argon2d$…` | PHC; Laravel, Django (without its prefix). Needs the package `@node-rs/argon2` |
 * | `$scrypt$ln=14,r=16,p=1[,nfkc]$salt$key` | PHC; with `nfkc` the password is normalized first, as Better Auth does |
 * | `$pbkdf2-sha256$i=310000$salt$key` | PHC; `sha1` and `sha512` too |
 * | `$firebase-scrypt$ln=14,r=8$salt$hash$separator$signer key` | Firebase |
 * | `$bcrypt-sha256$<bcrypt hash>` | Django: bcrypt over the SHA-256 of the password in hexadecimal |
 *
 * Salts and keys are base64 without padding. Plain bcrypt hashes are compared by `PasswordHasher` itself.
 *
 * @returns null for a text that is none of these, or asks for more than 512 MB or five million rounds
 * @throws AuthTunaError `misconfigured` for an argon2 hash without the package
 */
export function foreignComparison(stored: string): ((password: string) => Promise<boolean>) | null {
  const [, scheme = '', ...parts] = stored.split('$');
  if (!stored.startsWith('$')) return null;
  if (/^argon2(id|i|d)$/.test(scheme)) return argon2(stored, parts);
  if (scheme === 'scrypt') return scryptComparison(parts);
  if (scheme.startsWith('pbkdf2-')) return pbkdf2Comparison(scheme.slice('pbkdf2-'.length), parts);
  if (scheme === 'firebase-scrypt') return firebaseComparison(parts);
  if (scheme === 'bcrypt-sha256') {
    const hash = `$${parts.slice(1).join('$')}`;
    if (!/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return null;
    return (password) =>
      bcrypt.compare(
        createHash('sha256').update(password, 'utf8').digest('hex'),
        hash.replace('$2y$', '$2b$'),
      );
  }
  return null;
}

function argon2(stored: string, parts: readonly string[]): ((password: string) => Promise<boolean>) | null {
  const settings = parameters(parts.find((part) => part.startsWith('m=')));
  const memory = Number(settings.m) * 1024;
  if (!isWithin(memory, MAX_MEMORY_BYTES) || !isWithin(Number(settings.t), 100)) return null;
  if (!isWithin(Number(settings.p), MAX_PARALLEL)) return null;
  return async (password) => (await loadArgon2()).verify(stored, password);
}

interface Argon2 {
  verify(hash: string, password: string): Promise<boolean>;
}

/** The optional package. @throws AuthTunaError `misconfigured` naming it */
export async function loadArgon2(): Promise<Argon2> {
  try {
    return (await import('@node-rs/argon2')) as Argon2;
  } catch (error) {
    throw misconfigured('argon2 hashes need a package: npm install @node-rs/argon2', error);
  }
}

function scryptComparison([settings, salt, key]: readonly string[]):
  | ((password: string) => Promise<boolean>)
  | null {
  const { ln, r, p, nfkc } = parameters(settings);
  const [rounds, block, parallel] = [Number(ln), Number(r), Number(p)];
  if (salt === undefined || key === undefined || !isWithin(rounds, 24) || !isWithin(parallel, MAX_PARALLEL))
    return null;
  const memory = 128 * 2 ** rounds * block;
  if (!isWithin(block, 64) || !isWithin(memory, MAX_MEMORY_BYTES)) return null;
  const expected = Buffer.from(key, 'base64');
  if (expected.length < MIN_KEY_BYTES || expected.length > MAX_KEY_BYTES) return null;
  const options = { N: 2 ** rounds, r: block, p: parallel, maxmem: 2 * memory + 2 ** 20 };
  return async (password) =>
    isEqual(
      await scryptOf(
        nfkc === undefined ? password : password.normalize('NFKC'),
        Buffer.from(salt, 'base64'),
        expected.length,
        options,
      ),
      expected,
    );
}

function pbkdf2Comparison(
  digest: string,
  [settings, salt, key]: readonly string[],
): ((password: string) => Promise<boolean>) | null {
  const rounds = Number(parameters(settings).i);
  if (!/^sha(1|256|512)$/.test(digest) || !isWithin(rounds, MAX_ITERATIONS)) return null;
  if (salt === undefined || key === undefined) return null;
  const expected = Buffer.from(key, 'base64');
  if (expected.length < MIN_KEY_BYTES || expected.length > MAX_KEY_BYTES) return null;
  return async (password) =>
    isEqual(await pbkdf2Of(password, Buffer.from(salt, 'base64'), rounds, expected.length, digest), expected);
}

/** @see https://github.com/firebase/scrypt: the signer key, encrypted under the derived key, is the hash */
function firebaseComparison([settings, salt, hash, separator, signer]: readonly string[]):
  | ((password: string) => Promise<boolean>)
  | null {
  const { ln, r } = parameters(settings);
  const [rounds, block] = [Number(ln), Number(r)];
  const memory = 128 * 2 ** rounds * block;
  if (salt === undefined || hash === undefined || separator === undefined || signer === undefined)
    return null;
  if (!isWithin(rounds, 24) || !isWithin(block, 64) || !isWithin(memory, MAX_MEMORY_BYTES)) return null;
  const expected = Buffer.from(hash, 'base64');
  const signerKey = Buffer.from(signer, 'base64');
  if (expected.length !== signerKey.length || expected.length < MIN_KEY_BYTES) return null;
  const salted = Buffer.concat([Buffer.from(salt, 'base64'), Buffer.from(separator, 'base64')]);
  const options = { N: 2 ** rounds, r: block, p: 1, maxmem: 2 * memory + 2 ** 20 };
  return async (password) => {
    const key = await scryptOf(password, salted, 64, options);
    const cipher = createCipheriv('aes-256-ctr', key.subarray(0, 32), Buffer.alloc(16));
    return isEqual(Buffer.concat([cipher.update(signerKey), cipher.final()]), expected);
  };
}

const MIN_KEY_BYTES = 16; // a shorter one would fit too many passwords
const MAX_KEY_BYTES = 1024;

const scryptOf = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);
const pbkdf2Of = promisify(pbkdf2);

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function isWithin(value: number, max: number): boolean {
  return Number.isFinite(value) && value >= 1 && value <= max;
}

/** `ln=14,r=8,nfkc` as an object; a name without a value is empty. */
function parameters(text = ''): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [name = '', value = ''] = pair.split('=', 2);
      return [name, value];
    }),
  );
}
