import type { AuthTunaError, ErrorCode, FieldError, FieldRule } from '../../errors.js';
import type { FormProblem } from '../../templates/template-data.js';

/** By the rule that a field breaks, its text of `problems.*`; a rule without one has the text `invalid_input`. */
const RULE_TEXTS: Partial<Readonly<Record<FieldRule, string>>> = {
  required: 'required',
  too_short: 'too_short',
  too_long: 'too_long',
  too_small: 'too_small',
  too_large: 'too_large',
  invalid_email: 'invalid_email',
  domain_not_allowed: 'domain_not_allowed',
  invalid_username: 'invalid_username',
  taken: 'username_taken',
};

const PASSWORD_TEXTS: Partial<Readonly<Record<FieldRule, string>>> = {
  too_short: 'password_too_short',
  too_long: 'password_too_long',
  common: 'password_breached',
  breached: 'password_breached',
  contextual: 'password_contains_context',
  unchanged: 'same_password',
};

/** By the reason of a refusal, a text that says it better than its code does; one of `problems.*` and of `errors.*`. */
const REASON_TEXTS: Readonly<Record<string, string>> = {
  used: 'link_used',
  expired: 'link_expired',
  last_way_in: 'last_way_in',
  sign_up_closed: 'sign_up_closed',
  human_check: 'human_check',
  code_expired: 'code_expired',
  mail_held: 'mail_held',
  no_form_cookie: 'no_form_cookie',
  session_changed: 'session_changed',
  link_not_here: 'link_not_here',
  invitation_over: 'invitation_over',
  record_not_found: 'record_not_found',
  domain_taken: 'domain_taken',
};

/** Texts that are problems of a form alone. */
const OF_FORMS: ReadonlySet<string> = new Set([
  'human_check',
  'code_expired',
  'mail_held',
  'no_form_cookie',
  'session_changed',
  'record_not_found',
  'domain_taken',
]);

/** The name of the texts of an error page. */
export function errorText({ code, reason }: { code: string; reason?: string }): string {
  const text = REASON_TEXTS[reason ?? ''];
  return text === undefined || OF_FORMS.has(text) ? code : text;
}

/** Refusals of one field that have a code of their own. */
const TAKEN_TEXTS: Readonly<Record<string, string>> = {
  username: 'username_taken',
  email: 'email_taken',
  slug: 'slug_taken',
};

/**
 * What a refused form says, by code and rule and never by the English of a message.
 *
 * @param texts texts of `problems.*` that say a code better on this form
 */
export function formProblem(
  error: AuthTunaError,
  body: unknown,
  texts: Partial<Record<ErrorCode, string>> = {},
): FormProblem {
  const { errors = [], field, retryAfterSeconds } = error.details;
  const isNewPassword = Object.hasOwn((body ?? {}) as object, 'newPassword');
  const fields: Record<string, string> = {};
  for (const each of errors) {
    // A password is checked without knowing what its field is called on this form.
    const name = each.field === 'password' && isNewPassword ? 'newPassword' : each.field;
    fields[name] ??= fieldText(each);
  }
  if (error.code === 'conflict' && typeof field === 'string' && TAKEN_TEXTS[field] !== undefined)
    return { code: 'invalid_input', fields: { [field]: TAKEN_TEXTS[field] } };
  if (error.code === 'invalid_credentials' && typeof field === 'string') {
    const text = field === 'code' ? 'invalid_code' : 'wrong_password';
    return { code: text, fields: { [field]: text }, field };
  }
  const code = REASON_TEXTS[error.details.reason ?? ''] ?? texts[error.code] ?? summaryOf(error);
  return {
    code,
    ...(Object.keys(fields).length > 0 && { fields }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  };
}

function summaryOf(error: AuthTunaError): string {
  return error.code === 'forbidden' ? error.message : error.code; // a hook's own sentence
}

/** A text of `problems.*`; for a field of the host's own that its schema refuses, what the schema says. */
function fieldText({ field, rule, message }: FieldError): string {
  if (field.startsWith('data.') && rule === 'invalid_format') return message;
  if (rule === 'unchanged' && field === 'newEmail') return 'same_email';
  const isPassword = field === 'password' || field === 'newPassword';
  return (isPassword ? PASSWORD_TEXTS[rule] : undefined) ?? RULE_TEXTS[rule] ?? 'invalid_input';
}
