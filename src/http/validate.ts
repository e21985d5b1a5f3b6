import querystring from 'node:querystring';
import express, { type NextFunction, type Request, type RequestHandler } from 'express';
import { AuthTunaError } from '../errors.js';
import { findAuth } from './caller/attach.js';
import { asAuthTunaError } from './errors.js';

/** Bytes of a body, JSON or form. @see docs/requirements.md DO-2 */
export const BODY_LIMIT = 32 * 1024;
const MAX_DEPTH = 8;
const MAX_KEYS = 64;

/**
 * Reads a JSON body of at most 32 kB, uncompressed. A body that the app has parsed already is taken as it is.
 *
 * Anything but `application/json` is refused with 415: a form or `text/plain` can be sent by any other site without asking.
 * @param options.mayHaveEnded a session that ended while the body arrived is no refusal
 * @see docs/requirements.md CS-3, DO-2
 */
export function jsonBody({ mayHaveEnded = false }: { mayHaveEnded?: boolean } = {}): RequestHandler {
  const parse = express.json({ limit: BODY_LIMIT, inflate: false, strict: true });
  return (req, res, next) => {
    const type = req.headers['content-type'];
    const hasBody =
      req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
    if ((hasBody || type !== undefined) && !/^application\/json\s*(;|$)/i.test(type ?? '')) {
      return next(new AuthTunaError('unsupported_media_type'));
    }
    if (Number(req.headers['content-length'] ?? 0) > BODY_LIMIT)
      return next(new AuthTunaError('payload_too_large'));
    parse(req, res, (error?: unknown) => {
      const refusal = error ?? readText(req, parseJson);
      if (refusal !== undefined) return next(asAuthTunaError(refusal) ?? refusal);
      if (!isModest(req.body, MAX_DEPTH, { keys: MAX_KEYS }))
        return next(
          new AuthTunaError('malformed_request', {
            message: 'The body is nested too deeply or has too many fields.',
          }),
        );
      if (mayHaveEnded) next();
      else afterBody(req, next);
    });
  };
}

const EITHER = 'Send this request as application/json or application/x-www-form-urlencoded.';

/** As `jsonBody`, and for `application/x-www-form-urlencoded`, for routes that programs call without a cookie. */
export function jsonOrForm(): RequestHandler {
  const json = jsonBody();
  const parse = express.urlencoded({
    extended: false,
    limit: BODY_LIMIT,
    inflate: false,
    parameterLimit: 32,
  });
  return (req, res, next) => {
    if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(req.headers['content-type'] ?? ''))
      return json(req, res, (error?: unknown) =>
        next(
          error instanceof AuthTunaError && error.code === 'unsupported_media_type'
            ? new AuthTunaError('unsupported_media_type', { message: EITHER })
            : error,
        ),
      );
    if (Number(req.headers['content-length'] ?? 0) > BODY_LIMIT)
      return next(new AuthTunaError('payload_too_large'));
    parse(req, res, (error?: unknown) => {
      const refusal = error ?? readText(req, parseForm);
      if (refusal !== undefined) return next(asAuthTunaError(refusal) ?? refusal);
      afterBody(req, next);
    });
  };
}

/**
 * Reads a body that a parser of the host (`express.text()`, `express.raw()`) took off the stream as text or bytes. The same limits hold.
 *
 * @returns the refusal, or undefined
 */
export function readText(req: Request, parse: (text: string) => unknown): AuthTunaError | undefined {
  const given: unknown = req.body;
  const text = Buffer.isBuffer(given) ? given.toString('utf8') : given;
  if (typeof text !== 'string') return undefined;
  if (Buffer.byteLength(text) > BODY_LIMIT) return new AuthTunaError('payload_too_large');
  const body = text === '' ? {} : parse(text);
  if (typeof body !== 'object' || body === null)
    return new AuthTunaError('malformed_request', { message: 'The body is not valid JSON.' });
  req.body = body;
  return undefined;
}

/** Undefined for a text that is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const MAX_FIELDS = 32;

/** Undefined for more than 32 fields. */
export function parseForm(text: string): unknown {
  const fields = querystring.parse(text, '&', '=', { maxKeys: MAX_FIELDS + 1 });
  return Object.keys(fields).length > MAX_FIELDS ? undefined : { ...fields };
}

/** The sender decides how long a body takes: where that was long, who sends it is looked at again. */
export function afterBody(req: Request, next: NextFunction): void {
  const auth = findAuth(req);
  if (auth === undefined || auth.isCurrent) next();
  else auth.refresh().then(() => next(auth.user === null ? auth.refusal : undefined), next);
}

function isModest(value: unknown, depth: number, left: { keys: number }): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  for (const inner of Object.values(value)) {
    left.keys -= 1;
    if (left.keys < 0 || !isModest(inner, depth - 1, left)) return false;
  }
  return true;
}
