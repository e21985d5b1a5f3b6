import type { z } from 'zod';
import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import { noKey, topicOf } from './api-key.js';
import { type IssuedKey, readKey } from './creation.js';
import type { KeyFormat, KeyKind } from './format.js';
import { createdMail } from './mails.js';
import { requireHolder } from './owner.js';
import { DEFAULT_OVERLAP_SECONDS, rotateBody } from './schemas.js';

export type RotateKeyInput = z.input<typeof rotateBody>;

/** {@link ApiKeyManager.rotate} */
export async function rotateKey(
  core: Core,
  format: KeyFormat,
  id: string,
  input: RotateKeyInput,
  actor: Actor,
): Promise<IssuedKey> {
  const wanted = validate(rotateBody, input);
  const now = core.now();
  const row = await core.db.apiKey.findUnique({ where: { id } });
  if (row === null) throw noKey();
  const owner = await requireHolder(core, row.userId, actor).catch((error: unknown) => {
    throw error instanceof AuthTunaError && error.code === 'forbidden' ? noKey() : error;
  });
  if (row.revokedAt !== null || row.expiresAt <= now)
    throw new AuthTunaError('conflict', { message: 'This key has ended. Create a new one.' });
  // A text that others have seen is not to work on, unless somebody says so.
  const overlapSeconds = wanted.overlapSeconds ?? (row.exposedAt === null ? DEFAULT_OVERLAP_SECONDS : 0);
  const made = format.withId(row.kind as KeyKind, id);
  const expiresAt = after(now, row.lifetimeSeconds);
  await core.ledger
    .commit({
      writes: [
        core.db.apiKey.update({
          where: { id, hash: row.hash, revokedAt: null },
          data: {
            hash: made.hash,
            start: made.start,
            previousHash: overlapSeconds === 0 ? null : row.hash,
            // The overlap is no way to use a key for longer than it was made for.
            previousUntil:
              overlapSeconds === 0
                ? null
                : new Date(Math.min(after(now, overlapSeconds).getTime(), row.expiresAt.getTime())),
            rotatedAt: now,
            expiresAt,
            warnedAt: null,
            ...(overlapSeconds === 0 && { exposedAt: null }),
          },
        }),
      ],
      facts: [
        {
          type: 'api_key.rotated',
          actor,
          target: { type: 'api_key', id },
          data: { userId: row.userId, overlapSeconds, expiresAt },
        },
      ],
      mails: createdMail(core, owner, { name: row.name, expiresAt }, actor),
      invalidates: [topicOf(id)],
    })
    .catch(whenMissing(() => new AuthTunaError('conflict')));
  return { apiKey: await readKey(core, id), key: made.key };
}
