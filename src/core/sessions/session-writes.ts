import type { Actor } from '../../actor.js';
import type { Session } from '../../auth.js';
import type { Config } from '../../config/config.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import { deviceOf, encodeFingerprint } from '../../net/user-agent.js';
import { after } from '../../time.js';
import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { RefreshTokens } from './refresh-token.js';
import { type SessionRow, toSession } from './session-row.js';
import type { SessionTokens } from './session-token.js';

/** A new credential beside the session it belongs to. `token` is the value of the cookie, or the refresh token of a bearer session. */
export interface SessionWithToken {
  session: Session;
  token: string;
}

/** What makes a session one of tokens instead of a cookie. */
export interface BearerTerms {
  /** The client that the tokens are for. */
  clientId: string;
  /** Permissions and patterns, separated by spaces; null for everything that the user may do. */
  scope: string | null;
  /** Thumbprint of the key that the client must prove to hold; null for plain bearer tokens. */
  boundKey: string | null;
}

/** The proof a session is made or raised with. */
export interface Proof {
  amr: readonly string[];
  assuranceLevel: 1 | 2;
}

/** The writes by which sessions begin, are raised and end, for the batch of the change that causes them. */
export class SessionWrites {
  readonly #core: Runtime & { sessionTokens: SessionTokens; refreshTokens: RefreshTokens };

  constructor(core: Runtime & { sessionTokens: SessionTokens; refreshTokens: RefreshTokens }) {
    this.#core = core;
  }

  /** The write that makes a session, and what the browser gets once it is stored. A sign-in calls this, and `SessionManager.create`. */
  prepare(
    user: { id: string; sessionEpoch: number },
    proof: Proof,
    actor: Actor,
    options: {
      rememberMe?: boolean;
      fingerprint?: string;
      lifetimeSeconds?: number;
      bearer?: BearerTerms;
      maxSeconds?: number;
      authenticatedAt?: Date;
      /** Who acts as this user, and the session of theirs with which that ends. */
      impersonator?: { id: string; sessionId: string };
    } = {},
  ): { write: Write; result: SessionWithToken } {
    const { config } = this.#core;
    const { bearer } = options;
    const now = this.#core.now();
    const persistent = bearer === undefined && config.session.rememberMe && options.rememberMe === true;
    const { absoluteSeconds, idleSeconds } = lifetimesOf(config, bearer !== undefined, persistent);
    const id = newId(config.random);
    const salt = this.#core.sessionTokens.newSalt(config.random);
    const row: SessionRow = {
      id,
      userId: user.id,
      kind: bearer === undefined ? 'cookie' : 'bearer',
      epoch: user.sessionEpoch,
      generation: 0,
      salt,
      previousSalt: null,
      rotatedAt: now,
      acknowledgedAt: null,
      hardRotatedAt: null,
      holder: null,
      contests: null,
      contestedAt: null,
      createdAt: now,
      lastSeenAt: now,
      absoluteExpiresAt: after(
        now,
        Math.min(options.lifetimeSeconds ?? absoluteSeconds, options.maxSeconds ?? Infinity),
      ),
      idleSeconds,
      persistent,
      authenticatedAt: options.authenticatedAt ?? now,
      amr: proof.amr.join(' '),
      assuranceLevel: proof.assuranceLevel,
      lockedAt: null,
      networkLockedAt: null,
      fingerprint:
        options.fingerprint ??
        encodeFingerprint({ ...deviceOf(actor.userAgent), country: null, network: null, relay: null }),
      ip: actor.ip,
      impersonatorId: options.impersonator?.id ?? null,
      impersonatorSessionId: options.impersonator?.sessionId ?? null,
      clientId: bearer?.clientId ?? null,
      tokenScope: bearer?.scope ?? null,
      boundKey: bearer?.boundKey ?? null,
      revokedAt: null,
      revokedReason: null,
    };
    return {
      write: this.#core.db.session.create({ data: row, select: { id: true } }),
      result: {
        session: toSession(row),
        token:
          bearer === undefined
            ? this.#core.sessionTokens.issue(row, row.generation, row.salt, now)
            : this.#core.refreshTokens.issue(id, row.generation, salt),
      },
    };
  }

  /**
   * A hard rotation, for a batch that raises what the session may do: the old cookie stops working at once and can never be
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
      holder: null,
      contests: null,
      contestedAt: null,
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
   * For a batch that ends every session of a user but the one it comes from, which goes on under a cookie that no copy has.
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

  /** For a batch that ends every session of a user: raises the epoch, and moves the one that stays to the new epoch. */
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
      // A user who is signed out everywhere stops acting as another person too.
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

const BEARER_IDLE_SECONDS = 14 * 86_400; // docs/requirements.md RT-4

function lifetimesOf({ session, bearer }: Config, isBearer: boolean, persistent: boolean) {
  if (isBearer)
    return {
      absoluteSeconds: bearer.refreshTokenSeconds,
      idleSeconds: Math.min(BEARER_IDLE_SECONDS, bearer.refreshTokenSeconds),
    };
  return persistent
    ? { absoluteSeconds: session.rememberedAbsoluteSeconds, idleSeconds: session.rememberedIdleSeconds }
    : { absoluteSeconds: session.absoluteSeconds, idleSeconds: session.idleSeconds };
}
