import type { Actor } from '../../actor.js';
import { activityOf, noticeTo } from '../../core/changes/outbox.js';
import { invalid, noUser } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { holdSubject, type LiveToken } from '../../core/tokens/one-time-tokens.js';
import { standInFor } from '../../core/tokens/recipient.js';
import { type PublicUser, publicUser, type UserRow } from '../../core/user.js';
import { AuthTunaError } from '../../errors.js';

/** {@link AuthManager.requestEmailChange} */
export async function requestEmailChange(
  core: SignInCore,
  userId: string,
  input: { newEmail: string },
  actor: Actor,
): Promise<HeldMail | null> {
  const { db, users, links, signIn, mailQuota, audit } = core;
  const newEmail = links.addressOf(input.newEmail, 'newEmail');
  const user = await users.row(userId);
  if (user === null || user.deletedAt !== null) throw noUser();
  if (newEmail === user.email) throw invalid('newEmail', 'unchanged', 'is your address already');
  await signIn.requireMayTake(newEmail, user);
  const holder = await db.user.findUnique({ where: { email: newEmail } });
  const type = 'user.email_change_requested';
  const target = { type: 'user', id: userId };
  return mailQuota.spend({ purpose: 'change_email', address: newEmail, actor }, async (held) => {
    if (held !== null) await audit.record({ type, outcome: 'denied', reason: 'mail_quota', actor, target });
    else await mailBoth(core, user, holder, newEmail, actor);
    return held;
  });
}

/** Writes to the new address. One that has an account costs the same work; its owner is told, and the person who asked is not. */
async function mailBoth(
  core: SignInCore,
  user: UserRow,
  holder: UserRow | null,
  newEmail: string,
  actor: Actor,
): Promise<void> {
  const { links, ledger, signUp } = core;
  const subject = holder === null ? user : standInFor(core, newEmail);
  const { writes, link, expiresInSeconds } = await links.issue('change_email', subject, {
    data: { newEmail, sessionId: actor.sessionId ?? null },
  });
  await ledger.commit({
    writes,
    facts: [
      {
        type: 'user.email_change_requested',
        actor,
        target: { type: 'user', id: user.id },
        ...(holder !== null && { outcome: 'failure', reason: 'email_taken' }),
      },
    ],
    mails: [
      holder === null
        ? {
            template: 'email-change-confirm',
            to: newEmail,
            data: { name: user.username, newEmail, link, expiresInSeconds },
          }
        : {
            ...signUp.alreadyRegistered(holder),
            languages: null, // the mailbox is another person's
          },
    ],
  });
}

/** {@link AuthManager.confirmEmailChange} */
export async function confirmEmailChange(core: SignInCore, token: string, actor: Actor): Promise<PublicUser> {
  const { db, links, signIn, sessions, tokens } = core;
  const live = await links.peek(token, 'change_email');
  const user = await links.subjectOf(live);
  const newEmail = String(live.data.newEmail);
  await signIn.requireMayTake(newEmail, user);
  const sessionId = typeof live.data.sessionId === 'string' ? live.data.sessionId : null;
  const now = core.now();
  const undo = await issueUndo(core, user, sessionId, now);
  await links.spend(live, {
    writes: [
      db.user.update({
        where: { id: user.id, email: user.email, deletedAt: null },
        data: { email: newEmail, emailVerifiedAt: now, unconfirmedUntil: null, updatedAt: now },
      }),
      ...sessions.revokeAllWrites(user, {
        reason: 'email_changed',
        ...(sessionId !== null && { except: sessionId }),
      }),
      tokens.revokeAll(user.id),
      ...undo.writes,
    ],
    facts: [{ type: 'user.email_changed', actor, target: { type: 'user', id: user.id } }],
    mails: [
      {
        template: 'email-changed-old',
        to: user.email,
        data: {
          name: user.username,
          newEmail,
          link: undo.link,
          expiresInSeconds: undo.expiresInSeconds,
          activity: activityOf(core, actor),
        },
      },
      { template: 'email-changed-new', to: newEmail, data: noticeTo(core, user, actor).data },
    ],
    invalidates: [`user:${user.id}`],
  });
  return publicUser({ ...user, email: newEmail, emailVerifiedAt: now });
}

/** The link that gives the former address back. */
async function issueUndo(core: SignInCore, user: UserRow, sessionId: string | null, now: Date) {
  const asking = sessionId === null ? null : await core.db.session.findUnique({ where: { id: sessionId } });
  return core.links.issue('undo_email_change', user, {
    subject: core.tokens.undoSubject(user),
    data: {
      userId: user.id,
      oldEmail: user.email,
      wasProved: user.emailVerifiedAt !== null,
      changedAt: now.toISOString(),
      addedSince: (asking?.createdAt ?? now).toISOString(), // a thief prepares the account before taking the address
    },
  });
}

/** {@link AuthManager.undoEmailChange} */
export async function undoEmailChange(core: SignInCore, token: string, actor: Actor): Promise<void> {
  const { db, links, ownership, sessions, tokens, secondFactors } = core;
  const live = await links.peek(token, 'undo_email_change');
  const user = await accountOf(core, live);
  const now = core.now();
  // Where the former address was never proved, everything on the account may be another person's.
  const addedSince = new Date(live.data.wasProved === true ? String(live.data.addedSince) : 0);
  const held = await secondFactors.holdAdded(user.id, addedSince);
  const stop =
    held === null
      ? null
      : await links.issue('cancel_factor_reset', user, {
          subject: holdSubject(user.id),
          data: { userId: user.id },
        });
  await links.spend(live, {
    writes: [
      db.user.update({
        where: { id: user.id, email: user.email },
        data: {
          email: String(live.data.oldEmail),
          emailVerifiedAt: now,
          mustChangePassword: false,
          updatedAt: now,
        },
      }),
      ...ownership.removeAdded(user.id, addedSince),
      ...(held === null ? [] : [held.write]),
      // Otherwise a thief who passed through two addresses could take the account back from the first of them.
      tokens.revokeUndos(user.id, new Date(String(live.data.changedAt))),
      ...sessions.revokeAllWrites(user, { reason: 'email_change_undone' }),
      tokens.revokeAll(user.id),
      ...(stop?.writes ?? []),
    ],
    facts: [{ type: 'user.email_change_undone', actor, target: { type: 'user', id: user.id } }],
    mails:
      held === null || stop === null
        ? []
        : [
            {
              template: 'email-change-undone',
              to: user.email,
              languages: null,
              data: { name: user.username, effectiveAt: held.effectiveAt, link: stop.link },
            },
          ],
    invalidates: [`user:${user.id}`],
  });
}

/** A suspended account gets its address back too: the suspension stays. */
async function accountOf({ users }: SignInCore, live: LiveToken): Promise<UserRow> {
  const user = await users.row(String(live.data.userId));
  if (user === null || user.deletedAt !== null) throw new AuthTunaError('invalid_token');
  return user;
}
