import { crc32 } from 'node:zlib';

export const DAY = 86_400;

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The checksum of a key, worked out as a scanner does: CRC-32 of the text before it, six digits to the base 62. */
export function crc62(body: string): string {
  let text = '';
  for (let rest = crc32(body); text.length < 6; rest = Math.floor(rest / 62))
    text = ALPHABET[rest % 62] + text;
  return text;
}
