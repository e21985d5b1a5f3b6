import type { ErrorRequestHandler, Request } from 'express';
import type { Config } from '../config/config.js';
import type { Logger } from '../config/options.js';
import { AuthTunaError, misconfigured, requireKnownOptions } from '../errors.js';
import { createAddressResolver } from '../http/caller/address.js';
import { hasBearer, refuseTwoAuthorizations } from '../http/caller/authenticators.js';
import { createErrorHandler, handle } from '../http/errors.js';
import { isCrossSite, isSafeMethod } from '../http/guards/csrf.js';
import type { GuardOptions, UserGuardOptions } from '../http/guards/guards.js';
import { forAnyRoute, type Middleware } from '../http/guards/host-middleware.js';
import { isAllowedUrl } from '../net/outbound.js';
import { requirePermission, requireRole, requireUser } from './guards.js';
import { RemoteAuth } from './remote-auth.js';
import { type Credential, type HandedOver, presentedAs, RemoteServer, type Verified } from './server.js';

export type { GuardOptions, UserGuardOptions } from '../http/guards/guards.js';
export type { HandedOver } from './server.js';

export interface RemoteOptions {
  /** `baseUrl` of the AuthTuna server: https, or a loopback host. */
  url: string;
  /** An API key of that server, whose owner holds `tokens:introspect`. */
  key: string;
  /** Where its auth router is mounted. Default `/auth`. */
  authPath?: string;
  /**
   * Origins of this server's own pages, such as `https://files.example.com`. Browsers may send unsafe requests with a cookie from these alone.
   */
  origins?: readonly string[];
  /** The name of the session cookie. Default: `at_sess` with or without `__Host-` or `__Secure-`. */
  cookieName?: string;
  /** As for `createAuthTuna`: how many proxies, or which, may set `X-Forwarded-For`. */
  trustedProxies?: number | readonly string[];
  /** Default: the console. */
  logger?: Logger;
  /** Default: the clock of the machine. */
  clock?: { now(): Date };
}

/** The part of AuthTuna that works without the database. */
export interface RemoteAuthTuna {
  /** `app.use(authTuna.session())`: who is calling, as `req.auth` and `req.user`. 503 where a credential cannot be checked. */
  session(): Middleware;
  requireUser(options?: UserGuardOptions): Middleware;
  requirePermission(permission: string | readonly string[], options?: GuardOptions): Middleware;
  requireRole(role: string | readonly string[], options?: GuardOptions): Middleware;
  errorHandler(): ErrorRequestHandler;
  /**
   * The person whom the AuthTuna server has handed over to this app; the token is spent. Give them a session of your own then.
   *
   * @param input the origin of this app, and the nonce that the person's browser holds
   * @throws AuthTunaError `invalid_token`, `unavailable`
   */
  acceptHandOver(token: string, input: { audience: string; nonce: string }): Promise<HandedOver>;
  readonly access: {
    /** Whether a user holds a permission. @throws AuthTunaError `unavailable` */
    can(userId: string, permission: string, scope?: string): Promise<boolean>;
  };
}

const REMOTE_OPTIONS: readonly string[] = Object.keys({
  url: true,
  key: true,
  authPath: true,
  origins: true,
  cookieName: true,
  trustedProxies: true,
  logger: true,
  clock: true,
} satisfies Record<keyof RemoteOptions, true>);

const MAX_USER_AGENT = 512;
const MAX_TOKEN = 4200;
const MAX_KEY = 256;
const MAX_COOKIES = 8192;
const COOKIE = /^(__Host-|__Secure-)?at_sess$/;

/**
 * AuthTuna for a server that cannot reach the database: it asks an AuthTuna server over HTTP.
 *
 * Answers are remembered for `session.recheckSeconds` of that server, counted from the moment of the question, so the bound is the same.
 * Refusals are remembered for one second. Unsafe methods and `fresh` guards ask each time.
 * @throws AuthTunaError `misconfigured`
 */
export function remote(options: RemoteOptions): RemoteAuthTuna {
  requireKnownOptions('remote', options, REMOTE_OPTIONS);
  const { url, key, authPath = '/auth', origins = [], clock, logger = console } = options;
  if (!isAllowedUrl(url, { allowLoopback: true, publicOnly: false }))
    throw misconfigured(
      `remote: url '${url}' must begin with https://, or with http:// and a loopback host, such as http://localhost:3000`,
    );
  if (typeof key !== 'string' || key === '')
    throw misconfigured('remote: key is missing; is the variable set that it comes from?');
  const base = `${url.replace(/\/$/, '')}${authPath}`;
  const server = new RemoteServer(`${base}/remote`, key, () => (clock?.now() ?? new Date()).getTime());
  const addressOf = createAddressResolver(options.trustedProxies);
  // Whether the server's cookies are sent to other sites is not known here, so a request with a cookie must say where it comes from.
  // The first of the set is the own address, which is not known either: pages of the server itself say `same-origin`.
  const own = { origins: new Set(['', ...origins]), session: { sameSite: 'none' as const } };
  const errorHandler = createErrorHandler({
    baseUrl: new URL(url).origin,
    paths: { auth: new URL(base).pathname } as Config['paths'],
    logger,
  });
  return {
    session: forAnyRoute(() =>
      handle((req, res, next) => {
        const { ip } = addressOf(req.socket.remoteAddress, req.headers['x-forwarded-for']);
        const credential = credentialOf(req, ip, options.cookieName);
        const isSafe = isSafeMethod(req.method);
        if (credential?.cookie !== undefined && !isSafe && isCrossSite(req, own))
          throw new AuthTunaError('cross_site_request', {
            message: 'This request does not say that it comes from a page of this site or of origins.',
          });
        if (credential === null) {
          attach(req, new RemoteAuth(server, req, null, null));
          return next();
        }
        res.setHeader('Cache-Control', 'no-store');
        res.vary('Cookie, Authorization');
        const presented = presentedAs(credential);
        const goOn = ({ answer }: Verified) => {
          attach(req, new RemoteAuth(server, req, presented, answer));
          next();
        };
        const known = isSafe ? server.remembered(presented, []) : undefined;
        // At once where the memory answers, which is nearly always.
        return known === undefined
          ? server.verify(presented, [], { isLatest: !isSafe }).then(goOn)
          : goOn(known);
      }),
    ),
    requireUser: forAnyRoute(requireUser),
    requirePermission: forAnyRoute(requirePermission),
    requireRole: forAnyRoute(requireRole),
    errorHandler: () => errorHandler,
    acceptHandOver: (token, input) => server.acceptHandOver(token, input),
    access: { can: (userId, permission, scope = 'global') => server.can(userId, permission, scope) },
  };
}

/** What the request carries, and nothing that is not for AuthTuna; null for a request without a credential. */
function credentialOf(req: Request, ip: string | null, cookieName: string | undefined): Credential | null {
  refuseTwoAuthorizations(req);
  const { headers } = req;
  const authorization = hasBearer(req) ? headers.authorization : undefined;
  const apiKey = headers['x-api-key'] === undefined ? undefined : String(headers['x-api-key']);
  const cookie = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => {
      const name = pair.slice(0, pair.indexOf('='));
      return cookieName === undefined
        ? COOKIE.test(name)
        : name.replace(/^__(Host|Secure)-/, '') === cookieName;
    })
    .join('; ');
  const userAgent = headers['user-agent'];
  const facts = { ip, ...(userAgent !== undefined && { userAgent: userAgent.slice(0, MAX_USER_AGENT) }) };
  // What the server would not read. No credential of ours is so long.
  const tooLong = (text: string | undefined, limit: number) => text !== undefined && text.length > limit;
  if (tooLong(authorization, MAX_TOKEN) || tooLong(apiKey, MAX_KEY) || tooLong(cookie, MAX_COOKIES))
    throw new AuthTunaError('malformed_request');
  // A token or a key decides alone, as on the server itself.
  if (authorization !== undefined || apiKey !== undefined)
    return {
      ...facts,
      ...(authorization !== undefined && { authorization }),
      ...(apiKey !== undefined && { apiKey }),
    };
  return cookie === '' ? null : { ...facts, cookie };
}

function attach(req: Request, auth: RemoteAuth): void {
  const property = (value: unknown) => ({ configurable: true, enumerable: true, writable: true, value });
  Object.defineProperties(req, { auth: property(auth), user: property(auth.user ?? undefined) });
}
