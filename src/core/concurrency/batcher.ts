/**
 * Turns single look-ups made in one turn of the event loop into one query.
 *
 * While two queries are under way the next one waits and collects, so that load makes queries larger instead of more. `latest` joins only a
 * query that has not been sent yet, so its answer is never older than the question; `shared` may also join one that is under way. The query is
 * told whether anybody in it asked for the latest.
 */
export class Batcher<T> {
  readonly #read: (keys: string[], isLatest: boolean) => Promise<Map<string, T>>;
  #collecting: Batch<T> | null = null;
  readonly #underWay = new Map<string, Batch<T>>();
  #active = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(read: (keys: string[], isLatest: boolean) => Promise<Map<string, T>>) {
    this.#read = read;
  }

  latest(key: string): Promise<T | null> {
    const batch = this.#join(key);
    batch.isLatest = true;
    return answerOf(batch, key);
  }

  shared(key: string): Promise<T | null> {
    return answerOf(this.#underWay.get(key) ?? this.#join(key), key);
  }

  #join(key: string): Batch<T> {
    if (this.#collecting === null || this.#collecting.keys.size >= MAX_KEYS) this.#collecting = this.#open();
    this.#collecting.keys.add(key);
    return this.#collecting;
  }

  #open(): Batch<T> {
    const batch: Batch<T> = { keys: new Set(), isLatest: false, answer: Promise.resolve(new Map()) };
    batch.answer = this.#send(batch);
    return batch;
  }

  async #send(batch: Batch<T>): Promise<Map<string, T>> {
    // setImmediate runs after all sockets of this turn were read, so requests that arrived together are asked about together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#active >= MAX_ACTIVE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#collecting === batch) this.#collecting = null;
    this.#active += 1;
    for (const key of batch.keys) this.#underWay.set(key, batch);
    try {
      return await this.#read([...batch.keys], batch.isLatest);
    } finally {
      this.#active -= 1;
      for (const key of batch.keys) if (this.#underWay.get(key) === batch) this.#underWay.delete(key);
      this.#waiting.shift()?.();
    }
  }
}

const MAX_ACTIVE = 2;
const MAX_KEYS = 500; // what is read at once is also taken apart at once, while nothing else runs

interface Batch<T> {
  keys: Set<string>;
  isLatest: boolean;
  answer: Promise<Map<string, T>>;
}

async function answerOf<T>(batch: Batch<T>, key: string): Promise<T | null> {
  return (await batch.answer).get(key) ?? null;
}
