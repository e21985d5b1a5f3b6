/**
 * Turns single look-ups made in one turn of the event loop into one query.
 *
 * `latest` joins only a query that has not been sent yet, so its answer is never older than the question; `shared` may also join one
 * that is under way.
 */
export class Batcher<T> {
  readonly #read: (keys: string[]) => Promise<Map<string, T>>;
  #collecting: Batch<T> | null = null;
  readonly #underWay = new Map<string, Batch<T>>();

  constructor(read: (keys: string[]) => Promise<Map<string, T>>) {
    this.#read = read;
  }

  async latest(key: string): Promise<T | null> {
    this.#collecting ??= this.#open();
    const batch = this.#collecting;
    batch.keys.add(key);
    return (await batch.answer).get(key) ?? null;
  }

  async shared(key: string): Promise<T | null> {
    const batch = this.#underWay.get(key);
    return batch === undefined ? this.latest(key) : ((await batch.answer).get(key) ?? null);
  }

  #open(): Batch<T> {
    const keys = new Set<string>();
    // setImmediate runs after all sockets of this turn were read, so requests that arrived together are asked about together.
    const answer = new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
      this.#collecting = null;
      for (const key of keys) this.#underWay.set(key, batch);
      try {
        return await this.#read([...keys]);
      } finally {
        for (const key of keys) if (this.#underWay.get(key) === batch) this.#underWay.delete(key);
      }
    });
    const batch: Batch<T> = { keys, answer };
    return batch;
  }
}

interface Batch<T> {
  keys: Set<string>;
  answer: Promise<Map<string, T>>;
}
