import type { Topic } from './invalidation.js';

const READ_SECONDS = 60; // longer than any read may take, and an answer on its way whose credential is still of use

/**
 * Tells whether something that was read is known to have changed since.
 *
 * Invalidations are numbered and remembered for as long as anything read before them could still be used. What was read counts only if the read
 * began after the last invalidation that concerns it, which also settles reads that were under way.
 */
export class InvalidationLog {
  /** How many invalidations there have been. A read notes this number before it begins. */
  count = 0;
  readonly #keptMs: number;
  readonly #last = new Map<Topic, { number: number; at: number }>();

  /** @param trustedMs how long what was read is used */
  constructor(trustedMs: number) {
    this.#keptMs = trustedMs + READ_SECONDS * 1000;
  }

  /** @param now milliseconds */
  note(topics: readonly Topic[], now: number): void {
    this.count += 1;
    const outlived = now - this.#keptMs;
    for (const [topic, { at }] of this.#last) {
      if (at > outlived) break; // in the order they came
      this.#last.delete(topic);
    }
    for (const topic of topics) {
      if (topic.startsWith('scope:')) continue; // chains are kept elsewhere
      this.#last.delete(topic);
      this.#last.set(topic, { number: this.count, at: now });
    }
  }

  /** Whether a topic has changed since the read that noted `count`. */
  hasChanged(topic: Topic, count: number): boolean {
    return (this.#last.get(topic)?.number ?? 0) > count;
  }
}
