import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.js';
import type { AuthTunaOptions } from '../../src/config/options.js';
import { AuthTunaError } from '../../src/errors.js';
import { oidc } from '../../src/index.js';

const SECRET = 'Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA';
const OTHER = 'q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E';
const mail = { from: 'app@example.com', transport: { send: async () => {} } };
const sound: AuthTunaOptions = { baseUrl: 'https://app.example.com', secrets: [SECRET], mail };

function problemOf(options: Record<string, unknown>): string {
  try {
    parseConfig({ ...sound, ...options } as unknown as AuthTunaOptions);
  } catch (error) {
    if (!(error instanceof AuthTunaError)) throw error;
    expect(error.code).toBe('misconfigured');
    return error.message;
  }
  return 'none';
}

test('a missing, short, repeated or sample secret stops the start, with a sentence that does not show it (SM-1)', () => {
  const known = 'change-me-to-something-long-and-random';
  for (const secrets of [
    undefined,
    [],
    ['short'],
    [SECRET.slice(1)],
    [SECRET, SECRET],
    ['x'.repeat(40)],
    [known],
    [`secret_${SECRET}`],
    'a string',
    [42],
  ]) {
    const problem = problemOf({ secrets });
    expect(problem, JSON.stringify(secrets)).toContain('secrets');
    for (const secret of [SECRET.slice(1), known]) expect(problem).not.toContain(secret);
  }
  expect(problemOf({ secrets: [SECRET, OTHER] })).toBe('none');
  expect(problemOf({ secrets: [SECRET, undefined] })).toContain(
    'secrets[1]: is not set; where it comes from the environment',
  );
});

test('a path of a router has no part that a browser resolves', () => {
  for (const auth of ['/auth/../x', '/..', '/./auth', '/auth/.'])
    expect(problemOf({ paths: { auth } }), auth).toContain('paths.auth');
  expect(problemOf({ paths: { auth: '/a/.well-known/..x' } })).toBe('none');
});

test('every problem is named at once, with what to write instead', () => {
  const problem = problemOf({
    baseUrl: 'http://app.example.com',
    secrets: ['short'],
    sesion: {},
    trustedProxies: true,
    password: { minLength: 3 },
    trustedOrigins: ['https://a.example/path'],
  });
  for (const part of ['sesion', 'secrets', 'trustedProxies', 'password.minLength'])
    expect(problem).toContain(part);
  const second = problemOf({
    baseUrl: 'http://app.example.com',
    secrets: ['short'],
    trustedOrigins: ['https://a.example/path'],
    session: { rotationGraceSeconds: 5 },
  });
  for (const part of [
    'baseUrl: http: works on localhost only',
    'secrets[0]: has fewer than 32',
    'trustedOrigins',
    'session.rotationGraceSeconds',
  ])
    expect(second).toContain(part);
});

test('development is http: on a loopback host and nothing else', () => {
  for (const baseUrl of [
    'http://localhost:3000',
    'http://shop.localhost:3000',
    'http://127.0.0.1',
    'http://[::1]:8080',
  ])
    expect(problemOf({ baseUrl }), baseUrl).toBe('none');
  for (const baseUrl of [
    'http://localhost.evil.example',
    'http://evillocalhost',
    'http://192.168.0.1',
    'http://127.0.0.1.nip.io',
    'ftp://localhost',
    'app.example.com',
    '',
    'https://app.example.com//path',
    'https://app.example.com/a b',
    'https://user@app.example.com',
    'https://app.example.com/?a',
    undefined,
  ])
    expect(problemOf({ baseUrl }), String(baseUrl)).toContain('baseUrl');
});

test('a provider in a container works by http: in development, where the host says so, and never in production', () => {
  const using = (baseUrl: string, allowHttp: boolean) => {
    const keycloak = {
      issuer: 'http://keycloak:8080/realms/main',
      clientId: 'a',
      clientSecret: 'b',
      allowHttp,
    };
    return problemOf({ baseUrl, social: { providers: [oidc(keycloak)] } });
  };
  expect(using('http://localhost:3000', true)).toBe('none');
  expect(using('http://localhost:3000', false)).toContain('allowHttp: true');
  expect(using('https://app.example.com', true)).toContain('must be https');
});

test('production wants mail where sign-up confirms addresses, or to be told to do without', () => {
  expect(problemOf({ mail: undefined })).toContain('mail: is missing');
  expect(problemOf({ mail: undefined, signUp: { requireVerifiedEmail: false } })).toBe('none');
  expect(problemOf({ password: { bcryptCost: 8 } })).toContain('bcryptCost');
});

test('the lifetimes under which no honest session is lost are held', () => {
  for (const session of [
    { rotationGraceSeconds: 19 },
    { recheckSeconds: 16 },
    { rotationForgiveSeconds: 20 },
    { rotateSeconds: 200 },
    { idleSeconds: 90_000, absoluteSeconds: 3600 },
  ])
    expect(problemOf({ session }), JSON.stringify(session)).toContain('session.');
  for (const session of [{}, { rotateSeconds: 0 }, { recheckSeconds: 0 }, { recheckSeconds: 15 }])
    expect(problemOf({ session }), JSON.stringify(session)).toBe('none');
});

test('the configuration is complete and frozen', () => {
  const config = parseConfig(sound);
  expect(config.origin).toBe('https://app.example.com');
  expect(config.isSecure).toBe(true);
  expect(Object.isFrozen(config)).toBe(true);
  expect(config.session).toMatchObject({
    idleSeconds: 3600,
    absoluteSeconds: 86_400,
    recheckSeconds: 10,
    maxPerUser: 20,
  });
  expect(config.password.minLength).toBe(15);
});

test.each([
  [{}, {}, 15],
  [{ requiredForRoles: ['user'] }, {}, 8],
  [{ requiredForRoles: ['admin', 'user'] }, {}, 8],
  [{ requiredForRoles: ['admin'] }, {}, 15],
  [{ requiredForRoles: ['user'], graceDays: 1 }, {}, 15],
  [{ policy: () => 'required' as const }, {}, 15],
  [{ requiredForRoles: ['user'] }, { minLength: 20 }, 20],
  [{}, { minLength: 10 }, 10],
])(
  'with mfa %j and password %j the shortest password has %i characters (PW-1)',
  (mfa, password, minLength) => {
    expect(parseConfig({ ...sound, mfa, password }).password.minLength).toBe(minLength);
  },
);

test('allowed domains are taken in any spelling, and one that no address can have is refused', () => {
  const domains = (allowedEmailDomains: string[]) =>
    parseConfig({ ...sound, signUp: { allowedEmailDomains } }).signUp.allowedEmailDomains;
  expect(domains([' Example.com', 'käse.example', 'ａ.example'])).toEqual([
    'example.com',
    'xn--kse-qla.example',
    'a.example',
  ]);
  for (const domain of ['*.example.com', '@example.com', 'localhost', 'https://example.com', ''])
    expect(() => domains([domain]), domain).toThrow('can match no address');
});
