import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { assemble } from '../authtuna.js';
import { optionsFromEnv } from '../env.js';
import { AuthTunaError } from '../errors.js';
import { type Parts, partsOf } from '../parts.js';

/** The option of commands that work with the app's own AuthTuna instead of one made from the environment. */
export const APP_OPTION = { app: { type: 'string' } } as const;

/**
 * Runs work with an instance, and closes it: that of the app's module `app`, or one made from the environment. Sign-up and mail play no part
 * in a command.
 *
 * @throws AuthTunaError `invalid_input` for a module that exports no AuthTuna
 */
export async function withInstance<T>(
  app: string | undefined,
  work: (authTuna: Parts['authTuna'], parts: Parts) => Promise<T>,
): Promise<T> {
  const parts = app === undefined ? fromEnvironment() : await fromModule(app);
  const { authTuna, client } = parts;
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
  const authTuna = assemble({
    ...optionsFromEnv(process.env),
    signUp: { enabled: false },
    logger: silent,
  });
  return partsOf(authTuna) as Parts;
}

async function fromModule(path: string): Promise<Parts> {
  const file = resolve(path);
  if (!existsSync(file))
    throw new AuthTunaError('invalid_input', { message: `--app ${path}: there is no such file.` });
  const exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  const values = [exported.authTuna, exported.default, ...Object.values(exported)];
  const [parts] = values.flatMap((value) => partsOf(value) ?? []);
  if (parts === undefined)
    throw new AuthTunaError('invalid_input', {
      message: `--app ${path}: the module exports no AuthTuna. Write in it: export const authTuna = createAuthTuna({ … })`,
    });
  return parts;
}
