import { type LookupAddress, lookup } from 'node:dns';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP } from 'node:net';
import { AuthTunaError } from '../errors.js';

const TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export interface OutboundRequest {
  method?: 'GET' | 'POST' | 'DELETE';
  headers?: Readonly<Record<string, string>>;
  body?: string;
}

export interface OutboundAnswer {
  status: number;
  /** The parsed JSON; null for anything else. */
  json: unknown;
}

export interface OutboundRules {
  /** `http:` on a loopback host is fine: the app itself is in development. */
  allowLoopback: boolean;
  /** The address was given by a tenant: whatever its name resolves to must be on the public internet. */
  publicOnly: boolean;
}

/**
 * Asks a provider: https only, 5 s for everything, at most 1 MB, no redirects.
 *
 * A redirect would carry codes and secrets to a host nobody has checked.
 * @throws AuthTunaError `unavailable` when there is no answer of that kind
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
    return { status, json: parsed(body) };
  } catch (error) {
    throw new AuthTunaError(
      'unavailable',
      { message: 'The sign-in service did not answer. Try again in a moment.', retryAfterSeconds: 5 },
      { cause: error },
    );
  }
}

/** Whether a URL may be asked at all, by its scheme and the look of its host. */
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
  const isLoopback = LOOPBACK.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback && rules.allowLoopback))
    throw new Error(`${url.protocol}//${url.host} is not https`);
  if (url.username !== '' || url.password !== '') throw new Error('a URL with credentials in it');
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
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error(`${url.host} sent more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: response.status, body: Buffer.concat(chunks).toString('utf8') };
}

/** The same over a connection whose address is checked when it is made: a name that resolves differently a moment later gains nothing. */
function askPublicHost(url: URL, request: OutboundRequest): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
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
        lookup: (hostname, options, callback) => {
          lookup(hostname, { ...options, all: true }, (error, found) => {
            const addresses = (found ?? []) as LookupAddress[];
            const bad = addresses.find(({ address }) => !isPublicAddress(address));
            const refusal =
              error ?? (bad === undefined ? null : new Error(`${hostname} is not a public address`));
            if (refusal !== null || addresses[0] === undefined)
              return callback(refusal ?? new Error(`${hostname} has no address`), '', 4);
            if (options.all === true) return callback(null, addresses);
            callback(null, addresses[0].address, addresses[0].family);
          });
        },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        if (status >= 300 && status < 400) {
          response.destroy();
          return reject(new Error(`${url.host} answered with a redirect`));
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.byteLength;
          if (size > MAX_BYTES)
            return response.destroy(new Error(`${url.host} sent more than ${MAX_BYTES} bytes`));
          chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status, body: Buffer.concat(chunks).toString('utf8') }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(request.body);
  });
}

/** False for loopback, private, link-local, carrier-grade, multicast, reserved and documentation addresses. @see RFC 6890 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  // `::ffff:10.0.0.1`, and the same address through NAT64 or 6to4, reach an IPv4 host.
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return isPublicAddress(mapped);
  const list = new BlockList();
  for (const [network, prefix] of family === 4 ? SPECIAL_IPV4 : SPECIAL_IPV6)
    list.addSubnet(network, prefix, family === 4 ? 'ipv4' : 'ipv6');
  return !list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

const SPECIAL_IPV4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
const SPECIAL_IPV6: readonly [string, number][] = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
