import { statSync } from 'node:fs';

const FILE_CHECK_MS = 100; // a look at the folder takes some microseconds, and an answer is wrong for no longer than this

/**
 * The file that a connection has open. A file that was deleted or replaced goes on answering connections that have it open, and everything that is
 * written there is lost with the process; so nothing is asked of it any more.
 */
export class OpenFile {
  readonly #path: string;
  #identity: string | null = null;
  #checkedAt = -Infinity;

  /** @param path absolute, since the app may change its folder later */
  constructor(path: string) {
    this.#path = path;
  }

  /** @throws Error when the path leads to another file than at first, or to none */
  check(): void {
    const now = performance.now();
    if (now - this.#checkedAt < FILE_CHECK_MS) return;
    const stats = statSync(this.#path, { throwIfNoEntry: false });
    const identity = stats === undefined ? null : `${stats.dev} ${stats.ino}`;
    this.#identity ??= identity; // none before the first statement has made it
    if (identity !== this.#identity)
      throw new Error(
        `The SQLite file ${this.#path} was ${identity === null ? 'deleted' : 'replaced'} while it was in use. Put it back, or restart the app.`,
      );
    if (identity !== null) this.#checkedAt = now;
  }
}
