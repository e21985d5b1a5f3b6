import type { Random } from '../../crypto/random.js';

/** No vowels, so that no word comes of it, and no digits, so that none is taken for a letter. @see RFC 8628 section 6.1 */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const LENGTH = 8; // 20^8 is 34 bits, of which a person may try 30 in ten minutes
const UNBIASED = 256 - (256 % LETTERS.length);

/** A new code, as it is shown: `WDJB-MJHT`. */
export function newUserCode(random: Random): string {
  let letters = '';
  while (letters.length < LENGTH)
    for (const byte of random.bytes(LENGTH))
      if (byte < UNBIASED && letters.length < LENGTH) letters += LETTERS[byte % LETTERS.length];
  return shown(letters);
}

/** A code as a person typed it, in the spelling of {@link newUserCode}; null for what cannot be one. */
export function parseUserCode(typed: string): string | null {
  const letters = typed.toUpperCase().replace(/[\s-]/g, '');
  const isCode = letters.length === LENGTH && [...letters].every((letter) => LETTERS.includes(letter));
  return isCode ? shown(letters) : null;
}

function shown(letters: string): string {
  return `${letters.slice(0, LENGTH / 2)}-${letters.slice(LENGTH / 2)}`;
}
