import type { Config } from '../../config/config.js';
import type { Hooks } from '../../config/options.js';
import { AuthTunaError } from '../../errors.js';

/**
 * Asks a hook of the host. Everything that it throws refuses: an `AuthTunaError`, or an error with a `status` of 400 to 499, as it says; all else
 * with 403 and a line in the log.
 *
 * @throws what the hook throws; AuthTunaError `forbidden`
 */
export async function askHook(
  { hooks, logger }: Pick<Config, 'hooks' | 'logger'>,
  name: keyof Hooks,
  ask: (hooks: Hooks) => void | Promise<void>,
): Promise<void> {
  try {
    await ask(hooks);
  } catch (error) {
    if (error instanceof AuthTunaError || saysItsStatus(error)) throw error;
    logger.warn(`hooks.${name} threw an error, so the request was refused.`, { error });
    throw new AuthTunaError('forbidden', {}, { cause: error });
  }
}

function saysItsStatus(error: unknown): boolean {
  const status = error instanceof Error ? Number((error as { status?: unknown }).status) : Number.NaN;
  return status >= 400 && status < 500;
}
