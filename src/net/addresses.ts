import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

/** A network: an address, and how many of its leading bits count. */
export interface Cidr {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** The keys under which the requests of one address are counted. */
export interface NetworkKeys {
  /** The /32 of an IPv4 address; the /64 of an IPv6 address, because one customer line has a whole /64. */
  host: string;
  /** The /24 or /48 around the host: a limit per network also stops a caller who has many hosts there. */
  network: string;
}

// All missing and unreadable addresses share one limit. Without it, a caller could avoid limits by hiding the address.
const UNKNOWN = 'unknown';

/**
 * Returns the keys under which an address is counted: /32 and /24 for IPv4, /64 and /48 for IPv6.
 *
 * Missing and unreadable addresses share the key `unknown`.
 */
export function networkKeys(ip: string | null): NetworkKeys {
  const address = parseAddress(ip ?? undefined);
  if (address === null) return { host: UNKNOWN, network: UNKNOWN };
  if (isIP(address) === 4) {
    return { host: `${address}/32`, network: `${address.slice(0, address.lastIndexOf('.'))}.0/24` };
  }
  const { parts } = ipaddr.IPv6.parse(address);
  const around = (groups: number) =>
    `${new ipaddr.IPv6(parts.map((part, index) => (index < groups ? part : 0)))}/${groups * 16}`;
  return { host: around(4), network: around(3) };
}

/** Returns the first address of the /24 or /48 around an address, for records that need not name a single host; null for what is no address. */
export function truncatedAddress(ip: string | null): string | null {
  const { network } = networkKeys(ip);
  return network === UNKNOWN ? null : network.slice(0, network.indexOf('/'));
}

/**
 * Returns an address in its one spelling (IPv6 lower-case and compressed, no zone, IPv4-mapped IPv6 as IPv4), or null for any other text.
 *
 * Some proxies, Azure's among them, add a port: `1.2.3.4:5678` and `[2001:db8::1]:443` are read without it.
 */
export function parseAddress(text: string | undefined): string | null {
  const trimmed = text?.trim() ?? '';
  if (trimmed.length > 60) return null;
  const [, address = trimmed] =
    /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(trimmed) ?? /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed) ?? [];
  // `isIP` accepts one spelling of an IPv4 address only, so nothing is left to convert.
  return isIP(address) === 4 ? address : (read(address)?.toString() ?? null);
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or a plain address (all bits count); null for any other text.
 *
 * An IPv4-mapped IPv6 range is returned as the IPv4 range.
 */
export function parseCidr(text: string): Cidr | null {
  const [written = '', bits, ...rest] = text.split('/');
  const width = isIP(written) === 4 ? 32 : 128;
  const ip = read(written);
  if (ip === null || written.includes('%') || rest.length > 0) return null;

  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) return null;
  const prefix = bits === undefined ? width : Number(bits);
  if (prefix > width) return null;

  const family = ip.kind();
  const unwrapped = width === 128 && family === 'ipv4' ? prefix - 96 : prefix;
  return unwrapped < 0 ? null : { address: ip.toString(), prefix: unwrapped, family };
}

/** Returns a function that tells whether an address lies in one of the networks. Unreadable addresses lie in none. */
export function inNetworks(networks: readonly Cidr[]): (address: string) => boolean {
  const known = networks.map(({ address, prefix }) => [ipaddr.parse(address), prefix] as const);
  return (address) => {
    const ip = read(address);
    return ip !== null && known.some(([network, bits]) => isWithin(ip, network, bits));
  };
}

/** Whether a host name or address is this machine. An IPv6 address may stand in the brackets that `URL.hostname` has. */
export function isLoopbackHost(host: string): boolean {
  return /^((?:[a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/.test(host);
}

/**
 * Whether an address is on the public internet. Everything that is not known to be public is refused.
 *
 * - IPv4: not in a special-purpose network (RFC 6890), as ipaddr.js lists them, and not in our own table.
 * - IPv6: the same, and in 2000::/3, the only block from which public addresses are given out (RFC 4291 2.4). This refuses loopback,
 *   unique local (RFC 4193), IPv4-compatible (RFC 4291), SIIT `::ffff:0:a.b.c.d` (RFC 6145), NAT64 (RFC 6052, 8215) and SRv6 5f00::/16
 *   (RFC 9602) without naming them.
 * - An IPv4-mapped address (`::ffff:8.8.8.8`) is judged as the IPv4 address that it reaches.
 * - An address with a zone (`fe80::1%eth0`) is refused.
 *
 * A network that translates to IPv4 under a prefix of its own (NAT64, RFC 6052 2.2) cannot be recognized by its addresses.
 */
export function isPublicAddress(address: string): boolean {
  const ip = address.includes('%') ? null : read(address);
  if (ip === null || ip.range() !== 'unicast') return false;
  if (ip.kind() === 'ipv6' && !isWithin(ip, GLOBAL_UNICAST, 3)) return false;
  return !NOT_PUBLIC.some(([network, bits]) => isWithin(ip, network, bits));
}

const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::'); // RFC 4291 2.4 and the IANA registry of IPv6 global unicast addresses

/** Networks that are not public although ipaddr.js calls them ordinary unicast. Reviewed against the IANA special-purpose registries. */
const NOT_PUBLIC: readonly (readonly [Ip, number])[] = [
  // Azure: reaches the platform of every virtual machine (WireServer); from Microsoft's documentation, not from an RFC.
  [ipaddr.IPv4.parse('168.63.129.16'), 32],
  // 6bone test network, given back and never assigned again (RFC 3701).
  [ipaddr.IPv6.parse('3ffe::'), 16],
];

/**
 * Reads an address strictly: `isIP` refuses the octal, hexadecimal and shortened forms that ipaddr.js alone would take (`010.1`, `0x7f.1`).
 * IPv4-mapped IPv6 becomes IPv4, and a zone is dropped.
 */
function read(text: string): Ip | null {
  if (isIP(text) === 0) return null;
  const [withoutZone = ''] = text.split('%');
  // ipaddr.js takes the IPv4-compatible `::8.8.8.8` (RFC 4291 2.5.5.1) for the IPv4-mapped `::ffff:8.8.8.8`, but not when a group is written.
  return ipaddr.process(withoutZone.replace(/^::(?=\d+\.)/, '0::'));
}

function isWithin(ip: Ip, network: Ip, bits: number): boolean {
  return ip.kind() === network.kind() && ip.match(network, bits);
}
