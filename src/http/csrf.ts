import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { AuthTunaError } from '../errors.js';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Whether a browser says that another site made this request. `Sec-Fetch-Site` decides where it is sent, `Origin` otherwise; `Host` never.
 *
 * A request with neither header did not come from a current browser's page.
 * @see OWASP CSRF Prevention; Go's net/http CrossOriginProtection; security.md CS-1
 */
export function isCrossSite(req: IncomingMessage, origins: ReadonlySet<string>): boolean {
  const { origin } = req.headers;
  const site = req.headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return false;
  if (origin === undefined) return site !== undefined;
  const [own] = origins;
  // The own origin beside `same-site` or `cross-site` contradicts itself; only an origin that was listed explicitly may come from elsewhere.
  return !origins.has(origin) || (site !== undefined && origin === own);
}

/** Refuses unsafe requests that another site made. @throws AuthTunaError `cross_site_request` */
export function csrf(origins: ReadonlySet<string>): RequestHandler {
  return (req, _res, next) => {
    if (!SAFE_METHODS.has(req.method) && isCrossSite(req, origins))
      return next(new AuthTunaError('cross_site_request'));
    next();
  };
}
