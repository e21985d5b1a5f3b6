import type { Logger } from '../config/options.js';
import { AuthTunaError } from '../errors.js';
import { type OutboundAnswer, type OutboundRequest, type OutboundRules, outbound } from '../net/outbound.js';
import type { SocialProvider } from './provider.js';

/** The part of the instance that the OAuth client needs. */
export interface ClientRuntime {
  readonly config: { readonly isSecure: boolean; readonly logger: Logger };
  now(): Date;
}

/** Which addresses may be asked for a provider: the host's own may be anywhere, a tenant's must be on the public internet. */
export function rulesFor(provider: SocialProvider, { config }: ClientRuntime): OutboundRules {
  return {
    allowLoopback: !config.isSecure,
    allowHttp: !config.isSecure && provider.allowHttp === true,
    publicOnly: config.isSecure && provider.ofTenant,
  };
}

/** Why a provider could not be used, for the developer's log. The visitor's page shows nothing of it. */
export interface Fault {
  /** What is wrong: a sentence without its full stop, that follows the provider's id. */
  problem: string;
  /** What the developer can do about it: a whole sentence. */
  cure: string;
  /** Values that help; never a secret, a code or a token. */
  facts?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** Logs a fault as `<provider> <problem>. <cure>`. */
export function logFault(
  { config }: ClientRuntime,
  provider: SocialProvider,
  { problem, cure, facts }: Fault,
  level: 'info' | 'warn' = 'warn',
): void {
  config.logger[level](`${provider.id} ${problem}. ${cure}`, { provider: provider.name, ...facts });
}

/** Logs a fault of an answer, and returns the `invalid_token` to throw: the sign-in ends here and may be begun again. */
export function notConfirmed(
  runtime: ClientRuntime,
  provider: SocialProvider,
  reason: string,
  fault: Fault,
): AuthTunaError {
  logFault(runtime, provider, fault);
  return new AuthTunaError(
    'invalid_token',
    { message: 'The sign-in could not be confirmed. Please try again.', reason },
    { cause: fault.cause },
  );
}

/** Logs a fault of a provider that cannot be used at all, and returns the `unavailable` to throw. */
export function unusable(runtime: ClientRuntime, provider: SocialProvider, fault: Fault): AuthTunaError {
  logFault(runtime, provider, fault);
  return new AuthTunaError(
    'unavailable',
    { message: 'The sign-in service did not answer. Try again in a moment.', retryAfterSeconds: 5 },
    { cause: fault.cause ?? new Error(`${provider.id} ${fault.problem}`) },
  );
}

/**
 * Sends a request to an address of a provider. When nothing answers, the fault is logged.
 *
 * @throws AuthTunaError `unavailable`
 */
export async function askProvider(
  runtime: ClientRuntime,
  provider: SocialProvider,
  url: string,
  request: OutboundRequest,
  fault: Fault,
): Promise<OutboundAnswer> {
  try {
    return await outbound(url, request, rulesFor(provider, runtime));
  } catch (error) {
    const cause = error instanceof AuthTunaError ? error.cause : error;
    const why = cause instanceof Error ? whyOf(cause) : String(cause);
    throw unusable(runtime, provider, { ...fault, facts: { ...fault.facts, url, error: why }, cause });
  }
}

/** `fetch` says no more than "fetch failed"; its cause says why. */
function whyOf(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

const MAX_QUOTED = 300;

/**
 * A provider's own words for the log: on one line, cut off, and without the secrets of the request that it may repeat. Null when there are none.
 */
export function quoted(value: unknown, secrets: readonly string[] = []): string | null {
  if (typeof value !== 'string' || value === '') return null;
  const safe = secrets
    .filter((secret) => secret !== '')
    .flatMap((secret) => [secret, encodeURIComponent(secret), formEncoded(secret)])
    .reduce((words, secret) => words.replaceAll(secret, '[removed]'), value);
  return safe.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, MAX_QUOTED);
}

/** Encodes a value as a form does. */
export function formEncoded(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}
