import { deriveKey, hmac } from './digest.js';

const PURPOSES = [
  'sess',
  'rot',
  'csrf',
  'enc',
  'pepper',
  'lookup',
  'device',
  'bus',
  'audit',
  'key_id',
  'access',
  'refresh',
] as const;

/** What a key is for. Each purpose has its own key from each secret, so none can stand in for another. */
export type KeyPurpose = (typeof PURPOSES)[number];

export interface Key {
  /** Names the secret it came from, without revealing it. */
  readonly kid: string;
  readonly bytes: Buffer;
}

/**
 * The keys of all configured secrets, newest first: the first signs and seals, all verify and open.
 *
 * An unknown kid yields `null`, which callers treat as "refuse", never as "nothing to check".
 * @see NIST SP 800-57 (one key, one purpose); docs/requirements.md SM-2, SM-4
 */
export class KeyRing {
  readonly #secrets: { kid: string; keys: Map<KeyPurpose, Key> }[];
  readonly #byKid: Map<string, { kid: string; keys: Map<KeyPurpose, Key> }>;

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets.map((secret) => {
      const kid = deriveKey(secret, 'kid').toString('base64url').slice(0, 8);
      return {
        kid,
        keys: new Map(PURPOSES.map((purpose) => [purpose, { kid, bytes: deriveKey(secret, purpose) }])),
      };
    });
    this.#byKid = new Map(this.#secrets.map((entry) => [entry.kid, entry]));
  }

  /** The key that signs and seals from now on. */
  current(purpose: KeyPurpose): Key {
    return this.#secrets[0]!.keys.get(purpose)!; // config refuses an empty list
  }

  /** The key a kid names, or null when that secret is not (or no longer) in the list. */
  find(purpose: KeyPurpose, kid: string): Key | null {
    return this.#byKid.get(kid)?.keys.get(purpose) ?? null;
  }

  /** All keys of a purpose, newest first. */
  all(purpose: KeyPurpose): Key[] {
    return this.#secrets.map((entry) => entry.keys.get(purpose)!);
  }

  /** A keyed digest for looking something up without storing it in clear: `kid` is not part of it, so it moves with the first secret. */
  lookup(value: string): string {
    return hmac(this.current('lookup').bytes, value).toString('base64url');
  }
}
