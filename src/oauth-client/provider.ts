import type { OutboundRequest } from '../net/outbound.js';

/** Who somebody is at a provider. Only `subject` identifies; the rest is what the provider says of them today. */
export interface Profile {
  /** The provider's own, permanent id. */
  subject: string;
  email: string | null;
  /** True only when the provider says that the mailbox was proved. */
  emailVerified: boolean;
  name: string | null;
}

/** Where a provider is reached. */
export interface Endpoints {
  authorization: string;
  token: string;
  /** RFC 7009; none where tokens cannot be revoked that way. */
  revocation?: string;
  userInfo?: string;
  /** The issuer of ID tokens and of RFC 9207's `iss`; a function where it holds the tenant of the person. */
  issuer?: string | ((claims: Readonly<Record<string, unknown>>) => string);
  jwks?: string;
  /** Whether the provider promises `iss` in every answer; it is then required. @see RFC 9207 */
  sendsIssuer?: boolean;
}

/** What a profile is made from. */
export interface ProfileSource {
  /** Of the verified ID token; empty where the provider gives none. */
  claims: Readonly<Record<string, unknown>>;
  accessToken: string;
  /** GET with the access token, answered with JSON. @throws AuthTunaError `unavailable` */
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
  /** As people know it. */
  name: string;
  /** Fixed, or the issuer whose discovery document names them. */
  endpoints: Endpoints | { discover: string };
  scopes: readonly string[];
  /** How the client proves itself at the token endpoint. Default `post`. */
  authentication?: 'post' | 'basic';
  /** Whether sign-in rests on an ID token, verified with nonce. Default: when the endpoints have `jwks`. */
  idToken?: boolean;
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
  /** Keeps access and refresh token, encrypted, for `social.tokens(userId, provider)`. Default false: they are dropped. */
  keepTokens?: boolean;
}

/** A provider as `social: { providers: […] }` takes it; made by `google()`, `github()`, …, `oidc()`. */
export interface SocialProvider extends ProviderRow {
  readonly clientId: string;
  /** Null for a public client. A function, so that printing the options shows no secret. */
  clientSecret(now: Date): Promise<string | null>;
  readonly keepTokens: boolean;
  /** Configured by a tenant: outbound requests reach public addresses only. */
  readonly ofTenant: boolean;
}

/** Joins a row of the table with what the host registered there. */
export function defineProvider(row: ProviderRow, options: ProviderOptions): SocialProvider {
  const { clientSecret } = options;
  return Object.freeze({
    ...row,
    scopes: options.scopes ?? row.scopes,
    clientId: options.clientId,
    clientSecret: async () => clientSecret,
    keepTokens: options.keepTokens === true,
    ofTenant: false,
  });
}

/** A non-empty string of a provider's answer, or null. Numbers become their digits: GitHub's ids are numbers. */
export function text(value: unknown): string | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' && value !== '' && value.length <= 512 ? value : null;
}

/** A JSON object of a provider's answer; empty for anything else. */
export function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** The standard claims. `email_verified` counts only as the boolean true. @see OpenID Connect Core 5.1 */
export function standardClaims(claims: Readonly<Record<string, unknown>>): Profile {
  const email = text(claims.email);
  return {
    subject: text(claims.sub) ?? '',
    email,
    emailVerified: email !== null && claims.email_verified === true,
    name: text(claims.name) ?? text(claims.preferred_username),
  };
}
