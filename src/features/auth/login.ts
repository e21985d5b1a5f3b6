import type { Actor } from '../../actor.js';
import { maskedEmail } from '../../core/identifiers.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import { AuthTunaError } from '../../errors.js';

/** {@link AuthManager.login} */
export async function login(
  core: SignInCore,
  input: { login: string; password: string; rememberMe?: boolean },
  actor: Actor,
  options: Omit<SignInOptions, 'rememberMe'>,
): Promise<SignInResult> {
  const { users, passwords, signInThrottle, signIn, ledger } = core;
  const user = await users.rowByLogin(input.login);
  const admitted = await signInThrottle.admit(input.login, user, actor, options.browserCookie);
  if (!(await passwords.verify(user?.id ?? null, input.password)) || user === null) {
    await recordFailure(core, input.login, user, actor);
    throw new AuthTunaError('invalid_credentials');
  }
  const successWrites = await admitted();
  try {
    return await signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, {
      ...options,
      ...(input.rememberMe !== undefined && { rememberMe: input.rememberMe }),
      writes: [...successWrites, ...(options.writes ?? [])],
    });
  } catch (error) {
    if (error instanceof AuthTunaError) {
      const target = { type: 'user', id: user.id };
      await ledger.commit({
        writes: successWrites, // the password was right, whatever else was not
        facts: [{ type: 'user.sign_in_failed', outcome: 'failure', reason: error.code, actor, target }],
      });
    }
    throw error;
  }
}

/** Records a wrong password. The name may be a password in the wrong field, so it is kept as a keyed digest and a mask. */
function recordFailure(core: SignInCore, name: string, user: UserRow | null, actor: Actor): Promise<void> {
  return core.audit.record({
    type: 'user.sign_in_failed',
    outcome: 'failure',
    reason: 'invalid_credentials',
    actor,
    data: {
      login: core.keys.lookup(`login ${name.toLowerCase()}`),
      masked: name.includes('@') ? maskedEmail(name) : '***',
    },
    ...(user !== null && { target: { type: 'user', id: user.id } }),
  });
}
