import { misconfigured, requireKnownOptions } from '../errors.js';
import type { OutboundRequest } from '../net/outbound.js';

/** A person as a provider describes them. Only `subject` identifies the person; everything else may change at any time. */
export interface Profile {
  /** The provider's own, permanent id of the person. */
  subject: string;
  email: string | null;
  /** True only when the provider says that the mailbox was proved. */
  emailVerified: boolean;
  name: string | null;
  /** The permission that the app lacks at the provider to read `email`, as the provider calls it. Newcomers are told its name. */
  missingPermission?: string;
}

/** The scopes of an OpenID provider. */
export const OPENID = ['openid', 'email', 'profile'];

/** The claims of an ID token or of UserInfo. */
export type Claims = Readonly<Record<string, unknown>>;

/** How a client sends its secret: in the form, or in the `Authorization` header. @see RFC 6749 2.3.1 */
export type ClientAuthentication = 'post' | 'basic';

/** The addresses of a provider, and what it says about them. */
export interface Endpoints {
  authorization: string;
  token: string;
  /** RFC 7009; not given where tokens cannot be revoked that way. */
  revocation?: string;
  userInfo?: string;
  /** The issuer of ID tokens and of RFC 9207's `iss`; a function where it contains the tenant of the person. */
  issuer?: string | ((claims: Claims) => string);
  jwks?: string;
  /** Whether the provider promises `iss` in every answer; an answer without it is then refused. @see RFC 9207 */
  sendsIssuer?: boolean;
  /** What the token endpoint announces. */
  authentication?: ClientAuthentication;
}

/** What a profile is made from. */
export interface ProfileSource {
  /** Of the verified ID token and UserInfo; empty where the provider gives no ID token. */
  claims: Claims;
  accessToken: string;
  /**
   * Sends a GET request with the access token, and returns the JSON of the answer.
   *
   * @throws AuthTunaError `unavailable` for any status but 200; `statusOf` tells which
   */
  get(url: string, headers?: Readonly<Record<string, string>>): Promise<unknown>;
  /** Apple's form field `user`, sent at the first consent only. */
  user: string | null;
}

/**
 * One row of the provider table: everything in which a provider differs from the others.
 *
 * A new provider is such a row and a factory: `defineProvider({ id, name, endpoints, scopes, profile }, options)`. A provider with discovery
 * needs no row; use `oidc({ issuer, … })`.
 */
export interface ProviderRow {
  /** In paths and in the database: lower-case letters, digits and `-`. */
  id: string;
  /** The name that people know. */
  name: string;
  /** Fixed, or the issuer whose discovery document names them. */
  endpoints: Endpoints | { discover: string };
  scopes: readonly string[];
  /** Default: what the discovery document announces, `basic` where it announces both; `post` where there is no such document. */
  authentication?: ClientAuthentication;
  /** Whether sign-in rests on an ID token, verified with nonce. Default: when the endpoints have `jwks`. */
  idToken?: boolean;
  /** UserInfo is asked when the ID token lacks one of these claims. Default: none, so UserInfo is never asked. */
  neededClaims?: readonly string[];
  /** Further parameters of the authorization request. */
  parameters?: Readonly<Record<string, string>>;
  /** The provider answers by a cross-site POST. */
  formPost?: boolean;
  /** What asks for a refresh token, where tokens are kept. */
  offline?: { scopes?: readonly string[]; parameters?: Readonly<Record<string, string>> };
  profile(source: ProfileSource): Profile | Promise<Profile>;
  /** Ends a token where the provider has its own way for it. */
  revoke?(token: {
    accessToken: string;
    clientId: string;
    clientSecret: string;
  }): { url: string } & OutboundRequest;
}

export interface ProviderOptions {
  clientId: string;
  clientSecret: string;
  /** Instead of the scopes that a sign-in needs. */
  scopes?: readonly string[];
  /** Further parameters of the authorization request, as the provider documents them: `{ prompt: 'select_account' }`. */
  parameters?: Readonly<Record<string, string>>;
  /** Keeps access and refresh token, encrypted, for `social.tokens(userId, provider)`. Default false: they are dropped. */
  keepTokens?: boolean;
}

/** A provider as `social: { providers: […] }` takes it; made by `google()`, `github()`, …, `oidc()`. */
export interface SocialProvider extends ProviderRow {
  readonly clientId: string;
  /** Null for a public client. A function, so that printing the options shows no secret. */
  clientSecret(now: Date): Promise<string | null>;
  readonly keepTokens: boolean;
  /** Its addresses may be `http:` anywhere, in development only. */
  readonly allowHttp?: boolean;
  /** Configured by a tenant: outbound requests reach public addresses only. */
  readonly ofTenant: boolean;
}

/** The options that every provider has. */
export const PROVIDER_OPTIONS = ['clientId', 'clientSecret', 'scopes', 'parameters', 'keepTokens'];

/**
 * Joins a row of the table with the options of the host.
 *
 * @throws AuthTunaError `misconfigured` for an option that there is not, and for a parameter that AuthTuna sets itself
 */
export function defineProvider(row: ProviderRow, options: ProviderOptions): SocialProvider {
  requireKnownOptions(row.id, options, PROVIDER_OPTIONS);
  const { clientSecret } = options;
  return Object.freeze({
    ...row,
    scopes: options.scopes ?? row.scopes,
    parameters: { ...row.parameters, ...checkedParameters(row.id, options.parameters) },
    clientId: options.clientId,
    clientSecret: async () => clientSecret,
    keepTokens: options.keepTokens === true,
    ofTenant: false,
  });
}

/** By parameter, why a host may not set it. */
const OWN_PARAMETERS: Readonly<Record<string, string>> = {
  client_id: 'give it as clientId',
  scope: 'give it as scopes',
  redirect_uri: 'it follows from baseUrl',
  response_type: 'AuthTuna uses the authorization code flow',
  response_mode: 'AuthTuna sets it where a provider needs it',
  state: 'it protects the sign-in',
  nonce: 'it protects the sign-in',
  code_challenge: 'it protects the sign-in',
  code_challenge_method: 'it protects the sign-in',
  request: 'it would replace all other parameters',
  request_uri: 'it would replace all other parameters',
  max_age: 'AuthTuna does not check auth_time; ask for a fresh sign-in with prompt: login',
};

/** Returns the parameters that a host gave. @throws AuthTunaError `misconfigured` for one that AuthTuna sets itself */
export function checkedParameters(
  provider: string,
  parameters: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  for (const name of Object.keys(parameters)) {
    if (Object.hasOwn(OWN_PARAMETERS, name))
      throw misconfigured(`${provider}: leave ${name} out of parameters; ${OWN_PARAMETERS[name]}`);
  }
  return parameters;
}

/** Whether a sign-in at this provider rests on an ID token. */
export function usesIdToken(provider: SocialProvider, endpoints: Endpoints): boolean {
  return provider.idToken ?? endpoints.jwks !== undefined;
}

/** An answer of `ProfileSource.get` with another status than 200. */
export class StatusError extends Error {
  readonly status: number;

  constructor(url: string, status: number) {
    super(`${url} answered with status ${status}`);
    this.status = status;
  }
}

/** The status because of which `ProfileSource.get` failed; null for any other error. */
export function statusOf(error: unknown): number | null {
  return error instanceof Error && error.cause instanceof StatusError ? error.cause.status : null;
}

/** Returns a non-empty string of a provider's answer, or null. A number becomes its digits, because GitHub's ids are numbers. */
export function text(value: unknown): string | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' && value !== '' && value.length <= 512 ? value : null;
}

/** Returns a JSON object of a provider's answer; an empty one for any other value. */
export function object(value: unknown): Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** Reads the standard claims. `email_verified` counts only as the boolean true. @see OpenID Connect Core 5.1 */
export function standardClaims(claims: Claims): Profile {
  const email = text(claims.email);
  return {
    subject: text(claims.sub) ?? '',
    email,
    emailVerified: email !== null && claims.email_verified === true,
    name: text(claims.name) ?? text(claims.preferred_username),
  };
}
