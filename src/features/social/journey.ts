import type { Core } from '../../core/core.js';
import { canonicalEmail } from '../../core/identifiers.js';
import { AuthTunaError } from '../../errors.js';
import { outbound } from '../../net/outbound.js';
import { authorizationUrl } from '../../oauth-client/authorization-url.js';
import { type ProviderMetadata, rulesFor } from '../../oauth-client/id-token.js';
import type { Endpoints, Profile, SocialProvider } from '../../oauth-client/provider.js';
import { requestTokens, type TokenSet } from '../../oauth-client/token-endpoint.js';
import { type Flow, Flows, type StartedFlow } from './flows.js';

/** What a provider's answer carries: the query of the callback, or the fields of its form. */
export interface ProviderCallback {
  code?: string;
  state?: string;
  error?: string;
  iss?: string;
  /** Apple, at the first consent. */
  user?: string;
}

export interface JourneyOptions {
  /** A value only this browser has. */
  browser: string;
  /** A path of this site, checked by the caller. Default `/`. */
  returnTo?: string;
  rememberMe?: boolean;
  /** Fills in the provider's form. */
  loginHint?: string;
}

/** What a provider says of the person who came back. */
export interface ProviderAnswer {
  profile: Profile;
  tokens: TokenSet;
  claims: Readonly<Record<string, unknown>>;
}

/** The way of a browser to a provider and back. */
export class Journeys {
  readonly #core: Core;
  readonly #flows: Flows;
  readonly #metadata: ProviderMetadata;

  constructor(core: Core, metadata: ProviderMetadata) {
    this.#core = core;
    this.#flows = new Flows(core);
    this.#metadata = metadata;
  }

  /** Where to send the browser. @param link for linking: the user, and the session in which the browser comes back */
  async begin(
    provider: SocialProvider,
    options: JourneyOptions,
    link: Flow['link'],
  ): Promise<{ url: string }> {
    const endpoints = await this.#metadata.endpointsOf(provider);
    const { state, codeVerifier, nonce } = await this.#flows.begin(
      {
        provider: provider.id,
        link,
        returnTo: options.returnTo ?? '/',
        rememberMe: options.rememberMe === true,
      },
      options.browser,
    );
    const offline = provider.keepTokens ? (provider.offline ?? {}) : {};
    return {
      url: authorizationUrl({
        endpoint: endpoints.authorization,
        clientId: provider.clientId,
        redirectUri: this.redirectUri(provider),
        state,
        codeVerifier,
        scopes: [...new Set([...provider.scopes, ...(offline.scopes ?? [])])],
        parameters: {
          ...provider.parameters,
          ...offline.parameters,
          ...(usesIdToken(provider, endpoints) && { nonce }),
          ...(options.loginHint !== undefined && { login_hint: options.loginHint }),
        },
      }),
    };
  }

  /** Own path per provider, so that an answer meant for one is nothing for another. */
  redirectUri(provider: SocialProvider): string {
    const { baseUrl, paths } = this.#core.config;
    return `${baseUrl}${paths.auth}/social/${provider.id}/callback`;
  }

  /**
   * Ends a journey: the state is spent before the provider is asked anything.
   *
   * @throws AuthTunaError `invalid_token`, `unavailable`
   */
  async end(
    callback: ProviderCallback,
    providerId: string,
    browser: string | null,
    providerOf: (id: string) => Promise<SocialProvider>,
  ): Promise<{ flow: StartedFlow; provider: SocialProvider; answer: ProviderAnswer }> {
    const flow = await this.#flows.end(callback.state, providerId, browser);
    const provider = await providerOf(providerId);
    const endpoints = await this.#metadata.endpointsOf(provider);
    requireIssuer(endpoints, callback.iss);
    if (callback.error !== undefined) throw this.#refusalOf(provider, callback.error);
    return { flow, provider, answer: await this.#exchange(provider, endpoints, flow, callback) };
  }

  async #exchange(
    provider: SocialProvider,
    endpoints: Endpoints,
    flow: StartedFlow,
    callback: ProviderCallback,
  ): Promise<ProviderAnswer> {
    if (callback.code === undefined) throw notConfirmed('no code');
    const tokens = await requestTokens(this.#core, provider, endpoints, {
      grant_type: 'authorization_code',
      code: callback.code,
      redirect_uri: this.redirectUri(provider),
      code_verifier: flow.codeVerifier,
    });
    const claims = usesIdToken(provider, endpoints)
      ? await this.#metadata.verifyIdToken(provider, endpoints, tokens.idToken, flow.nonce)
      : {};
    const get = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
      const answer = await outbound(
        url,
        { headers: { ...headers, authorization: `Bearer ${tokens.accessToken}` } },
        rulesFor(provider, this.#core),
      );
      if (answer.status !== 200)
        throw new AuthTunaError('unavailable', {}, { cause: new Error(`${url} answered ${answer.status}`) });
      return answer.json;
    };
    const said = await provider.profile({
      claims,
      accessToken: tokens.accessToken,
      get,
      user: callback.user ?? null,
    });
    if (said.subject === '') throw notConfirmed('no subject');
    const email = said.email === null ? null : canonicalEmail(said.email);
    return {
      profile: { ...said, email, emailVerified: email !== null && said.emailVerified },
      tokens,
      claims,
    };
  }

  /** What a provider says instead of a code. Its own words are for the log: anybody can write them into the address. */
  #refusalOf(provider: SocialProvider, error: string): AuthTunaError {
    if (error === 'access_denied' || error === 'user_cancelled_login' || error === 'user_cancelled_authorize')
      return new AuthTunaError('invalid_token', {
        message: `The sign-in with ${provider.name} was canceled.`,
        reason: 'canceled',
      });
    const isTheirTrouble = error === 'server_error' || error === 'temporarily_unavailable';
    this.#core.config.logger.warn(`${provider.id} refused a sign-in.`, { error: error.slice(0, 64) });
    return new AuthTunaError(isTheirTrouble ? 'unavailable' : 'invalid_token', {
      message: `The sign-in with ${provider.name} did not work. Please try again.`,
      reason: 'provider_error',
    });
  }
}

function usesIdToken(provider: SocialProvider, endpoints: Endpoints): boolean {
  return provider.idToken ?? endpoints.jwks !== undefined;
}

/** @see RFC 9207 section 2.4 */
function requireIssuer({ issuer, sendsIssuer }: Endpoints, iss: string | undefined): void {
  if (iss === undefined && sendsIssuer === true) throw notConfirmed('iss is missing');
  if (iss !== undefined && typeof issuer === 'string' && iss !== issuer)
    throw notConfirmed('iss of another provider');
}

function notConfirmed(reason: string): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'The sign-in could not be confirmed. Please try again.',
    reason,
  });
}
