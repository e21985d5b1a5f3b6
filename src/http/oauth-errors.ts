import type { ErrorRequestHandler } from 'express';
import type { AuthTunaError, FieldError } from '../errors.js';
import { asAuthTunaError, headersOf, type Problem, problemOf } from './errors.js';

/**
 * Refusals in the form of RFC 6749 section 5.2, with the fields of a problem document beside it.
 *
 * @param pages where the page of each code is served: `https://app.example.com/auth/errors/`
 */
export function oauthErrors(pages: string): ErrorRequestHandler {
  return (error, _req, res, next) => {
    const known = asAuthTunaError(error);
    if (known === null || res.headersSent) return next(error);
    const problem = problemOf(known, pages);
    const name = typeof known.details.error === 'string' ? known.details.error : ERRORS[known.code];
    // RFC 6749 section 5.2: a refused password, code or token is answered with 400.
    const isRefusedGrant = name === 'invalid_grant' || DEVICE_ERRORS.has(String(known.details.error));
    const status = isRefusedGrant ? 400 : problem.status;
    for (const [header, value] of Object.entries(headersOf(known))) res.setHeader(header, value);
    if (status === 400) res.removeHeader('WWW-Authenticate');
    res
      .status(status)
      .json({ ...problem, status, error: name ?? 'invalid_request', error_description: sentenceOf(problem) });
  };
}

/** Names the fields too: many programs show this text and nothing else. */
function sentenceOf({ detail, errors }: Problem): string {
  if (!Array.isArray(errors)) return detail;
  return errors.map(({ field, message }: FieldError) => `${field} ${message}`.trim()).join('; ');
}

/** @see RFC 8628 section 3.5 */
const DEVICE_ERRORS = new Set(['authorization_pending', 'slow_down', 'access_denied', 'expired_token']);

const ERRORS: Partial<Record<AuthTunaError['code'], string>> = {
  invalid_credentials: 'invalid_grant',
  invalid_token: 'invalid_grant',
  account_suspended: 'invalid_grant',
  email_not_verified: 'invalid_grant',
  forbidden: 'access_denied',
  unauthenticated: 'invalid_client',
  rate_limited: 'slow_down',
  unavailable: 'temporarily_unavailable',
  misconfigured: 'server_error',
};
