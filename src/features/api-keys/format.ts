import { crc32 } from 'node:zlib';
import { equalInConstantTime, hmac, sha256 } from '../../crypto/digest.js';
import type { Key, KeyRing } from '../../crypto/key-ring.js';
import type { Random } from '../../crypto/random.js';

/** What a key is for; see docs/api-keys.md. */
export const KEY_KINDS = ['secret', 'publishable', 'master', 'test'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/** The word of each kind in a key, so that a scanner and a person can tell them apart. */
const WORDS: Readonly<Record<KeyKind, string>> = {
  secret: 'live',
  publishable: 'pub',
  master: 'master',
  test: 'test',
};

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_ID = 7; // 42 bits: with the unique index, no two keys share an id
const CHECKED_ID = 5; // 30 bits that only a holder of the secrets can compute
const SECRET = 43; // 256 bits
const CHECKSUM = 6; // CRC-32
const MAX_LENGTH = 128;

/** The text of a key, taken apart. */
export interface ParsedKey {
  id: string;
  /** Digest of the whole key, to be compared with the stored one. */
  hash: string;
}

export interface NewKey extends ParsedKey {
  /** The key itself: shown once, never stored. */
  key: string;
  /** The first characters, to recognize it. */
  start: string;
  /** Names the secret behind the digest in the id. */
  kid: string;
}

/**
 * Makes and reads API keys: `at_live_<id>_<secret>_<checksum>`, each part in letters and digits.
 *
 * The checksum is the CRC-32 of the text before it, for typing errors and for scanners; it is no protection. The last five characters of the
 * id are a keyed digest of the first seven, so an id that was never given out is told from a real one without a query.
 * @see docs/requirements.md AK-1, AK-2
 */
export class KeyFormat {
  readonly #keys: KeyRing;
  readonly #random: Random;
  readonly #prefix: string;
  readonly #shape: RegExp;

  constructor(keys: KeyRing, random: Random, prefix: string) {
    this.#keys = keys;
    this.#random = random;
    this.#prefix = prefix;
    const words = Object.values(WORDS).join('|');
    const part = (length: number) => `[0-9A-Za-z]{${length}}`;
    this.#shape = new RegExp(
      `^(${prefix}_(?:${words})_(${part(RANDOM_ID + CHECKED_ID)})_${part(SECRET)})_(${part(CHECKSUM)})$`,
    );
  }

  /** A key of a kind with a new id. */
  create(kind: KeyKind): NewKey {
    const random = this.#characters(RANDOM_ID);
    const key = this.#keys.current('key_id');
    return { ...this.withId(kind, random + digestOf(key, random)), kid: key.kid };
  }

  /** Another key with an id that is in use. */
  withId(kind: KeyKind, id: string): Omit<NewKey, 'kid'> {
    const start = `${this.#prefix}_${WORDS[kind]}_${id}`;
    const body = `${start}_${this.#characters(SECRET)}`;
    const key = `${body}_${checksumOf(body)}`;
    return { key, id, start, hash: sha256(key) };
  }

  /** Whether a text begins like a key of ours, whatever else is wrong with it. */
  looksLikeKey(text: string): boolean {
    return text.startsWith(`${this.#prefix}_`);
  }

  /** The parts, or null for a text that is not a key of ours or has a wrong checksum. Asks nothing but the text. */
  parse(text: string): ParsedKey | null {
    if (text.length > MAX_LENGTH) return null;
    const [, body, id, checksum] = this.#shape.exec(text) ?? [];
    if (body === undefined || id === undefined || checksum !== checksumOf(body)) return null;
    return { id, hash: sha256(text) };
  }

  /** Whether an id was given out under one of the configured secrets. */
  isKnownId(id: string): boolean {
    const random = id.slice(0, RANDOM_ID);
    const digest = id.slice(RANDOM_ID);
    return this.#keys.all('key_id').some((key) => equalInConstantTime(digestOf(key, random), digest));
  }

  /** Letters and digits, each equally likely. */
  #characters(length: number): string {
    let text = '';
    while (text.length < length) {
      for (const byte of this.#random.bytes(length)) {
        // 248 is the largest multiple of 62 in a byte; larger values would make some characters likelier than others.
        if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
      }
    }
    return text;
  }
}

function digestOf(key: Key, random: string): string {
  return base62(hmac(key.bytes, random).readUIntBE(0, 6), CHECKED_ID);
}

function checksumOf(body: string): string {
  return base62(crc32(body), CHECKSUM);
}

/** The last `length` digits of a number to the base 62. */
function base62(value: number, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest = Math.floor(rest / 62))
    text = ALPHABET[rest % 62] + text;
  return text;
}
