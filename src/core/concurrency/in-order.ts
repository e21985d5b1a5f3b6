/**
 * Runs work at one key one after the other, at different keys side by side.
 *
 * When one fails, those who were waiting for it fail with it: a store that is down costs all of them one time-out together, not one each.
 */
export class InOrder {
  readonly #underWay = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#underWay.get(key);
    const result = before === undefined ? work() : before.then(work);
    this.#underWay.set(key, result);
    const done = () => {
      if (this.#underWay.get(key) === result) this.#underWay.delete(key);
    };
    result.then(done, done);
    return result;
  }
}
