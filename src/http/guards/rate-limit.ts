import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config/config.js';
import type { RateLimit, RateLimitName } from '../../config/rate-limits.js';
import type { RateLimiter, RateVerdict } from '../../core/limits/rate-limiter.js';
import { rateLimited } from '../../core/limits/throttle.js';
import { misconfigured } from '../../errors.js';
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
    const limit = limitOf(config, name, options);
    return (req, res, next) => {
      const key = `route ${name} ${callerOf(req, requests, by)}`;
      limiter.take(key, limit).then((verdict) => {
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

function callerOf(req: Request, requests: RequestReader, by: 'ip' | 'user'): string {
  const userId = by === 'user' ? findAuth(req)?.user?.id : undefined;
  return userId === undefined ? networkKeys(requests.ipOf(req)).host : `user ${userId}`;
}

/** Several limits on one route each add their own item. */
function writeHeaders(res: Response, name: string, limit: RateLimit, verdict: RateVerdict): void {
  res.append('RateLimit-Policy', `"${name}";q=${limit.limit};w=${limit.windowSeconds}`);
  res.append('RateLimit', `"${name}";r=${verdict.remaining};t=${verdict.resetSeconds}`);
}
