import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Config } from '../../config/config.js';
import type { Runtime } from '../../core/runtime.js';
import { equalInConstantTime, hmac } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';

/** Whether a request with this method changes nothing. @see RFC 9110 section 9.2.1 */
export function isSafeMethod(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/**
 * Whether a browser says that another site made this request. `Sec-Fetch-Site` decides where it is sent, `Origin` otherwise; `Host` never.
 *
 * A request with neither header did not come from a current browser's page. With `sameSite: 'none'` it passes without a cookie only.
 * @see OWASP CSRF Prevention; Go's net/http CrossOriginProtection; docs/requirements.md CS-1
 */
export function isCrossSite(
  req: IncomingMessage,
  { origins, session }: Pick<Config, 'origins'> & { session: Pick<Config['session'], 'sameSite'> },
): boolean {
  const { origin } = req.headers;
  const site = req.headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return false;
  if (origin === undefined)
    return site !== undefined || (session.sameSite === 'none' && req.headers.cookie !== undefined);
  const [own] = origins;
  // The own origin beside `same-site` or `cross-site` contradicts itself; only an origin that was listed explicitly may come from elsewhere.
  return !origins.has(origin) || (site !== undefined && origin === own);
}

/**
 * Refuses unsafe requests that another site made, except at the whole paths that are made for them, and those that carry a bearer token or an
 * API key and no cookie.
 *
 * @throws AuthTunaError `cross_site_request`
 */
export function csrf(config: Config, crossSitePosts: ReadonlySet<string>): RequestHandler {
  return (req, _res, next) => {
    const isRefused = !isSafeMethod(req.method) && isCrossSite(req, config) && !bringsItsOwnCredential(req);
    if (isRefused && !crossSitePosts.has(req.originalUrl)) return next(crossSiteRefusal(req, config));
    next();
  };
}

/**
 * Whether a request carries a bearer token or an API key and no cookie. No browser sends those unasked, and without a cookie nothing is left
 * that another site could make use of.
 * @see docs/requirements.md CS-6
 */
function bringsItsOwnCredential({ headers }: IncomingMessage): boolean {
  if (headers.cookie !== undefined) return false;
  return headers['x-api-key'] !== undefined || /^(bearer|dpop)\b/i.test(headers.authorization ?? '');
}

const reported = new WeakSet<Config>();

/** Why such a request is refused. On a developer's machine the log says, once, which two addresses differ: the page must not. */
export function crossSiteRefusal(req: IncomingMessage, config: Config): AuthTunaError {
  const { origin } = req.headers;
  if (!config.isSecure && origin !== undefined && !config.origins.has(origin) && !reported.has(config)) {
    reported.add(config);
    config.logger.warn(
      `A request from a page at another address than baseUrl (${config.origin}) was refused. Open the app there, change baseUrl, or list the other address in trustedOrigins.`,
      { origin },
    );
  }
  return new AuthTunaError('cross_site_request');
}

/** Who a form was shown to: a session, or the cookie that a browser is given before one. */
export interface FormHolder {
  kind: 'session' | 'pre_session';
  id: string;
}

/** How long a form without a session may stay open, and how long its cookie lasts. */
export const PRE_SESSION_SECONDS = 3600;

const SALT_BYTES = 12; // so that a compressed page repeats no secret an attacker could guess byte by byte (BREACH)

/**
 * The tokens in forms: a keyed digest of whom the form was shown to. Nothing is stored, and a token ends with its session.
 *
 * @see OWASP CSRF Prevention (signed double submit, bound to the session); docs/requirements.md CS-2, CS-4
 */
export class FormTokens {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** `<time>.<salt>.<digest>`, different every time. */
  issue(holder: FormHolder): string {
    const { keys, config } = this.#runtime;
    const time = Math.floor(this.#runtime.now().getTime() / 1000).toString(36);
    const salt = config.random.bytes(SALT_BYTES).toString('base64url');
    return `${time}.${salt}.${digest(keys.current('csrf').bytes, holder, time, salt)}`;
  }

  isValid(token: unknown, holder: FormHolder): boolean {
    if (typeof token !== 'string' || token.length > 128 || this.isTooOld(token, holder)) return false;
    const [time = '', salt = '', presented = ''] = token.split('.');
    return this.#runtime.keys
      .all('csrf')
      .some((key) => equalInConstantTime(digest(key.bytes, holder, time, salt), presented));
  }

  /** Whether the form was open for longer than a token lasts; a token of a session lasts as long as the session. */
  isTooOld(token: unknown, holder: FormHolder): boolean {
    const ageSeconds = this.#runtime.now().getTime() / 1000 - Number.parseInt(String(token), 36);
    return holder.kind === 'pre_session' && !(ageSeconds <= PRE_SESSION_SECONDS);
  }
}

function digest(key: Buffer, { kind, id }: FormHolder, time: string, salt: string): string {
  return hmac(key, JSON.stringify(['form', kind, id, time, salt])).toString('base64url');
}
