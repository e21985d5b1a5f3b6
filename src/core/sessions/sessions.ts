import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import type { Session } from '../../auth.js';
import { newId } from '../../crypto/random.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { deviceOf, encodeFingerprint } from '../../net/user-agent.js';
import { after } from '../../time.js';
import type { Access } from '../access/access.js';
import type { Fact } from '../changes/audit.js';
import type { Ledger, Write } from '../changes/ledger.js';
import { noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { isActive } from '../user.js';
import type { RequestFacts } from './devices.js';
import { type SessionRow, toSession } from './session-row.js';
import type { SessionTokens } from './session-token.js';
import type { SessionVerifier } from './verifier.js';

/** A new credential beside the session it belongs to. `token` is the value of the cookie. */
export interface SessionWithToken {
  session: Session;
  token: string;
}

/** The proof a session is made or raised with. */
export interface Proof {
  amr: readonly string[];
  assuranceLevel: 1 | 2;
}

const NO_SESSIONS = 'A service account has no sessions. Make an API key for it.';

const NO_REQUEST: RequestFacts = {
  ip: null,
  userAgent: null,
  region: async () => null,
  mayRotate: false,
};

/** Devices that are signed in, and ending them. */
export class SessionManager {
  readonly #core: Runtime & {
    ledger: Ledger;
    access: Access;
    sessionTokens: SessionTokens;
    verifier: SessionVerifier;
  };

  constructor(
    core: Runtime & {
      ledger: Ledger;
      access: Access;
      sessionTokens: SessionTokens;
      verifier: SessionVerifier;
    },
  ) {
    this.#core = core;
  }

  /**
   * Signs a user in without asking for anything: for scripts and tests. Whoever proves something goes through a sign-in instead.
   *
   * @param amr how the user proved it, RFC 8176 values
   * @throws AuthTunaError `not_found`, `account_suspended`; `forbidden` for a service account
   */
  async create(
    userId: string,
    amr: readonly string[],
    actor: Actor,
    options: { rememberMe?: boolean } = {},
  ): Promise<SessionWithToken> {
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
      writes: [write],
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
   * Asks the database what a session token is worth, for what does not come over HTTP: a job, a queue, another protocol. Never renews it.
   *
   * @returns null for a token that is not ours, has expired or was replaced, and for a session that was ended or waits for a step-up
   * @throws AuthTunaError `unavailable`
   */
  async verify(token: string): Promise<Session | null> {
    const verdict = await this.#core.verifier.verify(token, NO_REQUEST, { latest: true });
    return verdict.status === 'verified' ? verdict.verified.session : null;
  }

  /** @internal The write that makes a session, and what the browser gets once it is stored. Only a sign-in calls this. */
  prepare(
    user: { id: string; sessionEpoch: number },
    proof: Proof,
    actor: Actor,
    options: { rememberMe?: boolean; fingerprint?: string; lifetimeSeconds?: number } = {},
  ): { write: Write; result: SessionWithToken } {
    const { config } = this.#core;
    const now = this.#core.now();
    const persistent = config.session.rememberMe && options.rememberMe === true;
    const id = newId(config.random);
    const salt = this.#core.sessionTokens.newSalt(config.random);
    const row: SessionRow = {
      id,
      userId: user.id,
      kind: 'cookie',
      epoch: user.sessionEpoch,
      generation: 0,
      salt,
      previousSalt: null,
      rotatedAt: now,
      acknowledgedAt: null,
      hardRotatedAt: null,
      createdAt: now,
      lastSeenAt: now,
      absoluteExpiresAt: after(
        now,
        options.lifetimeSeconds ??
          (persistent ? config.session.rememberedAbsoluteSeconds : config.session.absoluteSeconds),
      ),
      idleSeconds: persistent ? config.session.rememberedIdleSeconds : config.session.idleSeconds,
      persistent,
      authenticatedAt: now,
      amr: proof.amr.join(' '),
      assuranceLevel: proof.assuranceLevel,
      lockedAt: null,
      networkLockedAt: null,
      fingerprint:
        options.fingerprint ??
        encodeFingerprint({ ...deviceOf(actor.userAgent), country: null, network: null, relay: null }),
      ip: actor.ip,
      impersonatorId: actor.impersonatorId ?? null,
      revokedAt: null,
      revokedReason: null,
    };
    return {
      write: this.#core.db.session.create({ data: row, select: { id: true } }),
      result: {
        session: toSession(row),
        token: this.#core.sessionTokens.issue(row, row.generation, row.salt, now),
      },
    };
  }

  /**
   * @internal A hard rotation, for a batch that raises what the session may do: the old cookie stops working at once and can never be
   * exchanged for the new one. The write misses when the session was rotated or ended meanwhile.
   *
   * @param proof what was proved in this very request; null where nothing was (a factor removed), which makes no session fresher or stronger
   * @param options.replaces the user proved everything anew: what was proved earlier no longer counts
   * @param options.fingerprint where the browser is now, believed from here on: after a step-up it is the owner's
   */
  async prepareElevation(
    sessionId: string,
    proof: Proof | null,
    options: { replaces?: boolean; fingerprint?: string } = {},
  ): Promise<{ write: Write; result: SessionWithToken }> {
    const row = await this.#core.db.session.findUnique({ where: { id: sessionId } });
    if (row === null || row.revokedAt !== null) throw new AuthTunaError('session_revoked');
    const now = this.#core.now();
    const change = {
      generation: row.generation + 1,
      previousSalt: null,
      salt: this.#core.sessionTokens.newSalt(this.#core.config.random),
      rotatedAt: now,
      hardRotatedAt: now,
      acknowledgedAt: null,
      lastSeenAt: now,
      ...(proof !== null && provedBy(row, proof, options.replaces === true, now)),
      ...(options.fingerprint !== undefined && { fingerprint: options.fingerprint }),
    };
    const elevated = { ...row, ...change };
    return {
      write: this.#core.db.session.update({
        where: { id: row.id, generation: row.generation, revokedAt: null },
        data: change,
      }),
      result: {
        session: toSession(elevated),
        token: this.#core.sessionTokens.issue(elevated, elevated.generation, elevated.salt, now),
      },
    };
  }

  /**
   * @internal For a batch that ends every session of a user but the one it comes from, which goes on under a cookie that no copy has.
   *
   * @param sessionId undefined for a change that comes from no session: then all end
   * @param proof what was proved in this very request, or null
   */
  async prepareOnly(
    user: { id: string; sessionEpoch: number },
    sessionId: string | undefined,
    proof: Proof | null,
    reason: string,
  ): Promise<{ writes: Write[]; result: SessionWithToken | null }> {
    if (sessionId === undefined) return { writes: this.revokeAllWrites(user, { reason }), result: null };
    const { write, result } = await this.prepareElevation(sessionId, proof);
    return { writes: [...this.revokeAllWrites(user, { reason, except: sessionId }), write], result };
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

  /** @internal For a batch that ends every session of a user: raises the epoch, and moves the one that stays to the new epoch. */
  revokeAllWrites(
    user: { id: string; sessionEpoch: number },
    options: { except?: string; reason: string },
  ): Write[] {
    const { db } = this.#core;
    const now = this.#core.now();
    const epoch = user.sessionEpoch + 1;
    return [
      db.user.update({
        where: { id: user.id, sessionEpoch: user.sessionEpoch },
        data: { sessionEpoch: epoch },
      }),
      db.session.updateMany({
        where: {
          userId: user.id,
          revokedAt: null,
          ...(options.except !== undefined && { id: { not: options.except } }),
        },
        data: { revokedAt: now, revokedReason: options.reason },
      }),
      // Whoever is signed out everywhere does not go on as another person either.
      db.session.updateMany({
        where: { impersonatorId: user.id, revokedAt: null },
        data: { revokedAt: now, revokedReason: options.reason },
      }),
      ...(options.except === undefined
        ? []
        : [
            db.session.updateMany({
              where: { id: options.except, userId: user.id, revokedAt: null },
              data: { epoch },
            }),
          ]),
    ];
  }

  /** @internal Ends the least recently used sessions beyond `maxPerUser`. Runs after the insert is stored, so the last to run sees them all. */
  async trim(userId: string): Promise<void> {
    const { maxPerUser } = this.#core.config.session;
    // Nearly everybody has fewer, so the rows themselves are seldom asked for. Idle ones and those of an older epoch count here too.
    const count = await this.#core.db.session.count({
      where: unended(userId, this.#core.now()),
      take: maxPerUser + 1,
    });
    if (count <= maxPerUser) return;
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
      invalidates: surplus.map((id) => `session:${id}`),
    });
  }

  async #requireManage(actor: Actor, ownerId: string): Promise<void> {
    // Who may not manage sessions learns nothing about whose session an id is.
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
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

/** What a session has proved after a further proof; where that `replaces` the earlier ones, by it alone. */
function provedBy(row: SessionRow, proof: Proof, replaces: boolean, now: Date): Partial<SessionRow> {
  const { assuranceLevel } = proof;
  if (replaces) return { authenticatedAt: now, amr: proof.amr.join(' '), assuranceLevel, lockedAt: null };
  return {
    // A password alone renews nothing that was proved with a second factor.
    ...(assuranceLevel >= row.assuranceLevel && { authenticatedAt: now }),
    amr: [...new Set([...row.amr.split(' ').filter(Boolean), ...proof.amr])].join(' '),
    assuranceLevel: Math.max(row.assuranceLevel, assuranceLevel),
    lockedAt: null,
  };
}
