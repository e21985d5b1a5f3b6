import { isIP } from 'node:net';

/** The two rate-limit keys of one caller. */
export interface NetworkKeys {
  /** One IPv4 address, or the /64 that one IPv6 customer line has. */
  host: string;
  /** The /24 or /48 around it. */
  network: string;
}

// "No address" must not mean "no limit", nor one limit per spelling of garbage.
const UNKNOWN = 'unknown';

/**
 * The keys under which an address is counted: /32 and /24 for IPv4, /64 and /48 for IPv6.
 *
 * Missing and unparsable addresses share one key, so leaving it out buys nothing.
 */
export function networkKeys(ip: string | null): NetworkKeys {
  const address = parseAddress(ip ?? undefined);
  if (address === null) return { host: UNKNOWN, network: UNKNOWN };
  if (isIP(address) === 4) {
    return { host: `${address}/32`, network: `${address.slice(0, address.lastIndexOf('.'))}.0/24` };
  }
  const groups = ipv6Groups(address);
  return { host: ipv6Network(groups, 4), network: ipv6Network(groups, 3) };
}

/** One entry in its canonical spelling, or null. Azure and others add a port: `1.2.3.4:5678`, `[2001:db8::1]:443`. */
export function parseAddress(text: string | undefined): string | null {
  const trimmed = text?.trim() ?? '';
  if (trimmed.length > 60) return null;
  const [, address = trimmed] =
    /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(trimmed) ?? /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed) ?? [];
  return isIP(address) === 0 ? null : canonicalAddress(address);
}

/** The one spelling of a valid address: without zone, IPv4-mapped unwrapped, IPv6 compressed. */
export function canonicalAddress(address: string): string {
  if (isIP(address) === 4) return address;
  const groups = ipv6Groups(address);
  const [a, b, c, d, e, f, high = 0, low = 0] = groups;
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) {
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  const written = groups.map((group) => group.toString(16)).join(':');
  return new URL(`http://[${written}]`).hostname.slice(1, -1);
}

function ipv6Groups(address: string): number[] {
  const [withoutZone = ''] = address.split('%');
  // `::ffff:1.2.3.4`: the last two groups may be written as IPv4.
  const hex = withoutZone.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const groupsOf = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function ipv6Network(groups: readonly number[], kept: number): string {
  const network = groups.map((group, index) => (index < kept ? group : 0).toString(16)).join(':');
  return `${canonicalAddress(network)}/${kept * 16}`;
}
