import { LRUCache } from 'lru-cache';
import type { AuthTunaError } from '../errors.js';
import type { Grants } from './grants.js';
import type { Topic } from './invalidation.js';
import type { Session } from './session-row.js';
import type { PublicUser } from './user-row.js';

/** A session that was fully checked, and what it may be used for until when. */
export interface VerifiedSession {
  readonly session: Session;
  readonly user: PublicUser;
  readonly grants: Grants;
  /** Milliseconds; from then on the row is asked again. */
  readonly trustedUntil: number;
  /** The User-Agent it was checked with; another one is looked at. */
  readonly userAgent: string | null;
}

const MAX_SESSIONS = 50_000;

/**
 * What is known about sessions without asking the database: verified ones by the raw cookie, and ended ones by id.
 *
 * Only a token that passed every check is a key, so a hit needs no hash. Answers that were under way when an invalidation came are not
 * remembered: `changes` counts the invalidations, and `remember` compares.
 */
export class SessionCache {
  readonly #verified: LRUCache<string, VerifiedSession>;
  readonly #tokensBySession = new Map<string, string[]>();
  readonly #sessionsByUser = new Map<string, string[]>();
  readonly #ended = new LRUCache<string, AuthTunaError['code']>({ max: MAX_SESSIONS });
  /** Moves with every invalidation. */
  changes = 0;

  constructor() {
    this.#verified = new LRUCache({
      max: MAX_SESSIONS,
      dispose: (entry, token) => this.#unlink(entry, token),
    });
  }

  get(token: string): VerifiedSession | undefined {
    return this.#verified.get(token);
  }

  /** Keeps what was found by a read that began at `changes`. */
  remember(token: string, entry: VerifiedSession, changes: number): void {
    if (changes !== this.changes) return;
    const key = Buffer.from(token, 'latin1').toString('latin1'); // a slice of the Cookie header would keep all of the header alive
    this.#verified.set(key, entry);
    link(this.#tokensBySession, entry.session.id, key);
    link(this.#sessionsByUser, entry.user.id, entry.session.id);
  }

  /** Why a session is known to be over, or undefined. */
  endedBecause(sessionId: string): AuthTunaError['code'] | undefined {
    return this.#ended.get(sessionId);
  }

  /** Remembers that a session is over for good, so that a dead cookie costs no query. */
  bury(sessionId: string, code: AuthTunaError['code']): void {
    this.#ended.set(sessionId, code);
  }

  forget(topics: readonly Topic[]): void {
    this.changes += 1;
    for (const topic of topics) {
      if (topic === 'roles' || topic === 'all') this.#verified.clear();
      else if (topic.startsWith('session:')) this.#forgetSession(topic.slice('session:'.length));
      else if (topic.startsWith('user:')) {
        for (const sessionId of [...(this.#sessionsByUser.get(topic.slice('user:'.length)) ?? [])])
          this.#forgetSession(sessionId);
      }
    }
  }

  #forgetSession(sessionId: string): void {
    for (const token of [...(this.#tokensBySession.get(sessionId) ?? [])]) this.#verified.delete(token);
  }

  #unlink(entry: VerifiedSession, token: string): void {
    unlink(this.#tokensBySession, entry.session.id, token);
    if (!this.#tokensBySession.has(entry.session.id))
      unlink(this.#sessionsByUser, entry.user.id, entry.session.id);
  }
}

function link(index: Map<string, string[]>, key: string, value: string): void {
  const values = index.get(key);
  if (values === undefined) index.set(key, [value]);
  else if (!values.includes(value)) values.push(value);
}

function unlink(index: Map<string, string[]>, key: string, value: string): void {
  const values = index.get(key);
  if (values === undefined) return;
  const rest = values.filter((other) => other !== value);
  if (rest.length === 0) index.delete(key);
  else index.set(key, rest);
}
