import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Runtime } from '../core/runtime.js';
import { AuthTunaError } from '../errors.js';
import { isAllowedUrl, outbound } from '../net/outbound.js';
import { type Endpoints, object, type SocialProvider } from './provider.js';

const CACHE_SECONDS = 3600;
const REFETCH_SECONDS = 30; // a token with a made-up key id must not make us ask the provider each time
const MAX_PROVIDERS = 1000;
const CLOCK_TOLERANCE_SECONDS = 60;
const MAX_AGE_SECONDS = 600;
// Asymmetric only: with HS256 the client secret, and with `none` nothing at all, would vouch for a person.
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** What providers publish about themselves (discovery documents and keys), kept for an hour. */
export class ProviderMetadata {
  readonly #runtime: Runtime;
  readonly #endpoints = new LRUCache<string, { endpoints: Endpoints; at: number }>({ max: MAX_PROVIDERS });
  readonly #keys = new LRUCache<string, { keys: KeySet; at: number }>({ max: MAX_PROVIDERS });

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Where a provider is reached: its row, or its discovery document.
   *
   * @throws AuthTunaError `unavailable`, also when the document speaks for another issuer
   * @see OpenID Connect Discovery 4.3
   */
  async endpointsOf(provider: SocialProvider): Promise<Endpoints> {
    if (!('discover' in provider.endpoints)) return provider.endpoints;
    const issuer = provider.endpoints.discover;
    // A tenant's answer was fetched under other rules and is nothing for the host's own providers.
    const key = `${provider.ofTenant} ${issuer}`;
    const cached = this.#endpoints.get(key);
    if (cached !== undefined && this.#ageOf(cached) < CACHE_SECONDS) return cached.endpoints;
    const document = object(
      await this.#get(provider, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
    );
    const endpoints = endpointsIn(document, issuer);
    // Browsers are sent there, and scripts are given it to open: `javascript:` would run on our pages.
    if (!isAllowedUrl(endpoints.authorization, rulesFor(provider, this.#runtime))) throw unusable(issuer);
    this.#endpoints.set(key, { endpoints, at: this.#runtime.now().getTime() });
    return endpoints;
  }

  /**
   * The claims of an ID token, after everything about it was checked: signature by the issuer's published keys, issuer, audience, authorized
   * party, times and nonce.
   *
   * @throws AuthTunaError `invalid_token`, `unavailable`
   * @see OpenID Connect Core 3.1.3.7; docs/requirements.md OA-3
   */
  async verifyIdToken(
    provider: SocialProvider,
    endpoints: Endpoints,
    idToken: unknown,
    nonce: string,
  ): Promise<JWTPayload> {
    const { issuer, jwks } = endpoints;
    if (typeof idToken !== 'string' || issuer === undefined || jwks === undefined)
      throw refused('no ID token');
    let claims: JWTPayload;
    try {
      claims = await this.#verifySignature(provider, jwks, idToken);
    } catch (error) {
      if (error instanceof errors.JOSEError) throw refused(error.code, error);
      throw error;
    }
    if (claims.iss !== (typeof issuer === 'string' ? issuer : issuer(claims))) throw refused('iss');
    if (Array.isArray(claims.aud) && claims.aud.length > 1 && claims.azp === undefined) throw refused('azp');
    if (claims.azp !== undefined && claims.azp !== provider.clientId) throw refused('azp');
    if (claims.nonce !== nonce) throw refused('nonce');
    return claims;
  }

  async #verifySignature(provider: SocialProvider, jwks: string, idToken: string): Promise<JWTPayload> {
    const verify = async (keys: KeySet) => {
      const { payload } = await jwtVerify(idToken, keys, {
        algorithms: ALGORITHMS,
        audience: provider.clientId,
        requiredClaims: ['iss', 'sub', 'exp', 'iat', 'nonce'],
        maxTokenAge: MAX_AGE_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: this.#runtime.now(),
      });
      return payload;
    };
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
    const document = object(await this.#get(provider, url));
    if (!Array.isArray(document.keys)) throw unusable(url);
    const keys = createLocalJWKSet(document as unknown as JSONWebKeySet);
    this.#keys.set(key, { keys, at: this.#runtime.now().getTime() });
    return keys;
  }

  async #get(provider: SocialProvider, url: string): Promise<unknown> {
    const { status, json } = await outbound(url, {}, rulesFor(provider, this.#runtime));
    if (status !== 200 || json === null) throw unusable(url);
    return json;
  }

  #ageOf({ at }: { at: number }): number {
    return (this.#runtime.now().getTime() - at) / 1000;
  }
}

/** What may be asked for a provider: the host's own are trusted to be where they say, a tenant's must be on the public internet. */
export function rulesFor(provider: SocialProvider, { config }: Pick<Runtime, 'config'>) {
  return { allowLoopback: !config.isSecure, publicOnly: config.isSecure && provider.ofTenant };
}

function endpointsIn(document: Readonly<Record<string, unknown>>, issuer: string): Endpoints {
  const { authorization_endpoint, token_endpoint, jwks_uri, revocation_endpoint, userinfo_endpoint } =
    document;
  if (
    document.issuer !== issuer ||
    typeof authorization_endpoint !== 'string' ||
    typeof token_endpoint !== 'string' ||
    typeof jwks_uri !== 'string'
  ) {
    throw unusable(issuer);
  }
  return {
    authorization: authorization_endpoint,
    token: token_endpoint,
    issuer,
    jwks: jwks_uri,
    sendsIssuer: document.authorization_response_iss_parameter_supported === true,
    ...(typeof revocation_endpoint === 'string' && { revocation: revocation_endpoint }),
    ...(typeof userinfo_endpoint === 'string' && { userInfo: userinfo_endpoint }),
  };
}

function refused(what: string, cause?: unknown): AuthTunaError {
  return new AuthTunaError(
    'invalid_token',
    { message: 'The sign-in could not be confirmed. Please try again.', reason: `id_token ${what}` },
    { cause },
  );
}

function unusable(url: string): AuthTunaError {
  return new AuthTunaError(
    'unavailable',
    { message: 'The sign-in service did not answer. Try again in a moment.' },
    { cause: new Error(`${url} is not what it should be`) },
  );
}
