import type { Config } from '../../config/config.js';
import { AuthTunaError, brokenRule, type FieldError } from '../../errors.js';

/** What a request gave for the columns of the host, and what is wrong with it. */
export interface CheckedHostFields {
  values: Record<string, unknown>;
  errors: FieldError[];
}

/**
 * Checks values for the fields of the host, such as `signUp.fields`, each by its schema. A field that is not declared is an error.
 *
 * @param options.isPartial a required field may be left out, as in a change of some fields
 */
export function checkHostFields(
  fields: Config['signUp']['fields'],
  given: Readonly<Record<string, unknown>>,
  options: { isPartial?: boolean } = {},
): CheckedHostFields {
  const values: Record<string, unknown> = {};
  const errors: FieldError[] = [];
  const refuse = (name: string, refusal: Omit<FieldError, 'field'>) =>
    errors.push({ field: `data.${name}`, ...refusal });
  for (const name of Object.keys(given))
    if (!Object.hasOwn(fields, name))
      refuse(name, { rule: 'unknown_field', message: 'is not a field of this request' });
  for (const [name, field] of Object.entries(fields)) {
    const value = given[name];
    if (value === undefined) {
      if (field.required && options.isPartial !== true)
        refuse(name, { rule: 'required', message: 'is required' });
      continue;
    }
    const result = field.schema.safeParse(value);
    if (result.success) values[name] = result.data;
    else refuse(name, brokenRule(result.error.issues[0], value));
  }
  return { values, errors };
}

/**
 * The values of {@link checkHostFields}.
 *
 * @throws AuthTunaError `invalid_input` naming every field
 */
export function readHostFields(...input: Parameters<typeof checkHostFields>): Record<string, unknown> {
  const { values, errors } = checkHostFields(...input);
  if (errors.length > 0) throw new AuthTunaError('invalid_input', { errors });
  return values;
}
