import { LRUCache } from 'lru-cache';

/**
 * A memory of at most `max` entries, which forgets the least recently used first.
 *
 * It grows as it is used. `LRUCache` with its own `max` takes room for all entries when it is made, which for ours together is a tenth of a
 * second and some ten megabytes at every start.
 */
export function rememberAtMost<V extends {}>(max: number): LRUCache<string, V> {
  return new LRUCache<string, V>({ maxSize: max, sizeCalculation: () => 1 });
}
