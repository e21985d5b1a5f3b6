import { equalInConstantTime, sha256 } from './digest.js';
import type { Random } from './random.js';

const ID_BYTES = 12; // 96 bits to find the row by; the index lookup may leak its timing, the secret does not pass through it
const SECRET_BYTES = 32;

export interface SplitToken {
  /** What the holder gets, once: `<id>.<secret>` */
  token: string;
  id: string;
  /** What is stored. */
  secretHash: string;
}

/** A token whose id finds the row and whose secret is compared in constant time. @see docs/requirements.md EM-1 */
export function issueSplitToken(random: Random): SplitToken {
  const id = random.bytes(ID_BYTES).toString('base64url');
  const secret = random.bytes(SECRET_BYTES).toString('base64url');
  return { token: `${id}.${secret}`, id, secretHash: sha256(secret) };
}

const SHAPE = /^([\w-]{16})\.([\w-]{43})$/;

/** The two halves, or null for anything that has not the shape of a token. */
export function parseSplitToken(token: string): { id: string; secretHash: string } | null {
  const match = token.length > 64 ? null : SHAPE.exec(token);
  return match === null ? null : { id: match[1]!, secretHash: sha256(match[2]!) };
}

export function secretMatches(presentedHash: string, storedHash: string): boolean {
  return equalInConstantTime(presentedHash, storedHash);
}
