import type { Clock } from '../config/options.js';

/** A clock that stands still until it is told to move: `createAuthTuna({ …, clock })`. */
export class TestClock implements Clock {
  #now: number;

  /** @param start default: 2030-01-01 00:00 UTC */
  constructor(start: Date = new Date('2030-01-01T00:00:00.000Z')) {
    this.#now = start.getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  advance(by: {
    days?: number;
    hours?: number;
    minutes?: number;
    seconds?: number;
    milliseconds?: number;
  }): void {
    const { days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0 } = by;
    this.#now += (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds;
  }
}
