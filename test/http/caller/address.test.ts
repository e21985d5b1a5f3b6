import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAddressResolver } from '../../../src/http/caller/address.js';
import { networkKeys } from '../../../src/net/addresses.js';

const PROXY = '10.0.0.9';

describe('without trusted proxies', () => {
  const resolve = createAddressResolver(undefined);

  test('a header anybody can send changes nothing, and is reported (PX-1, D13)', () => {
    expect(resolve('203.0.113.7', undefined)).toEqual({ ip: '203.0.113.7', ignoredForwarded: false });
    expect(resolve('203.0.113.7', '1.2.3.4')).toEqual({ ip: '203.0.113.7', ignoredForwarded: true });
    expect(resolve('203.0.113.7', ['1.2.3.4', '5.6.7.8'])).toEqual({
      ip: '203.0.113.7',
      ignoredForwarded: true,
    });
  });

  test('fourteen forged headers are fourteen requests of one caller (D13)', () => {
    const seen = Array.from(
      { length: 14 },
      (_, i) => networkKeys(resolve('203.0.113.7', `198.51.100.${i}`).ip).host,
    );
    expect(new Set(seen)).toEqual(new Set(['203.0.113.7/32']));
  });

  test('an address has one spelling (PX-1)', () => {
    expect(resolve('::ffff:203.0.113.7', undefined).ip).toBe('203.0.113.7');
    expect(resolve('::FFFF:cb00:7107', undefined).ip).toBe('203.0.113.7');
    expect(resolve('2001:DB8:0:0:0:0:0:1', undefined).ip).toBe('2001:db8::1');
    expect(resolve('fe80::1%eth0', undefined).ip).toBe('fe80::1');
  });

  test.each([undefined, '', 'localhost', '1.2.3', '1.2.3.4.5', '::g', '/run/app.sock', 'x'.repeat(100_000)])(
    '%j is no address (PX-2)',
    (socket) => {
      expect(resolve(socket, undefined).ip).toBeNull();
    },
  );
});

describe('with a number of hops', () => {
  test('with one hop only the right-most entry counts (PX-1)', () => {
    const resolve = createAddressResolver(1);
    expect(resolve(PROXY, '203.0.113.7')).toEqual({ ip: '203.0.113.7', ignoredForwarded: false });
    expect(resolve(PROXY, '1.1.1.1, 2.2.2.2, 203.0.113.7').ip).toBe('203.0.113.7');
    expect(resolve(PROXY, ['1.1.1.1', '2.2.2.2, 203.0.113.7']).ip).toBe('203.0.113.7');
    expect(resolve(undefined, '203.0.113.7').ip).toBe('203.0.113.7');
  });

  test('behind a proxy two users are two addresses (D13)', () => {
    const resolve = createAddressResolver(1);
    expect(resolve(PROXY, '203.0.113.7').ip).not.toBe(resolve(PROXY, '203.0.113.8').ip);
  });

  test('with two hops the second entry from the right counts (PX-1)', () => {
    const resolve = createAddressResolver(2);
    expect(resolve(PROXY, '1.1.1.1, 203.0.113.7, 10.0.0.8').ip).toBe('203.0.113.7');
    expect(resolve(PROXY, '203.0.113.7').ip).toBe('203.0.113.7');
  });

  test('a request without the header came from the proxy itself', () => {
    expect(createAddressResolver(1)(PROXY, undefined)).toEqual({ ip: PROXY, ignoredForwarded: false });
    expect(createAddressResolver(1)(PROXY, ' ')).toEqual({ ip: PROXY, ignoredForwarded: false });
  });

  test('no hops is the socket (PX-1)', () => {
    expect(createAddressResolver(0)('203.0.113.7', '1.1.1.1')).toEqual({
      ip: '203.0.113.7',
      ignoredForwarded: true,
    });
  });

  test.each([
    'unknown',
    '_hidden',
    '',
    '1.2.3.4:port',
    '999.1.1.1',
    "1.2.3.4'--",
    'for=1.2.3.4',
    '1.2.3.4 5.6.7.8',
    '[::1',
    '\0',
  ])('%j in the place that counts is no address (PX-2)', (entry) => {
    expect(createAddressResolver(1)(PROXY, `1.1.1.1,${entry}`).ip).toBeNull();
  });

  test('ports that some proxies add are dropped', () => {
    const resolve = createAddressResolver(1);
    expect(resolve(PROXY, '203.0.113.7:50123').ip).toBe('203.0.113.7');
    expect(resolve(PROXY, '[2001:db8::1]:443').ip).toBe('2001:db8::1');
    expect(resolve(PROXY, '[2001:db8::1]').ip).toBe('2001:db8::1');
    expect(resolve(PROXY, '::ffff:203.0.113.7').ip).toBe('203.0.113.7');
  });
});

describe('with ranges', () => {
  const resolve = createAddressResolver(['10.0.0.0/8', 'fd00::/8', '192.0.2.1']);

  test('entries are walked from the right to the first that is not a proxy of ours (PX-1)', () => {
    expect(resolve(PROXY, '1.1.1.1, 203.0.113.7, 10.1.1.1, 192.0.2.1')).toEqual({
      ip: '203.0.113.7',
      ignoredForwarded: false,
    });
    expect(resolve('fd00::1', '1.1.1.1, 2001:db8::7, fd12::9').ip).toBe('2001:db8::7');
    expect(resolve('::ffff:10.0.0.9', '203.0.113.7').ip).toBe('203.0.113.7');
  });

  test('a caller who is no proxy of ours cannot set the header (PX-1)', () => {
    expect(resolve('203.0.113.7', '1.1.1.1')).toEqual({ ip: '203.0.113.7', ignoredForwarded: true });
    expect(resolve('192.0.2.2', '1.1.1.1').ip).toBe('192.0.2.2');
    expect(resolve(undefined, '1.1.1.1')).toEqual({ ip: null, ignoredForwarded: true });
  });

  test('a chain of our own proxies only gives the farthest of them', () => {
    expect(resolve(PROXY, '10.0.0.1, 10.0.0.2').ip).toBe('10.0.0.1');
    expect(resolve(PROXY, undefined).ip).toBe(PROXY);
  });

  test('garbage on the way stops the walk at "no address", not at what stands behind it (PX-2)', () => {
    expect(resolve(PROXY, '1.1.1.1, garbage, 10.0.0.2').ip).toBeNull();
    expect(resolve(PROXY, '1.1.1.1, ').ip).toBeNull();
  });

  test('what a client puts at the left never counts (PX-1)', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 8 }), (forged) => {
        return resolve(PROXY, [...forged, '203.0.113.7'].join(',')).ip === '203.0.113.7';
      }),
    );
  });
});

test.each([
  [true],
  [false],
  ['loopback'],
  [null],
  [{}],
  [-1],
  [1.5],
  [Number.NaN],
  [33],
  [['loopback']],
  [['10.0.0.0/33']],
  [['10.0.0.0/']],
  [['10.0.0.0/8/8']],
  [['0.0.0.0/0']],
  [['::/0']],
  [['::ffff:0:0/96']],
  [[1]],
  [['']],
])('trustedProxies %j is refused when the server starts (PX-1)', (value) => {
  expect(() => createAddressResolver(value as number)).toThrow(/^trustedProxies: /);
});

// A reading whose work grows with the square of the length would need minutes here; the limit of time only has to tell these apart.
test('a header of 100 kB is read in one pass (DO-4)', { timeout: 5000 }, () => {
  const resolve = createAddressResolver(['10.0.0.0/8']);
  expect(resolve(PROXY, '10.0.0.1,'.repeat(11_000)).ip).toBeNull();
  expect(resolve(PROXY, `203.0.113.7${',10.0.0.1'.repeat(11_000)}`).ip).toBe('203.0.113.7');
  for (const garbage of ['1'.repeat(100_000), ':'.repeat(100_000), ','.repeat(100_000)])
    expect(resolve(PROXY, garbage).ip).toBeNull();
});
