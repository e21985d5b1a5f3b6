import { BlockList, isIP } from 'node:net';
import { misconfigured } from '../../errors.js';
import { canonicalAddress, parseAddress } from '../../net/addresses.js';

/** An address and how many of its leading bits count. */
export interface Cidr {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** Who is calling, seen past the proxies that are ours. */
export interface ClientAddress {
  /** Canonical (IPv6 compressed and lower-case, IPv4-mapped unwrapped); null when missing or unparsable. */
  ip: string | null;
  /** Whether an `X-Forwarded-For` came that nobody trusted was there to set; the log says so once. */
  ignoredForwarded: boolean;
}

export type AddressResolver = (
  socketAddress: string | undefined,
  forwardedFor: string | string[] | undefined,
) => ClientAddress;

/**
 * `10.0.0.0/8`, `2001:db8::/32`, or a plain address (all bits count); null for anything else.
 *
 * IPv4-mapped ranges come back as the IPv4 range they are.
 */
export function parseCidr(text: string): Cidr | null {
  const [written = '', bits, ...rest] = text.split('/');
  const version = isIP(written);
  if (version === 0 || written.includes('%') || rest.length > 0) return null;

  const width = version === 4 ? 32 : 128;
  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) return null;
  const prefix = bits === undefined ? width : Number(bits);
  if (prefix > width) return null;

  const address = canonicalAddress(written);
  if (version === 6 && isIP(address) === 4) {
    return prefix < 96 ? null : { address, prefix: prefix - 96, family: 'ipv4' };
  }
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/**
 * A function that finds the client's address from the socket and `X-Forwarded-For`, and from no other header.
 *
 * `trustedProxies` is how many proxies stand in front (each appends one entry; the right-most of them count), or
 * the CIDRs they live in (entries are walked from the right to the first one outside). Not given: the socket only.
 * @throws AuthTunaError `misconfigured` for anything else, `true` and ranges that trust everybody among it
 */
export function createAddressResolver(
  trustedProxies: undefined | number | readonly string[],
): AddressResolver {
  if (trustedProxies === undefined) {
    return (socketAddress, forwardedFor) => ({
      ip: parseAddress(socketAddress),
      ignoredForwarded: forwardedFor !== undefined,
    });
  }
  if (typeof trustedProxies === 'number') return byHops(trustedProxies);
  if (Array.isArray(trustedProxies)) return byRanges(trustedProxies);
  throw misconfigured(
    `trustedProxies: ${String(trustedProxies)} would let anybody choose their address; ` +
      "give the number of proxies in front (1) or their ranges (['10.0.0.0/8'])",
  );
}

function byHops(hops: number): AddressResolver {
  if (!Number.isInteger(hops) || hops < 0 || hops > 32) {
    throw misconfigured(
      `trustedProxies: ${hops} is not a number of proxies; use a whole number from 0 to 32`,
    );
  }
  return (socketAddress, forwardedFor) => {
    const entries = entriesOf(forwardedFor);
    if (hops === 0 || entries.length === 0) {
      return { ip: parseAddress(socketAddress), ignoredForwarded: entries.length > 0 };
    }
    // Fewer entries than proxies: the request came in behind the outermost one, and the left-most is the farthest known.
    const client = entries[Math.max(0, entries.length - hops)];
    return { ip: parseAddress(client), ignoredForwarded: false };
  };
}

function byRanges(ranges: readonly unknown[]): AddressResolver {
  const trusted = new BlockList();
  for (const range of ranges) {
    const cidr = typeof range === 'string' ? parseCidr(range) : null;
    if (cidr === null) {
      throw misconfigured(`trustedProxies: ${String(range)} is not an address or a range such as 10.0.0.0/8`);
    }
    if (cidr.prefix === 0) {
      throw misconfigured(
        `trustedProxies: ${range} would let anybody choose their address; name the proxies' own range`,
      );
    }
    trusted.addSubnet(cidr.address, cidr.prefix, cidr.family);
  }
  const isTrusted = (ip: string) => trusted.check(ip, isIP(ip) === 4 ? 'ipv4' : 'ipv6');

  return (socketAddress, forwardedFor) => {
    const entries = entriesOf(forwardedFor);
    let ip = parseAddress(socketAddress);
    if (ip === null || !isTrusted(ip)) return { ip, ignoredForwarded: entries.length > 0 };

    for (const entry of entries.reverse()) {
      ip = parseAddress(entry);
      if (ip === null || !isTrusted(ip)) break;
    }
    return { ip, ignoredForwarded: false };
  };
}

function entriesOf(forwardedFor: string | string[] | undefined): string[] {
  if (forwardedFor === undefined) return [];
  const line = Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor;
  return line.trim() === '' ? [] : line.split(',');
}
