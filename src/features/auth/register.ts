import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Proof } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput, SignUpWay } from '../../core/sign-in/sign-up.js';
import { AuthTunaError } from '../../errors.js';

/** What a sign-up comes to: a session, or a link that was mailed. */
export type RegisterResult = SignInResult | { status: 'verification_required' };

/** What signs the person in whose sign-up needs no confirmation. */
const PASSWORD: Proof = { amr: ['pwd'], assuranceLevel: 1 };

/** {@link AuthManager.register} */
export async function register<U extends User>(
  { signUp, signIn, users, config }: SignInCore<U>,
  input: SignUpInput,
  actor: Actor,
  way: SignUpWay & { proof?: Proof },
  options: SignInOptions,
): Promise<RegisterResult> {
  const { requireVerifiedEmail } = config.signUp;
  try {
    const { id } = await signUp.create(input, actor, way);
    if (requireVerifiedEmail) return { status: 'verification_required' };
    const user = await users.row(id);
    if (user === null) throw new AuthTunaError('not_found');
    return await signIn.complete(user, way.proof ?? PASSWORD, actor, options);
  } catch (error) {
    if (!requireVerifiedEmail || !isTakenAddress(error)) throw error;
    return { status: 'verification_required' };
  }
}

function isTakenAddress(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'conflict' && error.details.field === 'email';
}
