import { SYSTEM } from '../../actor.js';
import { networkKeys } from '../../net/addresses.js';
import type { AuditManager, Fact } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { RequestFacts } from './devices.js';
import { lockSession, wasAskedToday } from './session-lock.js';
import type { LoadedSession } from './session-row.js';

// The requests of one page come within this time, also over different networks of one device (IPv4 and IPv6, relays).
const BURST_MS = 5000;
const MAX_CONTESTS = 3; // an answer is lost once in a while and a network changes; three times in a row is another holder

/** A keyed digest of the network and browser of a request: who was given a cookie. */
export function holderOf({ keys }: Runtime, { ip, userAgent }: RequestFacts): string {
  return keys.lookup(`holder ${networkKeys(ip).network} ${userAgent ?? ''}`).slice(0, 12);
}

/**
 * Notices two holders that take turns at one session.
 *
 * While a rotation is not acknowledged, every holder of the cookie before is given the same successor, so two holders that keep up with each
 * other are never told apart by the cookie. But the successor then goes to two places. Where that happens in generation after generation, or
 * again and again in one, the session is locked for a step-up, which only the owner can do and after which no copy works.
 * @see docs/requirements.md SS-4
 */
export class SessionHolders {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #audit: AuditManager;

  constructor(runtime: Runtime, ledger: Ledger, audit: AuditManager) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#audit = audit;
  }

  /** Looks at who asks for the successor again. A session that must step up is locked here, and its row is to be read again. */
  async look(row: LoadedSession, request: RequestFacts, now: Date): Promise<'fine' | 'read again'> {
    const holder = holderOf(this.#runtime, request);
    const lastChange = Math.max(row.rotatedAt.getTime(), row.contestedAt?.getTime() ?? 0);
    const isBurst = now.getTime() - lastChange < BURST_MS;
    if (row.lockedAt !== null || row.holder === null || row.holder === holder || isBurst) return 'fine';
    const contests = (row.contests ?? 0) + 1;
    const { count } = await this.#runtime.db.session.updateMany({
      where: {
        id: row.id,
        generation: row.generation,
        contests: row.contests,
        holder: row.holder,
        revokedAt: null,
      },
      data: { contests, contestedAt: now, holder },
    });
    if (count === 0) return 'read again';
    if (contests < MAX_CONTESTS) return 'fine';
    const fact: Omit<Fact, 'type' | 'outcome'> = {
      reason: 'two_holders',
      actor: { ...SYSTEM, ip: request.ip, userAgent: request.userAgent },
      target: { type: 'session', id: row.id },
      data: { userId: row.userId, contests },
    };
    if (wasAskedToday(row, now)) {
      if (contests === MAX_CONTESTS)
        await this.#audit.record({ ...fact, type: 'session.suspicious', outcome: 'denied' });
      return 'fine';
    }
    const core = { db: this.#runtime.db, ledger: this.#ledger };
    await lockSession(core, row, fact, now, { isNetworkOnly: true });
    return 'read again';
  }
}
