import type { SessionVerdict } from '../../src/core/sessions/verifier.js';
import type { Timeline } from './timeline.js';

// Two well-known ways to rotate a session, which lose honest people: what the simulation must be able to see.

interface Row {
  current: string;
  previous: string[];
  rotatedAt: number;
  isRevoked: boolean;
}

type Judged = Pick<SessionVerdict, 'status'> & { code: 'ok' | 'session_revoked'; renewed: string | null };

const ROTATE_MS = 10_000;
const KEPT = 10;

/** Judges `<session>.<random>` cookies by rows in memory, each read and write of which takes a while, as those of a database do. */
export class OtherProtocol {
  readonly #rows = new Map<string, Row>();
  readonly #kind: 'single use' | 'last writer wins';
  readonly #timeline: Timeline;
  readonly #random: { next(): number };

  constructor(kind: 'single use' | 'last writer wins', timeline: Timeline, random: { next(): number }) {
    this.#kind = kind;
    this.#timeline = timeline;
    this.#random = random;
  }

  begin(sessionId: string): string {
    const current = this.#newString();
    this.#rows.set(sessionId, { current, previous: [], rotatedAt: this.#timeline.now, isRevoked: false });
    return `${sessionId}.${current}`;
  }

  async verify(token: string): Promise<Judged> {
    const [sessionId = '', shown = ''] = token.split('.');
    await this.#timeline.sleep(1 + this.#random.next() * 4);
    const row = this.#rows.get(sessionId);
    if (row === undefined || row.isRevoked) return refused;
    return this.#kind === 'single use'
      ? this.#useOnce(sessionId, row, shown)
      : this.#readAndWrite(sessionId, { ...row }, shown);
  }

  /** Every request gets a new cookie, and a used one is theft. */
  #useOnce(sessionId: string, row: Row, shown: string): Judged {
    if (shown !== row.current) {
      row.isRevoked = true;
      return refused;
    }
    row.current = this.#newString();
    return { status: 'verified', code: 'ok', renewed: `${sessionId}.${row.current}` };
  }

  /** A random successor every ten seconds with a list of former ones, read and then written without a condition. */
  async #readAndWrite(sessionId: string, read: Row, shown: string): Promise<Judged> {
    if (shown !== read.current && !read.previous.includes(shown)) {
      const row = this.#rows.get(sessionId);
      if (row !== undefined) row.isRevoked = true;
      return refused;
    }
    if (this.#timeline.now - read.rotatedAt < ROTATE_MS)
      return { status: 'verified', code: 'ok', renewed: null };
    const current = this.#newString();
    await this.#timeline.sleep(1 + this.#random.next() * 4);
    this.#rows.set(sessionId, {
      current,
      previous: [read.current, ...read.previous].slice(0, KEPT),
      rotatedAt: this.#timeline.now,
      isRevoked: this.#rows.get(sessionId)?.isRevoked ?? false,
    });
    return { status: 'verified', code: 'ok', renewed: `${sessionId}.${current}` };
  }

  #newString(): string {
    return this.#random.next().toString(36).slice(2);
  }
}

const refused: Judged = { status: 'refused', code: 'session_revoked', renewed: null };
