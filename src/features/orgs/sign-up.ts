import type { Actor } from '../../actor.js';
import { planFirstRole } from '../../core/access/assignment-plans.js';
import { whenMissing } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput } from '../../core/sign-in/sign-up.js';
import { AuthTunaError } from '../../errors.js';
import { asInviter, peekInvitation, spendInvitation } from './accept-invitation.js';
import { factOf } from './invitations.js';
import { requireAllowedAddress } from './members.js';

/** {@link OrgManager.signUp} */
export async function signUpInvited(
  core: SignInCore,
  { token, ...details }: { token: string } & Omit<SignUpInput, 'email'>,
  actor: Actor,
  options: SignInOptions,
): Promise<SignInResult> {
  const { signUp, signIn, users, tokens } = core;
  const opened = await peekInvitation(core, token);
  const { scope, role, email } = opened.row;
  await requireAllowedAddress(core, scope, email);
  const changeFor = await asInviter(core, opened.row, (inviter) =>
    planFirstRole(core, { role, scope }, inviter),
  );
  const { id } = await signUp
    .create({ email, ...details }, actor, {
      by: 'invitation',
      isMailboxProved: true, // the token was in a mail to this address and nowhere else
      writesFor: (userId) => [...spendInvitation(core, opened), ...changeFor(userId).writes],
      factsFor: (userId) => [
        factOf('invitation.accepted', opened.row, { ...actor, userId }),
        ...changeFor(userId).facts,
      ],
    })
    .catch(whenMissing(() => tokens.missed(opened.live)));
  const user = await users.row(id);
  if (user === null) throw new AuthTunaError('invalid_token');
  return signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, options);
}
