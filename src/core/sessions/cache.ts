import type { Session } from '../../auth.js';
import type { AuthTunaError } from '../../errors.js';
import { rememberAtMost } from '../../remember.js';
import type { Grants } from '../access/grants.js';
import type { Topic } from '../invalidation.js';
import { InvalidationLog } from '../invalidation-log.js';
import type { PublicUser } from '../user.js';
import { type Packed, Packer } from './packed.js';

/** A session that was fully checked, and what it may be used for until when. */
export class VerifiedSession {
  readonly sessionId: string;
  readonly userId: string;
  readonly mustChangePassword: boolean;
  readonly grants: Grants;
  /** Milliseconds; from then on the row is asked again. */
  readonly trustedUntil: number;
  /** The User-Agent it was checked with; another one is looked at. */
  readonly userAgent: string | null;
  /** Of its row; its cookie may be the one before. */
  readonly generation: number;
  /** How many invalidations there had been when the read behind it began. */
  readonly readAt: number;
  /** Of the tree of scopes when the row was read; it says which chains still hold for a request that acts on that read. */
  readonly scopesVersion: number;
  /** Milliseconds; when its cookie was last replaced for good, 0 for never. */
  readonly hardRotatedAt: number;
  /** @internal Of the whole cookie. */
  fingerprint = 0;
  /** True while its row is rechecked ahead of time, and when no such recheck is needed. */
  isLookedAtAgain: boolean;
  /** @internal Milliseconds; when its cookie was last shown here. The row says it only every few minutes. */
  usedAt = 0;
  readonly #cache: SessionCache;
  readonly #session: Packed<Session>;
  readonly #user: Packed<PublicUser>;

  constructor(
    cache: SessionCache,
    facts: { session: Session; user: PublicUser } & Pick<
      VerifiedSession,
      | 'grants'
      | 'trustedUntil'
      | 'userAgent'
      | 'generation'
      | 'readAt'
      | 'scopesVersion'
      | 'hardRotatedAt'
      | 'isLookedAtAgain'
    >,
  ) {
    this.sessionId = facts.session.id;
    this.userId = facts.session.userId;
    this.mustChangePassword = facts.user.mustChangePassword;
    this.grants = facts.grants;
    this.trustedUntil = facts.trustedUntil;
    this.userAgent = cache.sharedText(facts.userAgent);
    this.generation = facts.generation;
    this.readAt = facts.readAt;
    this.scopesVersion = facts.scopesVersion;
    this.hardRotatedAt = facts.hardRotatedAt;
    this.isLookedAtAgain = facts.isLookedAtAgain;
    this.#cache = cache;
    this.#session = cache.sessions.pack({
      ...facts.session,
      kind: cache.sharedText(facts.session.kind) as Session['kind'],
      ip: cache.sharedText(facts.session.ip),
      device: cache.sharedText(facts.session.device),
      country: cache.sharedText(facts.session.country),
    });
    this.#user = cache.users.pack({ ...facts.user, id: this.userId });
  }

  /** What ends it early, beside changes of roles. */
  get topics(): Topic[] {
    return [`session:${this.sessionId}`, `user:${this.userId}`];
  }

  /** A new object at every call. */
  get session(): Session {
    return this.#cache.sessions.unpack(this.#session);
  }

  /** A new object at every call. */
  get user(): PublicUser {
    return this.#cache.users.unpack(this.#user);
  }
}

/** Topics that ask every instance to write down when the sessions of a user were last used there. */
export const USES = 'uses:';

const MAX_SESSIONS = 50_000;
const MAX_SHARED_TEXTS = 5000;
const MAX_TOKEN = 4096;
const LANES = 4;
const PRIME = 0x01000193; // FNV
const KEY_LENGTH = 12; // of the signature's end: 72 bits cannot be guessed, and V8 copies them without a detour

/**
 * What is known about sessions without asking the database: verified ones by their cookie, and ended ones by id.
 *
 * An entry is found by the end of the signature of a token that passed every check. A sender of that has seen the cookie, so what
 * stands before it is compared by a plain fingerprint, and keeping the 400 characters is not needed.
 */
export class SessionCache {
  readonly #trustedMs: number;
  /** Two halves that take turns: all that is in the older one has outlived its use when they change places. */
  #young = new Map<string, VerifiedSession>();
  #old = new Map<string, VerifiedSession>();
  #turnedAt = 0;
  #askedAt = 0;
  readonly #log: InvalidationLog;
  /** With `recheckSeconds: 0` no session is remembered, only when it was used. */
  readonly #uses = rememberAtMost<{ userId: string; usedAt: number }>(MAX_SESSIONS);
  readonly #ended = rememberAtMost<AuthTunaError['code']>(MAX_SESSIONS);
  readonly #texts = rememberAtMost<string>(MAX_SHARED_TEXTS);
  /** @internal */
  readonly sessions: Packer<Session>;
  /** @internal */
  readonly users: Packer<PublicUser>;
  /** Where a token is laid out to be read four characters at a time, which is seven times faster than one by one. */
  readonly #bytes = Buffer.from(new ArrayBuffer(MAX_TOKEN + LANES * 4));
  readonly #words = new Uint32Array(this.#bytes.buffer);

  /** @param now milliseconds; times are kept as the distance to it */
  constructor(recheckSeconds: number, now: number) {
    this.#trustedMs = recheckSeconds * 1000;
    this.#log = new InvalidationLog(this.#trustedMs);
    this.sessions = new Packer(now);
    this.users = new Packer(now);
  }

  /** How many invalidations there have been. */
  get invalidations(): number {
    return this.#log.count;
  }

  get(token: string, now: number): VerifiedSession | undefined {
    if (now < this.#askedAt) this.#forgetAll(now);
    this.#askedAt = now;
    const verified = this.#entryOf(token);
    if (verified === undefined || now >= verified.trustedUntil) return undefined;
    if (verified.trustedUntil - now > this.#trustedMs) return undefined; // the clock was put back
    if (verified.fingerprint !== this.#fingerprint(token) || this.isStale(verified)) return undefined;
    verified.usedAt = now;
    return verified;
  }

  /** When the remembered sessions of a user were last used here, by session id; in milliseconds. */
  lastUsesOf(userId: string): Map<string, number> {
    const uses = new Map<string, number>();
    for (const [sessionId, use] of this.#uses.entries())
      if (use.userId === userId) uses.set(sessionId, use.usedAt);
    for (const half of [this.#old, this.#young]) {
      for (const verified of half.values()) {
        if (verified.userId !== userId) continue;
        uses.set(verified.sessionId, Math.max(verified.usedAt, uses.get(verified.sessionId) ?? 0));
      }
    }
    return uses;
  }

  /** Replaces a cached session by its recheck, unless the cache has a newer one by now. */
  renew(token: string, previous: VerifiedSession, verified: VerifiedSession, now: number): void {
    if (this.#entryOf(token) === previous) this.remember(token, verified, now);
  }

  remember(token: string, verified: VerifiedSession, now: number): void {
    if (this.#trustedMs === 0) this.#uses.set(verified.sessionId, { userId: verified.userId, usedAt: now });
    if (verified.trustedUntil <= now || this.isStale(verified)) return;
    if (now < this.#turnedAt) this.#forgetAll(now);
    if (now - this.#turnedAt >= this.#trustedMs || this.#young.size >= MAX_SESSIONS / 2) {
      this.#old = now - this.#turnedAt >= 2 * this.#trustedMs ? new Map() : this.#young;
      this.#young = new Map();
      this.#turnedAt = now;
    }
    verified.fingerprint = this.#fingerprint(token);
    verified.usedAt = now;
    this.#young.set(token.slice(-KEY_LENGTH), verified);
  }

  /** Clears the cache after the clock was put back: entries from the later time would become valid again. */
  #forgetAll(now: number): void {
    this.#old = new Map();
    this.#young = new Map();
    this.#turnedAt = now;
  }

  #entryOf(token: string): VerifiedSession | undefined {
    const key = token.slice(-KEY_LENGTH);
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** The same text as one that was seen before: there are few browsers and addresses, and many sessions. */
  sharedText(text: string | null): string | null {
    if (text === null) return null;
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }

  /** Why a session is known to be over, or undefined. */
  endedBecause(sessionId: string): AuthTunaError['code'] | undefined {
    return this.#ended.get(sessionId);
  }

  /** Remembers that a session is over for good, so that a dead cookie costs no query. */
  bury(sessionId: string, code: AuthTunaError['code']): void {
    this.#ended.set(sessionId, code);
  }

  forget(topics: readonly Topic[], now: number): void {
    if (topics.every((topic) => topic.startsWith(USES))) return; // these topics only ask for a write; no entry becomes stale
    this.#log.note(topics, now);
  }

  /** Whether anything about it has changed since it was read. */
  isStale(verified: VerifiedSession): boolean {
    const { readAt, userId, sessionId } = verified;
    const log = this.#log;
    if (readAt === log.count) return false;
    return (
      log.hasChanged('all', readAt) ||
      log.hasChanged('roles', readAt) ||
      log.hasChanged(`user:${userId}`, readAt) ||
      log.hasChanged(`session:${sessionId}`, readAt)
    );
  }

  /** FNV-1a by words, four at a time; tells a changed token from the one that was checked, not an attacker from a user. */
  #fingerprint(token: string): number {
    const words = this.#words;
    const length = this.#bytes.write(token, 0, MAX_TOKEN, 'latin1');
    const end = Math.ceil(length / 4 / LANES) * LANES;
    for (let at = length; at < end * 4; at += 1) this.#bytes[at] = 0; // at most 15; a call of fill() takes longer
    let [a, b, c, d] = [token.length, 1, 2, 3];
    for (let at = 0; at < end; at += LANES) {
      a = Math.imul(a ^ (words[at] as number), PRIME);
      b = Math.imul(b ^ (words[at + 1] as number), PRIME);
      c = Math.imul(c ^ (words[at + 2] as number), PRIME);
      d = Math.imul(d ^ (words[at + 3] as number), PRIME);
    }
    return a ^ b ^ c ^ d;
  }
}
