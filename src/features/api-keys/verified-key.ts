import type { ApiKey, Session } from '../../auth.js';
import type { RateLimit } from '../../config/rate-limits.js';
import { Grants } from '../../core/access/grants.js';
import type { AssignmentRow, RoleCatalog } from '../../core/access/role-catalog.js';
import type { Topic } from '../../core/invalidation.js';
import { type PublicUser, publicUser, type UserRow } from '../../core/user.js';
import { inNetworks, parseCidr } from '../../net/addresses.js';
import { type ApiKeyWithGrants, grantsOfKey, toApiKey, topicOf } from './api-key.js';

/** A key with everything a request needs, from one read. */
export interface LoadedKey extends ApiKeyWithGrants {
  user: UserRow & { assignments: AssignmentRow[] };
}

/** What a read of a key gave, beside its row. */
export interface KeyRead {
  row: LoadedKey;
  catalog: RoleCatalog;
  /** Of the tree of scopes. */
  scopesVersion: number;
  /** How many invalidations there had been when the read began. */
  readAt: number;
  /** Milliseconds; what was read counts as known from here on. */
  startedAt: number;
}

/** A key that was fully checked, and what it may be used for until when. */
export class VerifiedKey {
  readonly userId: string;
  readonly user: PublicUser;
  /** What the key may do: never more than its owner may. */
  readonly grants: Grants;
  readonly mustChangePassword: boolean;
  readonly session: Session | null = null;
  readonly apiKey: ApiKey;
  /** Milliseconds. */
  readonly trustedUntil: number;
  readonly scopesVersion: number;
  readonly topics: readonly Topic[];
  /** How many invalidations there had been when the read behind it began. */
  readonly readAt: number;
  /** Digest of the text that was presented. */
  readonly hash: string;
  /** How often it may be used; null for any number of times. */
  readonly limit: RateLimit | null;
  readonly #isAllowedFrom: ((address: string) => boolean) | null;

  /** @param trustedUntil milliseconds */
  constructor(
    { row, catalog, scopesVersion, readAt }: KeyRead,
    hash: string,
    trustedUntil: number,
    now: Date,
  ) {
    const { user } = row;
    this.userId = row.userId;
    this.user = publicUser(user);
    this.grants = grantsOf(row, catalog, now.getTime());
    this.mustChangePassword = user.mustChangePassword;
    this.apiKey = toApiKey(row);
    this.trustedUntil = Math.min(trustedUntil, this.grants.expiresAt);
    this.scopesVersion = scopesVersion;
    this.topics = [topicOf(row.id), `user:${row.userId}`];
    this.readAt = readAt;
    this.hash = hash;
    this.limit =
      row.rateLimit === null || row.rateWindowSeconds === null
        ? null
        : { limit: row.rateLimit, windowSeconds: row.rateWindowSeconds };
    const networks = this.apiKey.allowedIps.flatMap((text) => parseCidr(text) ?? []);
    this.#isAllowedFrom = networks.length === 0 ? null : inNetworks(networks);
  }

  /** Whether its uses are counted. */
  get isCounted(): boolean {
    return this.limit !== null;
  }

  /** Whether it may be used from an address; an unknown address is allowed only where every address is. */
  isAllowedFrom(address: string | null): boolean {
    return this.#isAllowedFrom === null || (address !== null && this.#isAllowedFrom(address));
  }
}

/** Owns nothing: what people may do with their own things is no role that a key was granted. */
const NO_OWNER = '';

/**
 * The rights of a key. One with grants has the roles of those grants and nothing else: each is bound to what its owner
 * holds, so it is part of what the owner may do. One without has all of its owner's, teams included.
 */
function grantsOf(row: LoadedKey, catalog: RoleCatalog, now: number): Grants {
  if (!row.isLimited) return new Grants(row.userId, row.user.assignments, catalog, now);
  return new Grants(NO_OWNER, grantsOfKey(row), catalog, now);
}
