import type { Core } from '../../core/core.js';
import { canonicalEmail } from '../../core/identifiers.js';
import {
  type AuthorizationResponse,
  readAuthorizationResponse,
} from '../../oauth-client/authorization-response.js';
import { authorizationUrl } from '../../oauth-client/authorization-url.js';
import { exchangeCode, type Identity } from '../../oauth-client/exchange.js';
import type { ProviderMetadata } from '../../oauth-client/metadata.js';
import type { SocialProvider } from '../../oauth-client/provider.js';
import { redirectUriOf } from '../../oauth-client/redirect-uri.js';
import { type Flow, Flows, type StartedFlow } from './flows.js';

/** What a provider's answer carries: the query of the callback, or the fields of its form. */
export interface ProviderCallback extends AuthorizationResponse {
  state?: string;
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

/** The fields of {@link JourneyOptions}, for `requireKnownFields`. */
export const JOURNEY_FIELDS = ['browser', 'returnTo', 'rememberMe', 'loginHint'];

/** What a provider says of the person who came back; the address in its canonical spelling. */
export type ProviderAnswer = Identity;

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
    return {
      url: await authorizationUrl(provider, endpoints, {
        redirectUri: this.redirectUri(provider),
        state,
        codeVerifier,
        nonce,
        ...(options.loginHint !== undefined && { loginHint: options.loginHint }),
      }),
    };
  }

  redirectUri(provider: SocialProvider): string {
    return redirectUriOf(this.#core.config, provider.id);
  }

  /** Ends a journey: the state is spent before the provider is asked anything. @throws AuthTunaError `invalid_token` */
  end(callback: ProviderCallback, providerId: string, browser: string | null): Promise<StartedFlow> {
    return this.#flows.end(callback.state, providerId, browser);
  }

  /** What the provider says of the person who came back. @throws AuthTunaError `invalid_token`, `unavailable` */
  async answerOf(
    flow: StartedFlow,
    callback: ProviderCallback,
    provider: SocialProvider,
  ): Promise<ProviderAnswer> {
    const endpoints = await this.#metadata.endpointsOf(provider);
    const code = readAuthorizationResponse(this.#core, provider, endpoints, callback);
    const { profile, ...answer } = await exchangeCode(this.#core, this.#metadata, provider, endpoints, {
      code,
      redirectUri: this.redirectUri(provider),
      codeVerifier: flow.codeVerifier,
      nonce: flow.nonce,
      user: callback.user ?? null,
    });
    const email = profile.email === null ? null : canonicalEmail(profile.email);
    const emailVerified = email !== null && profile.emailVerified;
    return { ...answer, profile: { ...profile, email, emailVerified } };
  }
}
