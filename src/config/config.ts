import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { type Random, systemRandom } from '../crypto/random.js';
import { OUR_USER_COLUMNS as OUR_COLUMNS, type PrismaLike } from '../db/client.js';
import { AuthTunaError } from '../errors.js';
import { isLoopbackHost } from '../net/addresses.js';
import type { SocialProvider } from '../oauth-client/provider.js';
import type { AuthTunaOptions, Clock, FieldSchema, Hooks, Logger, MailTransport } from './options.js';
import { RATE_LIMITS, type RateLimitName } from './rate-limits.js';

export const SYSTEM_CLOCK: Clock = { now: () => new Date() };

/** The clock's time in milliseconds, for what is asked at every request; makes no `Date` where the system's clock will do. */
export function millisecondsOf(clock: Clock): () => number {
  return clock === SYSTEM_CLOCK ? () => Date.now() : () => clock.now().getTime();
}
export const DEFAULT_DATABASE_URL = 'file:./authtuna.db';

const WELL_KNOWN_SECRET = /^(change|replace|insert|your|secret|password|example|default|keyboard)[\W_]?/i;
const MIN_SECRET_LENGTH = 32;
const MIN_DISTINCT_CHARACTERS = 8; // a random 32-character value has about 25, in hexadecimal 14

const seconds = (max: number) => z.int().min(0).max(max);
const YEAR = 366 * 86_400;

const aFunction = <T>() => z.custom<T>((value) => typeof value === 'function', 'must be a function');
const anObjectWith = <T>(...methods: string[]) =>
  z.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function'),
    `must have ${methods.map((name) => `${name}()`).join(', ')}`,
  );

const aProvider = z.custom<SocialProvider>(
  (value) =>
    typeof value === 'object' && value !== null && typeof (value as SocialProvider).profile === 'function',
  'is not a provider; make one with google({ … }), github({ … }) or oidc({ … })',
);

const path = z
  .string()
  .regex(/^\/[\w~.-]+(\/[\w~.-]+)*$/, 'must begin with one slash and not end with one: /auth');

const color = z
  .string()
  .regex(/^#[0-9a-f]{6}$/i, 'must be written as #rrggbb')
  .optional();
const palette = z
  .strictObject({
    accent: color,
    onAccent: color,
    background: color,
    surface: color,
    text: color,
    muted: color,
    border: color,
    danger: color,
    success: color,
  })
  .optional();

const ONE_MAILBOX = /^(?:[^<>@\p{Cc}]*<[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/u;

const label = z.union([z.string().min(1).max(100), z.record(z.string(), z.string().min(1).max(100))]);

/** What a field takes that has no schema of its own: a line of text. */
const LINE_OF_TEXT = z.string().trim().min(1).max(256);

const signUpField = z.strictObject({
  label,
  required: z.boolean().default(false),
  autocomplete: z.string().max(64).optional(),
  schema: z
    .custom<FieldSchema>(
      (value) => typeof (value as FieldSchema | undefined)?.safeParse === 'function',
      'must be a zod schema, or another object with safeParse()',
    )
    .default(LINE_OF_TEXT as FieldSchema),
});

const rateLimit = z.strictObject({
  limit: z.int().min(0),
  windowSeconds: z
    .int()
    .min(1)
    .max(7 * 86_400),
});

const schema = z.strictObject({
  baseUrl: z.string({
    error: 'is missing: where browsers reach the app, for example https://app.example.com',
  }),
  secrets: z
    .array(
      z.string({
        error:
          'is not set; where it comes from the environment, is the variable? Make a value once, and keep it: npx authtuna new-secret',
      }),
      { error: 'is missing: a list with one random value; make it with: npx authtuna new-secret' },
    )
    .min(1, 'is empty; make a secret with: npx authtuna new-secret'),
  trustedProxies: z
    .union([z.int().min(0).max(16), z.array(z.string())], {
      error:
        'must be the number of proxies in front of the app, or their addresses; true would trust anybody',
    })
    .optional(),
  trustedOrigins: z.array(z.string()).default([]),
  bootstrapAdminEmail: z.string().optional(),
  appName: z.string().min(1).max(64).optional(),
  databaseUrl: z.string().optional(),
  prisma: z
    .custom<PrismaLike>((value) => typeof value === 'object' && value !== null, 'must be a PrismaClient')
    .optional(),
  paths: z
    .strictObject({
      auth: path.default('/auth'),
      account: path.default('/account'),
      orgs: path.default('/orgs'),
      admin: path.default('/admin'),
    })
    .prefault({}),
  session: z
    .strictObject({
      idleSeconds: seconds(YEAR).min(60).optional(),
      absoluteSeconds: seconds(YEAR).min(60).optional(),
      lifetimeFrom: z.enum(['last_activity', 'creation']).default('last_activity'),
      rememberMe: z.boolean().default(true),
      recheckSeconds: seconds(300).default(10),
      rotateSeconds: seconds(YEAR).default(300),
      rotationGraceSeconds: seconds(3600).default(30),
      rotationForgiveSeconds: seconds(86_400).default(180),
      maxPerUser: z.int().min(1).max(1000).default(20),
      onDeviceChange: z.enum(['revoke', 'step_up', 'notify', 'ignore']).optional(),
      onRegionChange: z.enum(['revoke', 'step_up', 'notify', 'ignore']).optional(),
      region: aFunction<NonNullable<NonNullable<AuthTunaOptions['session']>['region']>>().optional(),
      cookieName: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,40}$/, 'may hold letters, digits, - and _ only')
        .default('at_sess'),
      cookieDomain: z.string().optional(),
      sameSite: z.enum(['lax', 'strict']).default('lax'),
    })
    .prefault({}),
  password: z
    .strictObject({
      minLength: z.int().min(8).max(64).optional(),
      bcryptCost: z.int().min(4).max(16).default(12),
      pepper: z.string().min(16, 'must have at least 16 characters').optional(),
      isBreached: aFunction<(password: string) => Promise<boolean>>().optional(),
    })
    .prefault({}),
  signUp: z
    .strictObject({
      enabled: z.boolean().default(true),
      allowedEmailDomains: z.array(z.string()).optional(),
      requireVerifiedEmail: z.boolean().optional(),
      username: z.enum(['required', 'optional', 'off']).default('optional'),
      fields: z
        .record(
          z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'must be the name of a column of yours'),
          signUpField,
        )
        .default({}),
    })
    .prefault({}),
  user: z.strictObject({ publicColumns: z.array(z.string()).readonly().default([]) }).prefault({}),
  mfa: z
    .strictObject({
      issuer: z
        .string()
        .regex(/^[^:]{1,64}$/, 'may not hold a colon, and at most 64 characters')
        .optional(),
      recoveryCodeCount: z.int().min(4).max(20).default(10),
      requiredForRoles: z.array(z.string()).default([]),
      graceDays: z.int().min(0).max(365).default(0),
      policy: aFunction<NonNullable<NonNullable<AuthTunaOptions['mfa']>['policy']>>().optional(),
    })
    .prefault({}),
  passkeys: z
    .strictObject({
      rpId: z.string().optional(),
      rpName: z.string().min(1).max(64).optional(),
      origins: z.array(z.string()).min(1).optional(),
      secondFactor: z.boolean().default(true),
    })
    .prefault({}),
  social: z
    .strictObject({
      providers: z.array(aProvider).readonly().default([]),
      linkVerifiedEmails: z.union([z.boolean(), z.array(z.string()).readonly()]).default(false),
      resolveTxt: aFunction<(name: string) => Promise<string[][]>>().optional(),
    })
    .prefault({}),
  passwordless: z
    .strictObject({
      magicLink: z.union([z.boolean(), z.strictObject({ bindToBrowser: z.boolean().optional() })]).optional(),
      emailCode: z.boolean().optional(),
    })
    .prefault({}),
  mail: z
    .strictObject({
      from: z
        .string()
        .regex(ONE_MAILBOX, 'must be one mailbox: noreply@example.com or App <noreply@example.com>'),
      transport: anObjectWith<MailTransport>('send'),
    })
    .optional(),
  templatesDir: z
    .string()
    .refine((folder) => statSync(folder, { throwIfNoEntry: false })?.isDirectory(), 'is not a folder')
    .optional(),
  brand: z
    .strictObject({
      logoUrl: z
        .string()
        .regex(/^\/(?![/\\])/, 'must be a path of this site, such as /logo.svg')
        .optional(),
      colors: z.strictObject({ light: palette, dark: palette }).optional(),
    })
    .optional(),
  locale: z
    .string()
    .regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language, such as en')
    .optional(),
  rateLimits: z
    .strictObject(
      Object.fromEntries(
        Object.entries(RATE_LIMITS).map(([name, limit]) => [name, rateLimit.default(limit)]),
      ) as Record<RateLimitName, z.ZodDefault<typeof rateLimit>>,
    )
    .prefault({}),
  humanCheck: aFunction<NonNullable<AuthTunaOptions['humanCheck']>>().optional(),
  humanCheckWidget: z
    .strictObject({
      tag: z
        .string()
        .regex(/^[a-z][a-z0-9-]*$/, 'must be the name of an element')
        .default('div'),
      attributes: z.record(z.string().regex(/^(?!on|style$)[a-z][a-z0-9-]*$/), z.string()).readonly(),
      scripts: z
        .array(
          z.string().refine(isScriptAddress, 'must be on https, or a path of this site, such as /widget.js'),
        )
        .readonly()
        .default([]),
      origins: z
        .array(z.string().refine(isOrigin, 'must be scheme and host only: https://hcaptcha.com'))
        .readonly()
        .default([]),
    })
    .optional(),
  redisUrl: z
    .string()
    .regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')
    .optional(),
  privacy: z.strictObject({ deletionGraceDays: z.int().min(0).max(90).default(30) }).prefault({}),
  audit: z
    .strictObject({
      retentionDays: z.int().min(30).max(36_500).default(400),
      onSeal: aFunction<NonNullable<NonNullable<AuthTunaOptions['audit']>['onSeal']>>().optional(),
    })
    .prefault({}),
  permissions: z.record(z.string(), z.array(z.string()).readonly()).optional(),
  roles: z
    .record(
      z.string(),
      z.strictObject({
        description: z.string().max(500).optional(),
        level: z.int().min(0).max(100).nullable().optional(),
        permissions: z.array(z.string()).readonly().optional(),
        includes: z.array(z.string()).readonly().optional(),
        at: z.array(z.string()).readonly().optional(),
        mayAssign: z.array(z.string()).readonly().optional(),
      }),
    )
    .optional(),
  resolveScope: aFunction<NonNullable<AuthTunaOptions['resolveScope']>>().optional(),
  hooks: z.custom<Hooks>((value) => typeof value === 'object' && value !== null).optional(),
  logger: anObjectWith<Logger>('debug', 'info', 'warn', 'error').optional(),
  clock: anObjectWith<Clock>('now').optional(),
  random: anObjectWith<Random>('bytes').optional(),
});

/** The parsed, complete, frozen configuration that everything else is built from. */
export type Config = Readonly<ReturnType<typeof parseConfig>>;

/**
 * Checks the options and fills in every default.
 *
 * @throws AuthTunaError `misconfigured`, naming every problem at once and what to write instead; no secret is in the message
 */
export function parseConfig(options: AuthTunaOptions) {
  const result = schema.safeParse(options);
  if (!result.success) {
    const { issues } = result.error;
    const found = issues.map((issue) =>
      issue.code === 'unrecognized_keys'
        ? `${nameOf([...issue.path, issue.keys.join(', ')])}: is not an option`
        : `${nameOf(issue.path)}: ${issue.message}`,
    );
    // What has the right shape is looked at all the same, so that nobody mends one line to meet the next.
    const isShaped = (name: keyof AuthTunaOptions) => !issues.some(({ path: [first] }) => first === name);
    const isSecure = isShaped('baseUrl') && parseBaseUrl(options.baseUrl, found).protocol === 'https:';
    if (isShaped('secrets')) checkSecrets(schema.shape.secrets.parse(options.secrets), isSecure, found);
    if (isShaped('session')) checkSession(schema.shape.session.parse(options.session), found);
    throw problems(found);
  }
  const parsed = result.data;
  const found: string[] = [];
  const base = parseBaseUrl(parsed.baseUrl, found);
  checkSecrets(parsed.secrets, base.protocol === 'https:', found);
  checkSession(parsed.session, found);

  const isSecure = base.protocol === 'https:';
  checkProviders(parsed.social, isSecure, found);
  if (isSecure && parsed.password.bcryptCost < 10)
    found.push('password.bcryptCost: must be at least 10 on https');
  const trustedOrigins = parsed.trustedOrigins.map((origin) => {
    if (!isOrigin(origin))
      found.push(
        `trustedOrigins: ${origin} is not an origin; write scheme and host only: https://admin.example.com`,
      );
    return origin;
  });
  const { databaseUrl, prisma } = parsed;
  if (
    prisma === undefined &&
    databaseUrl !== undefined &&
    !/^(file:|libsql:|postgres(ql)?:)/.test(databaseUrl)
  ) {
    found.push('databaseUrl: must begin with file:, libsql: or postgresql:');
  }
  if (parsed.humanCheckWidget !== undefined && parsed.humanCheck === undefined)
    found.push('humanCheckWidget: what it produces is checked by humanCheck, which is missing');
  const requireVerifiedEmail = parsed.signUp.requireVerifiedEmail ?? parsed.mail !== undefined;
  // A developer's machine keeps mails in a mailbox of its own.
  const mailIsMissing = parsed.mail === undefined && parsed.signUp.enabled && isSecure;
  if (mailIsMissing && (parsed.signUp.requireVerifiedEmail ?? true)) {
    found.push(
      'mail: is missing, and sign-up confirms addresses by mail; set mail: { from, transport }, or signUp: { requireVerifiedEmail: false } to do without',
    );
  }
  const passkeys = {
    ...parsed.passkeys,
    rpId: parsed.passkeys.rpId ?? base.hostname,
    rpName: parsed.passkeys.rpName ?? parsed.appName ?? base.hostname,
    origins: parsed.passkeys.origins ?? [base.origin],
  };
  checkPasskeys(passkeys, base, found);
  checkHostColumns('signUp.fields', Object.keys(parsed.signUp.fields), prisma !== undefined, found);
  checkHostColumns('user.publicColumns', parsed.user.publicColumns, prisma !== undefined, found);
  const { passwordless } = parsed;
  const canMail = parsed.mail !== undefined || !isSecure; // a developer's machine keeps its mails
  if (!canMail && (passwordless.emailCode === true || (passwordless.magicLink ?? false) !== false))
    found.push('passwordless: signs in by mail, so set mail: { from, transport }');
  const { magicLink: linkOption = canMail } = passwordless;
  const magicLink = {
    enabled: linkOption !== false,
    bindToBrowser: typeof linkOption === 'object' ? (linkOption.bindToBrowser ?? true) : true,
  };
  if (found.length > 0) throw problems(found);

  return Object.freeze({
    ...parsed,
    baseUrl: base.origin,
    origin: base.origin,
    isSecure,
    origins: new Set([base.origin, ...trustedOrigins]),
    appName: parsed.appName ?? base.hostname,
    databaseUrl: databaseUrl ?? (prisma === undefined ? DEFAULT_DATABASE_URL : undefined),
    session: Object.freeze({
      ...parsed.session,
      idleSeconds: parsed.session.idleSeconds ?? 3600,
      absoluteSeconds: parsed.session.absoluteSeconds ?? 86_400,
      rememberedIdleSeconds: Math.max(parsed.session.idleSeconds ?? 0, 7 * 86_400),
      rememberedAbsoluteSeconds: Math.max(parsed.session.absoluteSeconds ?? 0, 30 * 86_400),
    }),
    password: Object.freeze({
      ...parsed.password,
      minLength: parsed.password.minLength ?? (isFactorForced(parsed.mfa) ? 8 : 15),
    }),
    signUp: Object.freeze({ ...parsed.signUp, requireVerifiedEmail }),
    passwordless: Object.freeze({ magicLink, emailCode: passwordless.emailCode ?? canMail }),
    mfa: Object.freeze({ ...parsed.mfa, issuer: parsed.mfa.issuer ?? parsed.appName ?? base.hostname }),
    passkeys: Object.freeze(passkeys),
    hashConcurrency: availableParallelism(),
    hooks: parsed.hooks ?? {},
    logger: parsed.logger ?? (console as Logger),
    clock: parsed.clock ?? SYSTEM_CLOCK,
    random: parsed.random ?? systemRandom,
  });
}

/** `secrets[0]`, `session.idleSeconds` */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

function problems(found: string[]): AuthTunaError {
  return new AuthTunaError('misconfigured', {
    message: `createAuthTuna was given options it cannot work with:\n${found.map((line) => `  - ${line}`).join('\n')}`,
  });
}

function parseBaseUrl(value: string, found: string[]): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    found.push('baseUrl: is not a URL; write for example https://app.example.com');
  } else if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    found.push(
      'baseUrl: http: works on localhost only, because session cookies would travel in clear; use https:',
    );
  } else if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '') {
    found.push('baseUrl: must be scheme, host and port only; routers are mounted at paths by app.use');
  }
  return url ?? new URL('https://invalid.invalid');
}

function isScriptAddress(value: string): boolean {
  if (/^\/(?![/\\])/.test(value)) return true;
  const url = URL.canParse(value) ? new URL(value) : null;
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
}

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}

function checkSecrets(secrets: readonly string[], isSecure: boolean, found: string[]): void {
  for (const [index, secret] of secrets.entries()) {
    const where = `secrets[${index}]`;
    if (secret.length < MIN_SECRET_LENGTH) {
      found.push(
        `${where}: has fewer than ${MIN_SECRET_LENGTH} characters; make one with: npx authtuna new-secret`,
      );
    } else if (
      isSecure &&
      (new Set(secret).size < MIN_DISTINCT_CHARACTERS || WELL_KNOWN_SECRET.test(secret))
    ) {
      found.push(
        `${where}: looks like a placeholder, not like chance; make one with: npx authtuna new-secret`,
      );
    }
  }
  if (new Set(secrets).size !== secrets.length) found.push('secrets: holds the same value twice');
}

const PROVIDER_ID = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * Whether no password alone ever opens an account: everybody has the role `user`, and with days of grace it would. What `policy` says of
 * whom cannot be known beforehand.
 * @see NIST SP 800-63B-4 3.1.1.2; docs/requirements.md PW-1
 */
function isFactorForced(mfa: z.infer<typeof schema>['mfa']): boolean {
  return mfa.requiredForRoles.includes('user') && mfa.graceDays === 0;
}

function checkProviders(social: z.infer<typeof schema>['social'], isSecure: boolean, found: string[]): void {
  const ids = social.providers.map(({ id }) => id);
  for (const [index, provider] of social.providers.entries()) {
    const where = `social.providers[${index}] (${provider.id})`;
    if (!PROVIDER_ID.test(provider.id))
      found.push(`${where}: the id may hold lower-case letters, digits and - only`);
    if (provider.id === 'sso' || provider.id.startsWith('sso-'))
      found.push(`${where}: ids that begin with sso belong to the connections of organizations`);
    if (ids.indexOf(provider.id) !== index)
      found.push(`${where}: the id is taken by another provider; give oidc() an id of its own`);
    if (typeof provider.clientId !== 'string' || provider.clientId === '')
      found.push(`${where}: clientId is missing`);
    const { endpoints } = provider;
    const url = 'discover' in endpoints ? endpoints.discover : endpoints.authorization;
    const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '' };
    if (protocol !== 'https:' && (isSecure || protocol !== 'http:' || !isLoopbackHost(hostname)))
      found.push(`${where}: ${url} must be https; http works on localhost in development only`);
  }
  if (Array.isArray(social.linkVerifiedEmails)) {
    for (const id of social.linkVerifiedEmails.filter((name) => !ids.includes(name)))
      found.push(`social.linkVerifiedEmails: ${id} is not one of the providers`);
  }
}

/** The bounds under which the rotation protocol was shown to lose no honest session. */
function checkSession(session: z.infer<typeof schema>['session'], found: string[]): void {
  const { recheckSeconds: v, rotateSeconds: r, rotationGraceSeconds: g, rotationForgiveSeconds: s } = session;
  if (g < 20)
    found.push(
      'session.rotationGraceSeconds: must be at least 20, for clocks that differ by 5 s and answers under way',
    );
  if (v > g / 2)
    found.push(`session.recheckSeconds: must be at most half of rotationGraceSeconds (${g / 2})`);
  if (s < g) found.push('session.rotationForgiveSeconds: must be at least rotationGraceSeconds');
  if (r !== 0 && r < s + 60)
    found.push(`session.rotateSeconds: must be 0 or at least rotationForgiveSeconds + 60 (${s + 60})`);
  if ((session.idleSeconds ?? 0) > (session.absoluteSeconds ?? YEAR))
    found.push('session.idleSeconds: is longer than absoluteSeconds');
  if (session.cookieDomain !== undefined && !/^[a-z0-9.-]+$/.test(session.cookieDomain))
    found.push('session.cookieDomain: is not a host name');
}

function checkPasskeys(
  passkeys: { rpId: string; origins: readonly string[] },
  base: URL,
  found: string[],
): void {
  const { rpId, origins } = passkeys;
  if (base.hostname !== rpId && !base.hostname.endsWith(`.${rpId}`))
    found.push(`passkeys.rpId: ${rpId} is neither the host of baseUrl nor a domain above it`);
  for (const origin of origins) {
    if (!isOrigin(origin))
      found.push(
        `passkeys.origins: ${origin} is not an origin; write scheme and host only: https://admin.example.com`,
      );
  }
}

/** Columns of ours are set by the library alone, and the shipped client has no others. */
function checkHostColumns(
  option: string,
  names: readonly string[],
  hasOwnClient: boolean,
  found: string[],
): void {
  if (names.length > 0 && !hasOwnClient)
    found.push(`${option}: are columns of your own User model, so pass your client: prisma`);
  for (const name of names) {
    if (OUR_COLUMNS.has(name)) found.push(`${option}.${name}: is a column of ours; choose another name`);
  }
}
