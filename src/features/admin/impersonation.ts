import type { Actor } from '../../actor.js';
import { type Mail, noticeTo } from '../../core/changes/outbox.js';
import { noUser } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { isActive, type UserRow } from '../../core/user.js';
import { SERVICE } from '../../core/users/service-account.js';
import { AuthTunaError } from '../../errors.js';

const LIFETIME_SECONDS = 1800;

/**
 * Acting as a person of lower rank, for half an hour: a session of its own that names both.
 *
 * In it nothing of the account can be changed through the routes of this library, and no step-up succeeds.
 * @see docs/requirements.md AD-5
 */
export class Impersonation {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /**
   * Needs `users:impersonate` and a rank above theirs, and a session. Acting ends when any of these does.
   *
   * @param reason stored in the audit log
   * @throws AuthTunaError `forbidden`, also while acting as somebody; `not_found`; `conflict` for a person who cannot sign in
   */
  async begin(userId: string, reason: string, actor: Actor): Promise<SessionWithToken> {
    const { access, db, sessions, ledger } = this.#core;
    const { userId: impersonatorId, sessionId } = actor;
    if (impersonatorId === null || sessionId === undefined || actor.impersonatorId !== undefined)
      throw new AuthTunaError('forbidden');
    await access.requireAbove(actor, userId, 'users:impersonate');
    const user = await db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    if (user.kind === SERVICE || !isActive(user, this.#core.now()))
      throw new AuthTunaError('conflict', { message: 'This account cannot sign in.' });
    const { write, result } = sessions.prepare(user, { amr: ['impersonation'], assuranceLevel: 1 }, actor, {
      lifetimeSeconds: LIFETIME_SECONDS,
      impersonator: { id: impersonatorId, sessionId },
    });
    await ledger.commit({
      writes: [write],
      facts: [
        {
          type: 'impersonation.started',
          actor,
          target: { type: 'user', id: userId },
          reason,
          data: { session: result.session.id },
        },
      ],
      mails: this.#noticeFor(user),
    });
    return result;
  }

  /** Where the host wants it, the person is told that it happened and when, and not by whom or from where. */
  #noticeFor(user: UserRow): Mail[] {
    if (!this.#core.config.impersonation.notify) return [];
    const { to, data } = noticeTo(this.#core, user, { ip: null, userAgent: null });
    return [{ template: 'impersonated', to, data: { ...data, expiresInSeconds: LIFETIME_SECONDS } }];
  }

  /** Ends such a session. @throws AuthTunaError `conflict` when this one is none */
  async end(sessionId: string | undefined, actor: Actor): Promise<void> {
    if (sessionId === undefined || actor.impersonatorId === undefined)
      throw new AuthTunaError('conflict', { message: 'You are not acting as somebody else.' });
    await this.#core.sessions.end(sessionId, 'impersonation_ended', {
      type: 'impersonation.ended',
      actor,
      ...(actor.userId !== null && { target: { type: 'user', id: actor.userId } }),
      data: { session: sessionId },
    });
  }
}
