import { AuthTunaError } from '../errors.js';
import { inTime } from '../time.js';

/**
 * Resolves with what `work` gives, or rejects after `limitMs`, so that waits of single statements do not add up. What `work` does afterwards is
 * not undone.
 *
 * @throws AuthTunaError `unavailable` with the reason `too_slow`, or what `work` throws
 */
export async function answeredIn<T>(limitMs: number, work: () => Promise<T> | T): Promise<T> {
  let isLate = true;
  try {
    return await inTime('the request', limitMs, async () => {
      try {
        return await work();
      } finally {
        isLate = false;
      }
    });
  } catch (error) {
    if (!isLate) throw error;
    throw new AuthTunaError('unavailable', { retryAfterSeconds: 2, reason: 'too_slow' }, { cause: error });
  }
}
