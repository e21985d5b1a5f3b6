import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.js';
import {
  type CookieSpec,
  cookieSpec,
  guardLateCookie,
  readCookie,
  serializeCookie,
  setCookie,
} from '../answer/cookies.js';

/** The session cookie: reads, writes, renews and clears it. */
export class SessionCookie {
  readonly #spec: CookieSpec;
  readonly #now: () => number;
  readonly #graceMs: number;

  /** @param now milliseconds */
  constructor(config: Config, now: () => number) {
    const { cookieName, sameSite, cookieDomain, rotationGraceSeconds } = config.session;
    this.#spec = cookieSpec(config, cookieName, { sameSite, domain: cookieDomain });
    this.#now = now;
    this.#graceMs = rotationGraceSeconds * 1000;
  }

  /** The token in the one cookie of our name: null without one, `'ambiguous'` with several. */
  read(req: IncomingMessage): string | null | 'ambiguous' {
    return readCookie(req.headers.cookie, this.#spec.name);
  }

  /**
   * Writes the cookie of a session that has just begun or been raised.
   *
   * @param persistentUntil null for a cookie that ends with the browser
   */
  write(res: ServerResponse, token: string, persistentUntil: Date | null): void {
    setCookie(res, this.#spec, this.#serialize(token, persistentUntil));
  }

  /**
   * Writes the successor of a cookie after a rotation, unless the answer goes out too late for it: then the browser may hold a newer cookie.
   *
   * @param isOutdated whether the session was raised or ended meanwhile
   */
  renew(res: ServerResponse, token: string, persistentUntil: Date | null, isOutdated: () => boolean): void {
    if (res.headersSent) return;
    const decidedAt = this.#now();
    guardLateCookie(
      res,
      this.#spec,
      this.#serialize(token, persistentUntil),
      () => this.#now() - decidedAt > this.#graceMs || isOutdated(),
    );
  }

  /** Takes the cookie out of the browser; only the answer to a sign-out does this. */
  clear(res: ServerResponse): void {
    setCookie(res, this.#spec, serializeCookie(this.#spec, '', 0));
  }

  #serialize(token: string, persistentUntil: Date | null): string {
    return serializeCookie(
      this.#spec,
      token,
      persistentUntil === null ? null : (persistentUntil.getTime() - this.#now()) / 1000,
    );
  }
}
