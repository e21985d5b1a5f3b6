import type { Actor } from '../../actor.js';
import type { Write } from '../../core/changes/ledger.js';
import { whenMissing } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import type { AuthTunaError } from '../../errors.js';

export const MAX_ATTEMPTS = 5; // of a million six-digit codes: a guesser at one mail is right once in 200,000

/** Counts an attempt at a token before the comparison, so that of many at once only as many get through as may; false when none is left. */
export async function reserveAttempt({ db }: SignInCore, tokenId: string): Promise<boolean> {
  const { count } = await db.oneTimeToken.updateMany({
    where: { id: tokenId, usedAt: null, attempts: { lt: MAX_ATTEMPTS } },
    data: { attempts: { increment: 1 } },
  });
  return count === 1;
}

/** Records a wrong code. */
export function recordFailure({ audit }: SignInCore, user: UserRow | null, actor: Actor): Promise<void> {
  return audit.record({
    type: 'user.sign_in_failed',
    outcome: 'failure',
    reason: 'invalid_credentials',
    actor,
    ...(user !== null && { target: { type: 'user', id: user.id } }),
  });
}

/**
 * Signs in a user who proved the mailbox. A first proof of an unconfirmed account removes everything that was put on it before.
 *
 * @param missed the refusal when another request spent the proof first
 */
export async function completeByMail(
  { ownership, signIn }: SignInCore,
  user: UserRow,
  spend: Write,
  actor: Actor,
  options: SignInOptions,
  missed: () => AuthTunaError | Promise<AuthTunaError>,
): Promise<SignInResult> {
  const complete = async () => {
    const proved = await ownership.bySignIn(user, spend, actor);
    return signIn.complete(proved.user, { amr: ['email'], assuranceLevel: 1 }, actor, {
      ...options,
      writes: [...(options.writes ?? []), ...proved.writes],
    });
  };
  return complete().catch(whenMissing(missed));
}
