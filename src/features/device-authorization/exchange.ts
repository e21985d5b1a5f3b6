import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { whenMissing } from '../../core/refusals.js';
import type { BearerTerms } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { equalInConstantTime } from '../../crypto/digest.js';
import { parseSplitToken } from '../../crypto/split-token.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';

const SLOWER_SECONDS = 5; // RFC 8628 section 3.5
const MAX_INTERVAL_SECONDS = 60;
const JITTER_MS = 1000; // network delay can make a patient tool look this much too early

export type DeviceRow = Awaited<ReturnType<Db['deviceAuthorization']['findUniqueOrThrow']>>;

/** `DeviceAuthorizations.exchange` */
export async function exchangeCode(
  core: SignInCore,
  input: { deviceCode: string; clientId: string; boundKey: string | null },
  actor: Actor,
  options: SignInOptions,
): Promise<{ result: SignInResult; terms: BearerTerms }> {
  const { db, signIn, now } = core;
  const row = await rowOf(core, input);
  if (row === null || row.status === 'used') throw notValid();
  if (row.expiresAt <= now())
    throw refusal('expired_token', 'The code has expired. Ask for a new one.', 'invalid_token');
  if (row.status === 'denied') throw refusal('access_denied', 'The person refused.', 'forbidden');
  if (row.status !== 'approved') throw await waiting(core, row);
  const user = await db.user.findUnique({ where: { id: row.userId ?? '' } });
  // Whatever ended all sessions of the person since ends this too.
  if (user === null || user.sessionEpoch !== row.epoch) throw notValid();
  const assuranceLevel = row.assuranceLevel === 2 ? 2 : 1;
  // A factor that was enrolled after the approval was not proved by it.
  if (assuranceLevel === 1 && (await signIn.factorsOf(user.id)).length > 0) throw notValid();
  const terms = { clientId: row.clientId, scope: row.scope, boundKey: input.boundKey };
  const { to, data } = noticeTo(core, user, actor);
  const result = await signIn
    .complete(user, { amr: row.amr?.split(' ') ?? [], assuranceLevel }, actor, {
      ...options,
      bearer: terms,
      ...(row.authenticatedAt !== null && { authenticatedAt: row.authenticatedAt }),
      writes: [
        db.deviceAuthorization.update({
          where: { id: row.id, status: 'approved', expiresAt: { gt: now() } },
          data: { status: 'used' },
        }),
      ],
      mails: [{ template: 'device-connected', to, data: { ...data, clientId: row.clientId } }],
    })
    .catch(whenMissing(notValid));
  return { result, terms };
}

function notValid(): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'This device code is not valid any more. Start again.',
  });
}

async function rowOf(
  { db }: SignInCore,
  { deviceCode, clientId }: { deviceCode: string; clientId: string },
): Promise<DeviceRow | null> {
  const parsed = parseSplitToken(deviceCode);
  if (parsed === null) return null;
  const row = await db.deviceAuthorization.findUnique({ where: { id: parsed.id } });
  const isIts =
    row !== null && row.clientId === clientId && equalInConstantTime(parsed.secretHash, row.secretHash);
  return isIts ? row : null;
}

/** The answer to a tool that asks before the person has decided. One that asks too often must wait longer from then on. */
async function waiting({ db, now }: SignInCore, row: DeviceRow): Promise<AuthTunaError> {
  const at = now();
  const { lastPolledAt, intervalSeconds } = row;
  const waitedMs = lastPolledAt === null ? Infinity : at.getTime() - lastPolledAt.getTime();
  const isEarly = waitedMs < intervalSeconds * 1000 - JITTER_MS;
  const next = isEarly ? Math.min(intervalSeconds + SLOWER_SECONDS, MAX_INTERVAL_SECONDS) : intervalSeconds;
  const { count } = await db.deviceAuthorization.updateMany({
    where: { id: row.id, lastPolledAt },
    data: { lastPolledAt: at, intervalSeconds: next },
  });
  // Another request of the tool came in between, so this one was too early.
  if (isEarly || count !== 1)
    return refusal('slow_down', 'Ask less often.', 'rate_limited', { retryAfterSeconds: next });
  return refusal('authorization_pending', 'The person has not decided yet.', 'forbidden');
}

function refusal(
  error: string,
  message: string,
  code: AuthTunaError['code'],
  more: { retryAfterSeconds?: number } = {},
): AuthTunaError {
  return new AuthTunaError(code, { error, message, ...more });
}
