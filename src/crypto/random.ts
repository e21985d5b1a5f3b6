import { randomBytes } from 'node:crypto';

/** Where chance comes from; a test may hand in its own. */
export interface Random {
  /** `size` unpredictable bytes. */
  bytes(size: number): Buffer;
}

export const systemRandom: Random = { bytes: (size) => randomBytes(size) };

const ID_BYTES = 16; // 128 bits: not guessable, no collision to think about

/** A new row id: 22 characters of base64url, safe in a URL and as a scope's id part. */
export function newId(random: Random): string {
  return random.bytes(ID_BYTES).toString('base64url').replace(/^[-_]/, 'x'); // an id never begins like an option or a private name
}
