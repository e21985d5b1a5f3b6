import { statSync } from 'node:fs';
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import type { Random } from '../crypto/random.js';
import type { AnyPrisma } from '../db/client.js';
import type { HostUserMapping } from '../db/host-user.js';
import { parseRedisUrl, REDIS_URL_RULE } from '../db/redis-place.js';
import type { SocialProvider } from '../oauth-client/provider.js';
import type { AuthTunaOptions, Clock, FieldSchema, Hooks, Logger, MailTransport } from './options.js';
import { RATE_LIMITS, type RateLimitName } from './rate-limits.js';
import { isOrigin, isScriptAddress } from './urls.js';

const seconds = (max: number) => z.int().min(0).max(max);
/** The longest duration that an option takes, in seconds. */
export const YEAR = 366 * 86_400;

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
  .regex(/^\/[\w~.-]+(\/[\w~.-]+)*$/, 'must begin with one slash and not end with one: /auth')
  // Browsers and Express resolve these differently, so that a cookie or link would be for another path than the router.
  .refine(
    (value) => !value.split('/').some((part) => /^\.{1,2}$/.test(part)),
    'must not have . or .. as a part',
  );

const pagePath = z.string().regex(/^\/(?![/\\])[^\s\\]*$/, 'must be a path of this site, such as /home');

const imagePath = z.string().regex(/^\/(?![/\\])/, 'must be a path of this site, such as /logo.svg');

/** What pages link to elsewhere. `javascript:` would run on our pages. */
const link = z
  .string()
  .regex(
    /^(https:\/\/|mailto:|\/(?![/\\]))[^\s\\]+$/,
    'must be an https: or mailto: address, or a path of this site',
  )
  .optional();

const language = z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language, such as en');

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

const hostFields = z
  .record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'must be the name of a column of yours'),
    signUpField,
  )
  .default({});

const hostModel = z
  .strictObject({ publicColumns: z.array(z.string()).readonly().default([]), fields: hostFields })
  .prefault({});

/** A domain in the form in which addresses are stored: lower case, as A-label. */
const emailDomain = z.string().transform((given, context) => {
  const domain = domainToASCII(given.normalize('NFKC').trim().toLowerCase());
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain)) return domain;
  context.addIssue({
    code: 'custom',
    message: `${given} can match no address; write a domain alone, such as example.com`,
  });
  return z.NEVER;
});

const HOOKS: readonly string[] = Object.keys({
  beforeSignUp: true,
  beforeSignIn: true,
} satisfies Record<keyof Hooks, true>);

const MODEL_NAME = /^[A-Z][A-Za-z0-9_]{0,63}$/;

const rateLimit = z.strictObject({
  limit: z.int().min(0),
  windowSeconds: z
    .int()
    .min(1)
    .max(7 * 86_400),
});

/** The shape of the options, with the defaults that depend on no other option. */
export const schema = z.strictObject({
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
    .custom<AnyPrisma>((value) => typeof value === 'object' && value !== null, 'must be a PrismaClient')
    .optional(),
  paths: z
    .strictObject({
      auth: path.default('/auth'),
      signIn: path.optional(),
      account: path.default('/account'),
      orgs: path.default('/orgs'),
      admin: path.default('/admin'),
      afterSignIn: pagePath.optional(),
      afterSignOut: pagePath.optional(),
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
      sameSite: z.enum(['lax', 'strict', 'none']).default('lax'),
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
      allowedEmailDomains: z.array(emailDomain).optional(),
      requireVerifiedEmail: z.boolean().optional(),
      username: z.enum(['required', 'optional', 'off']).default('optional'),
      fields: hostFields,
    })
    .prefault({}),
  models: z
    .union([
      z.string().regex(MODEL_NAME, 'must be the beginning of model names, such as Auth'),
      z
        .record(z.string(), z.string().regex(MODEL_NAME, 'must be the name of a model of your schema'))
        .readonly(),
    ])
    .optional(),
  user: z
    .strictObject({
      publicColumns: z.array(z.string()).readonly().default([]),
      hostUser: z
        .strictObject({
          relation: z.string().min(1).default('hostUser'),
          create: aFunction<HostUserMapping['create']>(),
        })
        .optional(),
    })
    .prefault({}),
  organization: hostModel,
  project: hostModel,
  impersonation: z.strictObject({ notify: z.boolean().default(false) }).prefault({}),
  privacy: z
    .strictObject({
      deletionGraceDays: z.int().min(0).max(90).default(30),
      auditIp: z.enum(['clear', 'truncated', 'off']).default('clear'),
      consents: z
        .record(
          z.string().regex(/^[a-z][A-Za-z0-9_]{0,63}$/, 'must be a name such as terms'),
          z.strictObject({
            version: z
              .string()
              .regex(/^[\w.-]{1,64}$/, 'must be letters, digits, dots and dashes, such as 2026-11'),
            label,
            url: link,
            required: z.boolean().default(false),
          }),
        )
        .default({}),
    })
    .prefault({}),
  audit: z
    .strictObject({
      retentionDays: z.int().min(30).max(36_500).default(400),
      onSeal: aFunction<NonNullable<NonNullable<AuthTunaOptions['audit']>['onSeal']>>().optional(),
    })
    .prefault({}),
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
  bearer: z
    .strictObject({
      accessTokenSeconds: z.int().min(30).max(600).default(600),
      refreshTokenSeconds: z
        .int()
        .min(60)
        .max(YEAR)
        .default(30 * 86_400),
      issuer: z.url().optional(),
      audience: z.string().min(1).max(512).optional(),
      algorithm: z.enum(['HS256', 'EdDSA', 'ES256']).default('HS256'),
      dpop: z.enum(['optional', 'required']).optional(),
    })
    .prefault({}),
  apiKeys: z
    .strictObject({
      prefix: z
        .string()
        .regex(/^[a-z][a-z0-9]{0,15}$/, 'may hold lower-case letters and digits only')
        .default('at'),
      maxPerUser: z.int().min(1).max(1000).default(25),
      allowQueryParameter: z.boolean().default(false),
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
      logoUrl: imagePath.optional(),
      logoDark: imagePath.optional(),
      hideName: z.boolean().optional(),
      iconUrl: imagePath.optional(),
      stylesheet: z
        .string()
        .regex(/^\/(?![/\\])[^\s\\]*$/, 'must be a path of this site, such as /auth.css')
        .optional(),
      colors: z.strictObject({ light: palette, dark: palette }).optional(),
    })
    .optional(),
  locale: language.optional(),
  locales: z.array(language).min(1).readonly().optional(),
  supportUrl: link,
  termsUrl: link,
  privacyUrl: link,
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
    .refine((url) => parseRedisUrl(url) !== null, REDIS_URL_RULE)
    .optional(),
  permissions: z.record(z.string(), z.array(z.string()).readonly()).optional(),
  roles: z
    .object({
      sync: z
        .enum(['create', 'report', 'update'], {
          error: 'must be create, report or update; no role can be called sync',
        })
        .optional(),
    })
    .catchall(
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
  resolveScopes: aFunction<NonNullable<AuthTunaOptions['resolveScopes']>>().optional(),
  hooks: z
    .custom<Hooks>((value) => typeof value === 'object' && value !== null)
    .superRefine((hooks, context) => {
      const keys = Object.keys(hooks).filter((name) => !HOOKS.includes(name));
      if (keys.length > 0) context.addIssue({ code: 'unrecognized_keys', keys, input: { ...hooks } });
    })
    .optional(),
  logger: anObjectWith<Logger>('debug', 'info', 'warn', 'error').optional(),
  clock: anObjectWith<Clock>('now').optional(),
  random: anObjectWith<Random>('bytes').optional(),
});

/** The options as they are parsed, before defaults that depend on other options. */
export type ParsedOptions = z.infer<typeof schema>;
