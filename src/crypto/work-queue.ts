import { AuthTunaError } from '../errors.js';

/**
 * Who the work is for. `known`: people who have shown something already, such as a session, a mailed token, or a browser in which they signed
 * in before. `stranger`: everybody else who signs in. `newcomer`: people who sign up, since anybody can do that any number of times.
 */
export type Lane = 'known' | 'stranger' | 'newcomer';

/** How many of each lane may wait. Beyond that one more is refused before it costs anything. */
const PLACES: Readonly<Record<Lane, number>> = { known: 256, stranger: 1024, newcomer: 256 };
const MAX_WAIT_MS = 3000; // beyond this the browser's user has pressed the button again
const GOLDEN_RATIO = 0.618; // the fractions of its multiples are spread evenly, however many they are
const STRANGERS_TURN = 4; // every fourth turn is a stranger's, so that no lane waits for ever …
const NEWCOMERS_TURN = 8; // … and every second one of these is a newcomer's

interface Waiting {
  start(): void;
}

/**
 * Runs at most `concurrency` pieces of work at once. Strangers, however many, take nothing from people who are known but every fourth turn,
 * and are refused rather than piled up; newcomers come after strangers in the same way.
 */
export class WorkQueue {
  readonly #waiting: Readonly<Record<Lane, Waiting[]>> = {
    known: [],
    stranger: [],
    newcomer: [],
  };
  #free: number;
  #turn = 0;
  #spread = 0;

  constructor(concurrency: number) {
    this.#free = concurrency;
  }

  /**
   * Does the work when it is its turn.
   *
   * @throws AuthTunaError `unavailable` at once when the lane is full, and after three seconds of waiting, for strangers and newcomers 1.5 to 4.5
   */
  async inLane<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(lane);
    try {
      return await work();
    } finally {
      const next = this.#next();
      if (next === undefined) this.#free += 1;
      else next.start();
    }
  }

  #next(): Waiting | undefined {
    this.#turn = (this.#turn + 1) % NEWCOMERS_TURN;
    const { known, stranger, newcomer } = this.#waiting;
    const inOrder =
      this.#turn === 0
        ? [newcomer, stranger, known]
        : this.#turn === STRANGERS_TURN
          ? [stranger, known, newcomer]
          : [known, stranger, newcomer];
    return inOrder.find((lane) => lane.length > 0)?.shift();
  }

  /** A crowd of strangers that came at once must not be refused, and be back, at once: each waits for a different time, spread evenly. */
  #patienceMs(lane: Lane): number {
    if (lane === 'known') return MAX_WAIT_MS;
    this.#spread = (this.#spread + GOLDEN_RATIO) % 1;
    return MAX_WAIT_MS * (0.5 + this.#spread);
  }

  #wait(lane: Lane): Promise<void> {
    const queue = this.#waiting[lane];
    if (queue.length >= PLACES[lane]) throw busy();
    return new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => {
        queue.splice(queue.indexOf(entry), 1);
        reject(busy());
      }, this.#patienceMs(lane));
      giveUp.unref();
      const entry = {
        start() {
          clearTimeout(giveUp);
          resolve();
        },
      };
      queue.push(entry);
    });
  }
}

function busy(): AuthTunaError {
  return new AuthTunaError('unavailable', { retryAfterSeconds: 2, reason: 'sign_in_queue_full' });
}
