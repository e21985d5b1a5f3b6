/**
 * What `work` gives, if it does so soon enough. What comes later is not waited for, and its failure is nobody's.
 *
 * @param what the subject of the error: `the database`
 * @throws Error `<what> took longer than <limitMs> ms`, or whatever `work` throws
 */
export async function inTime<T>(what: string, limitMs: number, work: () => PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
    timer.unref();
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
