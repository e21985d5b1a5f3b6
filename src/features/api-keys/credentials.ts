import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import type { CredentialStore } from '../../core/users/address-ownership.js';
import { keysEnded } from '../../core/users/ended-keys.js';

/** Ends the keys of an account that changes hands, and of one whose password is set by a mailed link. */
export class KeyCredentials implements CredentialStore {
  readonly endsWithReset = true;
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  removeAll(userId: string, since?: Date): Write[] {
    return [keysEnded(this.#core, userId, 'credentials_reset', since)];
  }
}
