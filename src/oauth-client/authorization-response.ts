import { AuthTunaError } from '../errors.js';
import { type ClientRuntime, logFault, notConfirmed, quoted } from './client-runtime.js';
import { cureOf, isCanceled } from './oauth-errors.js';
import type { Endpoints, SocialProvider } from './provider.js';

/** What a provider sends a browser back with: the query of the callback, or the fields of its form. */
export interface AuthorizationResponse {
  code?: string;
  error?: string;
  error_description?: string;
  iss?: string;
}

/**
 * Returns the authorization code of an answer.
 *
 * @throws AuthTunaError `invalid_token` for an error, an answer of another issuer, or one without a code; its `reason` is `canceled` when
 * the person did not agree; `unavailable` when the provider says that it has a fault
 * @see RFC 6749 4.1.2; RFC 9207 2.4
 */
export function readAuthorizationResponse(
  runtime: ClientRuntime,
  provider: SocialProvider,
  { issuer, sendsIssuer }: Endpoints,
  { code, error, error_description, iss }: AuthorizationResponse,
): string {
  if (iss !== undefined && typeof issuer === 'string' && iss !== issuer)
    throw notConfirmed(runtime, provider, 'iss of another provider', {
      problem: 'was answered for by another issuer',
      cure: 'If this happens at each sign-in, the provider does not know its own name: its `iss` must equal the issuer of its discovery document (RFC 9207).',
      facts: { expected: issuer, received: quoted(iss) },
    });
  if (error !== undefined) throw refusalOf(runtime, provider, error, error_description);
  // An error needs no `iss`, because no code is sent anywhere.
  if (iss === undefined && sendsIssuer === true)
    throw notConfirmed(runtime, provider, 'iss is missing', {
      problem: 'promises `iss` in its answers and left it out',
      cure: 'Either set authorization_response_iss_parameter_supported to false at the provider, or let it send `iss` (RFC 9207).',
    });
  if (code === undefined)
    throw notConfirmed(runtime, provider, 'no code', {
      problem: 'answered with neither a code nor an error',
      cure: 'Allow the authorization code flow (response type `code`) for this client at the provider.',
    });
  return code;
}

/** The provider's own words are for the log only: every visitor can write them into the address. */
function refusalOf(
  runtime: ClientRuntime,
  provider: SocialProvider,
  error: string,
  description: string | undefined,
): AuthTunaError {
  const canceled = isCanceled(error);
  const fault = {
    problem: 'refused a sign-in',
    cure: cureOf(error),
    facts: { error: quoted(error), description: quoted(description) },
  };
  logFault(runtime, provider, fault, canceled ? 'info' : 'warn');
  if (canceled)
    return new AuthTunaError('invalid_token', {
      message: `The sign-in with ${provider.name} was canceled.`,
      reason: 'canceled',
    });
  const isTheirFault = error === 'server_error' || error === 'temporarily_unavailable';
  return new AuthTunaError(isTheirFault ? 'unavailable' : 'invalid_token', {
    message: `The sign-in with ${provider.name} did not work. Please try again.`,
    reason: 'provider_error',
  });
}
