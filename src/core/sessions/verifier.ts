import { AuthTunaError, type ErrorCode } from '../../errors.js';
import { Grants } from '../access/grants.js';
import type { RoleStore } from '../access/role-store.js';
import type { TeamHoldings } from '../access/team-holdings.js';
import type { AuditManager } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import { isActive, publicUser } from '../user.js';
import { mayActUntil } from './acting.js';
import { SessionCache, VerifiedSession } from './cache.js';
import { type RequestFacts, SessionDevices } from './devices.js';
import { Generations } from './generations.js';
import { SessionHolders } from './holders.js';
import { endedBecause, hardRotatedAt, idleDeadline, isOutOfEpoch } from './lifetime.js';
import { isRotationDue, judge } from './rotation.js';
import { SessionAlarms } from './session-alarms.js';
import { type SessionRead, SessionReader } from './session-reader.js';
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

const BEARER = 'bearer'; // the kind of a session of tokens
const MAX_ATTEMPTS = 3;

// Long: every step from a cookie to its session, in the order of docs/sessions.md.
/**
 * Decides what a session cookie is worth: reads its row, has `rotation.ts` judge it, and carries out the ruling.
 *
 * A rotation is one conditional update, so there is one successor per generation. It is derived from the row, so every instance can hand
 * out the same one again. The replaced cookie works until the server has seen its successor, then for a short time as a straggler, and
 * after that it is proof of a copy.
 * @see RFC 9700 section 4.14; docs/sessions.md; docs/requirements.md SS-1 to SS-8, SS-14
 */
export class SessionVerifier {
  readonly cache: SessionCache;
  readonly #runtime: Runtime;
  readonly #tokens: SessionTokens;
  readonly #reader: SessionReader;
  readonly #generations: Generations;
  readonly #devices: SessionDevices;
  readonly #holders: SessionHolders;
  readonly #alarms: SessionAlarms;
  readonly #recheckMs: number;

  constructor(
    runtime: Runtime,
    tokens: SessionTokens,
    ledger: Ledger,
    audit: AuditManager,
    roles: RoleStore,
    teams: TeamHoldings,
  ) {
    this.#runtime = runtime;
    this.#tokens = tokens;
    this.#recheckMs = runtime.config.session.recheckSeconds * 1000;
    this.cache = new SessionCache(runtime.config.session.recheckSeconds, runtime.now().getTime());
    this.#reader = new SessionReader(runtime, this.cache, roles, teams);
    this.#generations = new Generations(runtime, tokens);
    this.#devices = new SessionDevices(runtime, ledger);
    this.#holders = new SessionHolders(runtime, ledger, audit);
    this.#alarms = new SessionAlarms(runtime, ledger, audit);
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
   * Finds the token that counts among several that one request shows, as a browser does after `cookieDomain` was changed; null where none does.
   *
   * Tokens that are not ours are left out. Of one session the newest counts; of several sessions of one user, the only one that is not over.
   * Where two users are named none counts: another site may have planted a cookie of its own.
   * @throws AuthTunaError `unavailable`
   */
  async choose(tokens: readonly string[]): Promise<string | null> {
    const now = this.#runtime.now();
    const newest = new Map<string, { token: string; claims: SessionClaims }>();
    for (const token of tokens) {
      const claims = this.#tokens.verify(token, now.getTime());
      if (claims === null) continue;
      const known = newest.get(claims.sessionId);
      if (known === undefined || known.claims.generation < claims.generation)
        newest.set(claims.sessionId, { token, claims });
    }
    const found = [...newest.values()];
    if (new Set(found.map(({ claims }) => claims.userId)).size > 1) return null;
    if (found.length < 2) return found[0]?.token ?? null;
    const rows = await Promise.all(found.map(({ claims }) => this.#reader.latest(claims.sessionId)));
    const live = found.filter((_, index) => {
      const read = rows[index] ?? null;
      return read !== null && this.#endedBecause(read, now) === null;
    });
    return live.length === 1 ? (live[0]?.token ?? null) : null;
  }

  /**
   * Checks a token against its row.
   *
   * @param latest use only a read that begins after this call: for unsafe methods and `fresh` routes
   * @throws AuthTunaError `unavailable` when the database does not answer; nothing is remembered then
   */
  async verify(token: string, request: RequestFacts, options: { latest: boolean }): Promise<SessionVerdict> {
    const claims = this.#tokens.verify(token, this.#runtime.now().getTime());
    if (claims === null) return refused('unauthenticated');
    const ended = this.cache.endedBecause(claims.sessionId);
    if (ended !== undefined) return refused(ended);
    let previous: SessionRead | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const read = await (options.latest || attempt > 1
        ? this.#reader.latest(claims.sessionId)
        : this.#reader.shared(claims.sessionId));
      const verdict = await this.#judge(claims, read, previous, request, token);
      if (verdict !== 'read again') return verdict;
      previous = read;
    }
    throw contended();
  }

  /**
   * Checks a session again that is still remembered, so that its next request need not wait. Only where nothing is due: what
   * needs an answer to carry a cookie, or says that a cookie is old or a session over, is left to the next request.
   *
   * @throws AuthTunaError `unavailable`; what was remembered stays as it was
   */
  async lookAhead(token: string, verified: VerifiedSession, request: RequestFacts): Promise<void> {
    const read = await this.#reader.shared(verified.sessionId);
    if (read === null) return;
    const { row } = read;
    const now = this.#runtime.now();
    // The cookie was checked against this generation and was its current one, so it need not be checked again.
    if (row.generation !== verified.generation || row.acknowledgedAt === null) return;
    if (this.#endedBecause(read, now) !== null || row.lockedAt !== null) return;
    const { session } = this.#runtime.config;
    if (isRotationDue(row, session, this.#generations.factsOf(row.id, now, true))) return;
    const looked = await this.#devices.look(row, request, now);
    if (looked === 'revoke') await this.#end(row, request, 'device_changed');
    if (looked !== 'fine') return;
    await this.#generations.touch(row, now);
    await this.#touchOwn(read, now);
    const renewed = this.#verified(read, request, now, { isCurrent: true });
    this.cache.renew(token, verified, renewed, now.getTime());
  }

  /**
   * Asks again about a session whose cookie was checked when a stream or a slow handler began, by its row alone: that cookie has been
   * rotated away meanwhile, and showing it again would look like a copy. A hard rotation ends what was begun before it.
   *
   * @throws AuthTunaError `unavailable`
   */
  async follow(verified: VerifiedSession): Promise<VerifiedSession | { refusal: ErrorCode }> {
    const { sessionId, userAgent } = verified;
    let previous: SessionRead | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const read: SessionRead | null = await this.#reader.latest(sessionId);
      if (read === null) return { refusal: 'unauthenticated' };
      const { row } = read;
      const now = this.#runtime.now();
      if (isOutOfEpoch(row) && row.revokedAt === null && previous?.row.epoch !== row.epoch) {
        previous = read;
        continue;
      }
      const ended = this.#endedBecause(read, now);
      if (ended !== null) return { refusal: ended };
      if (row.lockedAt !== null) return { refusal: 'recent_login_required' };
      if (hardRotatedAt(row) !== verified.hardRotatedAt) return { refusal: 'superseded' };
      return this.#verified(read, { userAgent }, now, { isCurrent: false });
    }
    throw contended();
  }

  /**
   * Looks at the session behind an access token, whose text the caller has checked. Devices are not compared: a program that sends tokens has no
   * page on which its user could prove anything.
   *
   * @param latest as for `verify`
   * @throws AuthTunaError `unavailable`
   */
  async verifyBearer(
    claims: Pick<SessionClaims, 'sessionId' | 'userId'>,
    userAgent: string | null,
    options: { latest: boolean },
  ): Promise<VerifiedSession | { refusal: ErrorCode }> {
    const { sessionId, userId } = claims;
    const buried = this.cache.endedBecause(sessionId);
    if (buried !== undefined) return { refusal: buried };
    let previous: SessionRead | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const read: SessionRead | null = await (options.latest || attempt > 1
        ? this.#reader.latest(sessionId)
        : this.#reader.shared(sessionId));
      if (read === null || read.row.userId !== userId || read.row.kind !== BEARER)
        return { refusal: 'unauthenticated' };
      const { row } = read;
      const now = this.#runtime.now();
      if (isOutOfEpoch(row) && row.revokedAt === null && previous?.row.epoch !== row.epoch) {
        previous = read;
        continue;
      }
      const ended = this.#endedBecause(read, now);
      if (ended !== null) return { refusal: ended };
      await this.#generations.touch(row, now);
      await this.#touchOwn(read, now);
      return this.#verified(read, { userAgent }, now, { isCurrent: true });
    }
    throw contended();
  }

  async #judge(
    claims: SessionClaims,
    read: SessionRead | null,
    previous: SessionRead | null,
    request: RequestFacts,
    token: string,
  ): Promise<SessionVerdict | 'read again'> {
    const now = this.#runtime.now();
    if (read === null) return this.#bury(claims.sessionId, 'unauthenticated');
    const { row } = read;
    if (row.userId !== claims.userId) return this.#impossible(row, claims, 'other_user');
    if (row.kind === BEARER) return this.#impossible(row, claims, 'bearer_session');
    // The user is read after the session, so a change that keeps this session may have raised the epoch in between: read once more.
    if (isOutOfEpoch(row) && row.revokedAt === null && previous?.row.epoch !== row.epoch) return 'read again';
    const ended = this.#endedBecause(read, now);
    if (row.revokedAt === null && this.#mayActUntil(read, now) === 0)
      await this.#alarms.endActing(row, request);
    if (ended === 'session_revoked' && isActive(row.user, now)) return this.#bury(row.id, ended); // a suspension can be lifted
    if (ended !== null) return refused(ended);

    const { session } = this.#runtime.config;
    const ruling = judge(row, claims, session, this.#generations.factsOf(row.id, now, request.mayRotate));
    if (ruling.cookie === 'superseded') return refused('superseded');
    if (ruling.cookie === 'copy') return this.#end(row, request, 'breach');
    if (ruling.cookie === 'impossible') {
      // A read that was shared may have begun before the rotation that this cookie comes from.
      if (ruling.reason === 'ahead_of_database' && previous === null) return 'read again';
      return this.#impossible(row, claims, ruling.reason);
    }

    const looked = await this.#devices.look(row, request, now);
    if (looked === 'revoke') return this.#end(row, request, 'device_changed');
    if (looked === 'read again') return looked;

    let renewedToken: string | null = null;
    if (ruling.cookie === 'waiting') {
      if ((await this.#holders.look(row, request, now)) === 'read again') return 'read again';
      renewedToken = this.#generations.reissue(row, now); // the answer that carried it may have been lost
    } else if (ruling.cookie === 'current') {
      if (ruling.due === 'rotation') {
        renewedToken = await this.#generations.rotate(row, request, now);
        if (renewedToken === null) return 'read again';
      } else if (ruling.due === 'acknowledgement') {
        if (!(await this.#generations.acknowledge(row, now))) return 'read again';
      } else await this.#generations.touch(row, now);
    }
    await this.#touchOwn(read, now);

    const verified = this.#verified(read, request, now, { isCurrent: ruling.cookie === 'current' });
    if (row.lockedAt !== null) return { status: 'refused', code: 'recent_login_required', locked: verified };
    this.cache.remember(token, verified, now.getTime());
    return {
      status: 'verified',
      verified,
      renewedToken,
      persistentUntil: row.persistent ? row.absoluteExpiresAt : null,
    };
  }

  #verified(
    read: SessionRead,
    request: Pick<RequestFacts, 'userAgent'>,
    now: Date,
    cookie: { isCurrent: boolean },
  ): VerifiedSession {
    const { row, catalog, held } = read;
    const limit = row.tokenScope?.split(' ') ?? null;
    const grants = new Grants(row.userId, held, catalog, now.getTime(), limit);
    const recheckAt = read.startedAt + this.#recheckMs;
    const endsAt = Math.min(
      row.absoluteExpiresAt.getTime(),
      idleDeadline({ ...row, lastSeenAt: now }, this.#runtime.config.session.lifetimeFrom).getTime(),
      grants.expiresAt,
      this.#mayActUntil(read, now),
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

  #endedBecause(read: SessionRead, now: Date): ErrorCode | null {
    const ended = endedBecause(read.row, now, this.#runtime.config.session.lifetimeFrom);
    return ended ?? (this.#mayActUntil(read, now) === 0 ? 'session_revoked' : null);
  }

  #mayActUntil(read: SessionRead, now: Date): number {
    return mayActUntil(read, now, this.#runtime.config.session.lifetimeFrom);
  }

  /** While an administrator acts as another person, the session that leads back does not idle out. */
  async #touchOwn({ own }: SessionRead, now: Date): Promise<void> {
    if (own !== null) await this.#generations.touch(own.row, now);
  }

  #bury(sessionId: string, code: ErrorCode): SessionVerdict {
    this.cache.bury(sessionId, code);
    this.#runtime.invalidation.receive([`session:${sessionId}`]); // an older cookie of it may still be remembered, a stream still open
    return refused(code);
  }

  async #impossible(row: LoadedSession, claims: SessionClaims, reason: string): Promise<SessionVerdict> {
    await this.#alarms.report(row, claims, reason);
    return refused('unauthenticated');
  }

  async #end(
    row: LoadedSession,
    request: RequestFacts,
    reason: 'breach' | 'device_changed',
  ): Promise<SessionVerdict> {
    await this.#alarms.end(row, request, reason);
    this.cache.bury(row.id, 'session_revoked');
    return refused('session_revoked');
  }

  /** @internal Ends a bearer session whose refresh token came back after its successor was used, once. */
  async endAsStolen(
    row: Parameters<SessionAlarms['end']>[0],
    request: Pick<RequestFacts, 'ip' | 'userAgent'>,
  ): Promise<void> {
    await this.#alarms.end(row, request, 'refresh_token_reused');
    this.cache.bury(row.id, 'session_revoked');
  }

  /** @internal What a new session is compared with later. */
  baseline(request: RequestFacts): Promise<string> {
    return this.#devices.baseline(request);
  }
}

function contended(): AuthTunaError {
  return new AuthTunaError('unavailable', { retryAfterSeconds: 1, reason: 'session_contended' });
}

function refused(code: ErrorCode): SessionVerdict {
  return { status: 'refused', code, locked: null };
}
