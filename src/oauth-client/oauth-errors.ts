/** What a developer can do about an error code, of the authorization endpoint or of the token endpoint. */
const CURES: Readonly<Record<string, string>> = {
  // RFC 6749 4.1.2.1, authorization endpoint
  access_denied:
    'The person canceled, or the provider does not let this person use the app: assign the person to the app there.',
  invalid_request:
    'Compare the redirect URI and the parameters of the request with what is registered at the provider.',
  invalid_scope:
    'The provider does not know one of the scopes, or does not allow it for this client: change `scopes`.',
  unauthorized_client: 'Allow the authorization code grant for this client at the provider.',
  unsupported_response_type:
    'Allow the authorization code flow (response type `code`) for this client at the provider.',
  server_error: 'The provider has a fault of its own: look into its log, or try again later.',
  temporarily_unavailable: 'The provider is overloaded or under maintenance: try again later.',
  // OpenID Connect Core 3.1.2.6
  login_required:
    'The person is not signed in at the provider, and `prompt: none` forbids to ask: leave `prompt` out.',
  consent_required:
    'The person has not consented yet, and `prompt: none` forbids to ask: leave `prompt` out.',
  interaction_required:
    'The provider must ask the person something, and `prompt: none` forbids it: leave `prompt` out.',
  account_selection_required:
    'The person must choose an account, and `prompt: none` forbids it: leave `prompt` out.',
  // RFC 6749 5.2, token endpoint
  invalid_client:
    'Check clientId and clientSecret (not expired, and the value of the secret instead of its id). Where they are right, the client is registered for another way to send them: set `authentication` of oidc() to `post` or `basic`.',
  invalid_grant:
    'The code or refresh token was used, is too old, or belongs to another redirect URI. If this happens at each sign-in, register exactly the redirect URI that the log names.',
  unsupported_grant_type: 'Allow the authorization code grant for this client at the provider.',
  // GitHub
  bad_verification_code: 'The code was used or is older than ten minutes: the person has to begin again.',
  incorrect_client_credentials: 'Check clientId and clientSecret.',
  redirect_uri_mismatch: 'Register exactly the redirect URI that the log names as callback URL.',
  // LinkedIn
  user_cancelled_login: 'The person canceled; nothing has to be done.',
  user_cancelled_authorize: 'The person canceled; nothing has to be done.',
};

const UNKNOWN = "Look the error up in the provider's documentation.";

/** Returns what a developer can do about an error code that a provider answered with. */
export function cureOf(error: string): string {
  return Object.hasOwn(CURES, error) ? (CURES[error] ?? UNKNOWN) : UNKNOWN;
}

const CANCELED = ['access_denied', 'user_cancelled_login', 'user_cancelled_authorize'];

/** Whether an error code of the authorization endpoint says that the person did not agree. */
export function isCanceled(error: string): boolean {
  return CANCELED.includes(error);
}
