import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import { BROWSER_SECONDS, type KnownBrowsers } from '../../core/sign-in/known-browsers.js';
import { type CookieSpec, cookieSpec, readCookie, serializeCookie, setCookie } from './cookies.js';

/** The cookie by which a browser that signed in before is told from a stranger's. Signing out leaves it. @see docs/requirements.md LG-6 */
export class BrowserCookie {
  readonly #spec: CookieSpec;
  readonly #devices: KnownBrowsers;

  constructor(config: Config, devices: KnownBrowsers) {
    this.#spec = cookieSpec(config, 'at_device');
    this.#devices = devices;
  }

  /** For `SignInOptions.browserCookie`. */
  read(req: Request): string | null {
    const value = readCookie(req.headers.cookie, this.#spec.name);
    return value === 'ambiguous' ? null : value;
  }

  /** Makes the browser known for a user who has just signed in. */
  write(req: Request, res: Response, userId: string): void {
    const value = this.#devices.remember(this.read(req), userId);
    setCookie(res, this.#spec, serializeCookie(this.#spec, value, BROWSER_SECONDS));
  }
}
