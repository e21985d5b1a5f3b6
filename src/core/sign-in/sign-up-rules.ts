import type { FieldError, FieldRule } from '../../errors.js';
import { canonicalEmail, USERNAME_RULE } from '../identifiers.js';
import { emailError } from '../refusals.js';

/** What a person who signs up must still be asked for: `username`, or a field of `signUp.fields` or a required consent as `data.<name>`. */
export type MissingDetail = 'username' | `data.${string}`;

/** What is wrong with an address. @param allowed the domains that may sign up; left out, all */
export function emailErrors(given: string, allowed: readonly string[] | undefined): FieldError[] {
  const email = canonicalEmail(given);
  if (given === '') return [{ field: 'email', rule: 'required', message: 'is required' }];
  if (email === null) return [emailError(given)];
  const domain = email.slice(email.lastIndexOf('@') + 1);
  return allowed === undefined || allowed.includes(domain)
    ? []
    : [{ field: 'email', rule: 'domain_not_allowed', message: 'addresses of this domain cannot sign up' }];
}

/** What is wrong with a username; null for one that was not given. */
export function usernameErrors(
  given: string | null,
  isWellFormed: boolean,
  use: 'required' | 'optional' | 'off',
): FieldError[] {
  const broken = (rule: FieldRule, message: string): FieldError[] => [{ field: 'username', rule, message }];
  if (given === null) return use === 'required' ? broken('required', 'is required') : [];
  if (use === 'off') return broken('not_used', 'is not used here');
  return isWellFormed ? [] : broken('invalid_username', USERNAME_RULE);
}
