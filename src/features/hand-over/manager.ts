import type { z } from 'zod';
import { type Actor, requireUnrestricted } from '../../actor.js';
import { credentialOf } from '../../core/access/credential.js';
import type { Core } from '../../core/core.js';
import { whenMissing } from '../../core/refusals.js';
import { isActive, type PublicUser, publicUser } from '../../core/user.js';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import { acceptInput, issueInput } from './schemas.js';

const PURPOSE = 'hand_over';
const LIFETIME_SECONDS = 60; // a redirect takes a second, and a person with a slow line some more

/** A person whom another app has handed over. */
export interface HandedOver {
  user: PublicUser;
  /** How they proved who they are there, RFC 8176 values, and when. */
  amr: string[];
  assuranceLevel: 1 | 2;
  authenticatedAt: Date;
}

/**
 * Moves a signed-in person from one app to another: the first issues a token, the second accepts it, once, within a minute.
 *
 * The token is bound to the app that it is for, and to a nonce that the second app keeps in the person's browser. Without the nonce a stranger
 * could sign somebody in to the stranger's own account by a link.
 */
export class HandOverManager {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * A token for another app, for the person of a session.
   *
   * @param input.audience the origin of that app: `https://files.example.com`
   * @param input.nonce what that app keeps in the person's browser, 16 to 128 characters
   * @throws AuthTunaError `invalid_input`; `forbidden` for an actor without a session of their own; `session_revoked`;
   *   `password_change_required` and `enrollment_required` for a person who must do that first
   */
  async issue(
    input: z.input<typeof issueInput>,
    actor: Actor,
  ): Promise<{ token: string; expiresInSeconds: number }> {
    const { audience, nonce } = validate(issueInput, input);
    const { tokens, ledger, sessions } = this.#core;
    const { userId, sessionId } = actor;
    const isPerson = credentialOf(actor) === undefined && actor.impersonatorId === undefined;
    if (userId === null || sessionId === undefined || !isPerson) throw new AuthTunaError('forbidden');
    await requireUnrestricted(actor);
    await sessions.requireLive(actor);
    const { token, writes } = tokens.issue({
      purpose: PURPOSE,
      subject: userId,
      lifetimeSeconds: LIFETIME_SECONDS,
      keepsOthers: true,
      browser: placeOf(audience, nonce),
      data: { sessionId },
    });
    await ledger.commit({
      writes,
      facts: [{ type: 'hand_over.issued', actor, target: { type: 'user', id: userId }, data: { audience } }],
    });
    return { token, expiresInSeconds: LIFETIME_SECONDS };
  }

  /**
   * The person of a token, which is spent. Give them a session of your own app then.
   *
   * @param token as it came in the URL; any other text is `invalid_token`
   * @param input the origin of this app, and the nonce that the person's browser holds
   * @throws AuthTunaError `invalid_token` for one that is unknown, spent or older than a minute, for another app or browser, and after the
   *   session that it comes from has ended; `invalid_input`
   */
  async accept(token: string, input: z.input<typeof acceptInput>, actor: Actor): Promise<HandedOver> {
    const { audience, nonce } = validate(acceptInput, input);
    const { db, tokens, ledger, sessions, now } = this.#core;
    const live = await tokens
      .peek(String(token), PURPOSE, { browser: placeOf(audience, nonce) })
      .catch((error: unknown) => {
        throw error instanceof AuthTunaError && error.code === 'invalid_token' ? notValid() : error;
      });
    const userId = live.subject;
    const sessionId = String(live.data.sessionId);
    const from = { ...actor, userId, sessionId };
    await sessions.requireLive(from).catch((error: unknown) => {
      const hasEnded = error instanceof AuthTunaError && error.code === 'session_revoked';
      throw hasEnded ? notValid() : error;
    });
    const session = await db.session.findUnique({ where: { id: sessionId }, include: { user: true } });
    if (session === null || !isActive(session.user, now())) throw notValid();
    await ledger
      .commit({
        writes: [live.spend],
        facts: [
          {
            type: 'hand_over.accepted',
            actor: from,
            target: { type: 'user', id: userId },
            data: { audience },
          },
        ],
      })
      .catch(whenMissing(notValid));
    return {
      user: publicUser(session.user),
      amr: session.amr.split(' ').filter(Boolean),
      assuranceLevel: session.assuranceLevel === 2 ? 2 : 1,
      authenticatedAt: session.authenticatedAt,
    };
  }
}

function placeOf(audience: string, nonce: string): string {
  return JSON.stringify([audience, nonce]);
}

function notValid(): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'This hand-over is not valid any more. Begin again at the app that you want to use.',
  });
}
