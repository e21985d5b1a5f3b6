import { isMissing, isUniqueViolation } from '../db/client.js';
import { AuthTunaError, type FieldError, type FieldRule } from '../errors.js';
import { MAX_EMAIL_BYTES } from './identifiers.js';

/** `not_found` for a user who is not there, or deleted. */
export function noUser(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such user.' });
}

/** `invalid_input` for one field: which rule it breaks, and the sentence for the person. */
export function invalid(field: string, rule: FieldRule, message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { errors: [{ field, rule, message }] });
}

/**
 * Refuses fields that a method does not have: a misspelled `expires` would otherwise grant for ever.
 *
 * @param path where the object stands in the input of the method; left out for the input itself
 * @throws AuthTunaError `invalid_input`, rule `unknown_field`
 */
export function requireKnownFields(input: object, known: readonly string[], path?: string): void {
  const errors = Object.keys(input)
    .filter((field) => !known.includes(field))
    .map((field) => ({
      field: path === undefined ? field : `${path}.${field}`,
      rule: 'unknown_field' as const,
      message: `is not a field here; there are ${known.join(', ')}`,
    }));
  if (errors.length > 0) throw new AuthTunaError('invalid_input', { errors });
}

/** `invalid_input` for an address that is not one plain mailbox, or too long for one. */
export function invalidEmail(given: string, field = 'email'): AuthTunaError {
  return new AuthTunaError('invalid_input', { errors: [emailError(given, field)] });
}

/** What is wrong with a text that is no address. */
export function emailError(given: string, field = 'email'): FieldError {
  return given.trim().length > MAX_EMAIL_BYTES
    ? { field, rule: 'too_long', message: `must have at most ${MAX_EMAIL_BYTES} characters` }
    : { field, rule: 'invalid_email', message: 'must be one plain email address' };
}

/**
 * For `.catch()` of a change: the refusal where a conditional write missed its row. Every other error passes.
 *
 *     await ledger.commit(change).catch(whenMissing(noUser));
 */
export function whenMissing(refusal: () => AuthTunaError | Promise<AuthTunaError>) {
  return async (error: unknown): Promise<never> => {
    throw isMissing(error) ? await refusal() : error;
  };
}

/** Like {@link whenMissing}, for a write that met a unique constraint. */
export function whenTaken(refusal: () => AuthTunaError | Promise<AuthTunaError>) {
  return async (error: unknown): Promise<never> => {
    throw isUniqueViolation(error) ? await refusal() : error;
  };
}
