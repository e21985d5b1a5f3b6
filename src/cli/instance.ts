import { assemble } from '../authtuna.js';
import type { AuthTuna } from '../authtuna-interface.js';
import { optionsFromEnv } from '../config/env.js';
import type { SealedColumn } from '../core/changes/reseal.js';
import type { SignInCore } from '../core/sign-in/create-sign-in.js';

/** Runs work with an instance made from the environment, and closes it. Sign-up and mail play no part in a command. */
export async function withInstance<T>(
  work: (authTuna: AuthTuna, core: SignInCore, sealed: readonly SealedColumn[]) => Promise<T>,
): Promise<T> {
  const silent = { debug() {}, info() {}, warn: console.warn, error: console.error };
  const { authTuna, core, sealed } = assemble({
    ...optionsFromEnv(process.env),
    signUp: { enabled: false },
    logger: silent,
  });
  try {
    await authTuna.ready();
    await authTuna.jobs.stop(); // a command does its own work only
    return await work(authTuna as unknown as AuthTuna, core as unknown as SignInCore, sealed);
  } finally {
    await authTuna.close();
  }
}
