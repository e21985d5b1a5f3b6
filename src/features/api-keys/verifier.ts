import { withTeams } from '../../core/access/team-holdings.js';
import { Batcher } from '../../core/concurrency/batcher.js';
import type { Core } from '../../core/core.js';
import type { Topic } from '../../core/invalidation.js';
import { InvalidationLog } from '../../core/invalidation-log.js';
import { rateLimited } from '../../core/limits/throttle.js';
import { isActive } from '../../core/user.js';
import { equalInConstantTime } from '../../crypto/digest.js';
import { rememberAtMost } from '../../remember.js';
import { after } from '../../time.js';
import { topicOf, WITH_GRANTS } from './api-key.js';
import type { KeyFormat, ParsedKey } from './format.js';
import { type KeyRead, VerifiedKey } from './verified-key.js';

const MAX_KEYS = 50_000;
const REFUSALS_KEPT = 10_000;
const REFUSAL_MS = 1000; // how long a row that was just read is the answer to wrong secrets for its id
const TOUCH_SECONDS = 60; // docs/requirements.md AK-6
const ROLES_SHARE = 0.1; // of `recheckSeconds`; as for sessions
const STRANGE_IDS_MS = 60_000; // how long is known whether keys of former secrets exist
const MAX_STRANGE_READS = 20; // a second, for ids of former secrets

/**
 * Decides what a key is worth: by its text, then from memory, then by one read.
 *
 * Text that is no key, a wrong checksum and an id that was never given out cost no query. Wrong secrets for a real id cost one read a second,
 * however many arrive. A good key that was checked less than `recheckSeconds` ago is answered from memory.
 * @see docs/requirements.md AK-1 to AK-3, AK-6
 */
export class KeyVerifier {
  readonly #core: Core;
  readonly #format: KeyFormat;
  readonly #log: InvalidationLog;
  readonly #trustedMs: number;
  readonly #known = rememberAtMost<VerifiedKey>(MAX_KEYS);
  readonly #seen = rememberAtMost<Seen>(REFUSALS_KEPT);
  readonly #rows: Batcher<KeyRead>;
  readonly #strange: StrangeIds;

  constructor(core: Core, format: KeyFormat) {
    const trustedMs = core.config.session.recheckSeconds * 1000;
    this.#core = core;
    this.#format = format;
    this.#trustedMs = trustedMs;
    this.#log = new InvalidationLog(trustedMs);
    this.#strange = new StrangeIds(core);
    this.#rows = new Batcher((ids, isLatest) => this.#read(ids, isLatest));
    core.invalidation.subscribe((topics) => this.#log.note(topics, core.now().getTime()));
  }

  /** The key of a text that was fully checked less than `recheckSeconds` ago; synchronous, without a query. */
  remembered(text: string, now: number): VerifiedKey | undefined {
    const verified = this.#known.get(text);
    if (verified === undefined) return undefined;
    const left = verified.trustedUntil - now;
    // After the clock was put back, more time is left than was granted.
    return left > 0 && left <= this.#trustedMs && !this.isStale(verified) ? verified : undefined;
  }

  /**
   * Checks the text of a key against its row.
   *
   * @param latest use only a read that begins after this call: for unsafe methods
   * @returns null for everything that is not a key of an active user that is in force
   * @throws AuthTunaError `unavailable`; `rate_limited` in a flood of ids of a former secret
   */
  async verify(text: string, options: { latest: boolean }): Promise<VerifiedKey | null> {
    const parsed = this.#format.parse(text);
    if (parsed === null || this.#isKnownAsWrong(parsed)) return null;
    if (!(await this.mayAskAbout(parsed.id))) return null;
    const read = options.latest ? await this.#rows.latest(parsed.id) : await this.#shared(parsed.id);
    const verified = await this.#judge(parsed.id, parsed.hash, read);
    if (verified !== null) this.#known.set(text, verified);
    return verified;
  }

  /** Whether the row of an id may be read: ids of a former secret are read in turn, so that a flood of invented ones costs little. */
  async mayAskAbout(id: string): Promise<boolean> {
    return this.#format.isKnownId(id) || (await this.#strange.mayRead());
  }

  /** Reads the row of a key again that was checked before. @throws AuthTunaError `unavailable` */
  async follow(verified: VerifiedKey): Promise<VerifiedKey | null> {
    const { id } = verified.apiKey;
    return this.#judge(id, verified.hash, await this.#rows.latest(id));
  }

  /** Whether anything about it is known to have changed since it was read. */
  isStale({ readAt, topics }: VerifiedKey): boolean {
    return this.#hasChanged(topics, readAt);
  }

  /** A read that may have begun before this call, but after the last known change and at most `recheckSeconds` ago. */
  async #shared(id: string): Promise<KeyRead | null> {
    const askedAt = this.#core.now().getTime();
    const { count } = this.#log;
    const read = await this.#rows.shared(id);
    if (read === null) return null;
    const isOutdated = read.readAt < count || askedAt - read.startedAt > this.#trustedMs;
    return isOutdated ? this.#rows.latest(id) : read;
  }

  async #read(ids: string[], isLatest: boolean): Promise<Map<string, KeyRead>> {
    const { db, roleStore, now } = this.#core;
    const readAt = this.#log.count;
    const asked = now().getTime();
    const [rows, { catalog, scopesVersion, teamsVersion, at }] = await Promise.all([
      db.apiKey.findMany({
        where: { id: { in: ids } },
        include: {
          user: { include: { assignments: { select: { roleId: true, scope: true, expiresAt: true } } } },
          ...WITH_GRANTS,
        },
      }),
      roleStore.recent(isLatest ? 0 : this.#trustedMs * ROLES_SHARE),
    ]);
    const startedAt = Math.min(asked, at);
    const holdings = await this.#core.access.teams.of(
      rows.flatMap(({ user }) => user.assignments),
      teamsVersion,
    );
    return new Map(
      rows.map((row) => {
        const assignments = [...withTeams(row.user.assignments, holdings)];
        const withAll = { ...row, user: { ...row.user, assignments } };
        return [row.id, { row: withAll, catalog, scopesVersion, readAt, startedAt }];
      }),
    );
  }

  async #judge(id: string, hash: string, read: KeyRead | null): Promise<VerifiedKey | null> {
    const now = this.#core.now();
    const accepted = read === null ? [] : acceptedHashes(this.#core, read, now);
    this.#seen.set(id, {
      accepted,
      at: now.getTime(),
      readAt: read?.readAt ?? this.#log.count,
      topics: [topicOf(id), ...(read === null ? [] : [`user:${read.row.userId}` as const])],
    });
    if (read === null || !accepted.some((known) => equalInConstantTime(hash, known))) return null;
    await this.#touch(read, now);
    const { row } = read;
    const endsAt = hash === row.hash ? row.expiresAt : (row.previousUntil ?? now);
    const trustedUntil = Math.min(read.startedAt + this.#trustedMs, endsAt.getTime());
    return new VerifiedKey(read, hash, trustedUntil, now);
  }

  /** Writes down when the key was last used, at most once a minute. */
  async #touch({ row }: KeyRead, now: Date): Promise<void> {
    const due = after(now, -TOUCH_SECONDS);
    if (row.lastUsedAt !== null && row.lastUsedAt > due) return;
    await this.#core.db.apiKey.updateMany({
      where: { id: row.id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lte: due } }] },
      data: { lastUsedAt: now },
    });
  }

  /** Whether the row of the id was read a moment ago and had another secret: guesses must not become queries. */
  #isKnownAsWrong({ id, hash }: ParsedKey): boolean {
    const seen = this.#seen.get(id);
    if (seen === undefined || seen.accepted.some((known) => equalInConstantTime(hash, known))) return false;
    const age = this.#core.now().getTime() - seen.at;
    return age >= 0 && age < REFUSAL_MS && !this.#hasChanged(seen.topics, seen.readAt);
  }

  #hasChanged(topics: readonly Topic[], readAt: number): boolean {
    const log = this.#log;
    if (readAt === log.count) return false;
    return (
      log.hasChanged('all', readAt) ||
      log.hasChanged('roles', readAt) ||
      topics.some((topic) => log.hasChanged(topic, readAt))
    );
  }
}

/** What was last read of an id. */
interface Seen {
  /** Digests of the keys that were good then; none for a key that had ended. */
  accepted: readonly string[];
  /** Milliseconds. */
  at: number;
  readAt: number;
  topics: readonly Topic[];
}

/** The digests of the texts that count as this key right now. */
function acceptedHashes({ config }: Core, { row }: KeyRead, now: Date): string[] {
  const isInForce = row.revokedAt === null && row.expiresAt > now && isActive(row.user, now);
  // On a public server a test key is a mistake that somebody would make use of.
  if (!isInForce || (row.kind === 'test' && config.isSecure)) return [];
  const isOverlapping = row.previousHash !== null && row.previousUntil !== null && row.previousUntil > now;
  return isOverlapping ? [row.hash, row.previousHash as string] : [row.hash];
}

/**
 * Ids that no configured secret gave out. They are invented, unless a key was made under a secret that has left `secrets` since: keys outlive
 * secrets. Where there are such keys, a few of these ids a second are looked up.
 */
class StrangeIds {
  readonly #core: Core;
  #answer: { at: number; exist: Promise<boolean> } | null = null;
  #window = { second: 0, reads: 0 };

  constructor(core: Core) {
    this.#core = core;
  }

  /** @throws AuthTunaError `rate_limited`, `unavailable` */
  async mayRead(): Promise<boolean> {
    if (!(await this.#exist())) return false;
    const second = Math.floor(this.#core.now().getTime() / 1000);
    if (this.#window.second !== second) this.#window = { second, reads: 0 };
    this.#window.reads += 1;
    if (this.#window.reads > MAX_STRANGE_READS) throw rateLimited(1);
    return true;
  }

  /** Whether keys of former secrets exist; asked at most once a minute. */
  #exist(): Promise<boolean> {
    const now = this.#core.now().getTime();
    const known = this.#answer;
    if (known !== null && now >= known.at && now - known.at < STRANGE_IDS_MS) return known.exist;
    const kids = this.#core.keys.all('key_id').map(({ kid }) => kid);
    const exist = this.#core.db.apiKey
      .findFirst({ where: { kid: { notIn: kids }, revokedAt: null }, select: { id: true } })
      .then((row) => row !== null);
    this.#answer = { at: now, exist };
    exist.catch(() => {
      this.#answer = null; // a database that was down says nothing about the keys
    });
    return exist;
  }
}
