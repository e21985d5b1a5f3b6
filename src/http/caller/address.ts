import { misconfigured } from '../../errors.js';
import { inNetworks, parseAddress, parseCidr } from '../../net/addresses.js';

/** The client's address, found behind the trusted proxies. */
export interface ClientAddress {
  /** In its one spelling (see `parseAddress`); null when it is missing or unreadable. */
  ip: string | null;
  /** True when the request has an `X-Forwarded-For` header that no trusted proxy set. The log reports this once. */
  ignoredForwarded: boolean;
}

export type AddressResolver = (
  socketAddress: string | undefined,
  forwardedFor: string | string[] | undefined,
) => ClientAddress;

/**
 * Returns a function that finds the client's address from the socket and `X-Forwarded-For`. No other header is read.
 *
 * `trustedProxies` is one of:
 * - not given: only the socket's address counts;
 * - the number of proxies in front: each proxy appends one entry, so that many entries are counted from the right;
 * - the CIDRs of the proxies: entries are read from the right up to the first address outside these networks.
 * @throws AuthTunaError `misconfigured` for any other value, among them `true` and networks that contain every address
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
    `trustedProxies: ${String(trustedProxies)} would let every client choose its own address; ` +
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
    // With fewer entries than proxies, the request entered behind the outermost proxy: the left-most entry is the farthest one known.
    const client = entries[Math.max(0, entries.length - hops)];
    return { ip: parseAddress(client), ignoredForwarded: false };
  };
}

function byRanges(ranges: readonly unknown[]): AddressResolver {
  const networks = ranges.map((range) => {
    const cidr = typeof range === 'string' ? parseCidr(range) : null;
    if (cidr === null) {
      throw misconfigured(`trustedProxies: ${String(range)} is not an address or a range such as 10.0.0.0/8`);
    }
    if (cidr.prefix === 0) {
      throw misconfigured(
        `trustedProxies: ${range} would let every client choose its own address; name the range of the proxies`,
      );
    }
    return cidr;
  });
  const isTrusted = inNetworks(networks);

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
