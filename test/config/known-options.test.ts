// A misspelled option is refused where it is given: left out in silence, `hooks.beforeSignup` would refuse nobody and `requireUser({ frehs })`
// believe the cache. Everything that the library exports is walked, so a new function stands in one of the lists below, or a test names it.
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthTunaClient } from '../../src/client/index.js';
import * as library from '../../src/index.js';
import { remote } from '../../src/remote/index.js';
import { SECRET, TestLogger } from '../support/app.js';
import { freshDatabase } from '../support/database.js';

const { createAuthTuna } = library;
const ODD = { __unknown: 1 } as never;
const ODD_FIELD = { label: 'x', ...(ODD as object) } as never;
const BASE = {
  baseUrl: 'http://localhost:3000',
  secrets: [SECRET],
  logger: new TestLogger(),
} satisfies library.AuthTunaOptions;
const PROVIDERS = 'discord facebook github gitlab google linkedin microsoft slack spotify twitch x'.split(
  ' ',
);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const APPLE_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const CLIENT = { clientId: 'x', clientSecret: 'y' };

/** The code of a refusal, or its class where it has none, and whether it names the option. */
async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return 'was done';
  } catch (error) {
    const { message, details } = error as library.AuthTunaError;
    const isNamed = message.includes('__unknown') || details?.errors?.[0]?.field === '__unknown';
    const code = error instanceof library.AuthTunaError ? error.code : (error as Error).constructor.name;
    return isNamed ? code : error;
  }
}

async function refusalsOf(calls: Readonly<Record<string, () => unknown>>): Promise<object> {
  const answers = Object.entries(calls).map(async ([name, call]) => [name, await refusalOf(call)]);
  return Object.fromEntries(await Promise.all(answers));
}

/** Every call with the same answer. */
function all(calls: object, answer: string): object {
  return Object.fromEntries(Object.keys(calls).map((name) => [name, answer]));
}

test('createAuthTuna refuses an unknown option at every depth (D45)', async () => {
  const groups: { [K in keyof library.AuthTunaOptions]?: readonly unknown[] } = {
    paths: [ODD],
    session: [ODD],
    password: [ODD],
    signUp: [ODD, { fields: { team: ODD_FIELD } }],
    user: [ODD, { hostUser: { create: () => ({}), ...(ODD as object) } }],
    impersonation: [ODD],
    privacy: [ODD, { consents: { terms: { version: '1', ...(ODD_FIELD as object) } } }],
    audit: [ODD],
    mfa: [ODD],
    passkeys: [ODD],
    social: [ODD],
    bearer: [ODD],
    apiKeys: [ODD],
    passwordless: [ODD, { magicLink: ODD }],
    mail: [{ from: 'a@example.com', transport: { send: async () => {} }, ...(ODD as object) }],
    brand: [ODD, { colors: ODD }, { colors: { light: ODD } }],
    rateLimits: [ODD, { signUp: { limit: 1, windowSeconds: 1, ...(ODD as object) } }],
    humanCheckWidget: [{ attributes: {}, ...(ODD as object) }],
    hooks: [ODD],
    roles: [{ editor: ODD }],
  };
  const calls: Record<string, () => unknown> = {
    itself: () => createAuthTuna({ ...BASE, ...(ODD as object) }),
  };
  for (const [name, values] of Object.entries(groups))
    for (const [index, value] of values.entries())
      calls[`${name} ${index}`] = () => createAuthTuna({ ...BASE, [name]: value } as never);
  expect(await refusalsOf(calls)).toEqual(all(calls, 'misconfigured'));
});

test('guards, routers and what else AuthTuna makes refuse an unknown option (D45)', async () => {
  const database = await freshDatabase();
  const authTuna = createAuthTuna({ ...BASE, databaseUrl: database.url });
  const { routers } = authTuna;
  const calls: Record<string, () => unknown> = {
    requireUser: () => authTuna.requireUser(ODD),
    requirePermission: () => authTuna.requirePermission('users:read', ODD),
    requireRole: () => authTuna.requireRole('admin', ODD),
    requireRecentLogin: () => authTuna.requireRecentLogin(ODD),
    rateLimit: () => authTuna.rateLimit('login', ODD),
    securityHeaders: () => authTuna.securityHeaders(ODD),
    errorHandler: () => authTuna.errorHandler(ODD),
    router: () => authTuna.router(ODD),
    openapi: () => authTuna.openapi(ODD),
  };
  const withoutOptions =
    'ready close health on session requireSecondFactor csrf formToken authenticateUpgrade routes';
  const functions = Object.entries(authTuna).filter(([, value]) => typeof value === 'function');
  expect(functions.map(([name]) => name).sort()).toEqual(
    [...Object.keys(calls), 'signIn', ...withoutOptions.split(' ')].sort(),
  );
  for (const [name, make] of Object.entries(routers))
    if (name !== 'bearer' && name !== 'remote')
      // which take none
      calls[`routers.${name}`] = () => (make as (options: object) => unknown)(ODD);
  expect(await refusalsOf(calls)).toEqual(all(calls, 'misconfigured'));
  const signIn = () => authTuna.signIn({} as never, {} as never, 'x', ['pwd'], ODD);
  expect(await refusalOf(signIn)).toBe('invalid_input');
  await authTuna.close();
  await database.drop();
});

test('providers, mail, remote servers and the client in the browser refuse an unknown option (D45)', async () => {
  const { defineProvider, smtp } = library;
  const own = { id: 'own', name: 'Own', endpoints: { discover: 'https://id.example.com' }, scopes: [] };
  const row = { ...own, profile: () => ({ subject: 'x', email: null, emailVerified: false, name: null }) };
  const odd = <T extends object>(options: T): T => ({ ...options, ...(ODD as object) });
  const calls: Record<string, () => unknown> = {
    createAuthTuna: () => createAuthTuna(odd(BASE)),
    defineProvider: () => defineProvider(row, odd(CLIENT)),
    oidc: () => library.oidc(odd({ issuer: 'https://id.example.com', clientId: 'x' })),
    apple: () => library.apple(odd({ clientId: 'x', teamId: 'x', keyId: 'x', privateKey: APPLE_KEY })),
    smtp: () => smtp(odd({ host: 'mail.example.com' })),
  };
  const functions = Object.entries(library).filter(([, value]) => typeof value === 'function');
  for (const [name, make] of functions)
    if (PROVIDERS.includes(name)) calls[name] = () => (make as typeof library.github)(odd(CLIENT));
  // None of these takes options: a map of names, the environment, a request, a code, an error, claims.
  const others = 'definePermissions optionsFromEnv currentUser AuthTunaError statusOf standardClaims'.split(
    ' ',
  );
  expect(functions.map(([name]) => name).sort()).toEqual([...Object.keys(calls), ...others].sort());
  calls.remote = () => remote(odd({ url: 'https://app.example.com', key: 'x' }));
  expect(await refusalsOf(calls)).toEqual(all(calls, 'misconfigured'));
  expect(await refusalOf(() => createAuthTunaClient(ODD))).toBe('TypeError');
});
