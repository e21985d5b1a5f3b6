import type { Actor } from '../../actor.js';
import type { Write } from '../../core/changes/ledger.js';
import { maskedEmail } from '../../core/identifiers.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { requestVerification } from '../../core/sign-in/verification.js';
import type { UserRow } from '../../core/user.js';
import type { Lane } from '../../crypto/work-queue.js';
import { AuthTunaError } from '../../errors.js';
import { requestPasswordReset } from './reset-password.js';

/** {@link AuthManager.login} */
export async function login(
  core: SignInCore,
  input: { login: string; password: string; rememberMe?: boolean },
  actor: Actor,
  options: Omit<SignInOptions, 'rememberMe'>,
): Promise<SignInResult> {
  const { signIn } = core;
  const { user, successWrites } = await prove(core, input, actor, options.browserCookie);
  try {
    return await signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, {
      ...options,
      ...(input.rememberMe !== undefined && { rememberMe: input.rememberMe }),
      writes: [...successWrites, ...(options.writes ?? [])],
    });
  } catch (error) {
    if (error instanceof AuthTunaError) {
      if (error.code === 'email_not_verified')
        return await refuseUnconfirmed(core, user, actor, successWrites);
      // The password was right, whatever else was not.
      await recordRefusal(core, user, error.code, actor, successWrites);
    }
    throw error;
  }
}

/**
 * After the right password of an unconfirmed address: mails the link that the refusal speaks of.
 *
 * @throws AuthTunaError `email_not_verified`, with `retryAfterSeconds` where the mail was held back
 */
async function refuseUnconfirmed(
  core: SignInCore,
  user: UserRow,
  actor: Actor,
  writes: readonly Write[],
): Promise<never> {
  await recordRefusal(core, user, 'email_not_verified', actor, writes);
  const held = await requestVerification(core, user.email, actor);
  if (held === null) throw new AuthTunaError('email_not_verified');
  const { retryAfterSeconds, isRepeat } = held;
  throw new AuthTunaError('email_not_verified', {
    retryAfterSeconds,
    ...(!isRepeat && { reason: 'mail_held' }),
  });
}

/** Records a sign-in that was refused after the right password; `writes` forget the failures. */
function recordRefusal(
  { ledger }: SignInCore,
  user: UserRow,
  reason: string,
  actor: Actor,
  writes: readonly Write[],
): Promise<void> {
  const target = { type: 'user', id: user.id };
  return ledger.commit({
    writes,
    facts: [{ type: 'user.sign_in_failed', outcome: 'failure', reason, actor, target }],
  });
}

/** The user whose password was given, with the writes that forget their failures. */
function prove(
  core: SignInCore,
  input: { login: string; password: string },
  actor: Actor,
  browserCookie: string | null | undefined,
): Promise<{ user: UserRow; successWrites: readonly Write[] }> {
  return core.proofLane.run(
    browserCookie,
    () => core.users.rowByLogin(input.login),
    (user, lane) => check(core, input, user, actor, browserCookie, lane),
  );
}

async function check(
  core: SignInCore,
  { login, password }: { login: string; password: string },
  user: UserRow | null,
  actor: Actor,
  browserCookie: string | null | undefined,
  lane: Lane,
): Promise<{ user: UserRow; successWrites: readonly Write[] }> {
  const admitted = await core.signInThrottle.admit(login, user, actor, browserCookie);
  const answer = await core.passwords.compare(user?.id ?? null, password, lane);
  if (answer === true && user !== null) return { user, successWrites: await admitted() };
  const reason = answer === 'too_long' ? 'password_too_long' : 'invalid_credentials';
  await recordFailure(core, login, user, actor, reason);
  // An imported hash saw the first 72 bytes only. The owner cannot know that, so the mailbox gets a link to set the password anew.
  if (answer === 'too_long' && user !== null) await requestPasswordReset(core, user.email, actor);
  throw new AuthTunaError('invalid_credentials');
}

/** Records a wrong password. The name may be a password in the wrong field, so it is kept as a keyed digest and a mask. */
function recordFailure(
  core: SignInCore,
  name: string,
  user: UserRow | null,
  actor: Actor,
  reason: string,
): Promise<void> {
  return core.audit.record({
    type: 'user.sign_in_failed',
    outcome: 'failure',
    reason,
    actor,
    data: {
      login: core.keys.lookup(`login ${name.toLowerCase()}`),
      masked: name.includes('@') ? maskedEmail(name) : '***',
    },
    ...(user !== null && { target: { type: 'user', id: user.id } }),
  });
}
