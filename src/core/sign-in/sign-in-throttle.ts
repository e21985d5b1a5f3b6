import type { Actor } from '../../actor.js';
import type { RateLimit } from '../../config/rate-limits.js';
import { networkKeys } from '../../net/addresses.js';
import type { Write } from '../changes/ledger.js';
import type { Core } from '../core.js';
import { canonicalEmail, canonicalUsername } from '../identifiers.js';
import type { DistinctLimit } from '../limits/rate-limiter.js';
import { type Count, DELAYS, GUESSING, rateLimited, type ThrottlePolicy } from '../limits/throttle.js';
import type { MailedLinks } from '../tokens/mailed-links.js';
import { mailTo, standInFor } from '../tokens/recipient.js';
import type { UserRow } from '../user.js';
import { BROWSER_GUESSING, type KnownBrowser, type KnownBrowsers } from './known-browsers.js';

/**
 * A guess that was let through to the hash. Called when it was right: gives the writes for the batch of the sign-in that it led to, by which
 * the account's and the device's failures are forgotten, and takes the guess out of what its network is said to have failed at.
 */
export type Admission = () => Promise<readonly Write[]>;

/** Different names that one network may fail at, and one address in it. */
const SPRAYING: DistinctLimit = { limit: 100, limitOfPlace: 20, windowSeconds: 600 };

/** The hundred of one authenticator of a whole account, whichever of its names was typed; it closes and never delays. */
const CLOSING: ThrottlePolicy = { ...GUESSING, freeFailures: Number.POSITIVE_INFINITY };
/** With a link that lives longer than a day, a live one is always in the mailbox. */
const UNLOCK_MAIL: RateLimit = { limit: 2, windowSeconds: 86_400 };

/** What is guessed at to sign in; each is closed for itself. */
type Authenticator = 'login' | 'email-code';

/**
 * What stands between a guess and the hash of the password or mailed code. A guess counts before anything is compared; a refused one costs no hash.
 *
 * - Delays are counted by account, whichever of its names was typed, and a name without an account is counted alike.
 * - After 100 failures in a row the account's password, or its mailed codes, are closed to unknown devices; its owner gets a mail that opens
 *   both again.
 * - A known device has ten failures of its own and passes by all of this: neither strangers nor neighbors can keep the owner out.
 * - A network that fails at many different names is slowed for new ones, of any account.
 * @see NIST SP 800-63B-4 3.2.2; docs/requirements.md 3.10, LG-4 to LG-8
 */
export class SignInThrottle {
  readonly #core: Core;
  readonly #links: MailedLinks;
  readonly #browsers: KnownBrowsers;

  constructor(core: Core, links: MailedLinks, browsers: KnownBrowsers) {
    this.#core = core;
    this.#links = links;
    this.#browsers = browsers;
  }

  /**
   * Counts a guess at a password.
   *
   * @param login as it was typed
   * @param user the user of that name; null when there is none
   * @param browserCookie the value of the `at_device` cookie
   * @throws AuthTunaError `rate_limited`, alike whether an account has the name or not; `unavailable` when it cannot be counted
   */
  async admit(
    login: string,
    user: UserRow | null,
    actor: Actor,
    browserCookie: string | null | undefined,
  ): Promise<Admission> {
    // Not before it was right: what is thought to be forgotten is not asked about at the next guess.
    const forget = (browser: KnownBrowser | null) =>
      this.#forget(user === null ? [] : passwordKeys(user), browser);
    const browser = await this.#knownBrowser(user, browserCookie);
    // It guesses at one account alone, ten times in a row: nothing that its network need be asked about.
    if (browser !== null) return async () => forget(browser);

    const name = canonicalLogin(login);
    const takeBack = await this.#countNetwork(name, actor.ip);
    const delays = { key: delayKey(accountOf(user, name)), policy: DELAYS, userId: user?.id };
    await this.#countTowardsClosing('login', name, user, actor, [delays]);
    return async () => {
      await takeBack();
      return forget(null);
    };
  }

  /**
   * Counts a guess at a live mailed code. There are no delays: each code takes five guesses, and a day has few codes.
   *
   * @param address in its canonical spelling
   * @param user the user of that address; null when there is none
   * @param browserCookie the value of the `at_device` cookie
   * @throws AuthTunaError `rate_limited`, alike whether an account has the address or not; `unavailable` when it cannot be counted
   */
  async admitEmailCode(
    address: string,
    user: UserRow | null,
    actor: Actor,
    browserCookie: string | null | undefined,
  ): Promise<Admission> {
    const browser = await this.#knownBrowser(user, browserCookie);
    if (browser === null) await this.#countTowardsClosing('email-code', address, user, actor);
    return async () => this.#forget(user === null ? [] : emailCodeKeys(user), browser);
  }

  /** The write that forgets the failures of an account's mailed codes: for a link from its mailbox, which cannot be guessed. */
  emailCodeWrite(user: Pick<UserRow, 'id'>): Write {
    return this.#core.throttle.clear(...emailCodeKeys(user));
  }

  /** The writes that forget an account's failures of every kind: for a user who proves the mailbox, by the mail that opens a closed account or by a reset. */
  unlockWrites(user: Pick<UserRow, 'id'>): Write[] {
    return [this.#core.throttle.clear(...passwordKeys(user), ...emailCodeKeys(user))];
  }

  #forget(keysOfUser: readonly string[], browser: KnownBrowser | null): Write[] {
    const keys = [...keysOfUser, ...(browser === null ? [] : [browser.throttleKey])];
    return keys.length === 0 ? [] : [this.#core.throttle.clear(...keys)];
  }

  /** The device that the cookie makes known, as long as it has not failed too often itself. */
  async #knownBrowser(
    user: UserRow | null,
    browserCookie: string | null | undefined,
  ): Promise<KnownBrowser | null> {
    const browser = this.#browsers.find(browserCookie, user?.id ?? '');
    if (browser === null) return null;
    const { allowed } = await this.#core.throttle.attempt(browser.throttleKey, BROWSER_GUESSING, user?.id);
    return allowed ? browser : null;
  }

  async #countTowardsClosing(
    authenticator: Authenticator,
    name: string,
    user: UserRow | null,
    actor: Actor,
    beside: readonly Count[] = [],
  ): Promise<void> {
    const account = accountOf(user, name);
    const closing = { key: closingKey(authenticator, account), policy: CLOSING, userId: user?.id };
    const { key, verdict } = await this.#core.throttle.attemptAll([...beside, closing]);
    if (verdict.allowed) return;
    if (key === closing.key) await this.#offerUnlock(user, name, account, actor);
    throw rateLimited(verdict.retryAfterSeconds);
  }

  /** @returns what takes it back */
  async #countNetwork(name: string, ip: string | null): Promise<() => Promise<void>> {
    const { host, network } = networkKeys(ip);
    const key = `spray ${network}`;
    const sighting = { member: name, place: host };
    const verdict = await this.#core.limiter.takeDistinct(key, sighting, SPRAYING);
    if (!verdict.allowed) throw rateLimited(verdict.resetSeconds);
    return async () => {
      if (!verdict.isNew) return;
      try {
        await this.#core.limiter.forgetDistinct(key, sighting, SPRAYING);
      } catch (error) {
        // The sign-in stands; its network is only taken for a little worse than it is.
        this.#core.config.logger.warn('A successful sign-in stayed counted as a failure of its network.', {
          error,
        });
      }
    };
  }

  /** Mails the owner of a closed account the way to open it, once a day. */
  async #offerUnlock(user: UserRow | null, name: string, account: string, actor: Actor): Promise<void> {
    const { allowed } = await this.#core.limiter.take(`unlock-mail ${account}`, UNLOCK_MAIL);
    if (!allowed) return;
    const owner = user ?? standInFor(this.#core, name);
    const { writes, link, expiresInSeconds } = await this.#links.issue('unlock', owner);
    await this.#core.ledger.commit({
      writes,
      facts: [
        {
          type: 'user.locked',
          actor,
          reason: 'too_many_failures',
          ...(user === null
            ? { outcome: 'denied', data: { login: this.#core.keys.lookup(`login ${name}`) } }
            : { target: { type: 'user', id: user.id } }),
        },
      ],
      mails: [
        {
          template: 'account-locked',
          ...mailTo(owner),
          languages: null, // the guesser may be a stranger
          data: { name: owner.username, link, expiresInSeconds },
        },
      ],
    });
  }
}

/** What guesses are counted under: the account, or a name that no account has. */
function accountOf(user: Pick<UserRow, 'id'> | null, name: string): string {
  return user === null ? `name ${name}` : `user ${user.id}`;
}

function delayKey(account: string): string {
  return `login-delay:${account}`;
}

function closingKey(authenticator: Authenticator, account: string): string {
  return `${authenticator}:${account}`;
}

/** Everything that failures of a user's password are counted under. */
function passwordKeys(user: Pick<UserRow, 'id'>): string[] {
  const account = accountOf(user, '');
  return [closingKey('login', account), delayKey(account)];
}

function emailCodeKeys({ id }: Pick<UserRow, 'id'>): string[] {
  return [closingKey('email-code', `user ${id}`)];
}

/** The one spelling of what was typed, as accounts are found by it; a text that can be no name is counted as it is. */
function canonicalLogin(login: string): string {
  const known = login.includes('@') ? canonicalEmail(login) : canonicalUsername(login)?.username;
  return known ?? login.trim().toLowerCase();
}
