/**
 * Turns single look-ups made in one turn of the event loop into one query.
 *
 * While two queries are under way the next one waits and collects, so that load makes queries larger instead of more. `latest` joins only a
 * query that has not been sent yet, so its answer is never older than the question; `shared` may also join one that is under way.
 */
export class Batcher<T> {
  readonly #read: (keys: string[]) => Promise<Map<string, T>>;
  #collecting: Batch<T> | null = null;
  readonly #underWay = new Map<string, Batch<T>>();
  #active = 0;
  readonly #waiting: (() => void)[] = [];

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
    const batch: Batch<T> = { keys: new Set(), answer: Promise.resolve(new Map()) };
    batch.answer = this.#send(batch);
    return batch;
  }

  async #send(batch: Batch<T>): Promise<Map<string, T>> {
    // setImmediate runs after all sockets of this turn were read, so requests that arrived together are asked about together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#active >= MAX_ACTIVE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#collecting = null;
    this.#active += 1;
    for (const key of batch.keys) this.#underWay.set(key, batch);
    try {
      return await this.#read([...batch.keys]);
    } finally {
      this.#active -= 1;
      for (const key of batch.keys) if (this.#underWay.get(key) === batch) this.#underWay.delete(key);
      this.#waiting.shift()?.();
    }
  }
}

const MAX_ACTIVE = 2;

interface Batch<T> {
  keys: Set<string>;
  answer: Promise<Map<string, T>>;
}
