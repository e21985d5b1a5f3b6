import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config/config.js';
import {
  NETWORK_FACTOR,
  NETWORK_LIMITED,
  type RateLimit,
  type RateLimitName,
} from '../../config/rate-limits.js';
import type { RateLimiter, RateVerdict } from '../../core/limits/rate-limiter.js';
import { rateLimited } from '../../core/limits/throttle.js';
import { misconfigured, requireKnownOptions } from '../../errors.js';
import { networkKeys } from '../../net/addresses.js';
import { findAuth } from '../caller/attach.js';
import type { RequestReader } from '../caller/request-facts.js';

export interface RateLimitOptions extends Partial<RateLimit> {
  /** Who shares the limit: the address (IPv6: its /64), or the signed-in user and the address of who is not signed in. Default `ip`. */
  by?: 'ip' | 'user';
}

/** Makes the middleware `rateLimit(name, options?)`. */
export type RateLimitFactory = (
  name: RateLimitName | (string & {}),
  options?: RateLimitOptions,
) => RequestHandler;

const NAME = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/;

/**
 * Lets `limit` requests of one caller pass in any `windowSeconds` and answers the others with 429 and `Retry-After`; with 503 while it
 * cannot count. Every answer says how the limit stands, in `RateLimit-Policy` and `RateLimit`.
 *
 * @see draft-ietf-httpapi-ratelimit-headers-10; docs/requirements.md PX-2
 */
export function createRateLimit(
  config: Config,
  limiter: RateLimiter,
  requests: RequestReader,
): RateLimitFactory {
  return (name, { by = 'ip', ...options } = {}) => {
    requireKnownOptions(`rateLimit('${name}')`, options, ['limit', 'windowSeconds']);
    const limit = limitOf(config, name, options);
    return (req, res, next) => {
      takeAll(limiter, keysOf(name, limit, req, requests, by)).then((verdict) => {
        writeHeaders(res, name, limit, verdict);
        next(verdict.allowed ? undefined : rateLimited(verdict.resetSeconds));
      }, next);
    };
  };
}

function limitOf(config: Config, name: string, options: Partial<RateLimit>): RateLimit {
  if (!NAME.test(name))
    throw misconfigured(
      `rateLimit('${name}'): a name begins with a letter and holds letters, digits and _ . : - only`,
    );
  const known: RateLimit | undefined = Object.hasOwn(config.rateLimits, name)
    ? config.rateLimits[name as RateLimitName]
    : undefined;
  const { limit = known?.limit, windowSeconds = known?.windowSeconds } = options;
  if (limit === undefined || windowSeconds === undefined)
    throw misconfigured(`rateLimit('${name}'): say how often, for example { limit: 30, windowSeconds: 60 }`);
  if (!Number.isInteger(limit) || limit < 0 || !Number.isInteger(windowSeconds) || windowSeconds < 1)
    throw misconfigured(
      `rateLimit('${name}'): limit and windowSeconds are whole numbers, the window at least 1`,
    );
  return { limit, windowSeconds };
}

/** What a request is counted under: the caller, and for some limits the network around the caller, which may do more. */
function keysOf(
  name: string,
  limit: RateLimit,
  req: Request,
  requests: RequestReader,
  by: 'ip' | 'user',
): { key: string; limit: RateLimit }[] {
  const userId = by === 'user' ? findAuth(req)?.user?.id : undefined;
  if (userId !== undefined) return [{ key: `route ${name} user ${userId}`, limit }];
  const { host, network } = networkKeys(requests.ipOf(req));
  const own = { key: `route ${name} ${host}`, limit };
  if (!NETWORK_LIMITED.has(name) || host === network) return [own];
  return [own, { key: `route ${name} ${network}`, limit: { ...limit, limit: limit.limit * NETWORK_FACTOR } }];
}

/** The verdict of the first limit that refuses; that of the caller's own when none does. */
async function takeAll(
  limiter: RateLimiter,
  [own, ...others]: readonly { key: string; limit: RateLimit }[],
): Promise<RateVerdict> {
  if (own === undefined) throw new TypeError('a request is counted under at least one key');
  const verdict = await limiter.take(own.key, own.limit);
  for (const { key, limit } of verdict.allowed ? others : []) {
    const further = await limiter.take(key, limit);
    if (!further.allowed) return further;
  }
  return verdict;
}

/** Several limits on one route each add their own item. */
function writeHeaders(res: Response, name: string, limit: RateLimit, verdict: RateVerdict): void {
  res.append('RateLimit-Policy', `"${name}";q=${limit.limit};w=${limit.windowSeconds}`);
  res.append('RateLimit', `"${name}";r=${verdict.remaining};t=${verdict.resetSeconds}`);
}
