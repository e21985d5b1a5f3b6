import { type Actor, SYSTEM } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { rememberAtMost } from '../../remember.js';
import type { AuditManager } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import { noticeTo } from '../changes/outbox.js';
import type { Runtime } from '../runtime.js';
import type { UserRow } from '../user.js';
import type { RequestFacts } from './devices.js';
import type { LoadedSession } from './session-row.js';
import type { SessionClaims } from './session-token.js';

const REPORT_MS = 60_000;

/** Ends sessions whose cookie was copied, and records cookies that cannot be genuine. */
export class SessionAlarms {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #audit: AuditManager;
  /** A page that polls goes on showing its cookie, so each is recorded once a minute. */
  readonly #reported = rememberAtMost<{ at: number; unrecorded: number }>(10_000);

  constructor(runtime: Runtime, ledger: Ledger, audit: AuditManager) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#audit = audit;
  }

  /** Ends a session once, with one audit entry and one mail to the owner, however many requests notice. */
  async end(
    row: Pick<LoadedSession, 'id' | 'userId'> & { user: UserRow },
    request: Pick<RequestFacts, 'ip' | 'userAgent'>,
    reason: 'breach' | 'device_changed' | 'refresh_token_reused',
  ): Promise<void> {
    const actor: Actor = { ...SYSTEM, ip: request.ip, userAgent: request.userAgent };
    try {
      await this.#ledger.commit({
        writes: [
          this.#runtime.db.session.update({
            where: { id: row.id, revokedAt: null },
            data: { revokedAt: this.#runtime.now(), revokedReason: reason },
          }),
        ],
        facts: [
          {
            type: 'session.breached',
            outcome: 'denied',
            reason,
            actor,
            target: { type: 'session', id: row.id },
            data: { userId: row.userId },
          },
        ],
        mails: [{ template: 'session-stolen', ...noticeTo(this.#runtime, row.user, actor) }],
        invalidates: [`session:${row.id}`],
      });
    } catch (error) {
      if (!isMissing(error)) throw error; // somebody else ended it first
    }
  }

  /** Ends a session in which somebody acted as another person and may do so no more, once. */
  async endActing(row: LoadedSession, request: Pick<RequestFacts, 'ip' | 'userAgent'>): Promise<void> {
    const { ip, userAgent } = request;
    const { id, userId, impersonatorId } = row;
    try {
      await this.#ledger.commit({
        writes: [
          this.#runtime.db.session.update({
            where: { id, revokedAt: null },
            data: { revokedAt: this.#runtime.now(), revokedReason: 'impersonation_ended' },
          }),
        ],
        facts: [
          {
            type: 'impersonation.ended',
            reason: 'no_longer_allowed',
            actor: { ...SYSTEM, ip, userAgent, ...(impersonatorId !== null && { impersonatorId }) },
            target: { type: 'user', id: userId },
            data: { session: id },
          },
        ],
        invalidates: [`session:${id}`],
      });
    } catch (error) {
      if (!isMissing(error)) throw error; // another request ended it first
    }
  }

  /** Records a cookie with our signature that its row cannot have given out. The row is left alone. */
  async report(row: LoadedSession, claims: SessionClaims, reason: string): Promise<void> {
    const now = this.#runtime.now().getTime();
    const key = `${row.id} ${reason}`;
    const last = this.#reported.get(key);
    if (last !== undefined && Math.abs(now - last.at) < REPORT_MS) {
      last.unrecorded += 1;
      return;
    }
    this.#reported.set(key, { at: now, unrecorded: 0 });
    this.#runtime.config.logger.error('A session cookie does not fit its row.', {
      reason,
      sessionId: row.id,
    });
    await this.#audit.record({
      type: 'session.suspicious',
      outcome: 'denied',
      reason,
      actor: SYSTEM,
      target: { type: 'session', id: row.id },
      data: {
        userId: row.userId,
        generation: claims.generation,
        rowGeneration: row.generation,
        ...(last !== undefined && last.unrecorded > 0 && { unrecorded: last.unrecorded }),
      },
    });
  }
}
