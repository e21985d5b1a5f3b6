import { type Actor, SYSTEM } from '../../actor.js';
import type { Region } from '../../config/options.js';
import { isMissing } from '../../db/client.js';
import {
  type Device,
  decodeFingerprint,
  deviceOf,
  encodeFingerprint,
  type Fingerprint,
  type ScoreChange,
  scoreChange,
  verdict,
} from '../../net/user-agent.js';
import { rememberAtMost } from '../../remember.js';
import { after } from '../../time.js';
import type { Fact } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import { noticeTo } from '../changes/outbox.js';
import type { Runtime } from '../runtime.js';
import { lockSession, wasAskedToday } from './session-lock.js';
import type { LoadedSession } from './session-row.js';

/** What a request says about itself. */
export interface RequestFacts {
  ip: string | null;
  userAgent: string | null;
  /** Asked only when a row is read; null is no information. */
  region(): Promise<Region | null>;
  /** Whether this answer can carry a renewed cookie to a page or a script, not to an image or a prefetch. */
  mayRotate: boolean;
}

const MAX_DEVICES = 1000;
const DAY_SECONDS = 86_400;

/**
 * Where a session is used: what is remembered of its browser and place, and what a change of them leads to.
 */
export class SessionDevices {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #known = rememberAtMost<Device>(MAX_DEVICES);

  constructor(runtime: Runtime, ledger: Ledger) {
    this.#runtime = runtime;
    this.#ledger = ledger;
  }

  /**
   * Compares where the session is used with where it was, and stores the new place once it is believed. A session that must step up is locked
   * here; one that must end is left to the caller.
   */
  async look(
    row: LoadedSession,
    request: RequestFacts,
    now: Date,
  ): Promise<'fine' | 'revoke' | 'read again'> {
    const stored = decodeFingerprint(row.fingerprint);
    const seen = await this.#fingerprintOf(request);
    const change = this.#react(scoreChange(stored, seen, (now.getTime() - row.lastSeenAt.getTime()) / 1000));
    if (change.reaction === 'revoke') return 'revoke';
    if (change.reaction === 'step_up') {
      if (row.lockedAt !== null || (change.networkOnly && wasAskedToday(row, now))) return 'fine';
      const core = { db: this.#runtime.db, ledger: this.#ledger };
      await lockSession(core, row, changed(row, request, change), now, { isNetworkOnly: change.networkOnly });
      return 'read again';
    }
    const fingerprint = encodeFingerprint(merged(stored, seen));
    if (fingerprint !== row.fingerprint && row.lockedAt === null)
      await this.#believe(row, request, fingerprint, change);
    return 'fine';
  }

  async #believe(
    row: LoadedSession,
    request: RequestFacts,
    fingerprint: string,
    change: Reacted,
  ): Promise<void> {
    const { db } = this.#runtime;
    const live = { id: row.id, revokedAt: null, lockedAt: null };
    const data = { fingerprint, ip: request.ip };
    if (change.score === 0) {
      await db.session.updateMany({ where: live, data });
      return;
    }
    const isTold = change.reaction === 'notify' && !(await this.#wasTold(row));
    const { data: about, ...moved } = changed(row, request, change);
    const suspicious: Fact = {
      ...moved,
      type: 'session.suspicious',
      data: { ...about, ...(isTold && { isTold }) },
    };
    try {
      await this.#ledger.commit({
        writes: [
          db.session.update({ where: { ...live, fingerprint: row.fingerprint }, data, select: { id: true } }),
        ],
        facts: [suspicious],
        mails: isTold
          ? [{ template: 'new-device', ...noticeTo(this.#runtime, row.user, suspicious.actor) }]
          : [],
      });
    } catch (error) {
      if (!isMissing(error)) throw error; // another request from there was first
    }
  }

  /** Whether the owner had a mail today: where a copy and its owner take turns, every turn is a change. */
  async #wasTold(row: LoadedSession): Promise<boolean> {
    const entry = await this.#runtime.db.auditEntry.findFirst({
      where: {
        type: 'session.suspicious',
        targetId: row.id,
        at: { gt: after(this.#runtime.now(), -DAY_SECONDS) },
        data: { contains: '"isTold":true' },
      },
      select: { id: true },
    });
    return entry !== null;
  }

  /** The scored verdict, or what the options say instead for a change of device or of region. */
  #react(change: ScoreChange): Reacted {
    const { onDeviceChange, onRegionChange } = this.#runtime.config.session;
    if (change.score === 0) return { ...change, reaction: 'allow' };
    const override = change.networkOnly ? onRegionChange : onDeviceChange;
    const notable = change.reasons.some((reason) => reason !== 'network');
    if (override === undefined || !notable) return { ...change, reaction: verdict(change.score) };
    return { ...change, reaction: override === 'ignore' ? 'allow' : override };
  }

  /** Cached: parsing a User-Agent costs as much as one row of a batched query, and there are few different ones. */
  #deviceOf(userAgent: string | null): Device {
    const known = this.#known.get(userAgent ?? '');
    if (known !== undefined) return known;
    const device = deviceOf(userAgent);
    this.#known.set(userAgent ?? '', device);
    return device;
  }

  async #fingerprintOf(request: RequestFacts): Promise<Fingerprint> {
    const region = await request.region();
    const network =
      region?.network === undefined
        ? null
        : this.#runtime.keys.lookup(`network ${region.network}`).slice(0, 12);
    return {
      ...this.#deviceOf(request.userAgent),
      country: region?.country ?? null,
      network,
      relay: region?.relay ?? null,
    };
  }

  /** @internal What a new session is compared with later. */
  async baseline(request: RequestFacts): Promise<string> {
    return encodeFingerprint(await this.#fingerprintOf(request));
  }
}

interface Reacted extends ScoreChange {
  reaction: 'allow' | 'notify' | 'step_up' | 'revoke';
}

/** What is recorded of a session that is used elsewhere than before. */
function changed(row: LoadedSession, request: RequestFacts, change: ScoreChange): Omit<Fact, 'type'> {
  const actor: Actor = { ...SYSTEM, ip: request.ip, userAgent: request.userAgent };
  return {
    reason: change.reasons.join(' '),
    actor,
    target: { type: 'session', id: row.id },
    data: { userId: row.userId, score: change.score },
  };
}

/** New values replace the stored ones; values that are missing now are kept. */
function merged(stored: Fingerprint, seen: Fingerprint): Fingerprint {
  return {
    browser: seen.browser ?? stored.browser,
    os: seen.os ?? stored.os,
    mobile: seen.mobile ?? stored.mobile,
    country: seen.country ?? stored.country,
    network: seen.network ?? stored.network,
    relay: seen.relay ?? stored.relay,
  };
}
