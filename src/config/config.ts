import { availableParallelism } from 'node:os';
import { systemRandom } from '../crypto/random.js';
import { AuthTunaError } from '../errors.js';
import { checkOptions, checkPasskeys, checkSecrets, checkSession } from './checks.js';
import type { AnyOptions, AuthTunaOptions, Clock, Logger, RoleCatalog, RoleSync } from './options.js';
import { type ParsedOptions, schema } from './schema.js';
import { parseBaseUrl } from './urls.js';

export const SYSTEM_CLOCK: Clock = { now: () => new Date() };
export const DEFAULT_DATABASE_URL = 'file:./authtuna.db';

/** The clock's time in milliseconds, for what every request asks. Makes no `Date` with the system's clock. */
export function millisecondsOf(clock: Clock): () => number {
  return clock === SYSTEM_CLOCK ? () => Date.now() : () => clock.now().getTime();
}

/** The parsed, complete, frozen configuration that everything else is built from. */
export type Config = Readonly<ReturnType<typeof parseConfig>>;

/**
 * Checks the options and fills in every default.
 *
 * @throws AuthTunaError `misconfigured`, naming every problem at once and what to write instead; no secret is in the message
 */
export function parseConfig(options: AnyOptions) {
  const result = schema.safeParse(options);
  if (!result.success) throw misshapen(options, result.error.issues);
  const found: string[] = [];
  const base = parseBaseUrl(result.data.baseUrl, found);
  const isSecure = base.protocol === 'https:';
  const config = completed(result.data, base, isSecure);
  checkOptions(result.data, isSecure, found);
  checkPasskeys(config.passkeys, base, found);
  if (found.length > 0) throw problems(found);
  return config;
}

/** The error for options of a wrong shape. Options of the right shape are checked as well, so that all problems are named at once. */
function misshapen(
  options: AnyOptions,
  issues: readonly { code?: string; path: PropertyKey[]; message: string; keys?: string[] }[],
): AuthTunaError {
  const found = issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${nameOf([...issue.path, (issue.keys ?? []).join(', ')])}: is not an option`
      : `${nameOf(issue.path)}: ${issue.message}`,
  );
  const isShaped = (name: keyof AuthTunaOptions) => !issues.some(({ path: [first] }) => first === name);
  const isSecure = isShaped('baseUrl') && parseBaseUrl(options.baseUrl, found).protocol === 'https:';
  if (isShaped('secrets')) checkSecrets(schema.shape.secrets.parse(options.secrets), isSecure, found);
  if (isShaped('session')) checkSession(schema.shape.session.parse(options.session), found);
  return problems(found);
}

/** The options with the defaults that depend on other options. */
function completed(parsed: ParsedOptions, base: URL, isSecure: boolean) {
  const { session, mail } = parsed;
  const appName = parsed.appName ?? base.hostname;
  return Object.freeze({
    ...parsed,
    baseUrl: base.origin,
    origin: base.origin,
    ...publicPaths(parsed.paths, base),
    isSecure,
    origins: new Set([base.origin, ...parsed.trustedOrigins]),
    appName,
    databaseUrl: parsed.databaseUrl ?? (parsed.prisma === undefined ? DEFAULT_DATABASE_URL : undefined),
    session: Object.freeze({
      ...session,
      idleSeconds: session.idleSeconds ?? 3600,
      absoluteSeconds: session.absoluteSeconds ?? 86_400,
      rememberedIdleSeconds: Math.max(session.idleSeconds ?? 0, 7 * 86_400),
      rememberedAbsoluteSeconds: Math.max(session.absoluteSeconds ?? 0, 30 * 86_400),
    }),
    bearer: Object.freeze({
      ...parsed.bearer,
      issuer: parsed.bearer.issuer ?? base.origin,
      audience: parsed.bearer.audience ?? base.origin,
    }),
    password: Object.freeze({
      ...parsed.password,
      minLength: parsed.password.minLength ?? (isFactorForced(parsed.mfa) ? 8 : 15),
    }),
    signUp: Object.freeze({
      ...parsed.signUp,
      requireVerifiedEmail: parsed.signUp.requireVerifiedEmail ?? mail !== undefined,
    }),
    // A developer's machine keeps mails in a mailbox of its own.
    passwordless: passwordlessOf(parsed.passwordless, mail !== undefined || !isSecure),
    mfa: Object.freeze({ ...parsed.mfa, issuer: parsed.mfa.issuer ?? withoutColons(appName) }),
    passkeys: Object.freeze({
      ...parsed.passkeys,
      rpId: parsed.passkeys.rpId ?? base.hostname,
      rpName: parsed.passkeys.rpName ?? appName,
      origins: parsed.passkeys.origins ?? [base.origin],
    }),
    ...rolesOf(parsed.roles),
    hashConcurrency: availableParallelism(),
    hooks: parsed.hooks ?? {},
    logger: parsed.logger ?? (console as Logger),
    clock: parsed.clock ?? SYSTEM_CLOCK,
    random: parsed.random ?? systemRandom,
  });
}

/** The declared roles, and apart from them what is done with those that are stored already. */
function rolesOf(given: ParsedOptions['roles']): { roles: RoleCatalog; roleSync: RoleSync } {
  const { sync = 'report', ...roles } = given ?? {};
  return { roles: roles as RoleCatalog, roleSync: sync };
}

function passwordlessOf({ magicLink, emailCode }: ParsedOptions['passwordless'], canMail: boolean) {
  const link = magicLink ?? canMail;
  return Object.freeze({
    magicLink: {
      enabled: link !== false,
      bindToBrowser: typeof link === 'object' ? (link.bindToBrowser ?? true) : true,
    },
    emailCode: emailCode ?? canMail,
  });
}

/** Authenticator apps take the text before the first colon of a label for the issuer. */
function withoutColons(name: string): string {
  return name.replace(/\s*:+\s*/g, ' ').trim() || 'AuthTuna';
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

/**
 * Whether no password alone ever opens an account: everybody has the role `user`, and with days of grace it would. What `policy` says of
 * whom cannot be known beforehand.
 * @see NIST SP 800-63B-4 3.1.1.2; docs/requirements.md PW-1
 */
function isFactorForced(mfa: ParsedOptions['mfa']): boolean {
  return mfa.requiredForRoles.includes('user') && mfa.graceDays === 0;
}

/** Where routers are mounted, and the same paths as browsers see them: below a prefix that a proxy strips. */
function publicPaths(paths: ParsedOptions['paths'], base: URL) {
  const { auth, account, orgs, admin, afterSignIn = '/' } = paths;
  const signIn = paths.signIn ?? `${auth}/login`;
  const afterSignOut = paths.afterSignOut ?? signIn;
  const prefix = base.pathname.replace(/\/$/, '');
  return {
    prefix,
    homeUrl: prefix === '' ? base.origin : `${base.origin}${prefix}/`,
    mountPaths: Object.freeze({ auth, account, orgs, admin }),
    paths: Object.freeze({
      auth: prefix + auth,
      signIn: prefix + signIn,
      hasOwnSignIn: paths.signIn !== undefined,
      account: prefix + account,
      orgs: prefix + orgs,
      admin: prefix + admin,
      afterSignIn: prefix + afterSignIn,
      afterSignOut: prefix + afterSignOut,
    }),
  };
}
