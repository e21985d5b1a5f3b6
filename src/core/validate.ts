import { z } from 'zod';
import { isStorableText, UNSTORABLE } from '../db/client.js';
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
  const unstorable = unstorableIn(input, '', MAX_DEPTH);
  if (unstorable.length > 0) throw new AuthTunaError('invalid_input', { errors: unstorable });
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

const MAX_DEPTH = 8; // no schema of ours is deeper, so what lies below is refused as it is

/** What no field may hold, whatever its schema: texts that cannot be stored, and the one name that has a meaning of its own in an object. */
function unstorableIn(value: unknown, field: string, depth: number): FieldError[] {
  if (typeof value === 'string')
    return isStorableText(value)
      ? []
      : [{ field, rule: 'invalid_format', message: `must not hold ${UNSTORABLE}` }];
  if (typeof value !== 'object' || value === null || depth === 0) return [];
  return Object.entries(value).flatMap(([key, inner]): FieldError[] => {
    if (key === '__proto__' || !isStorableText(key))
      return [{ field, rule: 'unknown_field', message: 'has a field whose name cannot be used' }];
    return unstorableIn(inner, field === '' ? key : `${field}.${key}`, depth - 1);
  });
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
