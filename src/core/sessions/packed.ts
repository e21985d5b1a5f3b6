/** An object in a small form for memory: times as numbers, lists of texts shared. */
export type Packed<T> = { readonly [K in keyof T]: unknown } & { readonly of?: T };

const MAX_SHARED = 1000;

/**
 * Packs objects that all have the same keys. A `Date` takes a hundred bytes and a list three words of its own; fifty thousand cached rows make
 * that worth leaving out. An object and not a list of values, because V8 copies an object of a known shape in one go.
 */
export class Packer<T extends object> {
  /** Times are kept as the distance to this, which is a small integer for what happened lately. */
  readonly #epoch: number;
  /** The keys that have held a time, or something that can be changed; whatever else they hold in another row is told apart by its type. */
  #times: readonly string[] = [];
  #changeable: readonly string[] = [];
  readonly #lists = new Map<string, readonly string[]>();

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  pack(object: T): Packed<T> {
    const packed: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(object)) {
      if (value instanceof Date) {
        if (!this.#times.includes(key)) this.#times = [...this.#times, key];
        packed[key] = value.getTime() - this.#epoch;
      } else if (typeof value === 'object' && value !== null) {
        if (!this.#changeable.includes(key)) this.#changeable = [...this.#changeable, key];
        packed[key] = isTexts(value) ? this.#shared(value) : copyOf(value); // what was given may be changed later
      } else {
        packed[key] = value;
      }
    }
    return packed as Packed<T>;
  }

  /** Returns a fresh copy, so callers may change it. */
  unpack(packed: Packed<T>): T {
    const object: Record<string, unknown> = { ...packed };
    for (const key of this.#times) {
      const value = object[key];
      if (typeof value === 'number') object[key] = new Date(value + this.#epoch);
    }
    for (const key of this.#changeable) object[key] = copyOf(object[key]);
    return object as T;
  }

  /** The same list as one that was packed before: there are few ways to sign in. */
  #shared(list: readonly string[]): readonly string[] {
    const key = JSON.stringify(list);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const kept = [...list];
    if (this.#lists.size < MAX_SHARED) this.#lists.set(key, kept);
    return kept;
  }
}

function isTexts(value: object): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

/** Of what a column may hold: JSON, lists, bytes, times. Anything else, such as a decimal number, is never changed in place. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Date) return new Date(value);
  if (value instanceof Uint8Array) return Uint8Array.prototype.slice.call(value); // a Buffer's own slice would be the same bytes
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)]));
}
