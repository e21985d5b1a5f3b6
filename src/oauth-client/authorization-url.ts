import { CodeChallengeMethod, OAuth2Client } from 'arctic';

export interface AuthorizationRequest {
  endpoint: string;
  clientId: string;
  redirectUri: string;
  state: string;
  codeVerifier: string;
  scopes: readonly string[];
  /** `nonce`, `response_mode`, … */
  parameters: Readonly<Record<string, string>>;
}

/** The URL that a browser is sent to, with PKCE S256 always: a provider that does not know it ignores it. @see RFC 7636; RFC 9700 2.1.1 */
export function authorizationUrl(request: AuthorizationRequest): string {
  const url = new OAuth2Client(request.clientId, null, request.redirectUri).createAuthorizationURLWithPKCE(
    request.endpoint,
    request.state,
    CodeChallengeMethod.S256,
    request.codeVerifier,
    [...request.scopes],
  );
  for (const [name, value] of Object.entries(request.parameters)) url.searchParams.set(name, value);
  return url.href;
}
