import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { networkKeys } from '../../net/addresses.js';
import { rememberAtMost } from '../../remember.js';

const RECORD_MS = 60_000;
const MAX_NETWORKS = 1000;

/** Records requests with several session cookies: once a minute for each network, because the sender chooses how many there are. */
export class SeveralCookies {
  readonly #core: Core;
  readonly #now: () => number;
  readonly #recorded = rememberAtMost<{ at: number; unrecorded: number }>(MAX_NETWORKS);
  #hasExplained = false;

  /** @param now milliseconds */
  constructor(core: Core, now: () => number) {
    this.#core = core;
    this.#now = now;
  }

  /** None of them was believed: one audit entry and one line in the log. */
  record(actor: Actor): void {
    const { network } = networkKeys(actor.ip);
    const now = this.#now();
    const last = this.#recorded.get(network);
    if (last !== undefined && Math.abs(now - last.at) < RECORD_MS) {
      last.unrecorded += 1;
      return;
    }
    this.#recorded.set(network, { at: now, unrecorded: 0 });
    const { audit, config } = this.#core;
    config.logger.warn('A request carried several session cookies; none was believed.', { ip: actor.ip });
    const data = last !== undefined && last.unrecorded > 0 ? { unrecorded: last.unrecorded } : {};
    audit
      .record({ type: 'session.suspicious', outcome: 'denied', reason: 'several_cookies', actor, data })
      .catch((error: unknown) =>
        config.logger.error('Several session cookies could not be recorded.', { error }),
      );
  }

  /** One of them was believed: said once, for the operator who changed `cookieDomain`. */
  explain(): void {
    if (this.#hasExplained) return;
    this.#hasExplained = true;
    this.#core.config.logger.info(
      'A browser holds several session cookies, as after a change of session.cookieDomain. The one that is valid counts; the others are expired.',
    );
  }
}
