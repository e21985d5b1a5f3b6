import { AuthTunaError } from '../errors.js';
import { askProvider, type ClientRuntime, logFault, notConfirmed, unusable } from './client-runtime.js';
import { verifyIdToken } from './id-token.js';
import type { ProviderMetadata } from './metadata.js';
import {
  type Claims,
  type Endpoints,
  type Profile,
  type ProfileSource,
  type SocialProvider,
  StatusError,
  statusOf,
  usesIdToken,
} from './provider.js';
import { requestTokens, type TokenSet } from './token-endpoint.js';
import { completeClaims } from './user-info.js';

/** The code of an answer, and what was remembered when the sign-in began. */
export interface CodeExchange {
  code: string;
  redirectUri: string;
  codeVerifier: string;
  nonce: string;
  /** Apple's form field. */
  user: string | null;
}

/** A person as a provider proved them, and the tokens that it issued. */
export interface Identity {
  profile: Profile;
  tokens: TokenSet;
  claims: Claims;
}

/**
 * Exchanges an authorization code for tokens and learns from the provider who signed in. Every refusal is logged with its cure.
 *
 * @throws AuthTunaError `invalid_token` when the provider refuses the code or its answer does not stand up to a check; `unavailable`
 */
export async function exchangeCode(
  runtime: ClientRuntime,
  metadata: ProviderMetadata,
  provider: SocialProvider,
  endpoints: Endpoints,
  { code, redirectUri, codeVerifier, nonce, user }: CodeExchange,
): Promise<Identity> {
  const tokens = await requestTokens(runtime, provider, endpoints, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  });
  const { accessToken, idToken } = tokens;
  let claims: Claims = {};
  if (usesIdToken(provider, endpoints)) {
    const proved = await verifyIdToken(runtime, metadata, provider, endpoints, idToken, nonce);
    claims = await completeClaims(runtime, metadata, provider, endpoints, proved, accessToken);
  }
  const profile = await profileOf(runtime, provider, { claims, accessToken, user });
  if (profile.subject === '')
    throw notConfirmed(runtime, provider, 'no subject', {
      problem: 'did not say who the person is',
      cure: 'The answer must contain the permanent id that the provider documents, for OpenID Connect `sub`.',
    });
  if (profile.missingPermission !== undefined)
    logFault(runtime, provider, {
      problem: 'does not show the email address of a person to this app',
      cure: `Give the app this permission at the provider: ${profile.missingPermission}.`,
    });
  return { profile, tokens, claims };
}

const NO_PROFILE = {
  problem: 'did not answer with the profile of a person',
  cure: 'Check that the scopes and the permissions of the app allow to read it.',
};

async function profileOf(
  runtime: ClientRuntime,
  provider: SocialProvider,
  source: Omit<ProfileSource, 'get'>,
): Promise<Profile> {
  const get: ProfileSource['get'] = async (url, headers = {}) => {
    const request = { headers: { ...headers, authorization: `Bearer ${source.accessToken}` } };
    const { status, json } = await askProvider(runtime, provider, url, request, NO_PROFILE);
    if (status === 200) return json;
    throw new AuthTunaError('unavailable', {}, { cause: new StatusError(url, status) });
  };
  try {
    return await provider.profile({ ...source, get });
  } catch (error) {
    const status = statusOf(error);
    throw status === null
      ? error
      : unusable(runtime, provider, { ...NO_PROFILE, facts: { status }, cause: error });
  }
}
