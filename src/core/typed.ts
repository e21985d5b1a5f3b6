import { z } from 'zod';

// Spaces, dashes, dots and invisible marks: what people, keyboards and copying put between and around.
const SEPARATORS = /[\p{Z}\p{P}\p{C}\u2212]/gu;
const OUTER = /^[\p{Zs}\p{Cf}]+|[\p{Zs}\p{Cf}]+$/gu;

/**
 * Returns the letters and digits of a code as it was meant: without separators, in capitals, digits of any script as `0` to `9`.
 *
 * Nothing else is left out, so a code with further letters or digits is still a wrong one.
 */
export function typedCode(input: string): string {
  const plain = input.normalize('NFKC').replace(SEPARATORS, '');
  return plain.replace(/\p{Nd}/gu, asciiDigit).toUpperCase();
}

/** Returns a name without the spaces and invisible marks around it. Line breaks stay: they are no slip of the finger. */
export function typedName(input: string): string {
  return input.replace(OUTER, '');
}

/** A schema for a code that a person types; 64 characters leave room for any separators. */
export function codeField() {
  return z.string().min(1).max(64);
}

/** A schema for a username, or what a person signs in with, without what surrounds it by mistake. */
export function nameField(max: number) {
  return z.string().max(max).transform(typedName);
}

/** Decimal digits stand in Unicode in rows of ten, from zero on. */
function asciiDigit(digit: string): string {
  const own = digit.codePointAt(0) ?? 0;
  let zero = own;
  while (own - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(own - zero);
}
