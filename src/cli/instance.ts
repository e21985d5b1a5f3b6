import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { assemble } from '../authtuna.js';
import { DEFAULT_DATABASE_URL } from '../config/config.js';
import { databaseName } from '../db/start-problem.js';
import { optionsFromEnv } from '../env.js';
import { AuthTunaError, misconfigured } from '../errors.js';
import { type Parts, partsOf } from '../parts.js';

/** The option of commands that work with the app's own AuthTuna instead of one made from the environment. */
export const APP_OPTION = { app: { type: 'string' } } as const;

/**
 * Runs work with an instance, and closes it. Says on standard error which database that is. The instance is that of the app's module `app`, or one made from the environment. Sign-up and mail play no part
 * in a command.
 *
 * @throws AuthTunaError `invalid_input` for a module that exports no AuthTuna; `misconfigured` where neither a module nor the variables say
 * which database
 */
export async function withInstance<T>(
  app: string | undefined,
  work: (authTuna: Parts['authTuna'], parts: Parts) => Promise<T>,
): Promise<T> {
  const parts = app === undefined ? fromEnvironment() : await fromModule(app);
  const { authTuna, client, core } = parts;
  process.stderr.write(`Database: ${databaseName(core.config.databaseUrl)}\n`);
  try {
    await authTuna.ready();
    await authTuna.jobs.stop(); // a command does its own work only
    return await work(authTuna, parts);
  } finally {
    await authTuna.close();
    if (app !== undefined) await client.$disconnect(); // the host's own client would keep the process alive
  }
}

function fromEnvironment(): Parts {
  const silent = { debug() {}, info() {}, warn: console.warn, error: console.error };
  const options = optionsFromEnv(process.env);
  const missing = [
    ...(options.baseUrl === undefined ? ['AUTHTUNA_BASE_URL'] : []),
    ...(options.secrets === undefined ? ['AUTHTUNA_SECRETS'] : []),
  ];
  if (missing.length > 0)
    throw misconfigured(
      `set ${missing.join(' and ')} as your app does (a file .env in this folder is read), or name the module of your app: --app ./auth.js`,
    );
  const authTuna = assemble({
    ...options,
    databaseUrl: databaseUrlOf(options.databaseUrl),
    signUp: { enabled: false },
    logger: silent,
  });
  return partsOf(authTuna) as Parts;
}

/**
 * The database that was named; the default one only where it exists: a command must not make an empty database and report success.
 *
 * @throws AuthTunaError `misconfigured`
 */
export function databaseUrlOf(given: string | undefined): string {
  if (given !== undefined) return given;
  if (existsSync(DEFAULT_DATABASE_URL.slice('file:'.length))) return DEFAULT_DATABASE_URL;
  throw misconfigured(
    `AUTHTUNA_DATABASE_URL is not set, and there is no ${DEFAULT_DATABASE_URL} in this folder: name the database of your app`,
  );
}

async function fromModule(path: string): Promise<Parts> {
  const file = resolve(path);
  if (!existsSync(file))
    throw new AuthTunaError('invalid_input', { message: `--app ${path}: there is no such file.` });
  console.info = console.error; // what the app logs must not stand between the lines of the answer
  console.debug = console.error;
  const exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  const values = [exported.authTuna, exported.default, ...Object.values(exported)];
  const [parts] = values.flatMap((value) => partsOf(value) ?? []);
  if (parts === undefined)
    throw new AuthTunaError('invalid_input', {
      message: `--app ${path}: the module exports no AuthTuna. Write in it: export const authTuna = createAuthTuna({ … })`,
    });
  return parts;
}
