import { AuthTunaError } from '../../errors.js';
import type { Runtime } from '../runtime.js';
import type { VerifiedSession } from './cache.js';
import type { RequestFacts } from './devices.js';
import type { SessionVerifier } from './verifier.js';

const SHARE = 0.3; // of `recheckSeconds`: how long before its end a request has the session checked again
const WAIT_SHARE = 0.02; // of `recheckSeconds`: how long the first of a group waits for others
const MAX_GROUP = 50; // what is read at once is also taken apart at once, while nothing else runs

/**
 * Rechecks cached sessions in the background shortly before they expire, many in one query, so active sessions never wait.
 *
 * In a batch a check costs a fifth. No session is trusted for longer than `recheckSeconds` after its read. After a failed recheck the next
 * request reads the row.
 */
export class RefreshAhead {
  readonly #runtime: Runtime;
  readonly #verifier: SessionVerifier;
  readonly #shareMs: number;
  readonly #waitMs: number;
  #group: Due[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(runtime: Runtime, verifier: SessionVerifier) {
    const recheckMs = runtime.config.session.recheckSeconds * 1000;
    this.#runtime = runtime;
    this.#verifier = verifier;
    this.#shareMs = recheckMs * SHARE;
    this.#waitMs = recheckMs * WAIT_SHARE;
  }

  /** Whether a remembered session is to be looked at again, which it is once. */
  isDue(verified: VerifiedSession, now: number): boolean {
    return !verified.isLookedAtAgain && verified.trustedUntil - now <= this.#shareMs;
  }

  /** @param request the one that was answered from memory, whose answer carries no cookie any more */
  add(token: string, verified: VerifiedSession, request: RequestFacts): void {
    if (this.#isClosed) return;
    verified.isLookedAtAgain = true;
    request.region().catch(() => {}); // asked while the request is there; the answer is kept for the look
    this.#group.push({ token, verified, request });
    if (this.#group.length >= MAX_GROUP) this.#look();
    else this.#timer ??= setTimeout(() => this.#look(), this.#waitMs).unref();
  }

  /** Waits for what is being looked at, so that nothing is asked of a database that was closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#group = [];
    await Promise.all(this.#underWay);
  }

  #look(): void {
    const group = this.#group;
    this.#group = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const looks = Promise.all(group.map((due) => this.#lookAt(due))).then(() => {
      this.#underWay.delete(looks);
    });
    this.#underWay.add(looks);
  }

  async #lookAt({ token, verified, request }: Due): Promise<void> {
    try {
      await this.#verifier.lookAhead(token, verified, request);
    } catch (error) {
      // When the database does not answer, the first request after `recheckSeconds` says so. Other errors would go unnoticed.
      if (!(error instanceof AuthTunaError && error.code === 'unavailable'))
        this.#runtime.config.logger.error('A session could not be looked at ahead of time.', { error });
    }
  }
}

interface Due {
  token: string;
  verified: VerifiedSession;
  request: RequestFacts;
}
