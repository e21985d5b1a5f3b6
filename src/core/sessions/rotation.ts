import { equalInConstantTime } from '../../crypto/digest.js';
import type { SessionRow } from './session-row.js';
import type { SessionClaims } from './session-token.js';

/** What of a session's row decides about a cookie. */
export type RotationState = Pick<
  SessionRow,
  'generation' | 'salt' | 'previousSalt' | 'rotatedAt' | 'acknowledgedAt' | 'hardRotatedAt' | 'lockedAt'
>;

/** Seconds; of `session` in the options. */
export interface RotationSettings {
  /** 0 turns rotation off. */
  rotateSeconds: number;
  rotationGraceSeconds: number;
  rotationForgiveSeconds: number;
}

/** What is known of one request when its cookie is judged. */
export interface RotationFacts {
  now: Date;
  /** Whether the answer can carry a new cookie. */
  mayRotate: boolean;
  /** Gives the string that the cookie of a generation must carry; null when the key of the salt is no longer configured. */
  rotatingString(generation: number, salt: string): string | null;
  /** A number from 0 up to 1 that only the server knows, another one for each generation. */
  rotationShare(generation: number, salt: string): number;
}

/** What a cookie with our signature is worth. */
export type Ruling =
  /** The cookie of the row, and what is due with it. */
  | { cookie: 'current'; due: 'acknowledgement' | 'rotation' | null }
  /** The cookie before, while its successor has not been seen: the answer that carried it may have been lost. */
  | { cookie: 'waiting' }
  /** The cookie before, shortly after its successor was seen: the request was under way. */
  | { cookie: 'straggler' }
  /** An old cookie that is no longer accepted, and no proof of a copy yet. */
  | { cookie: 'superseded' }
  /** An old cookie that no honest browser shows any more. */
  | { cookie: 'copy' }
  /** A cookie that this row cannot have given out: forged with a leaked key, or the row is behind. */
  | { cookie: 'impossible'; reason: 'ahead_of_database' | 'wrong_rotating_string' };

/**
 * Judges a cookie by its row: "acknowledge on use, single live successor". Pure; `SessionVerifier` acts on the ruling.
 *
 * @see docs/sessions.md#the-protocol; docs/requirements.md SS-2 to SS-7
 */
export function judge(
  row: RotationState,
  claims: Pick<SessionClaims, 'generation' | 'rotating'>,
  settings: RotationSettings,
  facts: RotationFacts,
): Ruling {
  const behind = row.generation - claims.generation;
  if (behind < 0) return { cookie: 'impossible', reason: 'ahead_of_database' };
  const sinceSeen =
    row.acknowledgedAt === null ? null : (facts.now.getTime() - row.acknowledgedAt.getTime()) / 1000;
  const old: Ruling =
    sinceSeen === null || sinceSeen <= settings.rotationForgiveSeconds
      ? { cookie: 'superseded' }
      : { cookie: 'copy' };
  // Also from two before: the very request that was elevated may have been due for a rotation, beside others that were on their way.
  if (behind > 0 && row.hardRotatedAt?.getTime() === row.rotatedAt.getTime()) return old;
  if (behind >= 2) return { cookie: 'copy' };
  const salt = behind === 0 ? row.salt : row.previousSalt;
  const expected = salt === null ? null : facts.rotatingString(claims.generation, salt);
  if (expected === null || !equalInConstantTime(claims.rotating, expected))
    return { cookie: 'impossible', reason: 'wrong_rotating_string' };

  if (behind === 0) return { cookie: 'current', due: dueFor(row, settings, facts) };
  if (sinceSeen === null) return { cookie: 'waiting' };
  return sinceSeen <= settings.rotationGraceSeconds ? { cookie: 'straggler' } : old;
}

function dueFor(
  row: RotationState,
  settings: RotationSettings,
  facts: RotationFacts,
): 'acknowledgement' | 'rotation' | null {
  if (row.acknowledgedAt === null) return 'acknowledgement';
  const mayRotate = facts.mayRotate && row.lockedAt === null;
  return mayRotate && isRotationDue(row, settings, facts) ? 'rotation' : null;
}

/** Whether the current cookie has been in use for long enough to be replaced. */
export function isRotationDue(
  row: RotationState,
  settings: RotationSettings,
  facts: Pick<RotationFacts, 'now' | 'rotationShare'>,
): boolean {
  const { acknowledgedAt } = row;
  const { rotateSeconds } = settings;
  if (rotateSeconds === 0 || acknowledgedAt === null) return false;
  const age = (facts.now.getTime() - acknowledgedAt.getTime()) / 1000;
  return age >= rotateSeconds && age >= rotationDelaySeconds(row, settings, facts);
}

/**
 * Seconds from the acknowledgement of a generation to its rotation: between R and 2R, derived from the salt, so that nothing is stored and
 * every instance finds the same. The holder of a copied cookie cannot know the moment, and so cannot wait to be the first at it.
 */
export function rotationDelaySeconds(
  { generation, salt }: Pick<RotationState, 'generation' | 'salt'>,
  { rotateSeconds }: Pick<RotationSettings, 'rotateSeconds'>,
  { rotationShare }: Pick<RotationFacts, 'rotationShare'>,
): number {
  return rotateSeconds * (1 + rotationShare(generation, salt));
}
