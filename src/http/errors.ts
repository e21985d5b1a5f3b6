import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.js';
import { AuthTunaError, type ErrorCode, misconfigured, requireKnownOptions } from '../errors.js';

/** HTTP appears here and nowhere else. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_input: 422,
  invalid_credentials: 401,
  malformed_request: 400,
  invalid_token: 400,
  unauthenticated: 401,
  superseded: 401,
  session_revoked: 401,
  forbidden: 403,
  recent_login_required: 401,
  second_factor_required: 401,
  email_not_verified: 403,
  account_suspended: 403,
  password_change_required: 403,
  enrollment_required: 403,
  weak_password: 422,
  cross_site_request: 403,
  rate_limited: 429,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  unavailable: 503,
  misconfigured: 500,
};

// What Express answers with by itself where `errorHandler()` was forgotten: the status, and no more than its name in production.
Object.defineProperty(AuthTunaError.prototype, 'status', {
  get(this: AuthTunaError) {
    return STATUS[this.code];
  },
});

/** RFC 9457: what kind of problem it is, the same at every occurrence; `detail` says more. */
const TITLES: Readonly<Record<ErrorCode, string>> = {
  invalid_input: 'Invalid input',
  invalid_credentials: 'Not correct',
  malformed_request: 'Malformed request',
  invalid_token: 'Link or code no longer valid',
  unauthenticated: 'Sign-in required',
  superseded: 'Session renewed elsewhere',
  session_revoked: 'Session ended',
  forbidden: 'Not allowed',
  recent_login_required: 'Confirmation required',
  second_factor_required: 'Second factor required',
  email_not_verified: 'Address not confirmed',
  account_suspended: 'Account suspended',
  password_change_required: 'New password required',
  enrollment_required: 'Second factor to be set up',
  weak_password: 'Password too easy to guess',
  cross_site_request: 'Request from another site',
  rate_limited: 'Too many requests',
  not_found: 'Not found',
  method_not_allowed: 'Method not allowed',
  conflict: 'Conflict',
  payload_too_large: 'Too large',
  unsupported_media_type: 'Unsupported media type',
  unavailable: 'Unavailable',
  misconfigured: 'Server error',
};

const RETRY_AFTER_UNAVAILABLE = 1;

/** An answer as RFC 9457 describes it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  [fact: string]: unknown;
}

/**
 * The problem document of an error. Nothing of its cause is in it.
 *
 * @param pages where the page of each code is served: `https://app.example.com/auth/errors/`
 */
export function problemOf(error: AuthTunaError, pages: string): Problem {
  const status = STATUS[error.code];
  // A misconfiguration is explained in the log; to the visitor it is a server error like any other.
  const detail = error.code === 'misconfigured' ? 'The server is not set up correctly.' : error.message;
  const { reason: _internal, ...facts } = error.details;
  const shown = error.code === 'weak_password' ? { ...facts, reason: error.details.reason } : facts;
  return {
    ...shown,
    type: pages + error.code,
    title: TITLES[error.code],
    status,
    code: error.code,
    detail,
  };
}

/** Headers that go with an error: `WWW-Authenticate`, `Retry-After`, `Allow`. @see RFC 9110 11.6.1, 10.2.3; RFC 9470 */
export function headersOf(error: AuthTunaError): Record<string, string> {
  const status = STATUS[error.code];
  const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
  if (status === 401) headers['WWW-Authenticate'] = challengeOf(error);
  if (status === 429 || status === 503)
    headers['Retry-After'] = String(Math.ceil(error.details.retryAfterSeconds ?? RETRY_AFTER_UNAVAILABLE));
  if (Array.isArray(error.details.allow)) headers.Allow = error.details.allow.join(', ');
  return headers;
}

function challengeOf(error: AuthTunaError): string {
  const [scheme, dpop] = String(error.details.reason ?? '').split(':');
  // RFC 9449 section 7.1
  if (scheme === 'dpop') return `DPoP error="${dpop}", algs="ES256 EdDSA"`;
  if (scheme === 'bearer') return 'Bearer error="invalid_token"';
  if (error.code === 'recent_login_required' || error.code === 'second_factor_required') {
    const maxAge = typeof error.details.max_age === 'number' ? `, max_age=${error.details.max_age}` : '';
    return `Session error="insufficient_user_authentication", error_description="${error.code}"${maxAge}`;
  }
  return `Session error="${error.code}"`;
}

/** Answers an error with a page; false leaves it to the problem document. `code` is `other` for what is no error of this library. */
export type ErrorPage = (
  req: Request,
  res: Response,
  failure: {
    code: string;
    status: number;
    retryAfterSeconds?: number;
    /** Says more than the code. */
    reason?: string;
    /** Where the button of the page leads, where this refusal knows better than the page. */
    continueUrl?: string;
    /** The sign-in page, with where the person wanted to go. */
    signInUrl?: string;
    /** Where one tries again, where the same address cannot be opened twice. */
    retryUrl?: string;
    /** Where an organization demands its own sign-in: the path that leads there, and its name. */
    singleSignOn?: { path: string; name: string };
  },
) => boolean;

/** Answers with the problem document, or with a page where the browser asked for one. */
function sendError(req: Request, res: Response, error: AuthTunaError, pages: string, page?: ErrorPage): void {
  for (const [name, value] of Object.entries(headersOf(error))) res.setHeader(name, value);
  res.status(STATUS[error.code]);
  const { retryAfterSeconds, reason, sso, organization, continueUrl } = error.details;
  const failure = {
    code: error.code,
    status: STATUS[error.code],
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(reason !== undefined && { reason }),
    ...(typeof continueUrl === 'string' && { continueUrl }),
    ...(typeof sso === 'string' && { singleSignOn: { path: sso, name: String(organization) } }),
  };
  if (page?.(req, res, failure)) return;
  res.type('application/problem+json').send(JSON.stringify(problemOf(error, pages)));
}

/** What a body parser or router of Express says, in our words; null for what is none of ours. */
export function asAuthTunaError(error: unknown): AuthTunaError | null {
  if (error instanceof AuthTunaError) return error;
  if (error instanceof RefusedWhileReading) return error.refusal;
  const type = error instanceof Error ? (error as { type?: unknown }).type : undefined;
  if (type === 'entity.too.large') return new AuthTunaError('payload_too_large');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported')
    return new AuthTunaError('unsupported_media_type');
  if (type === 'entity.parse.failed')
    return new AuthTunaError('malformed_request', { message: 'The body is not valid JSON.' });
  if (
    typeof type === 'string' &&
    (type.startsWith('entity.') || type.startsWith('request.') || type === 'parameters.too.many')
  )
    return new AuthTunaError('malformed_request');
  // The router of Express could not decode the path.
  if (error instanceof URIError)
    return new AuthTunaError('malformed_request', { message: 'The address could not be decoded.' });
  return null;
}

/**
 * A refusal as it passes through a body parser: parsers write a `status` of their own onto the errors of a stream, which an `AuthTunaError`
 * does not take.
 */
export class RefusedWhileReading extends Error {
  readonly refusal: AuthTunaError;

  constructor(refusal: AuthTunaError) {
    super(refusal.message, { cause: refusal });
    this.refusal = refusal;
  }
}

/** An async handler for any Express: what it throws, or rejects with, goes to the error handler. */
export function handle(
  handler: (req: Request, res: Response, next: NextFunction) => unknown,
): RequestHandler {
  return (req, res, next) => {
    try {
      const result = handler(req, res, next);
      if (result instanceof Promise) result.catch(next);
    } catch (error) {
      next(error);
    }
  };
}

/**
 * The last middleware of an app: answers every error of this library as a problem document (or page), and everything else as a plain 500
 * that shows nothing of what happened. The host's own errors with a `status` of 400 to 499 keep it.
 */
export function createErrorHandler(
  config: Pick<Config, 'baseUrl' | 'paths' | 'logger'>,
  page?: ErrorPage,
): ErrorRequestHandler {
  const pages = `${config.baseUrl}${config.paths.auth}/errors/`;
  const { logger } = config;
  return (error: unknown, req, res, next) => {
    if (res.headersSent) return next(error);
    const known = asAuthTunaError(error);
    if (known !== null) {
      if (known.code === 'misconfigured' || known.code === 'unavailable')
        logger.error(known.message, {
          code: known.code,
          // Without the query, which may hold a token.
          request: `${req.method} ${req.originalUrl.split('?', 1)[0]}`,
          ...(known.details.reason !== undefined && { reason: known.details.reason }),
          ...(known.cause !== undefined && { cause: known.cause }),
        });
      return sendError(req, res, known, pages, page);
    }
    const status = clientStatusOf(error);
    if (status === 500) logger.error('A request failed.', { error });
    res.status(status).setHeader('Cache-Control', 'no-store');
    if (page?.(req, res, { code: status === 404 ? 'not_found' : 'other', status })) return;
    const title = STATUS_CODES[status] ?? 'Error';
    res.type('application/problem+json').send(JSON.stringify({ type: 'about:blank', title, status }));
  };
}

/** The error handler that a host mounts. @throws AuthTunaError `misconfigured` for an unknown option */
export function errorHandlerFor(
  handler: ErrorRequestHandler,
  options: ErrorHandlerOptions,
): ErrorRequestHandler {
  requireKnownOptions('errorHandler', options, ['only']);
  const { only } = options;
  if (only !== undefined && only !== 'authtuna')
    throw misconfigured("errorHandler takes { only: 'authtuna' } or nothing");
  return only === undefined ? handler : onlyOurs(handler);
}

/** Answers errors of this library alone; every other error goes on to the host's own handler. */
function onlyOurs(handler: ErrorRequestHandler): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    if (error instanceof AuthTunaError || error instanceof RefusedWhileReading)
      handler(error, req, res, next);
    else next(error);
  };
}

/** Options of `errorHandler()`. */
export interface ErrorHandlerOptions {
  /** `authtuna`: answers refusals of this library alone, and hands every other error on. Default: answers all. */
  only?: 'authtuna';
}

function clientStatusOf(error: unknown): number {
  const status = error instanceof Error ? Number((error as { status?: unknown }).status) : Number.NaN;
  return Number.isInteger(status) && status >= 400 && status < 500 ? status : 500;
}
