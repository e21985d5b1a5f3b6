/** The kinds of topic that name one thing by its id. */
export const TOPIC_KINDS = ['session', 'user', 'scope', 'api_key', 'uses'] as const;

/**
 * What has changed: `session:<id>`, `user:<id>`, `scope:<id>`, `api_key:<id>`, `roles`, `webhooks`, or `all` where it is not known what.
 * `uses:<user id>` is no change: it asks every instance to write down when the sessions of a user were last used there.
 */
export type Topic = 'all' | 'roles' | 'webhooks' | `${(typeof TOPIC_KINDS)[number]}:${string}`;

/** Carries topics to the other instances. Losing it costs latency, never correctness. */
export interface Bus {
  publish(topics: readonly Topic[]): Promise<void>;
}

/**
 * Ends what is held in memory when the truth behind it has changed: at once in this process, and over the bus in the others.
 */
export class Invalidation {
  readonly #listeners = new Set<(topics: readonly Topic[]) => void>();
  #bus: Bus | null = null;

  /** @returns a function that ends the subscription */
  subscribe(listener: (topics: readonly Topic[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  attach(bus: Bus | null): void {
    this.#bus = bus;
  }

  /** Tells this process, then the others. */
  publish(topics: readonly Topic[]): void {
    this.receive(topics);
    this.#bus?.publish(topics).catch(() => {}); // the bus reports its own health; every cache ends within recheckSeconds anyway
  }

  /** Topics that arrived from another instance. */
  receive(topics: readonly Topic[]): void {
    for (const listener of this.#listeners) listener(topics);
  }
}
