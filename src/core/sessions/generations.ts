import { after } from '../../time.js';
import type { Runtime } from '../runtime.js';
import type { RequestFacts } from './devices.js';
import { holderOf } from './holders.js';
import { type RotationFacts, rotationDelaySeconds } from './rotation.js';
import type { LoadedSession } from './session-row.js';
import type { SessionTokens } from './session-token.js';

const TOUCH_SECONDS = 300;

/** The conditional writes of rotation: each succeeds for one of many racing requests. */
export class Generations {
  readonly #runtime: Runtime;
  readonly #tokens: SessionTokens;

  constructor(runtime: Runtime, tokens: SessionTokens) {
    this.#runtime = runtime;
    this.#tokens = tokens;
  }

  /** What `rotation.ts` must know to judge the cookies of a session. */
  factsOf(sessionId: string, now: Date, mayRotate: boolean): RotationFacts {
    return {
      now,
      mayRotate,
      rotatingString: (generation, salt) => this.#tokens.rotatingString(sessionId, generation, salt),
      rotationShare: (generation, salt) => this.#tokens.rotationShare(sessionId, generation, salt),
    };
  }

  /** Marks the current cookie as seen; false when another request was first. */
  async acknowledge(row: LoadedSession, now: Date): Promise<boolean> {
    const { count } = await this.#runtime.db.session.updateMany({
      where: { id: row.id, generation: row.generation, revokedAt: null, acknowledgedAt: null },
      data: { acknowledgedAt: now, lastSeenAt: now },
    });
    return count === 1;
  }

  /** Begins the next generation and returns its cookie; null when another request was first. */
  async rotate(row: LoadedSession, request: RequestFacts, now: Date): Promise<string | null> {
    const { db, config } = this.#runtime;
    const salt = this.#tokens.newSalt(config.random);
    const delay = rotationDelaySeconds(row, config.session, this.factsOf(row.id, now, true));
    const wasContested = row.contestedAt !== null && row.contestedAt >= row.rotatedAt;
    const { count } = await db.session.updateMany({
      where: {
        id: row.id,
        generation: row.generation,
        revokedAt: null,
        acknowledgedAt: { lte: after(now, -delay) },
      },
      data: {
        generation: row.generation + 1,
        previousSalt: row.salt,
        salt,
        rotatedAt: now,
        acknowledgedAt: null,
        lastSeenAt: now,
        holder: holderOf(this.#runtime, request),
        ...(!wasContested && { contests: null }),
      },
    });
    return count === 1 ? this.#tokens.issue(row, row.generation + 1, salt, now) : null;
  }

  /** The cookie of the current generation again, for a browser that may not have received it. */
  reissue(row: LoadedSession, now: Date): string {
    return this.#tokens.issue(row, row.generation, row.salt, now);
  }

  /** Stores that the session is in use, every few minutes. */
  async touch(row: LoadedSession, now: Date): Promise<void> {
    const due = after(now, -Math.min(TOUCH_SECONDS, row.idleSeconds / 10));
    if (row.lastSeenAt >= due) return;
    await this.#runtime.db.session.updateMany({
      where: { id: row.id, lastSeenAt: { lt: due }, revokedAt: null },
      data: { lastSeenAt: now },
    });
  }
}
