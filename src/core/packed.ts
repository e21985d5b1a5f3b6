/** An object kept small while nobody looks at it: its keys (shared), which values are times, and the values. */
export type Packed<T> = readonly [keys: readonly string[], times: number, ...values: unknown[]] & {
  readonly of?: T;
};

const HEAD = 2;
const MASKED = 31; // bits of a small integer; a time in a later column stays a Date
const MAX_SHARED = 1000;

/**
 * Packs objects that all have the same keys. A `Date` takes a hundred bytes, a name its slot in every object, a list three words of its own;
 * fifty thousand cached rows make that worth leaving out.
 */
export class Packer<T extends object> {
  /** Times are kept as the distance to this, which is a small integer for what happened lately. */
  readonly #epoch: number;
  #keys: readonly string[] = [];
  /** Has every key already: copying it and filling it in is several times faster than adding one key after the other. */
  #blank: Record<string, unknown> = {};
  readonly #lists = new Map<string, readonly unknown[]>();

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  pack(object: T): Packed<T> {
    const keys = Object.keys(object);
    if (keys.length !== this.#keys.length || keys.some((key, index) => key !== this.#keys[index])) {
      this.#keys = keys;
      this.#blank = Object.fromEntries(keys.map((key) => [key, null]));
    }
    const values: unknown[] = Object.values(object);
    const packed = new Array<unknown>(values.length + HEAD); // of the exact size: a list that grows keeps room to spare
    let times = 0;
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (value instanceof Date && index < MASKED) {
        times |= 1 << index;
        packed[index + HEAD] = value.getTime() - this.#epoch;
      } else {
        packed[index + HEAD] = Array.isArray(value) ? this.#shared(value) : value;
      }
    }
    packed[0] = this.#keys;
    packed[1] = times;
    return packed as unknown as Packed<T>;
  }

  /** The object again, new at every call, so that whoever changes it changes nothing that is kept. */
  unpack(packed: Packed<T>): T {
    const [keys, times] = packed;
    const object: Record<string, unknown> = keys === this.#keys ? { ...this.#blank } : {};
    for (let index = 0; index < keys.length; index += 1) {
      const value = packed[index + HEAD];
      const isTime = index < MASKED && (times & (1 << index)) !== 0;
      object[keys[index] as string] = isTime
        ? new Date((value as number) + this.#epoch)
        : Array.isArray(value)
          ? [...value]
          : value;
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
