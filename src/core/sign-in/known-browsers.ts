import { timingSafeEqual } from 'node:crypto';
import { equalInConstantTime, hmac } from '../../crypto/digest.js';
import type { ThrottlePolicy } from '../limits/throttle.js';
import type { Runtime } from '../runtime.js';

/** A browser from which a user has signed in before. */
export interface KnownBrowser {
  /** The key its own failures are counted under. */
  throttleKey: string;
}

/** Ten failures, without waiting; then the device is as good as unknown. */
export const BROWSER_GUESSING: ThrottlePolicy = Object.freeze({
  freeFailures: 11, // no waits: the limit is in the number alone
  firstDelaySeconds: 1,
  maxDelaySeconds: 900,
  forgetSeconds: 86_400,
  maxConsecutive: 10,
});

/** How long a device stays known after its last sign-in. */
export const BROWSER_SECONDS = 90 * 86_400;

const RANDOM_BYTES = 8;
const MARK_BYTES = 8;
const MAX_PER_BROWSER = 4; // people who share a browser
const TOKEN = /^([\w-]{8})\.([\w-]{22})\.([0-9a-z]{1,9})\.([\w-]{43})$/;

/**
 * The value of the `at_device` cookie: one token for each of the users who have signed in from a browser.
 *
 * A token is random, dated, marked as ours and signed for one user, so it says nothing to anybody else and needs no row. It proves no identity; it only
 * lets its browser be counted apart from strangers, who therefore cannot keep the owner out.
 * @see OWASP, Slow Down Online Guessing Attacks with Device Cookies; docs/requirements.md LG-6
 */
export class KnownBrowsers {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The first token of a cookie that was made here for some user and is not too old; null for none. Which user it is for, `find` says. */
  genuineToken(cookie: string | null | undefined): string | null {
    return tokensIn(cookie).find((token) => this.#isGenuine(token)) ?? null;
  }

  /** The device that a cookie makes known for this user; null for none, a forged, an old or somebody else's. */
  find(cookie: string | null | undefined, userId: string): KnownBrowser | null {
    for (const token of tokensIn(cookie)) {
      if (this.#isFor(token, userId)) return { throttleKey: `device:${token}` };
    }
    return null;
  }

  /** The cookie's value after a sign-in of this user: a new token of theirs beside those of up to three others. */
  remember(cookie: string | null | undefined, userId: string): string {
    const { config, keys } = this.#runtime;
    const { kid, bytes } = keys.current('device');
    const random = config.random.bytes(RANDOM_BYTES);
    const issuedAt = Math.floor(this.#runtime.now().getTime() / 1000).toString(36);
    const marked = Buffer.concat([random, mark(bytes, random, issuedAt)]).toString('base64url');
    const body = `${kid}.${marked}.${issuedAt}`;
    const others = tokensIn(cookie).filter((token) => !this.#isFor(token, userId));
    return [`${body}.${sign(bytes, body, userId)}`, ...others].slice(0, MAX_PER_BROWSER).join('~');
  }

  #isGenuine(token: string): boolean {
    const { key, marked, issuedAt } = this.#read(token);
    if (key === null) return false;
    const bytes = Buffer.from(marked, 'base64url');
    const expected = mark(key.bytes, bytes.subarray(0, RANDOM_BYTES), issuedAt);
    return timingSafeEqual(bytes.subarray(RANDOM_BYTES), expected) && this.#isYoung(issuedAt);
  }

  #isFor(token: string, userId: string): boolean {
    const { key, kid, marked, issuedAt, signature } = this.#read(token);
    if (key === null) return false;
    const isGenuine = equalInConstantTime(signature, sign(key.bytes, `${kid}.${marked}.${issuedAt}`, userId));
    return isGenuine && this.#isYoung(issuedAt);
  }

  #isYoung(issuedAt: string): boolean {
    return this.#runtime.now().getTime() / 1000 - Number.parseInt(issuedAt, 36) < BROWSER_SECONDS;
  }

  #read(token: string) {
    const [, kid = '', marked = '', issuedAt = '', signature = ''] = TOKEN.exec(token) ?? [];
    return { kid, marked, issuedAt, signature, key: this.#runtime.keys.find('device', kid) };
  }
}

function tokensIn(cookie: string | null | undefined): string[] {
  return (cookie ?? '').split('~', MAX_PER_BROWSER).filter((token) => TOKEN.test(token));
}

/** What shows that a token is ours before it is known whose it may be. */
function mark(key: Buffer, random: Buffer, issuedAt: string): Buffer {
  return hmac(key, `mark ${random.toString('base64url')} ${issuedAt}`).subarray(0, MARK_BYTES);
}

function sign(key: Buffer, body: string, userId: string): string {
  return hmac(key, `${body} ${userId}`).toString('base64url');
}
