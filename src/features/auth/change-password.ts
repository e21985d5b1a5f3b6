import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { GUESSING } from '../../core/limits/throttle.js';
import { invalid, noUser } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { AuthTunaError } from '../../errors.js';

/** {@link AuthManager.changePassword} */
export async function changePassword(
  core: SignInCore,
  userId: string,
  input: { currentPassword?: string | undefined; newPassword: string; keepSessionId?: string },
  actor: Actor,
): Promise<SessionWithToken | null> {
  const { users, passwords, sessions, ledger } = core;
  const user = await users.row(userId);
  if (user === null || user.deletedAt !== null) throw noUser();
  const { currentPassword = '' } = input;
  if (await hasPassword(core, userId)) {
    if (currentPassword === '') throw invalid('currentPassword', 'required', 'is required');
    await requireCurrentPassword(core, userId, currentPassword, actor);
    if (input.newPassword.normalize('NFKC') === currentPassword.normalize('NFKC'))
      throw invalid('newPassword', 'unchanged', 'must be another one');
  }
  await passwords.check(input.newPassword, user);
  const hash = await passwords.hash(input.newPassword);
  const proof = { amr: ['pwd'], assuranceLevel: 1 } as const;
  const kept = await sessions.prepareOnly(user, input.keepSessionId, proof, 'password_changed');
  await ledger.commitToAccount({
    writes: [...passwords.replaceWrites(userId, hash), ...kept.writes],
    facts: [{ type: 'password.changed', actor, target: { type: 'user', id: userId } }],
    mails: [{ template: 'password-changed', ...noticeTo(core, user, actor) }],
    invalidates: [`user:${userId}`],
  });
  return kept.result;
}

/** False for an account whose first password is to be set. */
export async function hasPassword({ db }: Pick<SignInCore, 'db'>, userId: string): Promise<boolean> {
  return (await db.password.count({ where: { userId } })) > 0;
}

async function requireCurrentPassword(
  { throttle, passwords, audit }: SignInCore,
  userId: string,
  password: string,
  actor: Actor,
): Promise<void> {
  const bucket = changePasswordKey(userId);
  await throttle.reserve(bucket, GUESSING, userId);
  if (await passwords.verify(userId, password)) return void (await throttle.clear(bucket));
  await audit.record({
    type: 'password.changed',
    outcome: 'failure',
    reason: 'invalid_credentials',
    actor,
    target: { type: 'user', id: userId },
  });
  throw new AuthTunaError('invalid_credentials', {
    message: 'The current password is not correct.',
    field: 'currentPassword',
  });
}

/** The name under which wrong current passwords are counted: of its own, so that slips here do not delay the next sign-in. */
export function changePasswordKey(userId: string): string {
  return `change-password:${userId}`;
}
