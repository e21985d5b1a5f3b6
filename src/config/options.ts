import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Auth, User } from '../auth.js';
import type { Random } from '../crypto/random.js';
import type { AnyPrisma, PrismaLike } from '../db/client.js';
import type { NewHostUser } from '../db/host-user.js';
import type { ModelNames } from '../db/schema/model-names.js';
import type { SocialProvider } from '../oauth-client/provider.js';
import type { RateLimit, RateLimitName } from './rate-limits.js';

/** Where the time comes from. */
export interface Clock {
  now(): Date;
}

/** Four functions any logger has; `console` fits. */
export interface Logger {
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warn(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
}

/** One mail as it goes out; addresses are single, already checked mailboxes. */
export interface OutgoingMail {
  from: string;
  to: string;
  subject: string;
  html: string;
  text: string;
  /** The same at every attempt, so that a receiver can tell a repetition. */
  messageId: string;
}

/**
 * Delivers mail. `send` rejects when the mail was not accepted; it is then tried again later, unless the error says `permanent: true`.
 *
 * Of such an error only its `code`, `responseCode`, `command` and the plain words of its message are kept.
 */
export interface MailTransport {
  send(mail: OutgoingMail): Promise<void>;
  close?(): Promise<void>;
}

/** What the host knows about where a request comes from; `country` as ISO 3166 two letters. */
export interface Region {
  country: string;
  network?: string;
  relay?: boolean;
}

/**
 * What follows when a session is used elsewhere than before: it ends, it must be proved again, its owner is mailed (at most once a day for
 * each session), or nothing but an entry in the audit log.
 */
export type ReactionToChange = 'revoke' | 'step_up' | 'notify' | 'ignore';

export interface RoleDeclaration {
  description?: string;
  /** Rank, 0 to 100; null (the default) is not reachable by rank. */
  level?: number | null;
  /** Names and patterns (`project:*`, `*`). */
  permissions?: readonly string[];
  includes?: readonly string[];
  /** Scope types it may be assigned at; none given means any. */
  at?: readonly string[];
  /** Roles that a holder may assign. */
  mayAssign?: readonly string[];
}

/** resource -> actions, as `definePermissions` takes and gives it. */
export type PermissionCatalog = Readonly<Record<string, readonly string[]>>;
export type RoleCatalog = Readonly<Record<string, RoleDeclaration>>;

/**
 * What `ready()` does with a declared role that is stored already and differs: nothing (`create`), a line in the log (`report`), or a change of
 * the stored role (`update`).
 */
export type RoleSync = 'create' | 'report' | 'update';

/** Declared roles by name, and how they are kept in step. */
export interface SyncedRoles {
  /** Default `report`. */
  readonly sync?: RoleSync;
  readonly [name: string]: RoleDeclaration | RoleSync | undefined;
}

/** What checks a field of the host's own: a zod schema, or another object with the same `safeParse`. */
export interface FieldSchema {
  safeParse(
    value: unknown,
  ): { success: true; data: unknown } | { success: false; error: { issues: readonly { message: string }[] } };
}

/** A field of the host's own on a form, stored in the column of the same name of the host's model: of `User` for `signUp.fields`. */
export interface SignUpField {
  /** One text, or one for each language: `{ en: 'Display name', de: 'Anzeigename' }`. */
  label: string | Readonly<Record<string, string>>;
  /** Default false. */
  required?: boolean;
  /** The `autocomplete` attribute, such as `name`, `organization` or `tel`. */
  autocomplete?: string;
  /** Checks and converts the value. Default: a line of text of at most 256 characters. */
  schema?: FieldSchema;
}

/** What people may see and write of columns that the host added to a model of ours. */
export interface HostModelOptions {
  /** The columns that answers hold. Default: none, so that no column leaves the server by accident. */
  publicColumns?: readonly string[];
  /** The columns that requests may write, as `data`, each checked by its schema; the forms of the pages ask for them. Default: none. */
  fields?: Readonly<Record<string, SignUpField>>;
}

/** Something that people agree to, asked for when they sign up. */
export interface ConsentPurpose {
  /** A new version asks for a new consent: `2026-11`. */
  version: string;
  /** The sentence beside the box. One text, or one for each language. */
  label: string | Readonly<Record<string, string>>;
  /** Where it can be read: https, or a path of this site. */
  url?: string;
  /** Whether an account needs it, as it does of terms; default false, as for marketing. */
  required?: boolean;
}

/** Throw to refuse; runs inside the operation, before anything is stored. */
export interface Hooks {
  beforeSignUp?(input: { email: string; username?: string }): void | Promise<void>;
  beforeSignIn?(input: { user: User; amr: readonly string[]; ip: string | null }): void | Promise<void>;
}

/** Where `humanCheck` is asked. */
export type HumanCheckAction = 'signup' | 'login' | 'forgot';

/** What `humanCheck` is told of a request. */
export interface HumanCheckRequest {
  /**
   * What the widget produced: the body's `humanCheck`, `cf-turnstile-response`, `h-captcha-response`, `g-recaptcha-response` or `altcha`, or
   * the header `X-Human-Check`; null when there is none.
   */
  token: string | null;
  ip: string | null;
  headers: IncomingHttpHeaders;
}

/**
 * What the pages show for `humanCheck`, on the forms of sign-up, sign-in (by password and by mail) and forgotten passwords:
 *
 *     humanCheckWidget: {
 *       attributes: { class: 'cf-turnstile', 'data-sitekey': '…' },
 *       scripts: ['https://challenges.cloudflare.com/turnstile/v0/api.js'],
 *     }
 */
export interface HumanCheckWidget {
  /** The element that the service fills. Default `div`; others need one of their own, such as `altcha-widget`. */
  tag?: string;
  attributes: Readonly<Record<string, string>>;
  /** Addresses of its scripts, elsewhere on https or a path of this site. */
  scripts?: readonly string[];
  /** Further origins that its frames, styles, images and requests come from; those of its scripts are allowed already. On these pages only. */
  origins?: readonly string[];
}

/** What proves later that a seal of the audit log, and all before it, are still the same. */
export interface SealReceipt {
  number: number;
  mac: string;
  /** The time of the last entry that it covers. */
  to: Date;
  entries: number;
}

/** Colors are `#rrggbb`. What is left out keeps the default of `assets/authtuna.css`. */
export interface Palette {
  /** Buttons, links, focus. */
  accent?: string;
  /** Text on the accent; black or white by default, whichever reads better. */
  onAccent?: string;
  background?: string;
  surface?: string;
  text?: string;
  muted?: string;
  border?: string;
  danger?: string;
  success?: string;
}

export interface Brand {
  /** A path of this site, such as `/logo.svg`: pages load images from nowhere else. */
  logoUrl?: string;
  /** The logo on a dark background. Default: `logoUrl`. */
  logoDark?: string;
  /** For a logo that holds the name already. Default false. */
  hideName?: boolean;
  /** The icon of the browser's tab. Default: the browser's own choice, mostly `/favicon.ico`. */
  iconUrl?: string;
  /** A further stylesheet, after ours: a path of this site. */
  stylesheet?: string;
  colors?: { light?: Palette; dark?: Palette };
}

/** Where a thing of the host's own tables hangs in the tree of scopes. Default: directly below `global`, with no owner. */
export interface ScopePlace {
  parent?: string | null;
  /** The id of the user who owns it. */
  ownerId?: string | null;
}

/** Places by scope. What is left out or null does not exist. */
export type ScopePlaces =
  | ReadonlyMap<string, ScopePlace | null>
  | Readonly<Record<string, ScopePlace | null>>;

/** Everything `createAuthTuna` takes. Only `baseUrl` and `secrets` are required. */
export interface AuthTunaOptions {
  /**
   * Where the app is reached by browsers. Origin, cookie flags and links follow from it. `http:` on a loopback host means development. A path
   * (`https://example.com/shop`) is for a proxy that strips it before the app sees a request.
   */
  baseUrl: string;
  /** Newest first, each at least 32 characters: the first signs and seals, all verify and open. */
  secrets: readonly (string | undefined)[];
  /** Hops, or addresses and CIDRs, that may set X-Forwarded-For. Default: none. */
  trustedProxies?: number | readonly string[];
  /** Further origins whose unsafe requests pass the cross-site check. */
  trustedOrigins?: readonly string[];
  /** Who becomes the first superadmin, at `ready()`, while there is none. */
  bootstrapAdminEmail?: string | undefined;
  /** Shown on pages and in mails. Default: the host of `baseUrl`. */
  appName?: string | undefined;
  /** `file:…`, `libsql:…` or `postgresql:…`. Default: `file:./authtuna.db`. */
  databaseUrl?: string | undefined;
  /** The host's own generated client, instead of the shipped one. */
  prisma?: PrismaLike;
  /** What your schema calls our models: a prefix for all (`'Auth'` for `AuthUser`, `AuthSession`, …), or names for some (`{ User: 'AuthUser' }`). */
  models?: undefined;
  paths?: {
    auth?: string;
    /** Your own sign-in page. Browsers are sent there wherever they would be sent to ours. Default: our page below `auth`. */
    signIn?: string;
    account?: string;
    orgs?: string;
    admin?: string;
    /** Where a sign-in leads that began at no page of yours. Default `/`. */
    afterSignIn?: string;
    /** Where a sign-out leads. Default: the sign-in page. */
    afterSignOut?: string;
  };
  session?: {
    /** Default 3600; 7 days with remember me. */
    idleSeconds?: number;
    /** Default 86 400; 30 days with remember me. */
    absoluteSeconds?: number;
    /** What `idleSeconds` counts from. Default `last_activity`; `creation` ends a session that long after sign-in, used or not. */
    lifetimeFrom?: 'last_activity' | 'creation';
    /** Whether sign-in accepts `rememberMe`. Default true. */
    rememberMe?: boolean;
    /** Longest time a session is trusted from memory, in seconds; 0 asks the database every time. Default 10. */
    recheckSeconds?: number;
    /** Shortest time between two rotations of the cookie; 0 turns rotation off. Default 300. */
    rotateSeconds?: number;
    /** How long a replaced cookie still works after its successor was seen, in seconds. Default 30; at least 20, and twice `recheckSeconds`. */
    rotationGraceSeconds?: number;
    /** Until this long after its successor was seen, a replaced cookie is refused without being taken for a theft, in seconds. Default 180. */
    rotationForgiveSeconds?: number;
    /** Live sessions a user may have; the least recently used ends. Default 20. */
    maxPerUser?: number;
    /** Another browser, system or kind of device. Default by score: from 40 points the session must be proved again, from 80 it ends. */
    onDeviceChange?: ReactionToChange;
    /** Another country or continent, and nothing else; needs `region`. Default by score, which a region alone brings to a step-up at most. */
    onRegionChange?: ReactionToChange;
    /** Where a request comes from; a string is the country. Answers later than 50 ms count as none. */
    region?: (req: IncomingMessage, ip: string | null) => MaybePromise<string | Region | null>;
    /** Default `at_sess`, prefixed `__Host-` on https. */
    cookieName?: string;
    /** Shares the cookie with the hosts below this one; its prefix is `__Secure-` then. Default: the host of `baseUrl` alone. */
    cookieDomain?: string;
    /**
     * Default `lax`; `strict` shows visitors who follow a link from elsewhere as signed out. `none` is for pages on another *site* among
     * `trustedOrigins`, on https: all cookies of ours are sent from there, and every unsafe request with a cookie must then say where it
     * comes from.
     */
    sameSite?: 'lax' | 'strict' | 'none';
  };
  password?: {
    /** Default 15; 8 where a second factor is required of everyone from the first day (`mfa.requiredForRoles: ['user']`, no `graceDays`). */
    minLength?: number;
    /** Default 12; at least 10 on https. */
    bcryptCost?: number;
    /** A further secret mixed into every hash, at least 16 characters; passwords set with another one do not verify. Default: none. */
    pepper?: string;
    /** A further check, for example a breach service; answers later than 1 s or failing count as "not breached". */
    isBreached?: (password: string) => Promise<boolean>;
  };
  signUp?: {
    /** Default true. */
    enabled?: boolean;
    allowedEmailDomains?: readonly string[];
    /** Default: true where mail is configured. */
    requireVerifiedEmail?: boolean;
    /** Default `optional`. */
    username?: 'required' | 'optional' | 'off';
    /** Further fields of the form, columns of your own `User` model: needs `prisma`. */
    fields?: Readonly<Record<string, SignUpField>>;
  };
  user?: {
    /**
     * Columns of your own `User` model that may be sent to browsers: in the answers of sign-in, sign-up and the account, and in
     * `res.json(req.user)`. Default: none, so that no column leaves the server by accident. Needs `prisma`.
     */
    publicColumns?: readonly string[];
    /**
     * Your own user row, created together with ours in one transaction, where our user model (`models`) has a required relation to yours:
     *
     *     hostUser: { relation: 'hostUser', create: ({ email, data }) => ({ email, name: data.name }) }
     */
    hostUser?: {
      /** The relation of our user model that leads to yours. Default `hostUser`. */
      relation?: string;
      /** Gives the columns of your row, as Prisma's nested `create` takes them. */
      create(user: NewHostUser): Record<string, unknown>;
    };
  };
  /** Columns of your own in the model `Organization`. Needs `prisma`. */
  organization?: HostModelOptions;
  /** Columns of your own in the model `OrganizationProject`. Needs `prisma`. */
  project?: HostModelOptions;
  mfa?: {
    /** Shown in authenticator apps; without a colon, which splits their labels. Default: `appName` with spaces for colons. */
    issuer?: string;
    /** Codes of a set, 4 to 20. Default 10. */
    recoveryCodeCount?: number;
    /** Holders of these roles, at any scope, must have a second factor. */
    requiredForRoles?: readonly string[];
    /** How long a user who must have a second factor may do without. Default 0. */
    graceDays?: number;
    /** Who else must have a second factor; `auth` is the request's. Asked again when the session is looked at again. */
    policy?: (user: User, auth: Auth) => MaybePromise<'required' | 'optional'>;
  };
  passkeys?: {
    /** The domain that passkeys are made for; it can never change. Default: the host of `baseUrl`. */
    rpId?: string;
    /** Default: `appName`. */
    rpName?: string;
    /** Exact origins whose pages may use them. Default: the origin of `baseUrl`. */
    origins?: readonly string[];
    /** Whether a passkey is asked for after a password. Default true: who has one is protected by it whichever way is tried. */
    secondFactor?: boolean;
  };
  social?: {
    /** `google({ … })`, `github({ … })`, …, `oidc({ issuer, … })`. */
    providers?: readonly SocialProvider[];
    /**
     * Whether a provider's verified address enters the account that has verified the same address: for all providers, or for those named
     * by id. Default false: the person signs in as before and links from the account.
     */
    linkVerifiedEmails?: boolean | readonly string[];
    /** Looks up TXT records that prove an organization's domain. Default: the system's resolver. */
    resolveTxt?: (name: string) => Promise<string[][]>;
  };
  /** Tokens for apps and programs instead of cookies. */
  bearer?: {
    /** How long an access token is good for; at most and by default 600. */
    accessTokenSeconds?: number;
    /** How long refreshing goes on at most. Default 30 days; it also ends after 14 idle days. */
    refreshTokenSeconds?: number;
    /** `iss` of access tokens. Default: the origin of `baseUrl`. */
    issuer?: string;
    /** `aud` of access tokens. Default: the origin of `baseUrl`. */
    audience?: string;
    /** Default `HS256`, which only this app can check; with the others every server can, by `/auth/token/jwks`. */
    algorithm?: 'HS256' | 'EdDSA' | 'ES256';
    /**
     * Tokens that are bound to a key of the client (RFC 9449): `optional` for clients that send a proof, `required` of all. Default: tokens are
     * bound to no key.
     */
    dpop?: 'optional' | 'required';
  };
  apiKeys?: {
    /** How keys begin: `at_live_…`. Lower-case letters and digits, at most 16. Default `at`; keys with another prefix stop working. */
    prefix?: string;
    /** Keys in force that an account may have. Default 25. */
    maxPerUser?: number;
    /** Whether `?api_key=` in an address counts. Logs and browser histories keep addresses, so a key that was sent so is flagged. Default false. */
    allowQueryParameter?: boolean;
  };
  /** Signing in by mail. Default: both, where mail is configured. */
  passwordless?: {
    /** `bindToBrowser` (default true): the link signs in the browser that asked; elsewhere it asks for a code shown there. */
    magicLink?: boolean | { bindToBrowser?: boolean };
    /** Six digits, to be typed where they were asked for. */
    emailCode?: boolean;
  };
  /**
   * `from` is one mailbox, `App <noreply@example.com>`; `transport` is `smtp({ … })` or your own. Without it a developer's machine
   * keeps mails at `/auth/dev/mailbox`, and elsewhere none are sent.
   */
  mail?: { from: string; transport: MailTransport };
  /** A folder whose templates replace ours, file by file. */
  templatesDir?: string;
  /** Logo and colors of pages and mails. */
  brand?: Brand;
  /** Language of pages and mails where nothing better is known: `en` (default), `de`, or one that `templatesDir` adds. */
  locale?: string;
  /** The languages of pages and mails, among those that there are texts for. Default: all. */
  locales?: readonly string[];
  /** Where people find help: https, `mailto:` or a path of this site. Linked below every page, and where an account is suspended. */
  supportUrl?: string;
  /** Your terms of use, linked below every page. */
  termsUrl?: string;
  /** Your privacy policy, linked below every page. */
  privacyUrl?: string;
  /** Limits other than the defaults of {@link RATE_LIMITS}: `{ signUp: { limit: 10, windowSeconds: 3600 } }`. */
  rateLimits?: Partial<Record<RateLimitName, RateLimit>>;
  /**
   * Asked before every sign-up, sign-in by password or mail, and forgotten password: a CAPTCHA or a proof of work. True lets pass, false answers
   * 403; one that fails or takes longer than 5 s refuses with 503.
   */
  humanCheck?: (request: HumanCheckRequest, action: HumanCheckAction) => MaybePromise<boolean>;
  /** What those pages show for it. */
  humanCheckWidget?: HumanCheckWidget;
  /**
   * Shared rate limits and broadcast of revocations over Redis; needs the package `redis`. One server (`redis://`, `rediss://`), a cluster
   * (`redis+cluster://host:6379,host:6379`) or sentinels (`redis+sentinel://host:26379,host:26379/name`).
   */
  redisUrl?: string | undefined;
  impersonation?: {
    /** Mail people when an administrator begins to act as them. Default false. */
    notify?: boolean;
  };
  privacy?: {
    /** Days between asking for the own account to be deleted and its erasure, 0 to 90. Default 30. */
    deletionGraceDays?: number;
    /**
     * How addresses of clients stand in the audit log: `clear` (default), `truncated` to the /24 of IPv4 and the /48 of IPv6, or `off`. Entries
     * that are stored already stay as they are.
     */
    auditIp?: 'clear' | 'truncated' | 'off';
    /** What people agree to, by purpose: `{ terms: { version: '2026-11', label: 'I accept the terms', url: '/terms', required: true } }`. */
    consents?: Readonly<Record<string, ConsentPurpose>>;
  };
  audit?: {
    /** Days after which entries of the audit log are removed, 30 to 36 500. Default 400. */
    retentionDays?: number;
    /** Called with each seal once it is stored. Keep it in a place that writers to the database cannot change. A failure is logged. */
    onSeal?: (seal: SealReceipt) => MaybePromise<void>;
  };
  permissions?: PermissionCatalog;
  /** Created by `ready()`; `sync` says what becomes of those that are stored already. */
  roles?: RoleCatalog | SyncedRoles;
  /** Parent and owner of things in the host's own tables; null when there is no such thing. */
  resolveScope?: (scope: string) => Promise<ScopePlace | null>;
  /**
   * The same for up to 500 scopes at once, instead of `resolveScope`: one query for a page of things. What the answer leaves out does not
   * exist.
   */
  resolveScopes?: (scopes: readonly string[]) => Promise<ScopePlaces>;
  hooks?: Hooks;
  logger?: Logger;
  clock?: Clock;
  random?: Random;
}

/** The options of a host whose schema calls our models otherwise; its client is looked at when the instance is made. */
export interface RenamedModelsOptions extends Omit<AuthTunaOptions, 'prisma' | 'models'> {
  prisma: AnyPrisma;
  models: ModelNames;
}

/** Everything that `createAuthTuna` accepts. */
export type AnyOptions = AuthTunaOptions | RenamedModelsOptions;

type MaybePromise<T> = T | Promise<T>;
