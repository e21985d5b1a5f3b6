import { type Actor, SYSTEM } from '../../actor.js';
import { equalInConstantTime } from '../../crypto/digest.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import { after } from '../../time.js';
import { Grants } from '../access/grants.js';
import type { RoleCatalog } from '../access/role-catalog.js';
import type { RoleStore } from '../access/role-store.js';
import type { AuditManager } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import { noticeTo } from '../changes/outbox.js';
import { Batcher } from '../concurrency/batcher.js';
import type { Runtime } from '../runtime.js';
import { isActive, publicUser } from '../user.js';
import { SessionCache, VerifiedSession } from './cache.js';
import { type RequestFacts, SessionDevices } from './devices.js';
import type { LoadedSession } from './session-row.js';
import { toSession } from './session-row.js';
import type { SessionClaims, SessionTokens } from './session-token.js';

/** What a session cookie is worth. Only `verified` is a signed-in user. */
export type SessionVerdict =
  | {
      status: 'verified';
      verified: VerifiedSession;
      renewedToken: string | null;
      persistentUntil: Date | null;
    }
  /** Not ours, forged, expired or ended. `locked` is set for a session that waits for a step-up. */
  | { status: 'refused'; code: ErrorCode; locked: VerifiedSession | null };

const MAX_ATTEMPTS = 3;
const ROLES_SHARE = 0.1; // of `recheckSeconds`: with thousands of sessions to check, most of the queries would ask this one row
const TOUCH_SECONDS = 300;

/**
 * Decides what a session cookie is worth: "acknowledge on use, single live successor".
 *
 * A rotation is one conditional update, so there is one successor per generation. It is derived from the row, so every instance can hand
 * out the same one again. The replaced cookie works until the server has seen its successor, then for a short time as a straggler, and
 * after that it is proof of a copy.
 * @see RFC 9700 section 4.14; docs/requirements.md SS-1 to SS-8, SS-14
 */
export class SessionVerifier {
  readonly cache: SessionCache;
  readonly #runtime: Runtime;
  readonly #tokens: SessionTokens;
  readonly #ledger: Ledger;
  readonly #audit: AuditManager;
  readonly #rows: Batcher<Read>;
  readonly #recheckMs: number;
  readonly #devices: SessionDevices;

  constructor(
    runtime: Runtime,
    tokens: SessionTokens,
    ledger: Ledger,
    audit: AuditManager,
    roles: RoleStore,
  ) {
    this.#runtime = runtime;
    this.#tokens = tokens;
    this.#ledger = ledger;
    this.#audit = audit;
    this.#devices = new SessionDevices(runtime, ledger);
    this.#recheckMs = runtime.config.session.recheckSeconds * 1000;
    this.cache = new SessionCache(runtime.config.session.recheckSeconds, runtime.now().getTime());
    // Roles are asked about together with the sessions, or were a moment ago; then what is read is trusted for that much shorter.
    this.#rows = new Batcher(async (ids, isLatest) => {
      const readAt = this.cache.invalidations;
      const now = runtime.now().getTime();
      const [rows, { catalog, scopesVersion, at }] = await Promise.all([
        runtime.db.session.findMany({
          where: { id: { in: ids } },
          include: {
            user: { include: { assignments: { select: { roleId: true, scope: true, expiresAt: true } } } },
          },
        }),
        roles.recent(isLatest ? 0 : this.#recheckMs * ROLES_SHARE),
      ]);
      const startedAt = Math.min(now, at);
      return new Map(rows.map((row) => [row.id, { row, catalog, scopesVersion, readAt, startedAt }]));
    });
    runtime.invalidation.subscribe((topics) => this.cache.forget(topics, runtime.now().getTime()));
  }

  /** The session of a token that was fully checked less than `recheckSeconds` ago from the same browser; synchronous, without a query. */
  remembered(token: string, userAgent: string | null, now: number): VerifiedSession | undefined {
    const verified = this.cache.get(token, now);
    return verified !== undefined && verified.userAgent === userAgent ? verified : undefined;
  }

  /** The session that a token of ours names, without asking what it is worth; null for what was not signed here. */
  sessionIdOf(token: string): string | null {
    return this.#tokens.verify(token, this.#runtime.now().getTime())?.sessionId ?? null;
  }

  /**
   * Checks a token against its row.
   *
   * @param latest never to share an answer that was asked for before this call: for unsafe methods and `fresh` routes
   * @throws AuthTunaError `unavailable` when the database does not answer; nothing is remembered then
   */
  async verify(token: string, request: RequestFacts, options: { latest: boolean }): Promise<SessionVerdict> {
    const claims = this.#tokens.verify(token, this.#runtime.now().getTime());
    if (claims === null) return refused('unauthenticated');
    const ended = this.cache.endedBecause(claims.sessionId);
    if (ended !== undefined) return refused(ended);
    let previous: Read | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const read = await (options.latest || attempt > 1
        ? this.#rows.latest(claims.sessionId)
        : this.#shared(claims.sessionId));
      const verdict = await this.#judge(claims, read, previous, request, token);
      if (verdict !== 'read again') return verdict;
      previous = read;
    }
    throw contended();
  }

  /**
   * Looks again at a session that is still remembered, so that whoever shows its cookie next need not wait. Only where nothing is due: what
   * needs an answer to carry a cookie, or says that a cookie is old or a session over, is left to the next request.
   *
   * @throws AuthTunaError `unavailable`; what was remembered stays as it was
   */
  async lookAhead(token: string, verified: VerifiedSession, request: RequestFacts): Promise<void> {
    const read = await this.#shared(verified.sessionId);
    if (read === null) return;
    const { row } = read;
    const now = this.#runtime.now();
    // The cookie was checked against this generation and was its current one, so it need not be checked again.
    if (row.generation !== verified.generation || row.acknowledgedAt === null) return;
    if (this.#endedBecause(row, now) !== null || row.lockedAt !== null || this.#isRotationDue(row, now))
      return;
    if ((await this.#lookAtDevice(row, request, now)) !== 'fine') return;
    await this.#touch(row, now);
    const renewed = this.#verified(read, request, now, { isCurrent: true });
    this.cache.renew(token, verified, renewed, now.getTime());
  }

  /** What may have been asked for already: not before the last change that was heard of here, and not longer than `recheckSeconds` ago. */
  async #shared(sessionId: string): Promise<Read | null> {
    const askedAt = this.#runtime.now().getTime();
    const { invalidations } = this.cache;
    const read = await this.#rows.shared(sessionId);
    if (read === null) return null;
    const isOutdated = read.readAt < invalidations || askedAt - read.startedAt > this.#recheckMs;
    return isOutdated ? this.#rows.latest(sessionId) : read;
  }

  /**
   * Asks again about a session whose cookie was checked when a stream or a slow handler began, by its row alone: that cookie has been
   * rotated away meanwhile, and showing it again would look like a copy. A hard rotation ends what was begun before it.
   *
   * @throws AuthTunaError `unavailable`
   */
  async follow(verified: VerifiedSession): Promise<VerifiedSession | { refusal: ErrorCode }> {
    const { sessionId, userAgent } = verified;
    let previous: Read | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const read: Read | null = await this.#rows.latest(sessionId);
      if (read === null) return { refusal: 'unauthenticated' };
      const { row } = read;
      const now = this.#runtime.now();
      if (isOutOfEpoch(row) && row.revokedAt === null && previous?.row.epoch !== row.epoch) {
        previous = read;
        continue;
      }
      const ended = this.#endedBecause(row, now);
      if (ended !== null) return { refusal: ended };
      if (row.lockedAt !== null) return { refusal: 'recent_login_required' };
      if (hardRotatedAt(row) !== verified.hardRotatedAt) return { refusal: 'superseded' };
      return this.#verified(read, { userAgent }, now, { isCurrent: false });
    }
    throw contended();
  }

  async #judge(
    claims: SessionClaims,
    read: Read | null,
    previous: Read | null,
    request: RequestFacts,
    token: string,
  ): Promise<SessionVerdict | 'read again'> {
    const now = this.#runtime.now();
    if (read === null) return this.#bury(claims.sessionId, 'unauthenticated');
    const { row } = read;
    if (row.userId !== claims.userId) return this.#suspicious(row, claims, 'other_user');
    // The user is read after the session: what raised the epoch in between may have kept this session. Twice the same is no coincidence.
    if (isOutOfEpoch(row) && row.revokedAt === null && previous?.row.epoch !== row.epoch) return 'read again';
    const ended = this.#endedBecause(row, now);
    if (ended === 'session_revoked' && isActive(row.user, now)) return this.#bury(row.id, ended); // a suspension can be lifted
    if (ended !== null) return refused(ended);

    const behind = row.generation - claims.generation;
    // A read that was shared may have begun before the rotation that this cookie comes from.
    if (behind < 0 && previous === null) return 'read again';
    if (behind < 0) return this.#suspicious(row, claims, 'ahead_of_database');
    const isCurrent = behind === 0;
    // Also from two before: the very request that was elevated may have been due for a rotation, beside others that were on their way.
    if (!isCurrent && hardRotatedAt(row) === row.rotatedAt.getTime())
      return this.#isForgiven(row, now) ? refused('superseded') : this.#breach(row, request);
    if (behind >= 2) return this.#breach(row, request);
    const salt = isCurrent ? row.salt : row.previousSalt;
    const expected = salt === null ? null : this.#tokens.rotatingString(row.id, claims.generation, salt);
    if (expected === null || !equalInConstantTime(claims.rotating, expected))
      return this.#suspicious(row, claims, 'wrong_rotating_string');

    if (!isCurrent && row.acknowledgedAt !== null) {
      const age = now.getTime() - row.acknowledgedAt.getTime();
      const { rotationGraceSeconds } = this.#runtime.config.session;
      if (age > rotationGraceSeconds * 1000)
        return this.#isForgiven(row, now) ? refused('superseded') : this.#breach(row, request);
    }

    const looked = await this.#lookAtDevice(row, request, now);
    if (looked !== 'fine') return looked;

    let renewedToken: string | null = null;
    if (isCurrent) {
      const outcome = await this.#advance(row, request, now);
      if (outcome === 'read again') return outcome;
      renewedToken = outcome;
    } else if (row.acknowledgedAt === null) {
      renewedToken = this.#tokens.issue(row, row.generation, row.salt, now); // the answer that carried it may have been lost
    }

    const verified = this.#verified(read, request, now, { isCurrent });
    if (row.lockedAt !== null) return { status: 'refused', code: 'recent_login_required', locked: verified };
    this.cache.remember(token, verified, now.getTime());
    return {
      status: 'verified',
      verified,
      renewedToken,
      persistentUntil: row.persistent ? row.absoluteExpiresAt : null,
    };
  }

  /** For the current generation: acknowledge, rotate or touch, whichever is due. Gives the successor after a rotation. */
  async #advance(
    row: LoadedSession,
    request: RequestFacts,
    now: Date,
  ): Promise<string | null | 'read again'> {
    const { db, config } = this.#runtime;
    const live = { id: row.id, generation: row.generation, revokedAt: null };
    if (row.acknowledgedAt === null) {
      const { count } = await db.session.updateMany({
        where: { ...live, acknowledgedAt: null },
        data: { acknowledgedAt: now, lastSeenAt: now },
      });
      return count === 1 ? null : 'read again';
    }
    if (request.mayRotate && row.lockedAt === null && this.#isRotationDue(row, now)) {
      const salt = this.#tokens.newSalt(config.random);
      const { count } = await db.session.updateMany({
        where: { ...live, acknowledgedAt: { lte: after(now, -config.session.rotateSeconds) } },
        data: {
          generation: row.generation + 1,
          previousSalt: row.salt,
          salt,
          rotatedAt: now,
          acknowledgedAt: null,
          lastSeenAt: now,
        },
      });
      return count === 1 ? this.#tokens.issue(row, row.generation + 1, salt, now) : 'read again';
    }
    await this.#touch(row, now);
    return null;
  }

  async #touch(row: LoadedSession, now: Date): Promise<void> {
    const due = after(now, -Math.min(TOUCH_SECONDS, row.idleSeconds / 10));
    if (row.lastSeenAt >= due) return;
    await this.#runtime.db.session.updateMany({
      where: { id: row.id, lastSeenAt: { lt: due }, revokedAt: null },
      data: { lastSeenAt: now },
    });
  }

  #isRotationDue(row: LoadedSession, now: Date): boolean {
    const { rotateSeconds } = this.#runtime.config.session;
    return (
      rotateSeconds > 0 && row.acknowledgedAt !== null && row.acknowledgedAt <= after(now, -rotateSeconds)
    );
  }

  #verified(
    read: Read,
    request: Pick<RequestFacts, 'userAgent'>,
    now: Date,
    cookie: { isCurrent: boolean },
  ): VerifiedSession {
    const { row, catalog } = read;
    const grants = new Grants(row.userId, row.user.assignments, catalog, now.getTime());
    const recheckAt = read.startedAt + this.#recheckMs;
    const endsAt = Math.min(
      row.absoluteExpiresAt.getTime(),
      this.#idleDeadline({ ...row, lastSeenAt: now }),
      grants.expiresAt,
    );
    return new VerifiedSession(this.cache, {
      session: toSession(row),
      user: publicUser(row.user),
      grants,
      trustedUntil: Math.min(recheckAt, endsAt),
      isLookedAtAgain: !cookie.isCurrent || endsAt <= recheckAt, // a cookie that is old is to be shown again, and an end stays where it is
      userAgent: request.userAgent,
      generation: row.generation,
      readAt: read.readAt,
      scopesVersion: read.scopesVersion,
      hardRotatedAt: hardRotatedAt(row),
    });
  }

  /** Why a session is over whatever cookie is shown, or null. */
  #endedBecause(row: LoadedSession, now: Date): ErrorCode | null {
    if (row.revokedAt !== null || isOutOfEpoch(row) || !isActive(row.user, now)) return 'session_revoked';
    if (row.absoluteExpiresAt <= now || this.#idleDeadline(row) <= now.getTime()) return 'unauthenticated';
    return null;
  }

  #idleDeadline(row: { createdAt: Date; lastSeenAt: Date; idleSeconds: number }): number {
    const from = this.#runtime.config.session.lifetimeFrom === 'creation' ? row.createdAt : row.lastSeenAt;
    return after(from, row.idleSeconds).getTime();
  }

  #isForgiven(row: LoadedSession, now: Date): boolean {
    const { rotationForgiveSeconds } = this.#runtime.config.session;
    return (
      row.acknowledgedAt === null ||
      now.getTime() - row.acknowledgedAt.getTime() <= rotationForgiveSeconds * 1000
    );
  }

  #bury(sessionId: string, code: ErrorCode): SessionVerdict {
    this.cache.bury(sessionId, code);
    this.#runtime.invalidation.receive([`session:${sessionId}`]); // an older cookie of it may still be remembered, a stream still open
    return refused(code);
  }

  /** A cookie with our signature that the row cannot have given out: forged with a leaked key, or the row is behind. The row is left alone. */
  async #suspicious(row: LoadedSession, claims: SessionClaims, reason: string): Promise<SessionVerdict> {
    this.#runtime.config.logger.error('A session cookie does not fit its row.', {
      reason,
      sessionId: row.id,
    });
    await this.#audit.record({
      type: 'session.suspicious',
      outcome: 'denied',
      reason,
      actor: SYSTEM,
      target: { type: 'session', id: row.id },
      data: { userId: row.userId, generation: claims.generation, rowGeneration: row.generation },
    });
    return refused('unauthenticated');
  }

  /** Two holders of one cookie: the session ends once, with one audit entry and one mail, however many requests notice. */
  async #breach(row: LoadedSession, request: RequestFacts): Promise<SessionVerdict> {
    await this.#breached(row, request, 'breach');
    return refused('session_revoked');
  }

  async #breached(row: LoadedSession, request: RequestFacts, reason: string): Promise<void> {
    const now = this.#runtime.now();
    const actor: Actor = { ...SYSTEM, ip: request.ip, userAgent: request.userAgent };
    try {
      await this.#ledger.commit({
        writes: [
          this.#runtime.db.session.update({
            where: { id: row.id, revokedAt: null },
            data: { revokedAt: now, revokedReason: reason },
          }),
        ],
        facts: [
          {
            type: 'session.breached',
            outcome: 'denied',
            reason,
            actor,
            target: { type: 'session', id: row.id },
            data: { userId: row.userId },
          },
        ],
        mails: [{ template: 'session-stolen', ...noticeTo(this.#runtime, row.user, actor) }],
        invalidates: [`session:${row.id}`],
      });
    } catch (error) {
      if (!isMissing(error)) throw error; // somebody else ended it first
    }
    this.cache.bury(row.id, 'session_revoked');
  }

  async #lookAtDevice(
    row: LoadedSession,
    request: RequestFacts,
    now: Date,
  ): Promise<'fine' | SessionVerdict | 'read again'> {
    const looked = await this.#devices.look(row, request, now);
    if (looked !== 'revoke') return looked;
    await this.#breached(row, request, 'device_changed');
    return refused('session_revoked');
  }

  /** @internal What a new session is compared with later. */
  baseline(request: RequestFacts): Promise<string> {
    return this.#devices.baseline(request);
  }
}

interface Read {
  row: LoadedSession;
  catalog: RoleCatalog;
  /** Of the tree of scopes. */
  scopesVersion: number;
  /** How many invalidations there had been when the read began. */
  readAt: number;
  /** Milliseconds; what is read counts as known from here on, not from when the answer came. */
  startedAt: number;
}

/** Milliseconds; 0 for never. */
function hardRotatedAt(row: LoadedSession): number {
  return row.hardRotatedAt?.getTime() ?? 0;
}

function isOutOfEpoch(row: LoadedSession): boolean {
  return row.epoch !== row.user.sessionEpoch;
}

function contended(): AuthTunaError {
  return new AuthTunaError('unavailable', { retryAfterSeconds: 1, reason: 'session_contended' });
}

function refused(code: ErrorCode): SessionVerdict {
  return { status: 'refused', code, locked: null };
}
