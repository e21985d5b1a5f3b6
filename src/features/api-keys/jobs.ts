import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { isMissing } from '../../db/client.js';
import { after } from '../../time.js';
import { expiringMail } from './mails.js';

const EVERY_SECONDS = 3600;
const DAY = 86_400;
export const WARNING_SECONDS = 7 * DAY;
const BATCH = 200;

/** Mails owners before their keys expire. */
export function expiryJob(core: Core): Job {
  return {
    name: 'api-keys',
    everySeconds: EVERY_SECONDS,
    async run(signal) {
      return `announced the end of ${await warn(core, signal)} API keys`;
    },
  };
}

/** A key that was made for less than twice the time of the warning ends when its owner expects it. */
async function warn(core: Core, signal: AbortSignal): Promise<number> {
  const { db, ledger } = core;
  let warned = 0;
  while (!signal.aborted) {
    const now = core.now();
    const due = await db.apiKey.findMany({
      where: {
        warnedAt: null,
        revokedAt: null,
        expiresAt: { gt: now, lte: after(now, WARNING_SECONDS) },
        lifetimeSeconds: { gte: 2 * WARNING_SECONDS },
        user: { deletedAt: null },
      },
      include: { user: true },
      take: BATCH,
    });
    for (const { user, ...key } of due) {
      if (signal.aborted) break;
      const mails = await expiringMail(core, user, key);
      try {
        await ledger.commit({
          writes: [
            db.apiKey.update({
              where: { id: key.id, warnedAt: null, revokedAt: null },
              data: { warnedAt: now },
            }),
          ],
          facts: [],
          mails,
        });
        warned += 1;
      } catch (error) {
        if (!isMissing(error)) throw error; // revoked or rotated meanwhile
      }
    }
    if (due.length < BATCH) break;
  }
  return warned;
}
