import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.js';
import {
  type CookieSpec,
  cookieSpec,
  guardLateCookie,
  readCookie,
  readCookies,
  serializeCookie,
  setCookie,
} from '../answer/cookies.js';

const MAX_READ = 4; // what each of them costs is bounded, and no honest browser has more

/** The session cookie: reads, writes, renews and clears it. */
export class SessionCookie {
  readonly #spec: CookieSpec;
  /** The same cookie as an earlier setting of `cookieDomain` wrote it; a browser may still hold it. */
  readonly #others: readonly CookieSpec[];
  readonly #names: readonly string[];
  readonly #now: () => number;
  readonly #graceMs: number;
  readonly #config: Config;
  #hasWarnedOfOtherSite = false;

  /** @param now milliseconds */
  constructor(config: Config, now: () => number) {
    const { cookieName, sameSite, cookieDomain, rotationGraceSeconds } = config.session;
    const spelled = (domain?: string) => cookieSpec(config, cookieName, { sameSite, domain });
    this.#spec = spelled(cookieDomain);
    const secure = spelled('any.example').name; // the name that goes with a Domain
    this.#others = config.isSecure
      ? [
          spelled(),
          { ...spelled(), name: secure },
          ...parentDomains(new URL(config.baseUrl).hostname).map(spelled),
        ].filter(({ name, attributes }) => name !== this.#spec.name || attributes !== this.#spec.attributes)
      : [];
    this.#names = [...new Set([this.#spec, ...this.#others].map(({ name }) => name))];
    this.#now = now;
    this.#config = config;
    this.#graceMs = rotationGraceSeconds * 1000;
  }

  /** The token in the one cookie of our name: null without one, `'ambiguous'` with several. */
  read(req: IncomingMessage): string | null | 'ambiguous' {
    return readCookie(req.headers.cookie, this.#spec.name);
  }

  /** The tokens in all cookies of our name, at most four. */
  readAll(req: IncomingMessage): string[] {
    return readCookies(req.headers.cookie, this.#spec.name, MAX_READ);
  }

  /** The tokens in all cookies of our name, and of the names that it has with another `cookieDomain`; at most four of each. */
  readAnySpelling(req: IncomingMessage): string[] {
    return this.#names.flatMap((name) => readCookies(req.headers.cookie, name, MAX_READ));
  }

  /**
   * Writes the cookie of a session that has just begun or been raised, and expires what an earlier `cookieDomain` left in the browser.
   *
   * @param persistentUntil null for a cookie that ends with the browser
   */
  write(req: IncomingMessage, res: ServerResponse, token: string, persistentUntil: Date | null): void {
    setCookie(res, this.#spec, this.#serialize(token, persistentUntil));
    this.expireOthers(req, res);
    this.#warnOfOtherSite(req);
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

  /** Takes the cookie out of the browser in every spelling; only the answer to a sign-out does this. */
  clear(req: IncomingMessage, res: ServerResponse): void {
    setCookie(res, this.#spec, serializeCookie(this.#spec, '', 0));
    this.expireOthers(req, res);
  }

  /** Expires what an earlier `cookieDomain` left in the browser, where the request shows that there is something. */
  expireOthers(req: IncomingMessage, res: ServerResponse): void {
    if (res.headersSent || this.#others.length === 0) return;
    const isAlone = this.readAnySpelling(req).length === this.readAll(req).length;
    if (isAlone && this.readAll(req).length < 2) return;
    const present = res.getHeader('Set-Cookie');
    const written = Array.isArray(present) ? present : present === undefined ? [] : [String(present)];
    const expired = this.#others.map((other) => serializeCookie(other, '', 0));
    res.setHeader('Set-Cookie', [...new Set([...expired, ...written])]);
    res.setHeader('Cache-Control', 'no-store');
  }

  /** Says once why the cookie never comes back, to a page that a browser calls another site. */
  #warnOfOtherSite({ headers }: IncomingMessage): void {
    const { origins, origin, session, logger, isSecure } = this.#config;
    const page = headers.origin;
    const isOtherSite = headers['sec-fetch-site'] === 'cross-site' && page !== undefined && origins.has(page);
    if (!isOtherSite || session.sameSite === 'none' || this.#hasWarnedOfOtherSite) return;
    this.#hasWarnedOfOtherSite = true;
    const cure = isSecure
      ? "Put both under one domain, or set session: { sameSite: 'none' }."
      : 'Open both at one host name, such as localhost.';
    logger.warn(
      `A person signed in on ${page}, which is another site than ${origin}: browsers will not send the session cookie from there, so the next request is anonymous. ${cure}`,
    );
  }

  #serialize(token: string, persistentUntil: Date | null): string {
    return serializeCookie(
      this.#spec,
      token,
      persistentUntil === null ? null : (persistentUntil.getTime() - this.#now()) / 1000,
    );
  }
}

/** `a.b.example`, `b.example` for `a.b.example`: the values of Domain that a browser takes from this host, or refuses as a public suffix. */
function parentDomains(host: string): string[] {
  const labels = host.split('.');
  return labels.slice(0, -1).map((_, index) => labels.slice(index).join('.'));
}
