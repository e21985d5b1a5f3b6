import { setImmediate } from 'node:timers/promises';
import { after } from '../../time.js';
import type { Runtime } from '../runtime.js';
import type { Job } from './jobs.js';

const EVERY_SECONDS = 3600;
const BATCH = 500; // short enough that no request waits long for the rows of one statement
const DAY = 86_400;
const KEPT_SECONDS = DAY; // what has ended stays a day, so that a look can still tell how
const THROTTLE_KEPT_SECONDS = 7 * DAY;
// Strangers make these rows by guessing at names. A row is about 150 bytes, and so many are more than honest people leave in a year.
const MAX_THROTTLE_ROWS = 250_000;
/** What goes first when there are more: counts that say least, each with how old they must be. The hundred of LG-5 are what stays longest. */
const EXPENDABLE = [
  { consecutive: { lte: 1 }, failures: { lte: 1 }, ageSeconds: DAY },
  { consecutive: { lte: 1 }, failures: { lte: 1 }, ageSeconds: 0 },
  { consecutive: { lte: 4 }, failures: { lte: 4 }, ageSeconds: DAY },
  { consecutive: { lte: 4 }, failures: { lte: 4 }, ageSeconds: 0 },
  { consecutive: { lt: 100 }, ageSeconds: 0 },
];
const CONSECUTIVE_KEPT_SECONDS = 366 * DAY; // the count of consecutive failures is forgotten by success, not by waiting

/**
 * Removes what is over: sessions that expired, idled out or were revoked, one-time tokens, throttle counters, expired assignments,
 * trusted browsers, authenticator apps that were never confirmed.
 *
 * Nothing depends on it: what has ended is refused whether or not its row is still there.
 */
export function cleanUp(runtime: Runtime, { maxThrottleRows = MAX_THROTTLE_ROWS } = {}): Job {
  return {
    name: 'clean-up',
    everySeconds: EVERY_SECONDS,
    async run(signal) {
      const { db, config } = runtime;
      const now = runtime.now();
      const before = after(now, -KEPT_SECONDS);
      const idledOut = (idleSeconds: number) => {
        const last = { lt: after(before, -idleSeconds) };
        return {
          idleSeconds: { lte: idleSeconds },
          ...(config.session.lifetimeFrom === 'creation' ? { createdAt: last } : { lastSeenAt: last }),
        };
      };
      const endedSession = {
        OR: [
          { absoluteExpiresAt: { lt: before } },
          { revokedAt: { lt: before } },
          // Rows made under longer limits than these go when their absolute limit has passed.
          idledOut(config.session.idleSeconds),
          idledOut(config.session.rememberedIdleSeconds),
        ],
      };
      const deadToken = { OR: [{ expiresAt: { lt: before } }, { usedAt: { lt: before } }] };
      const oldThrottle = {
        blockedUntil: { lt: now },
        OR: [
          { consecutive: 0, seenAt: { lt: after(now, -THROTTLE_KEPT_SECONDS) } },
          { seenAt: { lt: after(now, -CONSECUTIVE_KEPT_SECONDS) } },
        ],
      };
      const expiredAssignment = { expiresAt: { lt: before } };

      const sessions = await inBatches(signal, () =>
        db.session.deleteMany({ where: endedSession, limit: BATCH }),
      );
      const tokens = await inBatches(signal, () =>
        db.oneTimeToken.deleteMany({ where: deadToken, limit: BATCH }),
      );
      const throttles = await inBatches(signal, () =>
        db.throttle.deleteMany({ where: oldThrottle, limit: BATCH }),
      );
      const surplus = await removeSurplus(runtime, signal, maxThrottleRows);
      const windows = await inBatches(signal, () =>
        db.rateWindow.deleteMany({ where: { expiresAt: { lt: now } }, limit: BATCH }),
      );
      const assignments = await inBatches(signal, () =>
        db.roleAssignment.deleteMany({ where: expiredAssignment, limit: BATCH }),
      );
      const devices = await inBatches(signal, () =>
        db.trustedDevice.deleteMany({ where: { expiresAt: { lt: before } }, limit: BATCH }),
      );
      const enrollments = await inBatches(signal, () =>
        db.totp.deleteMany({ where: { confirmedAt: null, createdAt: { lt: before } }, limit: BATCH }),
      );
      return `removed ${sessions} sessions, ${tokens + devices + enrollments} tokens, ${throttles + surplus + windows} throttle counters, ${assignments} assignments`;
    },
  };
}

/** Brings the counters of guesses down to so many; a wait that is running stays, however many there are. */
async function removeSurplus({ db, now }: Runtime, signal: AbortSignal, max: number): Promise<number> {
  const at = now();
  let surplus = (await db.throttle.count({})) - max;
  let removed = 0;
  for (const { ageSeconds, ...counts } of EXPENDABLE) {
    if (surplus <= 0) break;
    const where = { ...counts, blockedUntil: { lte: at }, seenAt: { lte: after(at, -ageSeconds) } };
    const gone = await inBatches(signal, (most) => db.throttle.deleteMany({ where, limit: most }), surplus);
    surplus -= gone;
    removed += gone;
  }
  return removed;
}

async function inBatches(
  signal: AbortSignal,
  removeSome: (most: number) => PromiseLike<{ count: number }>,
  atMost = Number.POSITIVE_INFINITY,
): Promise<number> {
  let removed = 0;
  while (!signal.aborted && removed < atMost) {
    const most = Math.min(BATCH, atMost - removed);
    const { count } = await removeSome(most);
    removed += count;
    if (count < most) break;
    await setImmediate();
  }
  return removed;
}
