import { describe, expect, test } from 'vitest';
import {
  continentOf,
  type Device,
  decodeFingerprint,
  deviceLabel,
  deviceOf,
  encodeFingerprint,
  type Fingerprint,
  SCORES,
  scoreChange,
  verdict,
} from '../../src/net/user-agent.js';

const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const IOS_WEBKIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';
const MAC = 'Macintosh; Intel Mac OS X 10_15_7';

const UA = {
  chromeWindows: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/126.0.0.0 Safari/537.36`,
  chromeWindowsNext: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/127.0.0.0 Safari/537.36`,
  edgeWindows: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0`,
  edgeWindowsNext: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/130.0.0.0 Safari/537.36 Edg/130.0.2849.46`,
  chromeMac: `Mozilla/5.0 (${MAC}) ${WEBKIT} Chrome/126.0.0.0 Safari/537.36`,
  safariMac: `Mozilla/5.0 (${MAC}) ${IOS_WEBKIT} Version/17.5 Safari/605.1.15`,
  safariMacNext: `Mozilla/5.0 (${MAC}) ${IOS_WEBKIT} Version/18.0 Safari/605.1.15`,
  safariIpad: `Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) ${IOS_WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1`,
  safariIphone: `Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) ${IOS_WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1`,
  safariIphoneNext: `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${IOS_WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1`,
  chromeIpad: `Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) ${IOS_WEBKIT} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1`,
  chromeIpadDesktop: `Mozilla/5.0 (${MAC}) ${IOS_WEBKIT} CriOS/126 Version/11.1.1 Safari/605.1.15`,
  firefoxIphone: `Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) ${IOS_WEBKIT} FxiOS/127.0 Mobile/15E148 Safari/605.1.15`,
  firefoxIosDesktop: `Mozilla/5.0 (${MAC}) ${IOS_WEBKIT} FxiOS/127.0 Safari/605.1.15`,
  chromeAndroid: `Mozilla/5.0 (Linux; Android 10; K) ${WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36`,
  chromeAndroidDetailed: `Mozilla/5.0 (Linux; Android 14; Pixel 8) ${WEBKIT} Chrome/125.0.6422.165 Mobile Safari/537.36`,
  chromeTablet: `Mozilla/5.0 (Linux; Android 13; SM-X700) ${WEBKIT} Chrome/126.0.0.0 Safari/537.36`,
  chromeLinux: `Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} Chrome/126.0.0.0 Safari/537.36`,
  samsung: `Mozilla/5.0 (Linux; Android 14; SM-S918B) ${WEBKIT} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36`,
  samsungDesktop: `Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} SamsungBrowser/25.0 Chrome/121.0.0.0 Safari/537.36`,
  firefoxAndroid: 'Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0',
  firefoxLinux: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  firefoxUbuntu: 'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:129.0) Gecko/20100101 Firefox/129.0',
  firefoxWindows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0',
  curl: 'curl/8.5.0',
};

const ASIA = { country: 'JP', network: 'tokyo' };
const HOME: Omit<Fingerprint, keyof Device> = { country: 'DE', network: 'home', relay: false };

function at(userAgent: string | null, place: Partial<Fingerprint> = {}): Fingerprint {
  return { ...deviceOf(userAgent), ...HOME, ...place };
}

describe('families', () => {
  test.each<[keyof typeof UA, Device]>([
    ['chromeWindows', { browser: 'Chrome', os: 'Windows', mobile: false }],
    ['edgeWindows', { browser: 'Edge', os: 'Windows', mobile: false }],
    ['safariMac', { browser: 'Safari', os: 'macOS', mobile: false }],
    ['safariIpad', { browser: 'Safari', os: 'iOS', mobile: true }],
    ['safariIphone', { browser: 'Safari', os: 'iOS', mobile: true }],
    ['chromeIpadDesktop', { browser: 'Chrome', os: 'iOS', mobile: true }],
    ['firefoxIosDesktop', { browser: 'Firefox', os: 'iOS', mobile: true }],
    ['chromeAndroid', { browser: 'Chrome', os: 'Android', mobile: true }],
    ['chromeTablet', { browser: 'Chrome', os: 'Android', mobile: true }],
    ['samsung', { browser: 'Samsung Internet', os: 'Android', mobile: true }],
    ['samsungDesktop', { browser: 'Samsung Internet', os: 'Android', mobile: true }],
    ['firefoxLinux', { browser: 'Firefox', os: 'Linux', mobile: false }],
    ['curl', { browser: 'curl', os: null, mobile: null }],
  ])('%s', (name, device) => {
    expect(deviceOf(UA[name])).toEqual(device);
  });

  test.each([null, '', '   ', 'Mozilla/5.0', '<script>alert(1)</script>', 'evil.example/1', '\0'])(
    '%j says nothing',
    (userAgent) => {
      expect(deviceOf(userAgent)).toEqual({ browser: null, os: null, mobile: null });
    },
  );

  // Reading all of it with a pattern that goes back and forth would need minutes; the limit of time only has to tell these apart.
  test('of a User-Agent of 100 kB only the beginning is read (DO-4)', { timeout: 5000 }, () => {
    for (const text of [
      'Mozilla/5.0 ('.repeat(8000),
      'Version/'.repeat(12_000),
      ' '.repeat(100_000),
      'a'.repeat(100_000),
    ])
      expect(deviceOf(text + UA.firefoxLinux)).toEqual(deviceOf(text.slice(0, 512)));
    expect(deviceOf(`${UA.firefoxLinux}${' '.repeat(100_000)}`)).toEqual(deviceOf(UA.firefoxLinux));
  });

  test('a device has a name for people', () => {
    expect(deviceLabel(deviceOf(UA.firefoxLinux))).toBe('Firefox on Linux');
    expect(deviceLabel(deviceOf(UA.curl))).toBe('curl');
    expect(deviceLabel({ browser: null, os: 'Android', mobile: true })).toBe('Unknown browser on Android');
    expect(deviceLabel(deviceOf(null))).toBe('Unknown device');
  });
});

describe('what honest people do all day goes unnoticed (HJ-1)', () => {
  const transitions: [string, Fingerprint, Fingerprint, number?][] = [
    ['Chrome updates on Windows', at(UA.chromeWindows), at(UA.chromeWindowsNext)],
    ['Edge updates', at(UA.edgeWindows), at(UA.edgeWindowsNext)],
    ['Safari updates on macOS', at(UA.safariMac), at(UA.safariMacNext)],
    ['iOS updates overnight', at(UA.safariIphone), at(UA.safariIphoneNext), 30_000],
    ['Firefox updates and names Ubuntu', at(UA.firefoxLinux), at(UA.firefoxUbuntu)],
    ['Chrome on Android begins to reduce its User-Agent', at(UA.chromeAndroidDetailed), at(UA.chromeAndroid)],
    ['an iPad asks for the desktop site', at(UA.safariIpad), at(UA.safariMac)],
    ['an iPad goes back to the mobile site', at(UA.safariMac), at(UA.safariIpad)],
    ['an iPhone asks for the desktop site', at(UA.safariIphone), at(UA.safariMac)],
    ['Chrome on an iPad asks for the desktop site', at(UA.chromeIpad), at(UA.chromeIpadDesktop)],
    ['Firefox on an iPhone asks for the desktop site', at(UA.firefoxIphone), at(UA.firefoxIosDesktop)],
    ['Chrome on Android asks for the desktop site', at(UA.chromeAndroid), at(UA.chromeLinux)],
    ['Chrome on Android goes back', at(UA.chromeLinux), at(UA.chromeAndroid)],
    ['a tablet asks for the desktop site', at(UA.chromeTablet), at(UA.chromeLinux)],
    ['Firefox on Android asks for the desktop site', at(UA.firefoxAndroid), at(UA.firefoxLinux)],
    ['Samsung Internet asks for the desktop site', at(UA.samsung), at(UA.samsungDesktop)],
    [
      'Wi-Fi to mobile network',
      at(UA.safariIphone),
      at(UA.safariIphone, { network: 'carrier', relay: true }),
    ],
    [
      'mobile network to Wi-Fi',
      at(UA.chromeAndroid, { network: 'carrier', relay: true }),
      at(UA.chromeAndroid),
    ],
    ['home to office', at(UA.chromeWindows), at(UA.chromeWindows, { network: 'office' }), 1800],
    [
      'a laptop changes provider and Chrome updates',
      at(UA.chromeWindows),
      at(UA.chromeWindowsNext, { network: 'office' }),
    ],
    [
      'a private relay picks another exit in the country',
      at(UA.safariMac, { network: 'r1', relay: true }),
      at(UA.safariMac, { network: 'r2', relay: true }),
      5,
    ],
    [
      'a private relay picks an exit across the border',
      at(UA.safariMac, { country: 'DE', network: 'r1', relay: true }),
      at(UA.safariMac, { country: 'NL', network: 'r2', relay: true }),
      5,
    ],
    [
      'a VPN on another continent is switched on',
      at(UA.chromeMac),
      at(UA.chromeMac, { country: 'US', network: 'vpn', relay: true }),
      60,
    ],
    [
      'the VPN is switched off',
      at(UA.chromeMac, { country: 'US', network: 'vpn', relay: true }),
      at(UA.chromeMac),
      60,
    ],
    [
      'a train crosses the border',
      at(UA.safariIphone, { network: 'carrier', relay: true }),
      at(UA.safariIphone, { country: 'FR', network: 'roaming', relay: true }),
      120,
    ],
    [
      'a drive to the neighboring country on hotel Wi-Fi',
      at(UA.firefoxWindows),
      at(UA.firefoxWindows, { country: 'AT', network: 'hotel' }),
      3000,
    ],
    ['a flight to another continent', at(UA.safariMac), at(UA.safariMac, { ...ASIA }), 40_000],
    [
      'the geo service fails',
      at(UA.chromeWindows),
      at(UA.chromeWindows, { country: null, network: null, relay: null }),
    ],
    [
      'the geo service recovers elsewhere',
      at(UA.chromeWindows, { country: null, network: null, relay: null }),
      at(UA.chromeWindows, { ...ASIA }),
    ],
    ['the first request had no User-Agent', at(null), at(UA.chromeWindows)],
    ['an extension hides the User-Agent', at(UA.firefoxLinux), at('Mozilla/5.0')],
    [
      'a company moves the site to another geo service that knows no networks',
      at(UA.edgeWindows),
      at(UA.edgeWindows, { network: null }),
    ],
  ];

  test.each(transitions)('%s', (_, before, after, seconds = 10) => {
    expect(verdict(scoreChange(before, after, seconds).score)).toBe('allow');
    const stored = decodeFingerprint(encodeFingerprint(before));
    expect(scoreChange(stored, after, seconds)).toEqual(scoreChange(before, after, seconds));
  });

  test('there are thirty of them', () => {
    expect(transitions.length).toBeGreaterThanOrEqual(30);
  });

  test('network signals alone never end a session, whatever they are', () => {
    const places = ['DE', 'FR', 'JP', 'US', null].flatMap((country) =>
      ['a', 'b', null].map((network) => ({ country, network })),
    );
    for (const from of places) {
      for (const to of places) {
        for (const seconds of [0, 3600, 3601]) {
          const change = scoreChange(at(UA.chromeMac, from), at(UA.chromeMac, to), seconds);
          expect(verdict(change.score)).not.toBe('revoke');
          expect(change.networkOnly).toBe(change.score > 0);
        }
      }
    }
  });
});

describe('the table (HJ-2)', () => {
  const chrome = at(UA.chromeWindows);
  test.each<[string, Fingerprint, Fingerprint, number, number, string[], string]>([
    ['nothing changed', chrome, chrome, 10, 0, [], 'allow'],
    ['network, same country', chrome, at(UA.chromeWindows, { network: 'x' }), 10, 5, ['network'], 'allow'],
    [
      'network, same country, relay',
      chrome,
      at(UA.chromeWindows, { network: 'x', relay: true }),
      10,
      2.5,
      ['network'],
      'allow',
    ],
    ['country', chrome, at(UA.chromeWindows, { country: 'FR' }), 10, 30, ['country'], 'allow'],
    [
      'country and network, same continent',
      chrome,
      at(UA.chromeWindows, { country: 'FR', network: 'x' }),
      10,
      30,
      ['country'],
      'allow',
    ],
    [
      'country, relay before',
      at(UA.chromeWindows, { relay: true }),
      at(UA.chromeWindows, { country: 'FR' }),
      10,
      15,
      ['country'],
      'allow',
    ],
    [
      'continent, same network',
      chrome,
      at(UA.chromeWindows, { country: 'JP' }),
      10,
      30,
      ['country'],
      'allow',
    ],
    [
      'continent and network within the hour',
      chrome,
      at(UA.chromeWindows, ASIA),
      3600,
      45,
      ['continent'],
      'step_up',
    ],
    ['continent and network later', chrome, at(UA.chromeWindows, ASIA), 3601, 30, ['country'], 'allow'],
    [
      'continent and network within the hour, relay',
      chrome,
      at(UA.chromeWindows, { ...ASIA, relay: true }),
      10,
      22.5,
      ['continent'],
      'allow',
    ],
    ['browser, same system', chrome, at(UA.firefoxWindows), 10, 40, ['browser'], 'step_up'],
    [
      'browser and network',
      chrome,
      at(UA.edgeWindows, { network: 'x' }),
      10,
      45,
      ['browser', 'network'],
      'step_up',
    ],
    ['a script that names no system', chrome, at(UA.curl), 10, 40, ['browser'], 'step_up'],
    [
      'browser and country',
      chrome,
      at(UA.firefoxWindows, { country: 'FR' }),
      10,
      70,
      ['browser', 'country'],
      'step_up',
    ],
    [
      'browser, continent and network within the hour',
      chrome,
      at(UA.firefoxWindows, ASIA),
      10,
      85,
      ['browser', 'continent'],
      'revoke',
    ],
    ['system', chrome, at(UA.chromeMac), 10, 50, ['os'], 'step_up'],
    ['system and browser', chrome, at(UA.safariMac), 10, 50, ['os'], 'step_up'],
    ['system and class', chrome, at(UA.chromeAndroid), 10, 70, ['os', 'device_class'], 'step_up'],
    [
      'class alone',
      at(UA.chromeTablet),
      { ...at(UA.chromeTablet), mobile: false },
      10,
      20,
      ['device_class'],
      'allow',
    ],
    ['system and country', chrome, at(UA.chromeMac, { country: 'FR' }), 10, 80, ['os', 'country'], 'revoke'],
    [
      'system and country, relay',
      chrome,
      at(UA.chromeMac, { country: 'FR', relay: true }),
      10,
      65,
      ['os', 'country'],
      'step_up',
    ],
    [
      'system, class and country',
      chrome,
      at(UA.safariIphone, { country: 'FR', network: 'x' }),
      10,
      100,
      ['os', 'device_class', 'country'],
      'revoke',
    ],
    [
      'Chrome on a Mac is no iPad',
      at(UA.chromeIpad),
      at(UA.chromeMac),
      10,
      70,
      ['os', 'device_class'],
      'step_up',
    ],
    [
      'another browser on Linux is no desktop site',
      at(UA.chromeAndroid),
      at(UA.firefoxLinux),
      10,
      70,
      ['os', 'device_class'],
      'step_up',
    ],
    [
      'countries nobody knows',
      at(UA.chromeMac, { country: 'T1' }),
      at(UA.chromeMac, { country: 'T2', network: 'x' }),
      10,
      30,
      ['country'],
      'allow',
    ],
  ])('%s (HJ-2)', (_, before, after, seconds, score, reasons, outcome) => {
    const change = scoreChange(before, after, seconds);
    expect(change.score).toBe(score);
    expect(change.reasons).toEqual(reasons);
    expect(verdict(change.score)).toBe(outcome);
    expect(change.networkOnly).toBe(
      reasons.length > 0 && reasons.every((r) => ['network', 'country', 'continent'].includes(r)),
    );
  });

  test('the weights and the two limits (HJ-2)', () => {
    expect(SCORES).toEqual({ network: 5, country: 30, continent: 45, browser: 40, os: 50, device_class: 20 });
    expect([0, 39.9, 40, 79.9, 80, 500].map(verdict)).toEqual([
      'allow',
      'allow',
      'step_up',
      'step_up',
      'revoke',
      'revoke',
    ]);
  });
});

describe('in a row', () => {
  test('a fingerprint comes back as it was', () => {
    for (const fingerprint of [
      at(UA.safariIpad),
      at(null, { country: null, network: null, relay: null }),
      at(UA.curl),
    ]) {
      expect(decodeFingerprint(encodeFingerprint(fingerprint))).toEqual(fingerprint);
    }
    expect(encodeFingerprint(at(UA.firefoxLinux))).toBe('["Firefox","Linux",false,"DE","home",false]');
  });

  test.each([null, '', 'x', '{}', 'null', '[1,2,3,4,5,6,7]', '[[],{},"yes"]'])(
    '%j is no information (HJ-4)',
    (stored) => {
      const nothing = { browser: null, os: null, mobile: null, country: null, network: null, relay: null };
      expect(decodeFingerprint(stored)).toEqual(nothing);
      expect(scoreChange(nothing, at(UA.chromeWindows), 0).score).toBe(0);
    },
  );
});

test('continents', () => {
  expect(['DE', 'us', 'JP', 'BR', 'NG', 'AU', 'AQ'].map(continentOf)).toEqual([
    'EU',
    'NA',
    'AS',
    'SA',
    'AF',
    'OC',
    'AN',
  ]);
  expect([null, 'ZZ', '', 'D', 'E F', 'DEU', '__proto__'].map(continentOf)).toEqual([
    null,
    null,
    null,
    null,
    null,
    null,
    null,
  ]);
});
