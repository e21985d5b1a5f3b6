/** `date` plus a number of seconds. */
export function after(date: Date, seconds: number): Date {
  return new Date(date.getTime() + seconds * 1000);
}

/**
 * Resolves with what `work` gives, or rejects after `limitMs`. A late result or rejection is ignored.
 *
 * @param subject of the error's sentence: `the database`
 * @throws Error `<subject> took longer than <limitMs> ms`, or what `work` throws
 */
export async function inTime<T>(subject: string, limitMs: number, work: () => PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${subject} took longer than ${limitMs} ms`)), limitMs);
    timer.unref();
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * How far the clocks of instances may differ. A stored time that lies further ahead than anything could have set it was written by a clock that
 * was wrong, and is not believed.
 */
export const MAX_SKEW_SECONDS = 300;
