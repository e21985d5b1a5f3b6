/** What can be refused, by name. The HTTP status of each stands once, in http/errors.ts, which gives errors their `status`. */
export type ErrorCode = keyof typeof MESSAGES;

/** The sentence a person reads; no internals, nothing that tells whether an account exists. */
const MESSAGES = {
  invalid_input: 'Some of the values sent are not valid.',
  invalid_credentials: 'The email or password is not correct.',
  malformed_request: 'The request could not be understood.',
  invalid_token: 'This link or code is not valid any more. Ask for a new one.',
  unauthenticated: 'Sign in to continue.',
  superseded: 'This page was open in another tab while the session was renewed. Try again.',
  session_revoked: 'This session has been ended. Sign in again.',
  forbidden: 'You do not have permission to do this.',
  recent_login_required: 'Confirm that it is you to continue.',
  second_factor_required: 'A second factor is needed to continue.',
  email_not_verified: 'Confirm your email address first. The link is in your mailbox.',
  account_suspended: 'This account is suspended.',
  password_change_required: 'Choose a new password to continue.',
  enrollment_required: 'Set up a second factor to continue.',
  weak_password: 'This password is too easy to guess. Choose another one.',
  cross_site_request: 'This request came from another site and was refused.',
  rate_limited: 'Too many attempts. Wait a moment and try again.',
  not_found: 'Not found.',
  method_not_allowed: 'This method is not allowed here.',
  conflict: 'This conflicts with something that already exists.',
  payload_too_large: 'The request is too large.',
  unsupported_media_type: 'Send this request as application/json.',
  unavailable: 'The service cannot answer right now. Try again in a moment.',
  misconfigured: 'The server is not set up correctly.',
} as const;

/** All of them. */
export const ERROR_CODES = Object.keys(MESSAGES) as readonly ErrorCode[];

/** Whether a string is one of the codes. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(MESSAGES, value);
}

/** One invalid field of an input, for `invalid_input`. */
export interface FieldError {
  /** Dotted path of the field; empty for the body itself. */
  field: string;
  /** Which rule the value breaks. Pages and translations go by this, never by `message`. */
  rule: FieldRule;
  /** A sentence in English for a developer or a log; it may be reworded at any time. */
  message: string;
}

/**
 * Why a field was refused.
 *
 * | rule | the value |
 * | --- | --- |
 * | `required` | is missing |
 * | `unknown_field` | belongs to no field of this request |
 * | `wrong_type` | is of another type than the field |
 * | `too_short`, `too_long` | has too few or too many characters or entries |
 * | `too_small`, `too_large` | is a number outside the bounds |
 * | `invalid_format` | does not have the form that the message names |
 * | `invalid_email` | is not one plain email address |
 * | `domain_not_allowed` | is an address of a domain that may not sign up |
 * | `email_not_shared` | was not given by the provider |
 * | `invalid_username` | breaks the rule for usernames |
 * | `not_used` | belongs to a field that the options turned off |
 * | `unchanged` | is the present value, where a new one is needed |
 * | `common`, `contextual`, `breached` | is a password that is easy to guess |
 * | `taken` | belongs to another account |
 * | `in_past` | is a time that is over |
 * | `invalid_scope` | is not a scope, or not of a type that fits |
 */
export type FieldRule =
  | 'required'
  | 'unknown_field'
  | 'wrong_type'
  | 'too_short'
  | 'too_long'
  | 'too_small'
  | 'too_large'
  | 'invalid_format'
  | 'invalid_email'
  | 'domain_not_allowed'
  | 'email_not_shared'
  | 'invalid_username'
  | 'not_used'
  | 'unchanged'
  | 'common'
  | 'contextual'
  | 'breached'
  | 'taken'
  | 'in_past'
  | 'invalid_scope';

/** What a schema says of a value, as zod does. */
export interface SchemaIssue {
  readonly message: string;
  readonly code?: string | undefined;
  readonly expected?: unknown;
  readonly origin?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

/** The rule that a value breaks, by what a schema says of it. @param value undefined for a field that was not sent */
export function brokenRule(
  issue: SchemaIssue | undefined,
  value: unknown,
): { rule: FieldRule; message: string } {
  if (issue?.code === 'invalid_type')
    return value === undefined
      ? { rule: 'required', message: 'is required' }
      : { rule: 'wrong_type', message: `must be a ${issue.expected}` };
  if (issue?.code === 'too_small') {
    if (issue.origin === 'number') return { rule: 'too_small', message: `must be at least ${issue.minimum}` };
    return value === '' || issue.minimum === 1
      ? { rule: 'required', message: 'is required' }
      : { rule: 'too_short', message: `must have at least ${issue.minimum} characters` };
  }
  if (issue?.code === 'too_big') {
    if (issue.origin === 'number') return { rule: 'too_large', message: `must be at most ${issue.maximum}` };
    return { rule: 'too_long', message: `must have at most ${issue.maximum} characters` };
  }
  return { rule: 'invalid_format', message: issue?.message ?? 'is not valid' };
}

/** Facts that go with a code: `errors` by field, `retryAfterSeconds`, `reason`. Never a secret. */
export interface ErrorFacts {
  errors?: readonly FieldError[];
  retryAfterSeconds?: number;
  reason?: string;
  [fact: string]: unknown;
}

export interface ErrorDetails extends ErrorFacts {
  /** Replaces the standard sentence of the code. */
  message?: string;
}

/**
 * Everything this library refuses or fails at, told apart by `code`.
 *
 * `details` is safe to show to the caller; `cause` is for the log only.
 */
export class AuthTunaError extends Error {
  override readonly name = 'AuthTunaError';
  readonly code: ErrorCode;
  readonly details: ErrorFacts;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    const { message, ...facts } = details;
    super(message ?? MESSAGES[code], options);
    this.code = code;
    this.details = facts;
  }
}

/** A mistake of the developer: says what is wrong, where, and what to type. */
export function misconfigured(message: string, cause?: unknown): AuthTunaError {
  return new AuthTunaError('misconfigured', { message }, cause === undefined ? undefined : { cause });
}

/**
 * Refuses options that a function does not have: a misspelled one would otherwise leave the default in force.
 *
 * @throws AuthTunaError `misconfigured`, naming the option and those that there are
 */
export function requireKnownOptions(where: string, options: object, known: readonly string[]): void {
  const odd = Object.keys(options).find((option) => !known.includes(option));
  if (odd !== undefined)
    throw misconfigured(`${where}: ${odd} is not an option; there are ${known.join(', ')}`);
}
