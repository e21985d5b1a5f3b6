import { z } from 'zod';
import { AuthTunaError, type FieldError, type FieldRule } from '../errors.js';

/** A schema for a name that pages and mails show: trimmed, one line, without marks that change the direction of text. */
export function oneLine(max: number): z.ZodString {
  return z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u, 'must be one line of text');
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
