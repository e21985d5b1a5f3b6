import type { Actor } from '../events.js';
import { canonicalEmail, canonicalUsername } from './identifiers.js';
import { DEVICE_GUESSING, type KnownDevices } from './known-devices.js';
import type { Ledger, Write } from './ledger.js';
import { networkKeys } from './network.js';
import { type OneTimeTokens, TOKEN_SECONDS } from './one-time-tokens.js';
import type { RateLimit, RateLimiter } from './rate-limiter.js';
import { mailTo, standInFor } from './recipient.js';
import type { Runtime } from './runtime.js';
import type { UserRow } from './session-row.js';
import { GUESSING, rateLimited, type Throttle, type ThrottlePolicy } from './throttle.js';

/** A guess that was let through to the password hash. */
export interface Admission {
  /** For the batch of the sign-in that it led to: the account's and the device's failures are forgotten, the network's are not. */
  readonly successWrites: readonly Write[];
  /** Takes the guess out of what its network is said to have failed at, because it did not fail. */
  succeeded(): Promise<void>;
}

const SPRAY_SECONDS = 600;
const SPRAY_OF_HOST: RateLimit = { limit: 20, windowSeconds: SPRAY_SECONDS };
const SPRAY_OF_NETWORK: RateLimit = { limit: 100, windowSeconds: SPRAY_SECONDS };

const { maxConsecutive: _closing, ...DELAYS } = GUESSING;
/** The hundred of a whole account, whichever of its names was typed; it closes and never delays. */
const CLOSING: ThrottlePolicy = { ...GUESSING, freeFailures: Number.POSITIVE_INFINITY };
const UNLOCK_MAIL: RateLimit = { limit: 1, windowSeconds: 86_400 };

/**
 * What stands between a guess and the password hash. A guess counts before the password is looked at; a refused one costs no hash.
 *
 * - Delays are counted by the name that was typed, so that a name nobody has behaves like one that somebody has.
 * - After 100 failures in a row the account's password is closed to unknown devices; its owner gets a mail that opens it again.
 * - A known device has ten failures of its own and passes by both: strangers cannot keep the owner out.
 * - A network that fails at many different names is slowed for new ones, whoever they belong to.
 * @see NIST SP 800-63B-4 3.2.2; security.md 3.10, LG-4 to LG-8
 */
export class SignInThrottle {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #tokens: OneTimeTokens;
  readonly #throttle: Throttle;
  readonly #limiter: RateLimiter;
  readonly #devices: KnownDevices;

  constructor(dependencies: {
    runtime: Runtime;
    ledger: Ledger;
    tokens: OneTimeTokens;
    throttle: Throttle;
    limiter: RateLimiter;
    devices: KnownDevices;
  }) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#tokens = dependencies.tokens;
    this.#throttle = dependencies.throttle;
    this.#limiter = dependencies.limiter;
    this.#devices = dependencies.devices;
  }

  /**
   * Counts a guess at a password.
   *
   * @param login as it was typed
   * @param user whose it is; null for nobody's
   * @param deviceCookie the value of the `at_device` cookie
   * @throws AuthTunaError `rate_limited`, alike for a name that somebody has and one that nobody has; `unavailable` when it cannot be counted
   */
  async admit(
    login: string,
    user: UserRow | null,
    actor: Actor,
    deviceCookie: string | null | undefined,
  ): Promise<Admission> {
    const name = canonicalLogin(login);
    const account = user === null ? `name ${name}` : `user ${user.id}`; // a name nobody has closes like an account
    const device = this.#devices.find(deviceCookie, user?.id ?? '');
    const isTrusted =
      device !== null && (await this.#throttle.attempt(device.throttleKey, DEVICE_GUESSING)).allowed;
    const takeBack = await this.#countNetwork(name, actor.ip);

    if (!isTrusted) {
      await this.#throttle.reserve(delayKey(name), DELAYS);
      const verdict = await this.#throttle.attempt(closingKey(account), CLOSING);
      if (!verdict.allowed) {
        await this.#offerUnlock(user, name, account, actor);
        throw rateLimited(verdict.retryAfterSeconds);
      }
    }
    return {
      successWrites: [
        ...(user === null ? [] : this.unlockWrites(user)),
        ...(device === null || !isTrusted ? [] : [this.#throttle.clear(device.throttleKey)]),
      ],
      succeeded: takeBack,
    };
  }

  /** The writes that forget an account's failures: for a sign-in that succeeded, and for the mailed link that opens a closed one again. */
  unlockWrites(user: Pick<UserRow, 'id' | 'email' | 'username'>): Write[] {
    const names = user.username === null ? [user.email] : [user.email, user.username];
    return [
      this.#throttle.clear(closingKey(`user ${user.id}`)),
      ...names.map((name) => this.#throttle.clear(delayKey(name))),
    ];
  }

  /** @returns what takes it back */
  async #countNetwork(name: string, ip: string | null): Promise<() => Promise<void>> {
    const { host, network } = networkKeys(ip);
    const counted: (() => Promise<void>)[] = [];
    for (const [key, limit] of [
      [`spray ${host}`, SPRAY_OF_HOST],
      [`spray ${network}`, SPRAY_OF_NETWORK],
    ] as const) {
      const verdict = await this.#limiter.takeDistinct(key, name, limit);
      if (!verdict.allowed) {
        await Promise.all(counted.map((takeBack) => takeBack()));
        throw rateLimited(verdict.resetSeconds);
      }
      if (verdict.isNew) counted.push(() => this.#limiter.forgetDistinct(key, name, limit));
    }
    return async () => {
      try {
        await Promise.all(counted.map((takeBack) => takeBack()));
      } catch (error) {
        // The sign-in stands; its network is only taken for a little worse than it is.
        this.#runtime.config.logger.warn('A successful sign-in stayed counted as a failure of its network.', {
          error,
        });
      }
    };
  }

  /** Mails the owner of a closed account the way to open it, once a day. */
  async #offerUnlock(user: UserRow | null, name: string, account: string, actor: Actor): Promise<void> {
    const { allowed } = await this.#limiter.take(`unlock-mail ${account}`, UNLOCK_MAIL);
    if (!allowed) return;
    const owner = user ?? standInFor(this.#runtime, name);
    const lifetimeSeconds = TOKEN_SECONDS.unlock;
    const { token, writes } = this.#tokens.issue({ purpose: 'unlock', subject: owner.id, lifetimeSeconds });
    await this.#ledger.commit({
      writes,
      facts: [
        {
          type: 'user.locked',
          actor,
          reason: 'too_many_failures',
          ...(user === null
            ? { outcome: 'denied', data: { login: this.#runtime.keys.lookup(`login ${name}`) } }
            : { target: { type: 'user', id: user.id } }),
        },
      ],
      mails: [
        {
          template: 'account-locked',
          ...mailTo(owner),
          data: {
            name: owner.username,
            link: this.#tokens.link('/unlock', token),
            expiresInSeconds: lifetimeSeconds,
          },
        },
      ],
    });
  }
}

function delayKey(name: string): string {
  return `login-name:${name}`;
}

function closingKey(account: string): string {
  return `login:${account}`;
}

/** The one spelling of what was typed, as accounts are found by it; what can be nobody's name is counted as it is. */
function canonicalLogin(login: string): string {
  const known = login.includes('@') ? canonicalEmail(login) : canonicalUsername(login)?.username;
  return known ?? login.trim().toLowerCase();
}
