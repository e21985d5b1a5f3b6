import { requireKnownOptions } from '../errors.js';
import {
  type ClientAuthentication,
  checkedParameters,
  PROVIDER_OPTIONS,
  type Profile,
  type ProfileSource,
  type SocialProvider,
  standardClaims,
} from './provider.js';

export interface OidcOptions {
  /** As the provider spells it, with or without the slash at the end; its discovery document is read below it. */
  issuer: string;
  clientId: string;
  /** Not given for a public client: PKCE alone then protects the code. */
  clientSecret?: string;
  /** How the secret is sent. Default: as the provider announces, `basic` where it announces both ways. */
  authentication?: ClientAuthentication;
  /** In paths and in the database. Default `oidc`. */
  id?: string;
  /** On the button. Default `Single sign-on`. */
  name?: string;
  /** Default openid, email, profile. */
  scopes?: readonly string[];
  /** Further parameters of the authorization request, as the provider documents them: `{ prompt: 'login' }`. */
  parameters?: Readonly<Record<string, string>>;
  keepTokens?: boolean;
  /** Lets the issuer be at `http:` elsewhere than on loopback, such as `http://keycloak:8080`. Development only. Default false. */
  allowHttp?: boolean;
}

const OIDC_OPTIONS = [...PROVIDER_OPTIONS, ...['issuer', 'authentication', 'id', 'name', 'allowHttp']];

/** Any OpenID provider with discovery: Keycloak, Auth0, Okta, Entra, your own GitLab. `http:` issuers work on loopback in development only. */
export function oidc(options: OidcOptions): SocialProvider {
  requireKnownOptions('oidc', options, OIDC_OPTIONS);
  return oidcProvider(options, { ofTenant: false });
}

/** What the connection of an organization adds to `oidc()`. */
interface TenantRules {
  ofTenant: boolean;
  profile?: (source: ProfileSource) => Promise<Profile>;
  /** Claims that are needed besides the address. */
  neededClaims?: readonly string[];
}

/** @internal */
export function oidcProvider(
  options: OidcOptions,
  { ofTenant, profile, neededClaims = [] }: TenantRules,
): SocialProvider {
  const { clientSecret, authentication, id = 'oidc' } = options;
  return Object.freeze({
    id,
    name: options.name ?? 'Single sign-on',
    endpoints: { discover: options.issuer },
    scopes: options.scopes ?? ['openid', 'email', 'profile'],
    parameters: checkedParameters(id, options.parameters),
    ...(authentication !== undefined && { authentication }),
    idToken: true,
    neededClaims: ['email', ...neededClaims],
    offline: { scopes: ['offline_access'], parameters: { prompt: 'consent' } },
    profile: profile ?? (async ({ claims }: ProfileSource) => standardClaims(claims)),
    clientId: options.clientId,
    clientSecret: async () => clientSecret ?? null,
    keepTokens: options.keepTokens === true,
    allowHttp: options.allowHttp === true && !ofTenant,
    ofTenant,
  });
}
