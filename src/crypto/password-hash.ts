import { createHmac } from 'node:crypto';
import bcrypt from 'bcrypt';
import { AuthTunaError } from '../errors.js';
import type { Key, KeyRing } from './key-ring.js';

/**
 * Hashes and verifies passwords: bcrypt over base64(HMAC-SHA-384(pepper, NFKC password)).
 *
 * The keyed pre-hash means that nothing is cut at bcrypt's 72 bytes, and that the database alone is not enough to guess.
 * A hash names everything it was made with: `hmac384-bcrypt$nfkc$<kid>$<bcrypt hash>`. Plain bcrypt hashes (`$2…`) from an
 * import verify too, but never for an input of more than 72 bytes.
 *
 * Work runs on native threads through a bounded queue, so a flood of sign-ins cannot exhaust memory or starve other requests.
 * @see NIST SP 800-63B-4 3.1.1.2; OWASP Password Storage; docs/requirements.md PW-2 to PW-5, DO-1
 */
export class PasswordHasher {
  readonly #keys: KeyRing;
  readonly #cost: number;
  readonly #pepper: string;
  readonly #queue: WorkQueue;
  #decoy: Promise<string> | null = null;

  constructor(keys: KeyRing, options: { cost: number; pepper?: string; concurrency: number }) {
    this.#keys = keys;
    this.#cost = options.cost;
    this.#pepper = options.pepper ?? '';
    this.#queue = new WorkQueue(options.concurrency);
  }

  /** @throws AuthTunaError `unavailable` when the queue is full or the wait too long */
  async hash(password: string): Promise<string> {
    const key = this.#keys.current('pepper');
    const hash = await this.#queue.run(() => bcrypt.hash(this.#prehash(password, key), this.#cost));
    return `hmac384-bcrypt$nfkc$${key.kid}$${hash}`;
  }

  /** Whether the password fits; with `null` for a user who has none, the same work is done and the answer is false. */
  async verify(password: string, stored: string | null): Promise<boolean> {
    const matches = await this.#compare(password, stored ?? (await this.#decoyHash()));
    return stored !== null && matches;
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
      bcrypt.getRounds(parsed.bcryptHash) !== this.#cost
    );
  }

  async #compare(password: string, stored: string): Promise<boolean> {
    const parsed = parseHash(stored);
    if (parsed === null) {
      const fits = Buffer.byteLength(password, 'utf8') <= 72; // bcrypt ignores the rest, so a longer input proves nothing
      const matches = await this.#queue.run(() => bcrypt.compare(password, stored));
      return fits && matches;
    }
    const key = this.#keys.find('pepper', parsed.kid);
    // The pepper of this hash is gone from the list: nobody can sign in with it, and the time spent must not say so.
    const usable = key ?? this.#keys.current('pepper');
    const matches = await this.#queue.run(() =>
      bcrypt.compare(this.#prehash(password, usable), parsed.bcryptHash),
    );
    return key !== null && matches;
  }

  #prehash(password: string, key: Key): string {
    return createHmac('sha384', key.bytes)
      .update(this.#pepper)
      .update(password.normalize('NFKC'), 'utf8')
      .digest('base64');
  }

  #decoyHash(): Promise<string> {
    this.#decoy ??= this.hash('no password is this one');
    this.#decoy.catch(() => {
      this.#decoy = null;
    });
    return this.#decoy;
  }

  /** Prepares the decoy, so that the first unknown user costs no more than the second. */
  async warmUp(): Promise<void> {
    await this.#decoyHash();
  }
}

function parseHash(stored: string): { kid: string; bcryptHash: string } | null {
  const [scheme, , kid, ...rest] = stored.split('$');
  return scheme === 'hmac384-bcrypt' && kid !== undefined ? { kid, bcryptHash: `${rest.join('$')}` } : null;
}

const QUEUE_LENGTH = 64;
const MAX_WAIT_MS = 3000; // beyond this the browser's user has pressed the button again

/** Runs at most `concurrency` pieces of work at once and refuses, rather than piles up, what comes beyond the queue. */
class WorkQueue {
  readonly #waiting: { start: () => void; giveUp: NodeJS.Timeout }[] = [];
  #free: number;

  constructor(concurrency: number) {
    this.#free = concurrency;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next.start();
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.length >= QUEUE_LENGTH) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const entry = {
        start: () => {
          clearTimeout(entry.giveUp);
          resolve();
        },
        giveUp: setTimeout(() => {
          this.#waiting.splice(this.#waiting.indexOf(entry), 1);
          reject(busy());
        }, MAX_WAIT_MS),
      };
      entry.giveUp.unref();
      this.#waiting.push(entry);
    });
  }
}

function busy(): AuthTunaError {
  return new AuthTunaError('unavailable', { retryAfterSeconds: 2, reason: 'sign_in_queue_full' });
}
