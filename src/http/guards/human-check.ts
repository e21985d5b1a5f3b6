import type { Request, RequestHandler } from 'express';
import type { Config } from '../../config/config.js';
import type { HumanCheckAction } from '../../config/options.js';
import { AuthTunaError } from '../../errors.js';
import { inTime } from '../../time.js';
import type { RequestReader } from '../caller/request-facts.js';

// What the widgets of the known services add to a form, and a name for everybody else's.
const FIELDS = [
  'humanCheck',
  'cf-turnstile-response',
  'h-captcha-response',
  'g-recaptcha-response',
  'altcha',
] as const;
const HEADER = 'x-human-check';
const MAX_TOKEN = 8192;
const ANSWER_MS = 5000; // such services answer in well under a second; a browser's user waits

/**
 * Asks `humanCheck` of the options before a route that strangers use, after its body was parsed. Without that option everybody passes.
 *
 * The fields of the known services are taken out of the body, so that the route's own schema stays strict.
 */
export function createHumanCheck(
  config: Config,
  requests: RequestReader,
): (action: HumanCheckAction) => RequestHandler {
  const { humanCheck, logger } = config;
  return (action) => (req, _res, next) => {
    const token = takeToken(req);
    if (humanCheck === undefined) return next();
    const facts = { token, ip: requests.ipOf(req), headers: req.headers };
    inTime('humanCheck', ANSWER_MS, async () => humanCheck(facts, action)).then(
      (isHuman) =>
        next(
          isHuman === true
            ? undefined
            : new AuthTunaError('forbidden', {
                message: 'Confirm that you are a person and try again.',
                reason: 'human_check',
              }),
        ),
      (error: unknown) => {
        if (error instanceof AuthTunaError) return next(error);
        logger.error('humanCheck failed; the request was refused.', { error, action });
        next(new AuthTunaError('unavailable', { retryAfterSeconds: 5 }, { cause: error }));
      },
    );
  };
}

function takeToken(req: Request): string | null {
  const found: unknown[] = [req.headers[HEADER]];
  const body: unknown = req.body;
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
    const fields = body as Record<string, unknown>;
    for (const field of FIELDS) {
      if (!Object.hasOwn(fields, field)) continue;
      found.push(fields[field]);
      delete fields[field];
    }
  }
  const token = found.find((value) => typeof value === 'string' && value !== '');
  return typeof token === 'string' && token.length <= MAX_TOKEN ? token : null;
}
