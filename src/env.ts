import { readFileSync } from 'node:fs';
import type { AuthTunaOptions } from './config/options.js';
import { misconfigured } from './errors.js';
import { type SmtpOptions, smtp } from './mail/smtp.js';

/** Where warnings go; `console` fits. */
interface Warner {
  warn(message: string): void;
}

const PREFIX = 'AUTHTUNA_';

const KNOWN = [
  'BASE_URL',
  'SECRETS',
  'SECRET',
  'DATABASE_URL',
  'TRUSTED_PROXIES',
  'TRUSTED_ORIGINS',
  'APP_NAME',
  'BOOTSTRAP_ADMIN_EMAIL',
  'REDIS_URL',
  'PASSWORD_PEPPER',
  'MAIL_FROM',
  'SMTP_URL',
] as const;
type Name = (typeof KNOWN)[number];

/**
 * Options from `AUTHTUNA_*` variables: `BASE_URL`, `SECRETS` (newest first, separated by commas; or `SECRET` where there is only one),
 * `DATABASE_URL`, `TRUSTED_PROXIES` (a number or addresses), `TRUSTED_ORIGINS`, `APP_NAME`, `BOOTSTRAP_ADMIN_EMAIL`, `REDIS_URL`,
 * `PASSWORD_PEPPER`, `MAIL_FROM` and `SMTP_URL` (`smtp://user:password@host:587`, or `smtps:`). With `_FILE` behind the name, the value is
 * read from that file, for mounted secrets. Spaces around a value are dropped, and an empty value is none.
 *
 * Variables that Kubernetes makes for a Service called `authtuna` are ignored. A variable that looks like one of these in another spelling
 * (`AUTH_TUNA_SECRET`) is named in a warning.
 *
 * @throws AuthTunaError `misconfigured` for an unknown `AUTHTUNA_` variable, so that a misspelled one does not go unnoticed
 */
export function optionsFromEnv(
  env: Record<string, string | undefined>,
  { logger = console }: { logger?: Warner } = {},
): AuthTunaOptions {
  const values = readVariables(env, logger);
  const text = (name: Name) => values.get(name);
  const list = (name: Name) =>
    values
      .get(name)
      ?.split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  const proxies = text('TRUSTED_PROXIES');
  const pepper = text('PASSWORD_PEPPER');
  const mail = mailOf(text('MAIL_FROM'), text('SMTP_URL'));
  return {
    baseUrl: text('BASE_URL') as string,
    secrets: (list('SECRETS') ?? list('SECRET')) as string[],
    ...(text('DATABASE_URL') !== undefined && { databaseUrl: text('DATABASE_URL') }),
    ...(proxies !== undefined && {
      trustedProxies: /^\d+$/.test(proxies) ? Number(proxies) : (list('TRUSTED_PROXIES') ?? []),
    }),
    ...(list('TRUSTED_ORIGINS') !== undefined && { trustedOrigins: list('TRUSTED_ORIGINS') }),
    ...(text('APP_NAME') !== undefined && { appName: text('APP_NAME') }),
    ...(text('BOOTSTRAP_ADMIN_EMAIL') !== undefined && {
      bootstrapAdminEmail: text('BOOTSTRAP_ADMIN_EMAIL'),
    }),
    ...(text('REDIS_URL') !== undefined && { redisUrl: text('REDIS_URL') }),
    ...(pepper !== undefined && { password: { pepper } }),
    ...(mail !== undefined && { mail }),
  };
}

/** The values of our variables, by name without the prefix. */
function readVariables(env: Record<string, string | undefined>, logger: Warner): Map<Name, string> {
  const values = new Map<Name, string>();
  const services = servicesIn(env);
  for (const [variable, given = ''] of Object.entries(env)) {
    const value = given.trim();
    if (value === '' || services.some((made) => made.test(variable))) continue;
    if (!variable.startsWith(PREFIX)) {
      const meant = nearMiss(variable);
      if (meant !== null)
        logger.warn(`The variable ${variable} is not read. If it is meant for AuthTuna, call it ${meant}.`);
      continue;
    }
    const fromFile = variable.endsWith('_FILE');
    const name = variable.slice(PREFIX.length, fromFile ? -'_FILE'.length : undefined);
    if (!isKnown(name))
      throw misconfigured(
        `${variable} is not a setting; known are ${KNOWN.map((known) => PREFIX + known).join(', ')}`,
      );
    if (values.has(name)) throw misconfigured(`set ${PREFIX}${name} or ${PREFIX}${name}_FILE, not both`);
    values.set(name, fromFile ? readMounted(variable, value) : value);
  }
  return values;
}

function isKnown(name: string): name is Name {
  return (KNOWN as readonly string[]).includes(name);
}

/** What Kubernetes sets for its Services whose names begin with `authtuna`, such as `AUTHTUNA_DB_PORT_5432_TCP_ADDR`. */
function servicesIn(env: Record<string, unknown>): RegExp[] {
  return Object.keys(env).flatMap((variable) => {
    const [, service] = /^(AUTHTUNA(?:_[A-Z0-9]+)*)_SERVICE_HOST$/.exec(variable) ?? [];
    return service === undefined
      ? []
      : [
          new RegExp(
            `^${service}_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`,
          ),
        ];
  });
}

/** The variable that a differently written one probably means; null where it resembles none. */
function nearMiss(variable: string): string | null {
  const plain = (name: string) => name.toUpperCase().replace(/[^A-Z0-9]/g, '');
  const written = plain(variable);
  const meant = KNOWN.flatMap((name) => [PREFIX + name, `${PREFIX}${name}_FILE`]).find(
    (name) => plain(name) === written,
  );
  return meant ?? null;
}

function mailOf(from: string | undefined, url: string | undefined): AuthTunaOptions['mail'] {
  if (from === undefined && url === undefined) return undefined;
  if (from === undefined || url === undefined)
    throw misconfigured(
      `${PREFIX}MAIL_FROM and ${PREFIX}SMTP_URL belong together: App <noreply@example.com> and smtp://user:password@smtp.example.com:587`,
    );
  return { from, transport: smtp(smtpOptionsOf(url)) };
}

/** The URL is never in the message: it holds a password. */
function smtpOptionsOf(value: string): SmtpOptions {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '' || /[^/]/.test(url.pathname))
    throw misconfigured(
      `${PREFIX}SMTP_URL must look like smtp://user:password@smtp.example.com:587. Write @ : / # ? and % in the password as %40 %3A %2F %23 %3F %25`,
    );
  if (url.search !== '')
    throw misconfigured(`${PREFIX}SMTP_URL takes no parameters; use smtp({ … }) in code`);
  try {
    return {
      host: url.hostname,
      ...(url.port !== '' && { port: Number(url.port) }),
      ...(url.protocol === 'smtps:' && { secure: true }),
      ...(url.username !== '' && { user: decodeURIComponent(url.username) }),
      ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
    };
  } catch {
    throw misconfigured(`${PREFIX}SMTP_URL: a % in user or password must be written as %25`);
  }
}

function readMounted(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw misconfigured(`${variable} names a file that cannot be read: ${path}`, cause);
  }
}
