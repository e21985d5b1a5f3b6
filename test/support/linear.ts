const SIZES = [5_000, 50_000] as const;
const TRIES = 7;
const LEAST_MS = 0.2; // below this a clock measures itself

/**
 * How many times longer work takes on a text that is ten times longer: about 10 for linear work, 100 for quadratic. The best of several tries
 * counts, so that it does not hang on what else the machine does.
 */
export function growthOf(textOf: (size: number) => string, work: (text: string) => void): number {
  const [short, long] = SIZES.map((size) => {
    const text = textOf(size);
    const times = Array.from({ length: TRIES }, () => {
      const began = performance.now();
      work(text);
      return performance.now() - began;
    });
    return Math.max(LEAST_MS, Math.min(...times));
  });
  return (long as number) / (short as number);
}

/** `part`, as often as it takes to fill `size` characters. */
export const filled = (part: string) => (size: number) => part.repeat(Math.ceil(size / part.length));
