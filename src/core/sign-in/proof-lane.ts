import type { Lane } from '../../crypto/work-queue.js';
import type { UserRow } from '../user.js';
import type { SignInCore } from './create-sign-in.js';

/**
 * Runs the check of a password or code in the lane of who sends it.
 *
 * Strangers are checked a few at a time, and refused before the database is asked anything where too many wait: a flood of them holds up
 * neither people who are signed in nor browsers in which the user signed in before.
 *
 * @param browserCookie the `at_device` cookie
 * @throws AuthTunaError `unavailable` where too many strangers wait; what `check` throws
 */
export async function inProofLane<T>(
  { strangers, knownBrowsers }: SignInCore,
  browserCookie: string | null | undefined,
  findUser: () => Promise<UserRow | null>,
  check: (user: UserRow | null, lane: Lane) => Promise<T>,
): Promise<T> {
  if (!knownBrowsers.isMarked(browserCookie))
    return strangers.inLane('stranger', async () => check(await findUser(), 'stranger'));
  const user = await findUser();
  return knownBrowsers.find(browserCookie, user?.id ?? '') === null
    ? strangers.inLane('stranger', () => check(user, 'stranger'))
    : check(user, 'known');
}
