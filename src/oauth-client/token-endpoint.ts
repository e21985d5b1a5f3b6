import type { Runtime } from '../core/runtime.js';
import { AuthTunaError } from '../errors.js';
import { outbound } from '../net/outbound.js';
import { rulesFor } from './id-token.js';
import { type Endpoints, object, type SocialProvider, text } from './provider.js';

/** What a token endpoint answered. */
export interface TokenSet {
  accessToken: string;
  refreshToken: string | null;
  idToken: unknown;
  /** Null where the provider does not say. */
  expiresAt: Date | null;
  scopes: string[];
}

/**
 * Asks a token endpoint: `authorization_code` or `refresh_token`.
 *
 * @throws AuthTunaError `invalid_token` when the provider refuses (spent or expired code, revoked refresh token); `unavailable`
 * @see RFC 6749 4.1.3, 6
 */
export async function requestTokens(
  runtime: Runtime,
  provider: SocialProvider,
  endpoints: Endpoints,
  grant: Readonly<Record<string, string>>,
): Promise<TokenSet> {
  const client = await clientProof(runtime, provider);
  const { status, json } = await outbound(
    endpoints.token,
    {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...client.headers },
      body: new URLSearchParams({ ...grant, ...client.parameters }).toString(),
    },
    rulesFor(provider, runtime),
  );
  const answer = object(json);
  const accessToken = tokenText(answer.access_token);
  // GitHub and Slack answer 200 with an `error` field when the code is spent.
  if (status !== 200 || accessToken === null) {
    // Facebook's `error` is an object; what a provider writes is for the log, never for the page.
    const reason = text(answer.error) ?? text(object(answer.error).type) ?? `status ${status}`;
    if (status >= 500) throw new AuthTunaError('unavailable', { reason }, { cause: new Error(reason) });
    runtime.config.logger.warn(`${provider.id} refused a token request.`, { reason });
    throw new AuthTunaError('invalid_token', {
      message: 'The sign-in could not be confirmed. Please try again.',
      reason,
    });
  }
  const { expires_in, scope } = answer;
  const seconds = Number(expires_in);
  return {
    accessToken,
    refreshToken: tokenText(answer.refresh_token),
    idToken: answer.id_token,
    expiresAt:
      expires_in !== undefined && seconds > 0 && seconds < 1e9
        ? new Date(runtime.now().getTime() + seconds * 1000)
        : null,
    // Twitch sends a list, GitHub separates with commas.
    scopes: Array.isArray(scope)
      ? scope.map(String)
      : String(scope ?? '')
          .split(/[ ,]+/)
          .filter((name) => name !== ''),
  };
}

/**
 * Ends a token at the provider, where it can. Nothing is thrown: what was unlinked stays unlinked.
 *
 * @see RFC 7009
 */
export async function revokeToken(
  runtime: Runtime,
  provider: SocialProvider,
  endpoints: Endpoints,
  tokens: { accessToken: string; refreshToken: string | null },
): Promise<void> {
  try {
    const clientSecret = (await provider.clientSecret(runtime.now())) ?? '';
    const own = provider.revoke?.({
      accessToken: tokens.accessToken,
      clientId: provider.clientId,
      clientSecret,
    });
    const client = await clientProof(runtime, provider);
    const request =
      own ??
      (endpoints.revocation === undefined
        ? null
        : {
            url: endpoints.revocation,
            method: 'POST' as const,
            headers: { 'content-type': 'application/x-www-form-urlencoded', ...client.headers },
            body: new URLSearchParams({
              token: tokens.refreshToken ?? tokens.accessToken,
              token_type_hint: tokens.refreshToken === null ? 'access_token' : 'refresh_token',
              ...client.parameters,
            }).toString(),
          });
    if (request === null) return;
    const { url, ...rest } = request;
    const { status } = await outbound(url, rest, rulesFor(provider, runtime));
    if (status >= 400) runtime.config.logger.warn(`${provider.id} did not revoke a token.`, { status });
  } catch (error) {
    runtime.config.logger.warn(`${provider.id} did not revoke a token.`, { error });
  }
}

/** How the client says who it is. @see RFC 6749 2.3.1 */
async function clientProof(
  runtime: Runtime,
  provider: SocialProvider,
): Promise<{ headers: Record<string, string>; parameters: Record<string, string> }> {
  const secret = await provider.clientSecret(runtime.now());
  if (secret === null) return { headers: {}, parameters: { client_id: provider.clientId } };
  if (provider.authentication !== 'basic')
    return { headers: {}, parameters: { client_id: provider.clientId, client_secret: secret } };
  const credentials = `${formEncoded(provider.clientId)}:${formEncoded(secret)}`;
  return {
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    parameters: {},
  };
}

/** As a form would: the RFC asks for it before the two halves are joined. */
function formEncoded(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}

const MAX_TOKEN_LENGTH = 16_384; // Microsoft's access tokens reach several kilobytes

function tokenText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TOKEN_LENGTH ? value : null;
}
