import { AuthTunaError } from '../errors.js';
import { after } from '../time.js';
import {
  askProvider,
  type ClientRuntime,
  formEncoded,
  logFault,
  notConfirmed,
  quoted,
  unusable,
} from './client-runtime.js';
import { cureOf } from './oauth-errors.js';
import { type Endpoints, object, type SocialProvider, text } from './provider.js';

/** The tokens that a token endpoint issued. */
export interface TokenSet {
  accessToken: string;
  refreshToken: string | null;
  idToken: unknown;
  /** Null where the provider does not say. */
  expiresAt: Date | null;
  scopes: string[];
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/**
 * Exchanges a grant (`authorization_code` or `refresh_token`) for tokens.
 *
 * @throws AuthTunaError `invalid_token` when the provider refuses (spent or expired code, revoked refresh token); `unavailable`
 * @see RFC 6749 4.1.3, 6
 */
export async function requestTokens(
  runtime: ClientRuntime,
  provider: SocialProvider,
  endpoints: Endpoints,
  grant: Readonly<Record<string, string>>,
): Promise<TokenSet> {
  const client = await clientProof(runtime, provider, endpoints);
  const { status, json } = await askProvider(
    runtime,
    provider,
    endpoints.token,
    {
      method: 'POST',
      headers: { ...FORM, ...client.headers },
      body: new URLSearchParams({ ...grant, ...client.parameters }).toString(),
    },
    { problem: 'did not answer at the token endpoint', cure: 'This server must reach the address.' },
  );
  const answer = object(json);
  const accessToken = tokenText(answer.access_token);
  // GitHub and Slack answer 200 with an `error` field when the code is spent; CrowdStrike answers 201 with tokens.
  if (status < 200 || status > 299 || accessToken === null)
    throw refusalOf(runtime, provider, endpoints, status, answer, grant, client.secrets);
  const { expires_in, scope } = answer;
  const seconds = Number(expires_in);
  const isKnown = expires_in !== undefined && seconds > 0 && seconds < 1e9;
  return {
    accessToken,
    refreshToken: tokenText(answer.refresh_token),
    idToken: answer.id_token,
    expiresAt: isKnown ? after(runtime.now(), seconds) : null,
    // Twitch sends a list, GitHub separates with commas.
    scopes: Array.isArray(scope)
      ? scope.map(String)
      : String(scope ?? '')
          .split(/[ ,]+/)
          .filter((name) => name !== ''),
  };
}

function refusalOf(
  runtime: ClientRuntime,
  provider: SocialProvider,
  endpoints: Endpoints,
  status: number,
  { error, error_description }: Readonly<Record<string, unknown>>,
  grant: Readonly<Record<string, string>>,
  secretsOfClient: readonly string[],
): AuthTunaError {
  // The `error` of Facebook is an object.
  const code = text(error) ?? text(object(error).type) ?? `status ${status}`;
  const { code: authorizationCode = '', code_verifier = '', refresh_token = '', redirect_uri } = grant;
  const secrets = [authorizationCode, code_verifier, refresh_token, ...secretsOfClient];
  const fault = {
    problem: 'refused a token request',
    cure: cureOf(code),
    facts: {
      error: quoted(code, secrets),
      description: quoted(error_description ?? object(error).message, secrets),
      status,
      url: endpoints.token,
      ...(redirect_uri !== undefined && { redirectUri: redirect_uri }),
    },
  };
  return status >= 500 ? unusable(runtime, provider, fault) : notConfirmed(runtime, provider, code, fault);
}

/**
 * Ends a token at the provider, where that is possible. Nothing is thrown: what was unlinked stays unlinked.
 *
 * @see RFC 7009
 */
export async function revokeToken(
  runtime: ClientRuntime,
  provider: SocialProvider,
  endpoints: Endpoints,
  tokens: { accessToken: string; refreshToken: string | null },
): Promise<void> {
  const fault = {
    problem: 'did not revoke a token',
    cure: 'The token works at the provider until it ends; the person can take the consent back there.',
  };
  try {
    const request = await revocationOf(runtime, provider, endpoints, tokens);
    if (request === null) return;
    const { url, ...rest } = request;
    const { status } = await askProvider(runtime, provider, url, rest, fault);
    if (status >= 400) logFault(runtime, provider, { ...fault, facts: { url, status } });
  } catch (error) {
    // `askProvider` has logged that nothing answered.
    if (!(error instanceof AuthTunaError))
      logFault(runtime, provider, { ...fault, facts: { error: String(error) } });
  }
}

async function revocationOf(
  runtime: ClientRuntime,
  provider: SocialProvider,
  endpoints: Endpoints,
  { accessToken, refreshToken }: { accessToken: string; refreshToken: string | null },
) {
  const { clientId } = provider;
  const clientSecret = (await provider.clientSecret(runtime.now())) ?? '';
  const own = provider.revoke?.({ accessToken, clientId, clientSecret });
  if (own !== undefined || endpoints.revocation === undefined) return own ?? null;
  const client = await clientProof(runtime, provider, endpoints);
  return {
    url: endpoints.revocation,
    method: 'POST' as const,
    headers: { ...FORM, ...client.headers },
    body: new URLSearchParams({
      token: refreshToken ?? accessToken,
      token_type_hint: refreshToken === null ? 'access_token' : 'refresh_token',
      ...client.parameters,
    }).toString(),
  };
}

/** What proves the client, and the secrets in it. @see RFC 6749 2.3.1 */
async function clientProof(
  runtime: ClientRuntime,
  provider: SocialProvider,
  endpoints: Endpoints,
): Promise<{ headers: Record<string, string>; parameters: Record<string, string>; secrets: string[] }> {
  const { clientId } = provider;
  const secret = await provider.clientSecret(runtime.now());
  if (secret === null) return { headers: {}, parameters: { client_id: clientId }, secrets: [] };
  const authentication = provider.authentication ?? endpoints.authentication ?? 'post';
  if (authentication === 'post')
    return { headers: {}, parameters: { client_id: clientId, client_secret: secret }, secrets: [secret] };
  // RFC 6749 2.3.1 asks for the encoding of a form before the two halves are joined.
  const credentials = Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64');
  return {
    headers: { authorization: `Basic ${credentials}` },
    parameters: {},
    secrets: [secret, credentials],
  };
}

const MAX_TOKEN_LENGTH = 16_384; // Microsoft's access tokens reach several kilobytes

function tokenText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TOKEN_LENGTH ? value : null;
}
