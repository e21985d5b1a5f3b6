import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { mailTo } from '../../core/tokens/recipient.js';
import { changePasswordKey } from './change-password.js';
import { stepUpKey } from './step-up.js';

/** {@link AuthManager.requestPasswordReset} */
export async function requestPasswordReset(
  { links }: SignInCore,
  email: string,
  actor: Actor,
  returnTo: string | null = null,
): Promise<HeldMail | null> {
  return links.request({
    type: 'password.reset_requested',
    purpose: 'reset_password',
    address: links.addressOf(email),
    actor,
    async issue(recipient) {
      const { writes, link, expiresInSeconds } = await links.issue('reset_password', recipient, {
        ...(returnTo !== null && { data: { returnTo } }),
      });
      const data = { name: recipient.username, link, expiresInSeconds };
      return { writes, mail: { template: 'password-reset', ...mailTo(recipient), data } };
    },
  });
}

/** {@link AuthManager.resetPassword} */
export async function resetPassword(
  core: SignInCore,
  input: { token: string; newPassword: string },
  actor: Actor,
): Promise<void> {
  const { links, passwords, ownership, sessions, signInThrottle, throttle } = core;
  const live = await links.peek(input.token, 'reset_password');
  const user = await links.subjectOf(live);
  await passwords.check(input.newPassword, user);
  const hash = await passwords.hash(input.newPassword);
  await links.spend(live, {
    writes: [
      ...sessions.revokeAllWrites(user, { reason: 'password_reset' }),
      ...ownership.byReset(user), // behind the end of sessions, which what they do at this moment waits for
      ...passwords.replaceWrites(user.id, hash),
      // The failures so far were guesses at the old password.
      ...signInThrottle.unlockWrites(user),
      throttle.clear(changePasswordKey(user.id), stepUpKey(user.id)),
    ],
    facts: [{ type: 'password.reset', actor, target: { type: 'user', id: user.id } }],
    mails: [{ template: 'password-changed', ...noticeTo(core, user, actor) }],
    invalidates: [`user:${user.id}`],
  });
}
