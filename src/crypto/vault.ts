import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyRing } from './key-ring.js';
import type { Random } from './random.js';

const NONCE_BYTES = 12; // what GCM is specified for; 2^32 messages a key at most (NIST SP 800-38D 8.3)

/**
 * Seals what must be read back later (queued mails, TOTP seeds, provider tokens) with AES-256-GCM.
 *
 * `place` names table, column and row; it is authenticated, so a ciphertext moved to another row does not open.
 */
export class Vault {
  readonly #keys: KeyRing;
  readonly #random: Random;

  constructor(keys: KeyRing, random: Random) {
    this.#keys = keys;
    this.#random = random;
  }

  /** `v1.<kid>.<nonce>.<ciphertext>.<tag>` */
  seal(plaintext: string, place: readonly string[]): string {
    const key = this.#keys.current('enc');
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(associatedData(key.kid, place));
    const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    return [
      'v1',
      key.kid,
      ...[nonce, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url')),
    ].join('.');
  }

  /** The plaintext, or null when the key is unknown, the place differs or a bit was flipped. */
  open(sealed: string, place: readonly string[]): string | null {
    const [version, kid = '', nonce = '', ciphertext = '', tag = ''] = sealed.split('.');
    const key = version === 'v1' ? this.#keys.find('enc', kid) : null;
    if (key === null) return null;
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, Buffer.from(nonce, 'base64url'), {
        authTagLength: 16,
      });
      decipher.setAAD(associatedData(kid, place)).setAuthTag(Buffer.from(tag, 'base64url'));
      return decipher.update(ciphertext, 'base64url', 'utf8') + decipher.final('utf8');
    } catch {
      return null; // GCM says no by throwing
    }
  }

  /** Whether `sealed` was made with the newest secret. */
  isCurrent(sealed: string): boolean {
    return sealed.startsWith(`v1.${this.#keys.current('enc').kid}.`);
  }
}

function associatedData(kid: string, place: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify([kid, ...place]), 'utf8'); // JSON joins the parts unambiguously
}
