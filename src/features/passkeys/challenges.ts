import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import { newId } from '../../crypto/random.js';
import { parseSplitToken, secretMatches } from '../../crypto/split-token.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { type CeremonyFailure, type ClientData, readClientData, refused } from './ceremony.js';

export const CHALLENGE_SECONDS = 300;
const ID_CHARACTERS = 16; // of a split token, whose two halves in a row are the challenge

/** A new challenge: the two halves of a one-time token in a row. `browser` is a value that only this browser has. */
export async function issueChallenge(
  core: Core,
  purpose: string,
  browser: string,
  data: Record<string, unknown>,
): Promise<string> {
  const { token, writes } = core.tokens.issue({
    purpose,
    subject: newId(core.config.random), // several tabs may wait at once
    lifetimeSeconds: CHALLENGE_SECONDS,
    data,
    browser,
  });
  await core.ledger.commit({ writes, facts: [] });
  return token.replace('.', '');
}

/**
 * Spends the challenge that a response names, whether or not the rest of the response is good.
 *
 * @throws AuthTunaError `invalid_credentials` with `failure`
 */
export async function consumeChallenge(
  core: Core,
  { response }: { response: { clientDataJSON: string } },
  type: 'webauthn.create' | 'webauthn.get',
  purpose: string,
  browser: string,
  actor: Actor,
): Promise<{ client: ClientData; live: LiveToken }> {
  let token = '';
  try {
    const client = readClientData(response.clientDataJSON, type, core.config.passkeys);
    token = `${client.challenge.slice(0, ID_CHARACTERS)}.${client.challenge.slice(ID_CHARACTERS)}`;
    const live = await core.tokens.peek(token, purpose, { browser });
    await core.ledger.commit({ writes: [live.spend], facts: [] });
    return { client, live };
  } catch (error) {
    const isToken = error instanceof AuthTunaError && error.code === 'invalid_token';
    if (isToken || isMissing(error))
      throw await refuse(core, (await isSpent(core, token)) ? 'replayed' : 'wrong_challenge', actor);
    throw await refusalOf(core, error, actor);
  }
}

/** Whether a response to this challenge was taken before. */
async function isSpent({ db }: Core, token: string): Promise<boolean> {
  const parsed = parseSplitToken(token);
  if (parsed === null) return false;
  const row = await db.oneTimeToken.findUnique({ where: { id: parsed.id } });
  return row !== null && row.usedAt !== null && secretMatches(parsed.secretHash, row.secretHash);
}

/** Records that a passkey was refused, and returns the error for it. @param facts what the answer says besides */
export async function refuse(
  core: Core,
  failure: CeremonyFailure,
  actor: Actor,
  userId?: string,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<AuthTunaError> {
  await core.audit.record({
    type: 'factor.failed',
    outcome: 'failure',
    reason: failure,
    actor,
    data: { factor: 'passkey' },
    ...(userId !== undefined && { target: { type: 'user', id: userId } }),
  });
  return refused(failure, undefined, facts);
}

/** What to throw for an error of a ceremony: a refusal is recorded first; other errors stay as they are. */
export async function refusalOf(core: Core, error: unknown, actor: Actor, userId?: string): Promise<unknown> {
  return error instanceof AuthTunaError && error.details.failure !== undefined
    ? refuse(core, error.details.failure as CeremonyFailure, actor, userId)
    : error;
}

export function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64url, 'base64url'));
}
