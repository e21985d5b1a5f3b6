import { type Actor, isSystem } from '../../actor.js';
import { networkKeys } from '../../net/addresses.js';
import type { RateLimiter, SpacedLimit } from '../limits/rate-limiter.js';
import type { Runtime } from '../runtime.js';

/** What a mail that anybody can ask for is sent for. */
export interface MailRequest {
  /** `verify_email`, `reset_password`, … */
  purpose: string;
  /** In its canonical spelling; whether anybody has it makes no difference. */
  address: string;
  /** Who asks. `SYSTEM` asks as often as it likes. */
  actor: Actor;
}

const ADDRESS_GAP_SECONDS = 60;

/**
 * How many mails strangers may make the library send: 3 an hour to one address, a minute apart, 10 an hour from one network, and 5 a day of
 * one purpose to one address from one network. The last leaves the owner's own requests alone when somebody elsewhere uses theirs up.
 *
 * @see docs/requirements.md EM-8
 */
export class MailQuota {
  readonly #runtime: Runtime;
  readonly #limiter: RateLimiter;

  constructor(runtime: Runtime, limiter: RateLimiter) {
    this.#runtime = runtime;
    this.#limiter = limiter;
  }

  /**
   * Uses the quota once. When it says no the caller answers as ever, and sends nothing.
   *
   * @throws AuthTunaError `unavailable` when it cannot be counted
   */
  async reserve({ purpose, address, actor }: MailRequest): Promise<boolean> {
    if (isSystem(actor)) return true;
    const { mailAddress, mailNetwork, mailPurpose } = this.#runtime.config.rateLimits;
    const { network } = networkKeys(actor.ip);
    const taken: [string, SpacedLimit][] = [];
    for (const [key, limit] of [
      [`mail ${network}`, mailNetwork],
      [`mail ${purpose} ${address} ${network}`, mailPurpose],
      [`mail ${address}`, { ...mailAddress, gapSeconds: ADDRESS_GAP_SECONDS }],
    ] as [string, SpacedLimit][]) {
      const { allowed } = await this.#limiter.take(key, limit);
      if (!allowed) {
        await Promise.all(taken.map(([used, its]) => this.#limiter.giveBack(used, its)));
        return false;
      }
      taken.push([key, limit]);
    }
    return true;
  }
}
