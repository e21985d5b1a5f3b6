import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type PasswordProblem = 'too_short' | 'too_long' | 'common' | 'contextual';

export interface PasswordContext {
  /** Code points. */
  minLength: number;
  /** What an attacker who knows the person tries first: site, username, local part of the address, organization. */
  words: readonly string[];
}

const MAX_CODE_POINTS = 256;
const MAX_BYTES = 1024;

// From src/core and from dist/core alike this is the package's own data folder.
const BLOCKLIST = new URL('../../../data/blocklist.bin', import.meta.url);
const HASH_BYTES = 5; // 280,000 values in 2^40: a stranger is taken for one of them once in four million look-ups

/**
 * Why this password may not be chosen, or null.
 *
 * Length counts code points after NFKC: at least `minLength`, at most 256 and 1,024 bytes of UTF-8. `common` are more
 * than 230,000 values from breaches and 47,000 words and names, the same with a trivial addition
 * (`dragon123!`), and runs of repeated or neighboring keys; `contextual` are the context's words with nothing but
 * trivial additions. Case makes no difference. There are no rules of composition.
 *
 * The list is read from disk each time: 1 ms beside the 200 ms of the hash that follows, and no memory kept.
 * @see NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 6.2.4, 6.2.11, 6.2.12
 */
export function passwordProblem(password: string, context: PasswordContext): PasswordProblem | null {
  if (password.length > 4 * MAX_CODE_POINTS) return 'too_long';
  const normalized = password.normalize('NFKC');
  const codePoints = [...normalized].length;
  if (codePoints > MAX_CODE_POINTS || Buffer.byteLength(normalized, 'utf8') > MAX_BYTES) return 'too_long';
  if (codePoints < context.minLength) return 'too_short';

  const hashes = readFileSync(BLOCKLIST);
  const isListed = (value: string) => contains(hashes, value);
  const folded = normalized.toLowerCase();
  const spellings = [...new Set([folded, withoutLeet(folded), leetToLetters(folded)])];
  if (spellings.some((spelling) => isCommon(spelling, isListed))) return 'common';

  const words = contextWords(context.words);
  return spellings.some((spelling) => isContextual(spelling, words, isListed)) ? 'contextual' : null;
}

type IsListed = (value: string) => boolean;

const MIN_STEM = 4; // what is left of `ab12345678` is no word

function isCommon(value: string, isListed: IsListed): boolean {
  if (isListed(value) || isRun(value)) return true;

  const unit = repeatedUnit(value);
  if (unit !== null && (unit.length <= MIN_STEM || isListed(unit))) return true;

  const { before, stem, after } = withoutAdditions(value);
  if (stem.length < MIN_STEM || stem.length === value.length) return false;
  const stemUnit = repeatedUnit(stem);
  return (
    isTrivial(before) && isTrivial(after) && (isListed(stem) || (stemUnit !== null && isListed(stemUnit)))
  );
}

/** Whether taking the words out leaves only digits, punctuation, runs and listed words. */
function isContextual(value: string, words: readonly string[], isListed: IsListed): boolean {
  // Line breaks mark where a word was and keep the rest from growing together.
  const rest = words.reduce((text, word) => text.replaceAll(word, '\n'), value.replaceAll('\n', ' '));
  if (!rest.includes('\n')) return false;

  return rest.split('\n').every((piece) => {
    const { before, stem, after } = withoutAdditions(piece);
    return isTrivial(before) && isTrivial(after) && (stem.length <= 2 || isRun(stem) || isListed(stem));
  });
}

/** The words whole and in parts (`ada.lovelace`, `ada`, `lovelace`), longest first; under 3 letters they say nothing. */
function contextWords(words: readonly string[]): string[] {
  const folded = words.map((word) => word.slice(0, MAX_CODE_POINTS).normalize('NFKC').toLowerCase());
  const parts = folded.flatMap((word) => [
    word,
    word.replace(/[^\p{L}\p{N}]/gu, ''),
    ...word.split(/[^\p{L}\p{N}]+/u),
  ]);
  return [...new Set(parts)].filter((part) => part.length >= 3).sort((a, b) => b.length - a.length);
}

const MAX_TRIVIAL = 4; // `2024`, `123!`

/** Whether an addition is one that everybody makes: up to four digits or signs, a run, a date, one sign held down. */
function isTrivial(addition: string): boolean {
  if (addition.length <= MAX_TRIVIAL) return !/\p{L}/u.test(addition);
  if (isRun(addition)) return true;
  const [, digits] = /^[^\p{L}\p{N}]{0,4}(\p{N}[^\p{L}]*?)[^\p{L}\p{N}]{0,4}$/u.exec(addition) ?? [];
  return digits !== undefined && (digits.length <= MAX_TRIVIAL || isRun(digits) || isDate(digits));
}

/** `19151210`, `10.12.1915`: a birthday or a wedding. */
function isDate(text: string): boolean {
  return /^(?:(?:19|20)\d{2}[-./]?\d{2}[-./]?\d{2}|\d{2}[-./]?\d{2}[-./]?(?:19|20)\d{2})$/.test(text);
}

// Neighbors by value and by keyboard, forwards and backwards.
const LINES = [
  '0123456789012345678901234567890',
  'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnmqwertyuiop',
  'qwertzuiopasdfghjklyxcvbnmqwertzuiop',
  'azertyuiopqsdfghjklmwxcvbnazertyuiop',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  '1q2w3e4r5t6y7u8i9o0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  '!@#$%^&*()_+',
].flatMap((line) => [line, [...line].reverse().join('')]);

const MIN_WALK = 4;

/** Whether the value is made of walks over keys or values, or of one key held down, four or more at a time. */
function isRun(value: string): boolean {
  let start = 0;
  while (start < value.length) {
    const length = walkLength(value, start);
    // What is shorter than a walk may only end the value, after one.
    if (length < MIN_WALK && (start === 0 || start + length < value.length)) return false;
    start += length;
  }
  return value.length >= MIN_WALK;
}

/** How far from here one line can be followed. */
function walkLength(value: string, start: number): number {
  let longest = 1;
  // Printable ASCII only: held-down keys are what breaches are full of.
  const held = value[start] ?? '';
  while (/[ -~]/.test(held) && value[start + longest] === held) longest += 1;
  for (const line of LINES) {
    while (line.includes(value.slice(start, start + longest + 1)) && start + longest < value.length)
      longest += 1;
  }
  return longest;
}

/** The shortest text of which the value is two or more repetitions, the last perhaps cut short; ASCII, else null. */
function repeatedUnit(value: string): string | null {
  if (!/^[ -~]+$/.test(value)) return null;
  // Border of each prefix (Knuth, Morris, Pratt), so that the search is linear.
  const borders = [0];
  for (let end = 1; end < value.length; end += 1) {
    let border = borders[end - 1] ?? 0;
    while (border > 0 && value[border] !== value[end]) border = borders[border - 1] ?? 0;
    borders.push(value[border] === value[end] ? border + 1 : 0);
  }
  const period = value.length - (borders.at(-1) ?? 0);
  return period * 2 <= value.length ? value.slice(0, period) : null;
}

/** The value between the digits and signs at its ends. */
function withoutAdditions(value: string): { before: string; stem: string; after: string } {
  const [before = ''] = /^[^\p{L}]+/u.exec(value) ?? [];
  const inner = value.slice(before.length);
  const letters = [...inner];
  const last = letters.findLastIndex((letter) => /\p{L}/u.test(letter));
  const stem = letters.slice(0, last + 1).join('');
  return { before, stem, after: inner.slice(stem.length) };
}

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
};

/** `p@ssw0rd` as `password`; digits and signs at the ends are additions, not letters. */
function withoutLeet(value: string): string {
  const { before, stem, after } = withoutAdditions(value);
  return before + leetToLetters(stem) + after;
}

function leetToLetters(value: string): string {
  return value.replace(/[013457@$]/g, (sign) => LEET[sign] ?? sign);
}

/** Binary search among the sorted hashes. */
function contains(hashes: Buffer, value: string): boolean {
  const wanted = createHash('sha256').update(value, 'utf8').digest().readUIntBE(0, HASH_BYTES);
  let low = 0;
  let high = hashes.length / HASH_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const hash = hashes.readUIntBE(middle * HASH_BYTES, HASH_BYTES);
    if (hash === wanted) return true;
    if (hash < wanted) low = middle + 1;
    else high = middle;
  }
  return false;
}
