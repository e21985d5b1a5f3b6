import { readFileSync } from 'node:fs';
import { misconfigured } from '../errors.js';
import type { AuthTunaOptions } from './options.js';

/**
 * Options from `AUTHTUNA_*` variables: `BASE_URL`, `SECRETS` (newest first, separated by commas; or `SECRET` where there is only one),
 * `DATABASE_URL`, `TRUSTED_PROXIES` (a number or addresses), `TRUSTED_ORIGINS`, `APP_NAME`, `BOOTSTRAP_ADMIN_EMAIL`, `REDIS_URL`,
 * `PASSWORD_PEPPER`. With `_FILE` behind the name, the value is read from that file, for mounted secrets.
 *
 * @throws AuthTunaError `misconfigured` for an unknown `AUTHTUNA_` variable, so that a misspelt one does not go unnoticed
 */
export function optionsFromEnv(env: Record<string, string | undefined>): AuthTunaOptions {
  const values = new Map<string, string>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('AUTHTUNA_') || value === undefined || value === '') continue;
    const fromFile = variable.endsWith('_FILE');
    const name = variable.slice('AUTHTUNA_'.length, fromFile ? -'_FILE'.length : undefined);
    if (!KNOWN.has(name))
      throw misconfigured(
        `${variable} is not a setting; known are ${[...KNOWN].map((known) => `AUTHTUNA_${known}`).join(', ')}`,
      );
    values.set(name, fromFile ? readMounted(variable, value) : value);
  }
  const text = (name: string) => values.get(name);
  const list = (name: string) =>
    values
      .get(name)
      ?.split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  const proxies = text('TRUSTED_PROXIES');
  const pepper = text('PASSWORD_PEPPER');
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
  };
}

const KNOWN = new Set([
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
]);

function readMounted(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw misconfigured(`${variable} names a file that cannot be read: ${path}`, cause);
  }
}
