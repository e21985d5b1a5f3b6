import { z } from 'zod';
import { AuthTunaError, brokenRule, type FieldError } from '../errors.js';

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
      : [{ field: issue.path.join('.'), ...brokenRule(issue, valueAt(input, issue.path)) }],
  );
  throw new AuthTunaError('invalid_input', { errors });
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    input,
  );
}
