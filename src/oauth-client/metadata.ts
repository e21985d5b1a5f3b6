import { createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import { isAllowedUrl } from '../net/outbound.js';
import { rememberAtMost } from '../remember.js';
import {
  askProvider,
  type ClientRuntime,
  type Fault,
  logFault,
  quoted,
  rulesFor,
  unusable,
} from './client-runtime.js';
import {
  type Claims,
  type ClientAuthentication,
  type Endpoints,
  object,
  type SocialProvider,
} from './provider.js';

const CACHE_SECONDS = 3600;
const REFETCH_SECONDS = 30; // a token with a made-up key id must not make us ask the provider each time
const MAX_PROVIDERS = 1000;

export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** What providers publish about themselves, discovery documents and keys; kept for an hour. */
export class ProviderMetadata {
  readonly #runtime: ClientRuntime;
  readonly #endpoints = rememberAtMost<{ endpoints: Endpoints; at: number }>(MAX_PROVIDERS);
  readonly #keys = rememberAtMost<{ keys: KeySet; at: number }>(MAX_PROVIDERS);

  constructor(runtime: ClientRuntime) {
    this.#runtime = runtime;
  }

  /**
   * Returns the endpoints of a provider, from its row or from its discovery document.
   *
   * @throws AuthTunaError `unavailable`, also when the document names another issuer
   * @see OpenID Connect Discovery 4.3
   */
  async endpointsOf(provider: SocialProvider): Promise<Endpoints> {
    if (!('discover' in provider.endpoints)) return provider.endpoints;
    const issuer = provider.endpoints.discover;
    // The host's own providers must not use an answer that was fetched under the rules for a tenant.
    const key = `${provider.ofTenant} ${issuer}`;
    const cached = this.#endpoints.get(key);
    if (cached !== undefined && this.#ageOf(cached) < CACHE_SECONDS) return cached.endpoints;
    const url = `${withoutSlash(issuer)}/.well-known/openid-configuration`;
    const document = object(await this.#get(provider, url, 'issuer'));
    const endpoints = this.#endpointsIn(document, provider, issuer, url);
    this.#endpoints.set(key, { endpoints, at: this.#runtime.now().getTime() });
    return endpoints;
  }

  /**
   * Runs `verify` with the provider's published keys, and once more with newly fetched keys when the signature fits none of them: the
   * provider may have changed its keys.
   *
   * @throws AuthTunaError `unavailable` when the keys cannot be fetched; the errors of `verify`
   */
  async withKeys<T>(
    provider: SocialProvider,
    jwks: string,
    verify: (keys: KeySet) => Promise<T>,
  ): Promise<T> {
    const known = await this.#keysAt(provider, jwks, CACHE_SECONDS);
    try {
      return await verify(known);
    } catch (error) {
      const mayBeRotated =
        error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed;
      if (!mayBeRotated) throw error;
      const latest = await this.#keysAt(provider, jwks, REFETCH_SECONDS);
      if (latest === known) throw error;
      return verify(latest);
    }
  }

  async #keysAt(provider: SocialProvider, url: string, maxAgeSeconds: number): Promise<KeySet> {
    const key = `${provider.ofTenant} ${url}`;
    const cached = this.#keys.get(key);
    if (cached !== undefined && this.#ageOf(cached) < maxAgeSeconds) return cached.keys;
    const document = object(await this.#get(provider, url, 'jwks_uri'));
    if (!Array.isArray(document.keys))
      throw unusable(this.#runtime, provider, {
        problem: 'published no keys',
        cure: 'The address must answer with a JSON Web Key Set (RFC 7517).',
        facts: { url },
      });
    const keys = createLocalJWKSet(document as unknown as JSONWebKeySet);
    this.#keys.set(key, { keys, at: this.#runtime.now().getTime() });
    return keys;
  }

  /** @param setting the setting that leads to the address */
  async #get(provider: SocialProvider, url: string, setting: 'issuer' | 'jwks_uri'): Promise<unknown> {
    const problem = setting === 'issuer' ? 'has no discovery document' : 'published no keys';
    const cure = `Check ${setting}: this server must get a JSON document from the address.`;
    const answer = await askProvider(this.#runtime, provider, url, {}, { problem, cure });
    if (answer.status !== 200 || answer.json === null)
      throw unusable(this.#runtime, provider, { problem, cure, facts: { url, status: answer.status } });
    return answer.json;
  }

  #endpointsIn(document: Claims, provider: SocialProvider, issuer: string, url: string): Endpoints {
    const fail = (fault: Fault) => unusable(this.#runtime, provider, fault);
    const { authorization_endpoint, token_endpoint, jwks_uri, revocation_endpoint, userinfo_endpoint } =
      document;
    // With and without a slash at the end is the same document; tokens must then name the issuer as the document spells it.
    if (typeof document.issuer !== 'string' || withoutSlash(document.issuer) !== withoutSlash(issuer))
      throw fail({
        problem: 'has a discovery document of another issuer',
        cure: `Set issuer to the spelling of the document, where it is the right one.`,
        facts: { url, expected: issuer, received: quoted(document.issuer) },
      });
    if (
      typeof authorization_endpoint !== 'string' ||
      typeof token_endpoint !== 'string' ||
      typeof jwks_uri !== 'string'
    )
      throw fail({
        problem: 'has an incomplete discovery document',
        cure: 'It must name authorization_endpoint, token_endpoint and jwks_uri (OpenID Connect Discovery 3).',
        facts: { url },
      });
    // Browsers are sent there, and scripts open it: `javascript:` would run on our pages.
    if (!isAllowedUrl(authorization_endpoint, rulesFor(provider, this.#runtime)))
      throw fail({
        problem: 'has an authorization endpoint that browsers must not be sent to',
        cure: 'It must be an https address without credentials; for the connection of an organization, on the public internet.',
        facts: { url, received: quoted(authorization_endpoint) },
      });
    return {
      authorization: authorization_endpoint,
      token: token_endpoint,
      issuer: document.issuer,
      jwks: jwks_uri,
      sendsIssuer: document.authorization_response_iss_parameter_supported === true,
      authentication: this.#authenticationIn(document, provider),
      ...(typeof revocation_endpoint === 'string' && { revocation: revocation_endpoint }),
      ...(typeof userinfo_endpoint === 'string' && { userInfo: userinfo_endpoint }),
    };
  }

  /** @see OpenID Connect Discovery 3: without the list, `client_secret_basic` counts as announced */
  #authenticationIn(document: Claims, provider: SocialProvider): ClientAuthentication {
    const announced = document.token_endpoint_auth_methods_supported;
    if (!Array.isArray(announced) || announced.includes('client_secret_basic')) return 'basic';
    if (announced.includes('client_secret_post')) return 'post';
    if (!announced.includes('none'))
      logFault(this.#runtime, provider, {
        problem: 'announces no way to prove the client that AuthTuna knows',
        cure: 'Allow client_secret_basic or client_secret_post for this client at the provider.',
        facts: { announced: announced.map((method) => quoted(method)) },
      });
    return 'basic';
  }

  #ageOf({ at }: { at: number }): number {
    return (this.#runtime.now().getTime() - at) / 1000;
  }
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/$/, '');
}
