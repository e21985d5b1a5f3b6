import express, { type NextFunction, type Request, type RequestHandler } from 'express';
import type { z } from 'zod';
import { AuthTunaError, type FieldError, type FieldRule } from '../errors.js';
import { findAuth } from './caller/request-auth.js';
import { asAuthTunaError } from './errors.js';

/** Bytes of a body, JSON or form. @see docs/requirements.md DO-2 */
export const BODY_LIMIT = 32 * 1024;
const MAX_DEPTH = 8;
const MAX_KEYS = 64;

/**
 * Reads a JSON body of at most 32 kB, uncompressed. A body that the app has parsed already is taken as it is.
 *
 * Anything but `application/json` is refused with 415: a form or `text/plain` can be sent by any other site without asking.
 * @see docs/requirements.md CS-3, DO-2
 */
export function jsonBody(): RequestHandler {
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
      if (error !== undefined) return next(asAuthTunaError(error) ?? error);
      if (!isModest(req.body, MAX_DEPTH, { keys: MAX_KEYS }))
        return next(
          new AuthTunaError('malformed_request', {
            message: 'The body is nested too deeply or has too many fields.',
          }),
        );
      afterBody(req, next);
    });
  };
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

/**
 * The input in the shape of a schema.
 *
 * @throws AuthTunaError `invalid_input` with `errors` by field
 */
export function validate<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue): FieldError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          field: [...issue.path, key].join('.'),
          rule: 'unknown_field',
          message: 'is not a field of this request',
        }))
      : [{ field: issue.path.join('.'), ...brokenRule(issue) }],
  );
  throw new AuthTunaError('invalid_input', { errors });
}

function brokenRule(issue: z.core.$ZodIssue): { rule: FieldRule; message: string } {
  if (issue.code === 'invalid_type')
    return issue.input === undefined
      ? { rule: 'required', message: 'is required' }
      : { rule: 'wrong_type', message: `must be a ${issue.expected}` };
  if (issue.code === 'too_small') {
    if (issue.origin === 'number') return { rule: 'too_small', message: `must be at least ${issue.minimum}` };
    return issue.minimum === 1
      ? { rule: 'required', message: 'is required' }
      : { rule: 'too_short', message: `must have at least ${issue.minimum} characters` };
  }
  if (issue.code === 'too_big') {
    if (issue.origin === 'number') return { rule: 'too_large', message: `must be at most ${issue.maximum}` };
    return { rule: 'too_long', message: `must have at most ${issue.maximum} characters` };
  }
  return { rule: 'invalid_format', message: issue.message };
}
