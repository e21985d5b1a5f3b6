import { createHmac } from 'node:crypto';
import bcrypt from 'bcrypt';
import { foreignComparison } from './foreign-hash.js';
import type { Key, KeyRing } from './key-ring.js';
import { type Lane, WorkQueue } from './work-queue.js';

const NO_DIGEST = '.'.repeat(31); // bcrypt's digits of 23 bytes, all zero

/**
 * Hashes and verifies passwords: bcrypt over base64(HMAC-SHA-384(pepper, NFKC password)).
 *
 * The keyed pre-hash means that nothing is cut at bcrypt's 72 bytes, and that the database alone is not enough to guess.
 * A hash names everything it was made with: `hmac384-bcrypt$nfkc$<kid>$<bcrypt hash>`. Plain bcrypt hashes (`$2…`) from an
 * import verify too, but never for an input of more than 72 bytes, and so do those of `foreignComparison`.
 *
 * Every comparison takes as long as one of today's cost, so that its time does not say which passwords were imported. Work runs on native
 * threads through a bounded queue with three lanes, so that a flood of strangers exhausts no memory and does not keep known users out.
 * @see NIST SP 800-63B-4 3.1.1.2; OWASP Password Storage; docs/requirements.md PW-2 to PW-5, DO-1
 */
export class PasswordHasher {
  readonly #keys: KeyRing;
  readonly #cost: number;
  readonly #pepper: string;
  readonly #queue: WorkQueue;
  /** What is compared with for a user who has no password: no password is this one, and the work is the same. */
  readonly #decoy: string;

  constructor(keys: KeyRing, options: { cost: number; pepper?: string; concurrency: number }) {
    this.#keys = keys;
    this.#cost = options.cost;
    this.#pepper = options.pepper ?? '';
    this.#queue = new WorkQueue(options.concurrency);
    this.#decoy = this.#named(keys.current('pepper'), bcrypt.genSaltSync(options.cost) + NO_DIGEST);
  }

  /** @throws AuthTunaError `unavailable` when the lane is full or the wait too long */
  async hash(password: string, lane: Lane = 'known'): Promise<string> {
    const key = this.#keys.current('pepper');
    const hash = await this.#queue.inLane(lane, () => bcrypt.hash(this.#prehash(password, key), this.#cost));
    return this.#named(key, hash);
  }

  #named(key: Key, bcryptHash: string): string {
    return `hmac384-bcrypt$nfkc$${key.kid}$${bcryptHash}`;
  }

  /**
   * Whether the password fits; with `null` for a user who has none, the same work is done and the answer is false. `too_long`: it fits as far as
   * an imported hash looked, which is no proof.
   */
  async verify(password: string, stored: string | null, lane: Lane = 'known'): Promise<boolean | 'too_long'> {
    const answer = await this.#compare(password, stored ?? this.#decoy, lane);
    return stored === null ? false : answer;
  }

  /** Whether `stored` was made with a secret that is not in the list any more, so that no password fits it. */
  isOfAnotherSecret(stored: string): boolean {
    const parsed = parseHash(stored);
    return parsed !== null && this.#keys.find('pepper', parsed.kid) === null;
  }

  /** Whether `stored` was made with less than today's parameters and is to be replaced at the next successful sign-in. */
  isOutdated(stored: string): boolean {
    const parsed = parseHash(stored);
    return (
      parsed === null ||
      parsed.kid !== this.#keys.current('pepper').kid ||
      costOf(parsed.bcryptHash) !== this.#cost
    );
  }

  async #compare(password: string, stored: string, lane: Lane): Promise<boolean | 'too_long'> {
    const parsed = parseHash(stored);
    const foreign = parsed === null ? foreignComparison(stored) : null;
    if (foreign !== null)
      return this.#queue.inLane(lane, async () => {
        // Beside it the work of today's cost, so that its time does not say that this password was imported.
        const [matches] = await Promise.all([foreign(password), bcrypt.hash(password, this.#cost)]);
        return matches;
      });
    if (parsed === null) {
      const matches = await this.#queue.inLane(lane, () => this.#compareBcrypt(password, stored));
      // bcrypt ignores what is beyond 72 bytes, so a longer input proves nothing.
      return matches && Buffer.byteLength(password, 'utf8') > 72 ? 'too_long' : matches;
    }
    const key = this.#keys.find('pepper', parsed.kid);
    // The pepper of this hash is gone from the list: no password matches it, and the time spent must not reveal that.
    const input = this.#prehash(password, key ?? this.#keys.current('pepper'));
    const matches = await this.#queue.inLane(lane, () => this.#compareBcrypt(input, parsed.bcryptHash));
    return key !== null && matches;
  }

  /** Compares, and does the rest of the work of today's cost: each cost is twice the one before, so 2^10 + 2^10 + 2^11 is 2^12. */
  async #compareBcrypt(input: string, hash: string): Promise<boolean> {
    const matches = await bcrypt.compare(input, hash);
    for (let cost = costOf(hash) ?? this.#cost; cost < this.#cost; cost += 1) await bcrypt.hash(input, cost);
    if (costOf(hash) === null) await bcrypt.hash(input, this.#cost); // no hash at all, and compared in no time
    return matches;
  }

  #prehash(password: string, key: Key): string {
    return createHmac('sha384', key.bytes)
      .update(this.#pepper)
      .update(password.normalize('NFKC'), 'utf8')
      .digest('base64');
  }
}

/** The cost of a bcrypt hash; null for what is none. */
function costOf(hash: string): number | null {
  const cost = /^\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)?.[1];
  return cost === undefined ? null : Number(cost);
}

function parseHash(stored: string): { kid: string; bcryptHash: string } | null {
  const [scheme, , kid, ...rest] = stored.split('$');
  return scheme === 'hmac384-bcrypt' && kid !== undefined ? { kid, bcryptHash: `${rest.join('$')}` } : null;
}
