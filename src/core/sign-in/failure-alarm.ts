import { SYSTEM } from '../../actor.js';
import type { Core } from '../core.js';

const SLOT_MS = 300_000;
const SLOTS = 12; // the hour before
const TIMES_THE_MEAN = 5;
const LEAST_FAILURES = 50; // five times nothing is no attack
const QUIET_MS = 3_600_000;

/**
 * Says so, once an hour, when sign-ins of this process fail more than five times as often as in the hour before: guessing that is spread
 * over many accounts and networks stays below every other limit.
 *
 * @see docs/requirements.md LG-7; ASVS 5.0 16.3.3
 */
export class FailureAlarm {
  readonly #core: Core;
  /** Failures by five minutes. */
  readonly #slots = new Map<number, number>();
  #quietUntil = 0;

  constructor(core: Core) {
    this.#core = core;
    core.events.on('user.sign_in_failed', (event) => this.#count(event.at.getTime()));
  }

  async #count(at: number): Promise<void> {
    const slot = Math.floor(at / SLOT_MS);
    const failures = (this.#slots.get(slot) ?? 0) + 1;
    this.#slots.set(slot, failures);
    for (const old of this.#slots.keys()) if (old < slot - SLOTS) this.#slots.delete(old);

    const before = [...this.#slots].reduce((sum, [each, count]) => (each < slot ? sum + count : sum), 0);
    const usual = before / SLOTS;
    if (failures < LEAST_FAILURES || failures <= TIMES_THE_MEAN * usual || at < this.#quietUntil) return;
    this.#quietUntil = at + QUIET_MS;
    const data = { failures, usual: Math.round(usual), minutes: SLOT_MS / 60_000 };
    this.#core.config.logger.warn('Sign-ins fail far more often than usual. Somebody may be guessing.', data);
    await this.#core.ledger.commit({
      writes: [],
      facts: [{ type: 'attack.suspected', actor: SYSTEM, data }],
    });
  }
}
