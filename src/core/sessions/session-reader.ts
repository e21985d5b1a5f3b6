import type { AssignmentRow, RoleCatalog } from '../access/role-catalog.js';
import type { RoleStore } from '../access/role-store.js';
import { type TeamHoldings, withTeams } from '../access/team-holdings.js';
import { Batcher } from '../concurrency/batcher.js';
import type { Runtime } from '../runtime.js';
import type { SessionCache } from './cache.js';
import type { LoadedSession } from './session-row.js';

const ROLES_SHARE = 0.1; // of `recheckSeconds`: with thousands of sessions to check, most of the queries would ask this one row

/** A session's row as one read found it. */
export interface SessionRead {
  row: LoadedSession;
  /** The user's assignments, with what their teams hold. */
  held: readonly AssignmentRow[];
  /** For a session in which an administrator acts as another person: their own session, with their roles. Null when it is gone; null for others. */
  own: { row: LoadedSession; held: readonly AssignmentRow[] } | null;
  catalog: RoleCatalog;
  /** Of the tree of scopes. */
  scopesVersion: number;
  /** How many invalidations there had been when the read began. */
  readAt: number;
  /** Milliseconds; what is read counts as known from here on, not from when the answer came. */
  startedAt: number;
}

/** Reads sessions with their users and roles, all that are asked for in one turn in one query. */
export class SessionReader {
  readonly #runtime: Runtime;
  readonly #cache: SessionCache;
  readonly #rows: Batcher<SessionRead>;
  readonly #recheckMs: number;

  constructor(runtime: Runtime, cache: SessionCache, roles: RoleStore, teams: TeamHoldings) {
    this.#runtime = runtime;
    this.#cache = cache;
    this.#recheckMs = runtime.config.session.recheckSeconds * 1000;
    // Roles are asked about together with the sessions, or were a moment ago; then what is read is trusted for that much shorter.
    this.#rows = new Batcher(async (ids, isLatest) => {
      const readAt = cache.invalidations;
      const now = runtime.now().getTime();
      const [rows, { catalog, scopesVersion, teamsVersion, at }] = await Promise.all([
        this.#load(ids),
        roles.recent(isLatest ? 0 : this.#recheckMs * ROLES_SHARE),
      ]);
      const startedAt = Math.min(now, at);
      const begunFrom = rows.flatMap(({ impersonatorSessionId }) => impersonatorSessionId ?? []);
      const own = begunFrom.length === 0 ? [] : await this.#load(begunFrom);
      const holdings = await teams.of(
        [...rows, ...own].flatMap(({ user }) => user.assignments),
        teamsVersion,
      );
      return new Map(
        rows.map((row) => {
          const held = withTeams(row.user.assignments, holdings);
          const ownRow = own.find(({ id }) => id === row.impersonatorSessionId);
          const begun =
            ownRow === undefined ? null : { row: ownRow, held: withTeams(ownRow.user.assignments, holdings) };
          return [row.id, { row, held, own: begun, catalog, scopesVersion, readAt, startedAt }];
        }),
      );
    });
  }

  #load(ids: readonly string[]): PromiseLike<LoadedSession[]> {
    return this.#runtime.db.session.findMany({
      where: { id: { in: [...ids] } },
      include: {
        user: { include: { assignments: { select: { roleId: true, scope: true, expiresAt: true } } } },
      },
    });
  }

  /** A read that begins after this call. @throws AuthTunaError `unavailable` */
  latest(sessionId: string): Promise<SessionRead | null> {
    return this.#rows.latest(sessionId);
  }

  /** A read that may have begun before this call, but after the last known change and at most `recheckSeconds` ago. */
  async shared(sessionId: string): Promise<SessionRead | null> {
    const askedAt = this.#runtime.now().getTime();
    const { invalidations } = this.#cache;
    const read = await this.#rows.shared(sessionId);
    if (read === null) return null;
    const isOutdated = read.readAt < invalidations || askedAt - read.startedAt > this.#recheckMs;
    return isOutdated ? this.#rows.latest(sessionId) : read;
  }
}
