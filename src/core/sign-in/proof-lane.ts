import type { Lane, WorkQueue } from '../../crypto/work-queue.js';
import type { UserRow } from '../user.js';
import type { KnownBrowsers } from './known-browsers.js';

/** How many sign-ins of one known browser may wait in the lane of known browsers. Its others wait with strangers. */
const OF_ONE_BROWSER = 4;

/**
 * Runs checks of passwords and codes a few at a time, in the lane of who sends them.
 *
 * Who waits has cost no query, and who finds too many waiting is refused: a flood holds up neither people who are signed in nor browsers in
 * which somebody signed in before. Nor does a flood from one such browser.
 */
export class ProofLane {
  readonly #queue: WorkQueue;
  readonly #browsers: KnownBrowsers;
  /** How many sign-ins are under way in the lane of known browsers, by the token of the browser. */
  readonly #underWay = new Map<string, number>();

  constructor(queue: WorkQueue, browsers: KnownBrowsers) {
    this.#queue = queue;
    this.#browsers = browsers;
  }

  /**
   * Finds the user and checks what was sent, when it is its turn.
   *
   * @param browserCookie the `at_device` cookie
   * @param check told `known` only in a browser in which this user signed in before
   * @throws AuthTunaError `unavailable` where too many wait; what `check` throws
   */
  async run<T>(
    browserCookie: string | null | undefined,
    findUser: () => Promise<UserRow | null>,
    check: (user: UserRow | null, lane: Lane) => Promise<T>,
  ): Promise<T> {
    const inTurn = async () => {
      const user = await findUser();
      const browser = this.#browsers.find(browserCookie, user?.id ?? '');
      return check(user, browser === null ? 'stranger' : 'known');
    };
    const token = this.#browsers.genuineToken(browserCookie);
    const underWay = token === null ? 0 : (this.#underWay.get(token) ?? 0);
    if (token === null || underWay >= OF_ONE_BROWSER) return this.#queue.inLane('stranger', inTurn);
    this.#underWay.set(token, underWay + 1);
    try {
      return await this.#queue.inLane('known', inTurn);
    } finally {
      const left = (this.#underWay.get(token) as number) - 1;
      if (left === 0) this.#underWay.delete(token);
      else this.#underWay.set(token, left);
    }
  }
}
