/** Simulated time: a heap of what happens when, in milliseconds. */
export class Timeline {
  now = 0;
  readonly #events: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  at(delay: number, run: () => void): void {
    const event = { at: this.now + Math.max(0, delay), order: this.#order++, run };
    const events = this.#events;
    let child = events.push(event) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(event, events[parent]!)) break;
      events[child] = events[parent]!;
      child = parent;
    }
    events[child] = event;
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.at(milliseconds, resolve));
  }

  /** Lets everything happen in order, and after every step all that follows from it without time passing. */
  async run(): Promise<void> {
    while (this.#events.length > 0) {
      this.now = this.#events[0]!.at;
      while (this.#events[0]?.at === this.now) this.#pop().run();
      await settled();
    }
  }

  #pop() {
    const events = this.#events;
    const first = events[0]!;
    const last = events.pop()!;
    if (events.length === 0) return first;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child += 1;
      if (!isBefore(events[child]!, last)) break;
      events[parent] = events[child]!;
      parent = child;
    }
    events[parent] = last;
    return first;
  }
}

function isBefore(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Promises that are due, and twice what waits for the end of the turn: reads are collected for one turn, and may be asked again. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
