import { type Actor, isSystem, requireUnrestricted, SYSTEM } from '../../actor.js';
import type { Session } from '../../auth.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import type { Access } from '../access/access.js';
import type { Fact } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import { noUser, requireKnownFields } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { isActive } from '../user.js';
import { USES } from './cache.js';
import type { RequestFacts } from './devices.js';
import type { RefreshTokens } from './refresh-token.js';
import { type SessionRow, toSession } from './session-row.js';
import type { SessionTokens } from './session-token.js';
import { type BearerTerms, type SessionWithToken, SessionWrites } from './session-writes.js';
import type { SessionVerifier } from './verifier.js';

const NO_SESSIONS = 'A service account has no sessions. Make an API key for it.';

const NO_REQUEST: RequestFacts = {
  ip: null,
  userAgent: null,
  region: async () => null,
  mayRotate: false,
};

/** The sessions of users: creating, listing, changing and ending them. */
export class SessionManager {
  readonly #writes: SessionWrites;
  readonly #core: Runtime & {
    ledger: Ledger;
    access: Access;
    sessionTokens: SessionTokens;
    refreshTokens: RefreshTokens;
    verifier: SessionVerifier;
  };

  constructor(
    core: Runtime & {
      ledger: Ledger;
      access: Access;
      sessionTokens: SessionTokens;
      refreshTokens: RefreshTokens;
      verifier: SessionVerifier;
    },
  ) {
    this.#core = core;
    this.#writes = new SessionWrites(core);
    core.invalidation.subscribe((topics) => {
      for (const topic of topics) {
        if (!topic.startsWith(USES)) continue;
        this.#writeUses(topic.slice(USES.length)).catch(() => {}); // the row says it within minutes anyway
      }
    });
  }

  /**
   * Signs a user in without asking for anything: for scripts and tests. A person who proves something goes through `SignIn.complete` instead.
   *
   * @param amr how the user proved it, RFC 8176 values
   * @throws AuthTunaError `not_found`, `account_suspended`; `forbidden` for a service account, and for an actor who acts as another person
   */
  async create(
    userId: string,
    amr: readonly string[],
    actor: Actor,
    options: {
      rememberMe?: boolean;
      /** @internal */
      bearer?: BearerTerms;
    } = {},
  ): Promise<SessionWithToken> {
    requireKnownFields(options, ['rememberMe', 'bearer']);
    if (actor.impersonatorId !== undefined) throw new AuthTunaError('forbidden');
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    if (!isActive(user, this.#core.now())) throw new AuthTunaError('account_suspended');
    if (user.kind === 'service') throw new AuthTunaError('forbidden', { message: NO_SESSIONS });
    const { write, result } = this.prepare(
      user,
      { amr, assuranceLevel: amr.length > 1 ? 2 : 1 },
      actor,
      options,
    );
    await this.#core.ledger.commit({
      writes: [
        write,
        // From now on the account is in use, also without a proof of its address.
        ...(user.unconfirmedUntil === null
          ? []
          : [this.#core.db.user.updateMany({ where: { id: userId }, data: { unconfirmedUntil: null } })]),
      ],
      facts: [
        {
          type: 'session.created',
          actor,
          target: { type: 'session', id: result.session.id },
          data: { userId, amr },
        },
      ],
    });
    await this.trim(userId);
    return result;
  }

  /**
   * Checks a session token against the database, for a job, a queue or another protocol than HTTP. Never renews it.
   *
   * @returns null for a token that is not ours, has expired or was replaced, and for a session that was ended or waits for a step-up
   * @throws AuthTunaError `unavailable`
   */
  async verify(token: string): Promise<Session | null> {
    const verdict = await this.#core.verifier.verify(token, NO_REQUEST, { latest: true });
    return verdict.status === 'verified' ? verdict.verified.session : null;
  }

  /** @internal {@link SessionWrites.prepare}; only a sign-in calls this. */
  prepare(...given: Parameters<SessionWrites['prepare']>) {
    return this.#writes.prepare(...given);
  }

  /** @internal {@link SessionWrites.prepareElevation} */
  prepareElevation(...given: Parameters<SessionWrites['prepareElevation']>) {
    return this.#writes.prepareElevation(...given);
  }

  /** @internal {@link SessionWrites.prepareOnly} */
  prepareOnly(...given: Parameters<SessionWrites['prepareOnly']>) {
    return this.#writes.prepareOnly(...given);
  }

  /** @internal {@link SessionWrites.revokeAllWrites} */
  revokeAllWrites(...given: Parameters<SessionWrites['revokeAllWrites']>) {
    return this.#writes.revokeAllWrites(...given);
  }

  /** Live sessions of a user, the last used first. */
  async list(userId: string): Promise<Session[]> {
    const rows = await this.#live(userId);
    return rows.map(toSession);
  }

  /**
   * Ends one session. Everybody may end their own; others need `sessions:manage` and a rank above the owner's.
   *
   * @throws AuthTunaError `not_found` when it is not there, or not the actor's to see; `forbidden` for a lower rank; `unauthenticated`; already
   *   ended is fine
   */
  async revoke(sessionId: string, actor: Actor): Promise<void> {
    const row = await this.#core.db.session.findUnique({ where: { id: sessionId } });
    if (row === null) throw new AuthTunaError('not_found', { message: 'There is no such session.' });
    if (!isSystem(actor) && actor.userId !== row.userId) await this.#requireManage(actor, row.userId);
    await this.end(row.id, 'revoked', {
      type: 'session.revoked',
      actor,
      target: { type: 'session', id: row.id },
      data: { userId: row.userId },
    });
  }

  /**
   * @internal For what hands out a secret after a wait: the actor's session still goes on.
   *
   * @throws AuthTunaError `session_revoked`
   */
  async requireLive(actor: Actor): Promise<void> {
    if (actor.sessionId === undefined) return;
    const row = await this.#core.db.session.findUnique({
      where: { id: actor.sessionId },
      include: { user: { select: { sessionEpoch: true } } },
    });
    const isLive =
      row !== null &&
      row.userId === actor.userId &&
      row.revokedAt === null &&
      row.epoch === row.user.sessionEpoch;
    if (!isLive || row.lockedAt !== null || row.absoluteExpiresAt <= this.#core.now())
      throw new AuthTunaError('session_revoked');
  }

  /** @internal Ends one session, once; whether it was this call that did. */
  async end(sessionId: string, reason: string, fact: Fact): Promise<boolean> {
    try {
      await this.#core.ledger.commit({
        writes: [
          this.#core.db.session.update({
            where: { id: sessionId, revokedAt: null },
            data: { revokedAt: this.#core.now(), revokedReason: reason },
          }),
        ],
        facts: [fact],
        invalidates: [`session:${sessionId}`],
      });
      return true;
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.#core.invalidation.publish([`session:${sessionId}`]);
      return false;
    }
  }

  /**
   * Ends all sessions of a user, but for one if asked. A sign-in whose password check began before does not survive it.
   *
   * @returns how many were live
   * @throws AuthTunaError `not_found` for no such user, or one that is not the actor's to see; `forbidden` for a lower rank; `unauthenticated`;
   *   `conflict` after ten lost races
   */
  async revokeAll(userId: string, actor: Actor, options: { except?: string } = {}): Promise<number> {
    requireKnownFields(options, ['except']);
    if (!isSystem(actor) && actor.userId !== userId) await this.#requireManage(actor, userId);
    const live = (await this.#live(userId)).filter((row) => row.id !== options.except);
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const user = await this.#core.db.user.findUnique({ where: { id: userId } });
      if (user === null) throw noUser();
      try {
        await this.#core.ledger.commit({
          writes: this.revokeAllWrites(user, { ...options, reason: 'revoked' }),
          facts: [
            {
              type: 'session.revoked',
              actor,
              target: { type: 'user', id: userId },
              data: { sessions: live.length, except: options.except ?? null },
            },
          ],
          invalidates: [`user:${userId}`],
        });
        return live.length;
      } catch (error) {
        if (!isMissing(error)) throw error; // the epoch moved or the session that stays was ended: look again
      }
    }
    throw new AuthTunaError('conflict');
  }

  /** @internal Ends the least recently used sessions beyond `maxPerUser`. Runs after the insert is stored, so the last to run sees them all. */
  async trim(userId: string): Promise<void> {
    const { maxPerUser } = this.#core.config.session;
    // Nearly everybody has fewer, so the rows themselves are seldom asked for. Idle ones and those of an older epoch count here too.
    const count = await this.#core.db.session.count({
      where: unended(userId, this.#core.now()),
      take: maxPerUser + 1,
    });
    // The other instances write down how lately sessions were used there before the next sign-in takes one away.
    if (count >= maxPerUser) this.#core.invalidation.publish([`uses:${userId}`]);
    if (count <= maxPerUser) return;
    await this.#writeUses(userId);
    const surplus = (await this.#live(userId)).slice(maxPerUser).map((row) => row.id);
    if (surplus.length === 0) return;
    await this.#core.ledger.commit({
      writes: [
        this.#core.db.session.updateMany({
          where: { id: { in: surplus }, revokedAt: null },
          data: { revokedAt: this.#core.now(), revokedReason: 'too_many' },
        }),
      ],
      facts: [
        {
          type: 'session.revoked',
          reason: 'too_many',
          actor: SYSTEM,
          target: { type: 'user', id: userId },
          data: { sessions: surplus.length },
        },
      ],
      invalidates: surplus.map((id) => `session:${id}` as const),
    });
  }

  /** Writes down when the sessions of a user were last used here: rows say it only every few minutes, too coarse to tell which one is in use. */
  async #writeUses(userId: string): Promise<void> {
    const { db, verifier } = this.#core;
    for (const [id, usedAt] of verifier.cache.lastUsesOf(userId)) {
      const lastSeenAt = new Date(usedAt);
      await db.session.updateMany({
        where: { id, lastSeenAt: { lt: lastSeenAt }, revokedAt: null },
        data: { lastSeenAt },
      });
    }
  }

  async #requireManage(actor: Actor, ownerId: string): Promise<void> {
    // Who may not manage sessions learns nothing about whose session an id is.
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    await requireUnrestricted(actor);
    if (!(await this.#core.access.can(actor.userId, 'sessions:manage')))
      throw new AuthTunaError('not_found', { message: 'There is no such session.' });
    await this.#core.access.requireAbove(actor, ownerId, 'sessions:manage');
  }

  async #live(userId: string): Promise<SessionRow[]> {
    const now = this.#core.now();
    const rows = await this.#core.db.session.findMany({
      where: unended(userId, now),
      include: { user: { select: { sessionEpoch: true } } },
      orderBy: [{ lastSeenAt: 'desc' }, { id: 'asc' }],
    });
    const fromCreation = this.#core.config.session.lifetimeFrom === 'creation';
    return rows.filter(
      (row) =>
        row.epoch === row.user.sessionEpoch &&
        after(fromCreation ? row.createdAt : row.lastSeenAt, row.idleSeconds) > now,
    );
  }
}

/** Sessions of a user that were not ended and are within their absolute limit; they may have idled out, or be of an older epoch. */
function unended(userId: string, now: Date) {
  return { userId, revokedAt: null, absoluteExpiresAt: { gt: now } };
}
