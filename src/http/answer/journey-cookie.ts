import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import { type CookieSpec, cookieSpec, readCookie, serializeCookie, setCookie } from './cookies.js';

const JOURNEY_SECONDS = 600;
const BROWSER_BYTES = 32;
const BROWSER_SHAPE = /^[\w-]{43}$/;

/** The value that binds a journey to another site to the browser that began it, kept in a cookie; several tabs share it. */
export class JourneyCookie {
  readonly #random: Config['random'];
  readonly #spec: CookieSpec;

  constructor(config: Config) {
    this.#random = config.random;
    this.#spec = cookieSpec(config, 'at_flow');
  }

  /** The browser's value, null when it brought none. */
  read(req: Request): string | null {
    const value = readCookie(req.headers.cookie, this.#spec.name);
    return value !== null && BROWSER_SHAPE.test(value) ? value : null;
  }

  /** The browser's value; a new one where it brought none. It lives for ten more minutes. */
  readOrSet(req: Request, res: Response): string {
    const browser = this.read(req) ?? this.#random.bytes(BROWSER_BYTES).toString('base64url');
    setCookie(res, this.#spec, serializeCookie(this.#spec, browser, JOURNEY_SECONDS));
    return browser;
  }
}
