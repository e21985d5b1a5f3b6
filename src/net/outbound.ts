import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { AuthTunaError } from '../errors.js';
import { isLoopbackHost, isPublicAddress } from './addresses.js';

const TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;

export interface OutboundRequest {
  method?: 'GET' | 'POST' | 'DELETE';
  headers?: Readonly<Record<string, string>>;
  body?: string;
}

export interface OutboundAnswer {
  status: number;
  /** The body as text. */
  body: string;
  /** The body as parsed JSON; null for any other text. */
  json: unknown;
}

export interface OutboundRules {
  /** Accepts `http:` on a loopback host, for development. */
  allowLoopback: boolean;
  /** Accepts `http:` everywhere, for a container on a developer's machine. */
  allowHttp?: boolean;
  /** For addresses that a tenant gave: every address that the host name resolves to must be on the public internet. */
  publicOnly: boolean;
}

/**
 * Sends one request to another service and returns the answer, whatever its status. https only, 5 s for everything, at most 1 MB, no redirects.
 *
 * Redirects are refused because they would carry codes and secrets to a host that was not checked.
 * @throws AuthTunaError `unavailable` when no such answer arrives
 * @see docs/requirements.md OA-9
 */
export async function outbound(
  url: string,
  request: OutboundRequest,
  rules: OutboundRules,
): Promise<OutboundAnswer> {
  try {
    const target = new URL(url);
    requireAllowed(target, rules);
    const { status, body } = rules.publicOnly
      ? await askPublicHost(target, request)
      : await ask(target, request);
    return { status, body, json: parsed(body) };
  } catch (error) {
    throw new AuthTunaError(
      'unavailable',
      { message: 'The sign-in service did not answer. Try again in a moment.', retryAfterSeconds: 5 },
      { cause: error },
    );
  }
}

/** Whether the scheme and the host of a URL allow a request to it. A host name is looked up only when the request is sent. */
export function isAllowedUrl(url: string, rules: OutboundRules): boolean {
  if (!URL.canParse(url)) return false;
  try {
    requireAllowed(new URL(url), rules);
    return true;
  } catch {
    return false;
  }
}

function requireAllowed(url: URL, rules: OutboundRules): void {
  const isLoopback = isLoopbackHost(url.hostname);
  const mayBeHttp = rules.allowHttp === true || (isLoopback && rules.allowLoopback);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayBeHttp))
    throw new Error(`${url.protocol}//${url.host} is not https`);
  if (url.username !== '' || url.password !== '') throw new Error('a URL must not contain credentials');
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (rules.publicOnly && (isLoopback || (isIP(literal) !== 0 && !isPublicAddress(literal))))
    throw new Error(`${url.host} is not a public address`);
}

async function ask(url: URL, request: OutboundRequest): Promise<{ status: number; body: string }> {
  const response = await fetch(url, {
    method: request.method ?? 'GET',
    headers: { accept: 'application/json', ...request.headers },
    ...(request.body !== undefined && { body: request.body }),
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body = await textOf((response.body ?? []) as AsyncIterable<Uint8Array>, url);
  return { status: response.status, body };
}

/**
 * Sends the same request over a connection whose address is checked when the connection is made. A check before the request would not be
 * enough: the name could resolve to another address a moment later (DNS rebinding).
 */
async function askPublicHost(url: URL, request: OutboundRequest): Promise<{ status: number; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = httpsRequest(
      url,
      {
        method: request.method ?? 'GET',
        headers: {
          accept: 'application/json',
          'user-agent': 'authtuna',
          ...(request.body !== undefined && { 'content-length': String(Buffer.byteLength(request.body)) }),
          ...request.headers,
        },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        agent: false,
        lookup: lookupPublic,
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(request.body);
  });
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    response.destroy();
    throw new Error(`${url.host} answered with a redirect`);
  }
  return { status, body: await textOf(response, url) };
}

/** `dns.lookup`, but fails when one of the addresses is not public. */
const lookupPublic: LookupFunction = (hostname, options: LookupOptions, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[] | undefined) => {
    const addresses = found ?? [];
    const [first] = addresses;
    if (error !== null) return callback(error, '', 4);
    if (first === undefined) return callback(new Error(`${hostname} has no address`), '', 4);
    if (!addresses.every(({ address }) => isPublicAddress(address)))
      return callback(new Error(`${hostname} is not a public address`), '', 4);
    if (options.all === true) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};

async function textOf(body: AsyncIterable<Uint8Array>, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error(`${url.host} sent more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
