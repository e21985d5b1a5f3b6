import { typedCode } from '../../core/typed.js';
import type { Random } from '../../crypto/random.js';

// Crockford's alphabet: what is read aloud or copied by hand cannot be mistaken, and I, L, O are read as 1, 1, 0.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const SECRET_CHARACTERS = 16; // 80 bits
const SHAPE = new RegExp(`^(\\d{2})([${ALPHABET}]{${SECRET_CHARACTERS}})$`);

/** One code: its number finds the row, its secret is hashed. */
export interface RecoveryCode {
  number: number;
  secret: string;
}

/** Codes numbered from 1. */
export function newRecoveryCodes(random: Random, count: number): RecoveryCode[] {
  return Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    // 32 letters divide a byte's 256 values evenly.
    secret: [...random.bytes(SECRET_CHARACTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join(''),
  }));
}

/** `NN-XXXX-XXXX-XXXX-XXXX` */
export function printRecoveryCode({ number, secret }: RecoveryCode): string {
  return [String(number).padStart(2, '0'), ...(secret.match(/.{4}/g) ?? [])].join('-');
}

/** Reads what a person typed: any case, with or without separators; null for anything that is no recovery code. */
export function parseRecoveryCode(text: string): RecoveryCode | null {
  const plain = typedCode(text).replace(/[IL]/g, '1').replace(/O/g, '0');
  const match = SHAPE.exec(plain);
  return match === null ? null : { number: Number(match[1]), secret: match[2] as string };
}
