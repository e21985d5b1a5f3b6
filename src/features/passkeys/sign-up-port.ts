import type { Actor } from '../../actor.js';
import type { Proof } from '../../core/sessions/session-writes.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput, SignUpWay } from '../../core/sign-in/sign-up.js';

/** Makes the account of a sign-up and signs it in, or mails the link that confirms it; the auth feature does. */
export interface SignUpPort {
  register(
    input: SignUpInput,
    actor: Actor,
    way: SignUpWay & { proof?: Proof },
    options: SignInOptions,
  ): Promise<SignInResult | { status: 'verification_required' }>;
}
