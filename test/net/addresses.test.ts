import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  inNetworks,
  isPublicAddress,
  networkKeys,
  parseAddress,
  parseCidr,
} from '../../src/net/addresses.js';

describe('an address has one spelling (PX-1)', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    [' 203.0.113.7 ', '203.0.113.7'],
    ['203.0.113.7:443', '203.0.113.7'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::203.0.113.7', '::cb00:7107'],
  ])('%j is %s', (text, address) => {
    expect(parseAddress(text)).toBe(address);
  });

  // `inet_aton` and ipaddr.js alone take these for addresses. Two readers that disagree are how allow lists are passed by.
  test.each([
    '010.0.0.1',
    '0x7f.0.0.1',
    '127.1',
    '2130706433',
    '1.2.3.4.5',
    '256.0.0.1',
    '1::2::3',
    '::g',
    '',
  ])('%j is no address (PX-2)', (text) => {
    expect(parseAddress(text)).toBeNull();
    expect(parseCidr(text)).toBeNull();
    expect(isPublicAddress(text)).toBe(false);
  });
});

test.each([
  ['10.0.0.0/8', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
  ['192.0.2.1', { address: '192.0.2.1', prefix: 32, family: 'ipv4' }],
  ['2001:DB8::/32', { address: '2001:db8::', prefix: 32, family: 'ipv6' }],
  ['::1', { address: '::1', prefix: 128, family: 'ipv6' }],
  ['::ffff:10.0.0.0/104', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
  ['::ffff:10.0.0.0/90', null],
  ['10.0.0.0/-1', null],
  ['10.0.0.0/1e1', null],
  ['10.0.0.0/ 8', null],
  ['2001:db8::/129', null],
  ['fe80::1%eth0/64', null],
  ['10.0.0', null],
])('%s as a range', (text, range) => {
  expect(parseCidr(text)).toEqual(range);
});

test('an IPv6 address is read as the URL parser of the platform reads it (PX-1)', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const spelled = new URL(`http://[${text}]`).hostname.slice(1, -1);
      expect(parseAddress(text)).toBe(parseAddress(spelled));
      if (!spelled.startsWith('::ffff:')) expect(parseAddress(text)).toBe(spelled);
    }),
  );
});

describe('what is counted together (PX-2)', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7/32', '203.0.113.0/24'],
    ['::ffff:203.0.113.7', '203.0.113.7/32', '203.0.113.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8::1', '2001:db8::/64', '2001:db8::/48'],
    ['::1', '::/64', '::/48'],
    ['64:ff9b::203.0.113.7', '64:ff9b::/64', '64:ff9b::/48'],
    [null, 'unknown', 'unknown'],
    ['garbage', 'unknown', 'unknown'],
    ['', 'unknown', 'unknown'],
  ])('%s (PX-2)', (ip, host, network) => {
    expect(networkKeys(ip)).toEqual({ host, network });
  });

  test('moving about in a /64 changes neither key (PX-2)', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (low) => {
        const groups = [48n, 32n, 16n, 0n].map((shift) => ((low >> shift) & 0xffffn).toString(16)).join(':');
        const { host, network } = networkKeys(`2001:db8:1:2:${groups}`);
        return host === '2001:db8:1:2::/64' && network === '2001:db8:1::/48';
      }),
    );
  });

  test('every valid address has keys of its own network, every spelling the same (PX-2)', () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const keys = networkKeys(ip);
        return keys.host !== 'unknown' && networkKeys(ip.toUpperCase()).host === keys.host;
      }),
    );
  });
});

test('an address lies in a network when the leading bits are equal, and only in one of its own family', () => {
  const isOurs = inNetworks(['10.0.0.0/8', '2001:db8::/33', '192.0.2.1'].map((text) => parseCidr(text)!));
  for (const inside of ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '2001:db8:7fff::1', '192.0.2.1'])
    expect(isOurs(inside), inside).toBe(true);
  for (const outside of ['9.255.255.255', '11.0.0.0', '2001:db8:8000::1', '192.0.2.2', '::a00:1', 'garbage'])
    expect(isOurs(outside), outside).toBe(false);
});

describe('an address is public only when nothing says that it is special (OA-9)', () => {
  test.each([
    ['8.8.8.8', 'a resolver'],
    ['1.1.1.1', 'a resolver'],
    ['100.63.255.255', 'just below carrier-grade NAT'],
    ['100.128.0.0', 'just above carrier-grade NAT'],
    ['172.15.255.255', 'just below the private block'],
    ['172.32.0.0', 'just above the private block'],
    ['168.63.129.15', 'a neighbor of the platform of Azure'],
    ['223.255.255.255', 'the last address below multicast'],
    ['::ffff:8.8.8.8', 'an IPv4 address, mapped'],
    ['2001:200::1', 'the first block above the protocol assignments'],
    ['2001:4860:4860::8888', 'a resolver'],
    ['2606:4700:4700::1111', 'a resolver'],
    ['2a00:1450:4001::1', 'a host'],
    ['3ffd:ffff::1', 'just below the 6bone'],
  ])('%s, %s, is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    ['0.0.0.0', '"this network", RFC 791'],
    ['0.1.2.3', '"this network", RFC 791'],
    ['10.0.0.1', 'private, RFC 1918'],
    ['172.16.0.1', 'private, RFC 1918'],
    ['172.31.255.255', 'private, RFC 1918'],
    ['192.168.1.1', 'private, RFC 1918'],
    ['100.64.0.1', 'carrier-grade NAT, RFC 6598'],
    ['100.100.100.200', 'metadata of Alibaba, in carrier-grade NAT'],
    ['127.0.0.1', 'loopback, RFC 1122'],
    ['127.255.255.254', 'loopback, RFC 1122'],
    ['169.254.169.254', 'metadata of most clouds, link-local, RFC 3927'],
    ['168.63.129.16', 'platform of Azure'],
    ['192.0.0.8', 'protocol assignments, RFC 6890'],
    ['192.0.0.192', 'metadata of Oracle, in the protocol assignments'],
    ['192.0.2.1', 'documentation, RFC 5737'],
    ['198.51.100.1', 'documentation, RFC 5737'],
    ['203.0.113.1', 'documentation, RFC 5737'],
    ['192.88.99.1', '6to4 relay, RFC 7526'],
    ['192.31.196.1', 'AS112, RFC 7535'],
    ['192.52.193.1', 'AMT, RFC 7450'],
    ['192.175.48.1', 'AS112, RFC 7534'],
    ['198.18.0.1', 'benchmarking, RFC 2544'],
    ['198.19.255.255', 'benchmarking, RFC 2544'],
    ['224.0.0.1', 'multicast, RFC 5771'],
    ['239.255.255.250', 'multicast, RFC 5771'],
    ['240.0.0.1', 'reserved, RFC 1112'],
    ['255.255.255.255', 'broadcast, RFC 919'],
    ['::', 'unspecified, RFC 4291'],
    ['::1', 'loopback, RFC 4291'],
    ['::127.0.0.1', 'IPv4-compatible, RFC 4291'],
    ['::8.8.8.8', 'IPv4-compatible, RFC 4291'],
    ['::ffff:127.0.0.1', 'IPv4-mapped loopback, RFC 4291'],
    ['::ffff:7f00:1', 'IPv4-mapped loopback, RFC 4291'],
    ['::ffff:169.254.169.254', 'IPv4-mapped metadata'],
    ['::ffff:168.63.129.16', 'IPv4-mapped platform of Azure'],
    ['::ffff:0:127.0.0.1', 'SIIT, RFC 6145'],
    ['::ffff:0:8.8.8.8', 'SIIT, RFC 6145'],
    ['64:ff9b::127.0.0.1', 'NAT64, RFC 6052'],
    ['64:ff9b::8.8.8.8', 'NAT64, RFC 6052'],
    ['64:ff9b:1::10.0.0.1', 'local NAT64, RFC 8215'],
    ['100::1', 'discard only, RFC 6666'],
    ['100:0:0:1::1', 'dummy prefix, RFC 9780'],
    ['200::1', 'once OSI NSAP, RFC 4048'],
    ['400::1', 'not assigned'],
    ['1fff:ffff::1', 'the last block below global unicast'],
    ['2001::1', 'Teredo, RFC 4380'],
    ['2001:0:7f00:1::', 'Teredo with loopback in it, RFC 4380'],
    ['2001:1::1', 'port control protocol, RFC 7723'],
    ['2001:2::1', 'benchmarking, RFC 5180'],
    ['2001:3::1', 'AMT, RFC 7450'],
    ['2001:4:112::1', 'AS112, RFC 7535'],
    ['2001:10::1', 'ORCHID, RFC 4843'],
    ['2001:20::1', 'ORCHIDv2, RFC 7343'],
    ['2001:30::1', 'drone remote ID, RFC 9374'],
    ['2001:1ff:ffff::1', 'the last of the protocol assignments, RFC 2928'],
    ['2001:db8::1', 'documentation, RFC 3849'],
    ['2002:7f00:1::', '6to4 with loopback in it, RFC 3056'],
    ['2002:808:808::1', '6to4, RFC 3056'],
    ['2620:4f:8000::1', 'AS112, RFC 7534'],
    ['3ffe::1', '6bone, RFC 3701'],
    ['3fff::1', 'documentation, RFC 9637'],
    ['3fff:fff:ffff::1', 'documentation, RFC 9637'],
    ['4000::1', 'the first block above global unicast'],
    ['5f00::1', 'segment routing, RFC 9602'],
    ['8000::1', 'not assigned'],
    ['fc00::1', 'unique local, RFC 4193'],
    ['fd00:ec2::254', 'metadata of Amazon, unique local'],
    ['fe80::1', 'link-local, RFC 4291'],
    ['fe80::1%eth0', 'link-local with a zone, RFC 4007'],
    ['2606:4700:4700::1111%eth0', 'with a zone, which a public address never needs'],
    ['febf::1', 'link-local, RFC 4291'],
    ['fec0::1', 'site-local, RFC 3879'],
    ['ff02::1', 'multicast, RFC 4291'],
    ['ff0e::1', 'multicast, RFC 4291'],
  ])('%s, %s, is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test('every spelling of an address is judged alike', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const spelled = parseAddress(address) ?? '';
        return isPublicAddress(address.toUpperCase()) === isPublicAddress(spelled);
      }),
    );
  });
});
