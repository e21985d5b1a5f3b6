import type { Actor } from '../../actor.js';
import type { Proof } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignUpInput, SignUpWay } from '../../core/sign-in/sign-up.js';
import { consumeChallenge, issueChallenge } from './challenges.js';
import {
  newUserHandle,
  type RegistrationOptions,
  registrationOptions,
  verifiedPasskey,
} from './registration.js';
import type { RegistrationResponse } from './schemas.js';

const PURPOSE = 'passkey_sign_up';

/** {@link PasskeyManager.beginSignUp} */
export async function beginSignUp(
  core: SignInCore,
  details: SignUpInput,
  browser: string,
): Promise<RegistrationOptions> {
  await core.signUp.check(details, { by: 'passkey' });
  const userHandle = newUserHandle(core);
  const challenge = await issueChallenge(core, PURPOSE, browser, { details, userHandle });
  return registrationOptions(core, details.email, userHandle, challenge, []);
}

/** {@link PasskeyManager.finishSignUp} */
export async function finishSignUp(
  core: SignInCore,
  response: RegistrationResponse,
  browser: string,
  actor: Actor,
  name: string | undefined,
): Promise<{ details: SignUpInput; way: SignUpWay & { proof: Proof } }> {
  const { client, live } = await consumeChallenge(core, response, 'webauthn.create', PURPOSE, browser, actor);
  const { userHandle, details } = live.data;
  const made = await verifiedPasskey(core, response, client, String(userHandle), name, actor);
  return {
    details: details as SignUpInput,
    way: {
      by: 'passkey',
      writesFor: (userId) => [core.db.passkey.create({ data: { ...made, userId } })],
      proof: { amr: ['hwk', 'user'], assuranceLevel: 2 },
    },
  };
}
