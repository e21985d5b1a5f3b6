import type { z } from 'zod';
import type { Actor } from '../../actor.js';
import type { ApiKey } from '../../auth.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { invalid, whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import { noKey, toApiKey, WITH_GRANTS } from './api-key.js';
import type { KeyFormat, KeyKind } from './format.js';
import { grantWrites } from './held-grants.js';
import { createdMail } from './mails.js';
import { requireHolder } from './owner.js';
import { createInput } from './schemas.js';

/** What a new key is made from. */
export type CreateKeyInput = z.input<typeof createInput>;

/** A key with its text, which is shown here and never again. */
export interface IssuedKey {
  apiKey: ApiKey;
  key: string;
}

export const MAX_MASTER_KEYS = 5;
const MAX_ATTEMPTS = 5; // when other requests take the chosen slot at the same moment

/** {@link ApiKeyManager.create} */
export async function createKey(
  core: Core,
  format: KeyFormat,
  input: CreateKeyInput,
  actor: Actor,
): Promise<IssuedKey> {
  const wanted = validate(createInput, input);
  const { userId, name, kind, expiresInSeconds, allowedIps, rateLimit } = wanted;
  requireFits(core, kind, wanted.grants !== undefined);
  const isStill = await sessionGoesOn(core, actor);
  const user = await requireHolder(core, userId, actor);
  const now = core.now();
  const { id, key, ...made } = format.create(kind);
  const grants = await grantWrites(core, { id, userId }, wanted.grants ?? []);
  const row = {
    ...made,
    id,
    userId,
    name,
    kind,
    isLimited: wanted.grants !== undefined || kind === 'publishable',
    allowedIps: [...new Set(allowedIps)].join(' '),
    rateLimit: rateLimit?.limit ?? null,
    rateWindowSeconds: rateLimit?.windowSeconds ?? null,
    lifetimeSeconds: expiresInSeconds,
    createdById: actor.userId,
    createdAt: now,
    expiresAt: after(now, expiresInSeconds),
  };
  await inFreePlace(core, userId, kind, async (place, free) => {
    await core.ledger
      .commit({
        writes: [...isStill, free, core.db.apiKey.create({ data: { ...row, ...place } }), ...grants],
        facts: [
          {
            type: 'api_key.created',
            actor,
            target: { type: 'api_key', id },
            data: { userId, kind, name, grants: wanted.grants ?? null, expiresAt: row.expiresAt },
          },
        ],
        mails: createdMail(core, user, { name, expiresAt: row.expiresAt }, actor),
      })
      .catch(whenMissing(() => new AuthTunaError('session_revoked')));
  });
  return { apiKey: await readKey(core, id), key };
}

/**
 * A write that misses when all sessions of the actor were ended meanwhile. A password reset ends the sessions before the keys, so no key is
 * made in between.
 *
 * @throws AuthTunaError `session_revoked`
 */
async function sessionGoesOn({ db, sessions }: Core, actor: Actor): Promise<Write[]> {
  if (actor.userId === null) return [];
  const where = { id: actor.userId };
  const user = await db.user.findUnique({ where });
  await sessions.requireLive(actor);
  if (user === null) return [];
  const { sessionEpoch } = user;
  return [db.user.update({ where: { ...where, sessionEpoch }, data: { sessionEpoch: { increment: 0 } } })];
}

/** The public form of a key as it is stored now. */
export async function readKey(core: Core, id: string): Promise<ApiKey> {
  const row = await core.db.apiKey.findUnique({ where: { id }, include: WITH_GRANTS });
  if (row === null) throw noKey();
  return toApiKey(row);
}

/** @throws AuthTunaError `invalid_input` */
function requireFits({ config }: Core, kind: KeyKind, hasGrants: boolean): void {
  if (kind === 'test' && config.isSecure)
    throw invalid('kind', 'not_used', 'test keys work on a developer machine only');
  if (hasGrants && (kind === 'master' || kind === 'publishable'))
    throw invalid('grants', 'not_used', `a ${kind} key takes no grants`);
}

interface Place {
  slot: number;
  masterSlot: number | null;
}

/**
 * Stores a key in a free slot of its owner. Two requests cannot take the same slot, so that the limits hold under any parallelism; keys that
 * have ended free theirs.
 *
 * @throws AuthTunaError `conflict` when all slots are taken
 */
async function inFreePlace(
  core: Core,
  userId: string,
  kind: KeyKind,
  store: (place: Place, free: Write) => Promise<void>,
): Promise<void> {
  const { maxPerUser } = core.config.apiKeys;
  const isOver = { OR: [{ revokedAt: { not: null } }, { expiresAt: { lte: core.now() } }] };
  for (let attempt = 1; ; attempt += 1) {
    const live = await core.db.apiKey.findMany({
      where: { userId, slot: { not: null }, NOT: isOver },
      select: { slot: true, masterSlot: true },
    });
    const slot = freePlace(
      core,
      maxPerUser,
      'API keys',
      live.map((row) => row.slot),
    );
    const masterSlot =
      kind === 'master'
        ? freePlace(
            core,
            MAX_MASTER_KEYS,
            'master keys',
            live.map((row) => row.masterSlot),
          )
        : null;
    const free = core.db.apiKey.updateMany({
      where: { userId, slot: { not: null }, ...isOver },
      data: { slot: null, masterSlot: null },
    });
    try {
      return await store({ slot, masterSlot }, free);
    } catch (error) {
      if (!isUniqueViolation(error) || attempt >= MAX_ATTEMPTS + maxPerUser) throw error;
    }
  }
}

/** A free slot, chosen at random, so that parallel requests seldom choose the same. @throws AuthTunaError `conflict` when there is none */
function freePlace({ config }: Core, most: number, what: string, taken: readonly (number | null)[]): number {
  const free = Array.from({ length: most }, (_, index) => index + 1).filter(
    (place) => !taken.includes(place),
  );
  const place = free[config.random.bytes(4).readUInt32BE() % Math.max(1, free.length)];
  if (place === undefined)
    throw new AuthTunaError('conflict', {
      message: `An account has at most ${most} ${what}. Revoke one that is not used.`,
    });
  return place;
}
