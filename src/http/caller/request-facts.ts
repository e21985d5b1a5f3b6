import type { IncomingMessage } from 'node:http';
import type { Actor } from '../../actor.js';
import type { Config } from '../../config/config.js';
import type { Region } from '../../config/options.js';
import type { RequestFacts } from '../../core/sessions/devices.js';
import type { CookieSpec } from '../answer/cookies.js';
import { languageCookieSpec, languagesOf } from '../answer/language-cookie.js';
import { type AddressResolver, createAddressResolver } from './address.js';
import type { Caller } from './authenticators.js';

const REGION_TIMEOUT_MS = 50; // a geo service that hangs must not hold requests up; no answer is no information
const MAX_REQUEST_ID = 128;
const MAX_LANGUAGES = 128; // browsers send fewer than ten of them

/** Reads what a request says about itself: address, browser, region, request id and languages. */
export class RequestReader {
  readonly #config: Config;
  readonly #address: AddressResolver;
  readonly #language: CookieSpec;
  #warnedOfForwarded = false;

  constructor(config: Config) {
    this.#config = config;
    this.#address = createAddressResolver(config.trustedProxies);
    this.#language = languageCookieSpec(config);
  }

  /** The client's address, through the configured proxies only. */
  ipOf(req: IncomingMessage): string | null {
    const { ip, ignoredForwarded } = this.#address(req.socket.remoteAddress, req.headers['x-forwarded-for']);
    if (ignoredForwarded && !this.#warnedOfForwarded && this.#config.trustedProxies === undefined) {
      this.#warnedOfForwarded = true;
      this.#config.logger.warn(
        'X-Forwarded-For arrived and was ignored. Behind a proxy, set trustedProxies to the number of proxies or their addresses, or everybody shares one rate limit.',
      );
    }
    return ip;
  }

  /** Who does what this request does. */
  actorOf(req: IncomingMessage, caller: Caller | null): Actor {
    const requestId = req.headers['x-request-id'];
    const languages = languagesOf(req, this.#language);
    const session = caller?.session;
    return {
      userId: caller?.userId ?? null,
      ip: this.ipOf(req),
      userAgent: req.headers['user-agent'] ?? null,
      ...(session != null && { sessionId: session.id }),
      ...(session?.impersonatorId != null && { impersonatorId: session.impersonatorId }),
      ...(caller?.apiKey !== undefined && { apiKeyId: caller.apiKey.id }),
      ...(typeof requestId === 'string' && { requestId: requestId.slice(0, MAX_REQUEST_ID) }),
      ...(languages !== undefined && { languages: languages.slice(0, MAX_LANGUAGES) }),
    };
  }

  /** What a session is compared with. The region is asked for once, when it is needed. */
  factsOf(req: IncomingMessage): RequestFacts {
    const { headers } = req;
    const destination = headers['sec-fetch-dest'];
    const ip = this.ipOf(req);
    let region: Promise<Region | null> | undefined;
    return {
      ip,
      userAgent: headers['user-agent'] ?? null,
      region: () => (region ??= this.#regionOf(req, ip)),
      mayRotate:
        (destination === undefined || destination === 'document' || destination === 'empty') &&
        !/prefetch/i.test(String(headers['sec-purpose'] ?? '')),
    };
  }

  async #regionOf(req: IncomingMessage, ip: string | null): Promise<Region | null> {
    const ask = this.#config.session.region;
    if (ask === undefined) return null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, REGION_TIMEOUT_MS, null);
    });
    try {
      const answer = await Promise.race([ask(req, ip), late]);
      return typeof answer === 'string' ? { country: answer } : answer;
    } catch (error) {
      this.#config.logger.warn(
        'session.region failed; the request counts as coming from nowhere in particular.',
        { error },
      );
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}
