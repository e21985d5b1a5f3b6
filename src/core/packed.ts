/** An object kept small while nobody looks at it: times as numbers, lists shared. */
export type Packed<T> = { readonly [K in keyof T]: unknown } & { readonly of?: T };

const MAX_SHARED = 1000;

/**
 * Packs objects that all have the same keys. A `Date` takes a hundred bytes and a list three words of its own; fifty thousand cached rows make
 * that worth leaving out. An object and not a list of values, because V8 copies an object of a known shape in one go.
 */
export class Packer<T extends object> {
  /** Times are kept as the distance to this, which is a small integer for what happened lately. */
  readonly #epoch: number;
  /** The keys that have held a time or a list; whatever else they hold in another row is told apart by its type. */
  #times: readonly string[] = [];
  #listKeys: readonly string[] = [];
  readonly #lists = new Map<string, readonly unknown[]>();

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  pack(object: T): Packed<T> {
    const packed: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(object)) {
      if (value instanceof Date) {
        if (!this.#times.includes(key)) this.#times = [...this.#times, key];
        packed[key] = value.getTime() - this.#epoch;
      } else if (Array.isArray(value)) {
        if (!this.#listKeys.includes(key)) this.#listKeys = [...this.#listKeys, key];
        packed[key] = this.#shared(value);
      } else {
        packed[key] = value;
      }
    }
    return packed as Packed<T>;
  }

  /** The object again, new at every call, so that whoever changes it changes nothing that is kept. */
  unpack(packed: Packed<T>): T {
    const object: Record<string, unknown> = { ...packed };
    for (const key of this.#times) {
      const value = object[key];
      if (typeof value === 'number') object[key] = new Date(value + this.#epoch);
    }
    for (const key of this.#listKeys) {
      const value = object[key];
      if (Array.isArray(value)) object[key] = [...value];
    }
    return object as T;
  }

  /** The same list as one that was packed before: there are few ways to sign in. */
  #shared(list: readonly unknown[]): readonly unknown[] {
    const key = JSON.stringify(list);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    if (this.#lists.size < MAX_SHARED) this.#lists.set(key, list);
    return list;
  }
}
