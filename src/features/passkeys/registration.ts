import type { Actor } from '../../actor.js';
import type { Change } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import { whenTaken } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { UserRow } from '../../core/user.js';
import { requireOwn } from '../../core/users/own-account.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import { nameOf } from './authenticators.js';
import {
  ALGORITHMS,
  type CeremonyFailure,
  type ClientData,
  refused,
  verifyRegistration,
} from './ceremony.js';
import { bytesOf, CHALLENGE_SECONDS, consumeChallenge, issueChallenge, refusalOf } from './challenges.js';
import { type Passkey, toPasskey } from './own-passkeys.js';
import type { RegistrationResponse } from './schemas.js';
import { loadWebAuthn, type WebAuthn } from './webauthn.js';

export type RegistrationOptions = Awaited<ReturnType<WebAuthn['generateRegistrationOptions']>>;

type VerifiedPasskey = Awaited<ReturnType<typeof verifiedPasskey>>;

const PURPOSE = 'passkey_registration';
const MAX_PER_USER = 20;
const USER_HANDLE_BYTES = 32;

/** {@link PasskeyManager.beginRegistration} */
export async function beginRegistration(
  core: SignInCore,
  userId: string,
  actor: Actor,
): Promise<RegistrationOptions> {
  const user = await requireOwn(core, userId, actor);
  await core.sessions.requireLive(actor);
  const present = await core.db.passkey.findMany({ where: { userId } });
  if (present.length >= MAX_PER_USER) throw tooMany();
  const userHandle = present[0]?.userHandle ?? newUserHandle(core);
  const challenge = await issueChallenge(core, PURPOSE, actor.sessionId ?? userId, { userId, userHandle });
  return registrationOptions(core, user.email, userHandle, challenge, present);
}

/** {@link PasskeyManager.finishRegistration} */
export async function finishRegistration(
  core: SignInCore,
  userId: string,
  response: RegistrationResponse,
  actor: Actor,
  name: string | undefined,
): Promise<{ passkey: Passkey; session: SessionWithToken | null }> {
  const user = await requireOwn(core, userId, actor);
  const browser = actor.sessionId ?? userId;
  const { client, live } = await consumeChallenge(core, response, 'webauthn.create', PURPOSE, browser, actor);
  if (live.data.userId !== userId) throw refused('wrong_challenge');
  const made = await verifiedPasskey(core, response, client, String(live.data.userHandle), name, actor);
  if ((await core.db.passkey.count({ where: { userId } })) >= MAX_PER_USER) throw tooMany();
  const { change, session } = await additionOf(core, user, made, actor);
  await core.ledger.commitToAccount(change).catch(whenTaken(registeredAlready));
  return { passkey: toPasskey({ ...made, lastUsedAt: null }), session };
}

/** What changes with a new passkey. With the first second factor the user's other sessions end, because they never proved one. */
async function additionOf(
  core: SignInCore,
  user: UserRow,
  made: VerifiedPasskey,
  actor: Actor,
): Promise<{ change: Change; session: SessionWithToken | null }> {
  const { sessionId } = actor;
  const isFirstFactor = (await core.signIn.factorsOf(user.id)).length === 0;
  const kept =
    sessionId === undefined
      ? null
      : await core.sessions.prepareElevation(sessionId, { amr: ['hwk'], assuranceLevel: 2 });
  const { to, data } = noticeTo(core, user, actor);
  const change: Change = {
    writes: [
      core.db.passkey.create({ data: { ...made, userId: user.id } }),
      ...(isFirstFactor
        ? core.sessions.revokeAllWrites(user, {
            reason: 'factor_changed',
            ...(sessionId !== undefined && { except: sessionId }),
          })
        : []),
      ...(kept === null ? [] : [kept.write]),
    ],
    facts: [
      {
        type: 'passkey.added',
        actor,
        target: { type: 'user', id: user.id },
        data: { passkeyId: made.id, aaguid: made.aaguid, backedUp: made.isBackedUp },
      },
    ],
    mails: [{ template: 'passkey-added', to, data: { ...data, passkeyName: made.name } }],
    invalidates: [`user:${user.id}`],
  };
  return { change, session: kept?.result ?? null };
}

/** The row of a new passkey, but for its user. @throws AuthTunaError `invalid_credentials` with `failure` */
export async function verifiedPasskey(
  core: Core,
  response: RegistrationResponse,
  client: ClientData,
  userHandle: string,
  name: string | undefined,
  actor: Actor,
) {
  const { config } = core;
  const verified = await verifyRegistration(response, client.challenge, config.passkeys).catch(
    async (error: unknown) => {
      throw await refusalOf(core, error, actor);
    },
  );
  return {
    ...verified,
    id: newId(config.random),
    userHandle,
    transports: (response.response.transports ?? []).filter((word) => /^[a-z-]+$/.test(word)).join(' '),
    name: name?.trim() || nameOf(verified.aaguid),
    createdAt: core.now(),
  };
}

/** The argument of `navigator.credentials.create()`. */
export async function registrationOptions(
  { config }: Core,
  email: string,
  userHandle: string,
  challenge: string,
  present: readonly { credentialId: string }[],
): Promise<RegistrationOptions> {
  const { generateRegistrationOptions } = await loadWebAuthn();
  return generateRegistrationOptions({
    rpName: config.passkeys.rpName,
    rpID: config.passkeys.rpId,
    userName: email,
    userDisplayName: email,
    userID: bytesOf(userHandle),
    challenge: bytesOf(challenge),
    timeout: CHALLENGE_SECONDS * 1000,
    attestationType: 'none',
    excludeCredentials: present.map(({ credentialId }) => ({ id: credentialId })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: ALGORITHMS,
  });
}

export function newUserHandle({ config }: Core): string {
  return config.random.bytes(USER_HANDLE_BYTES).toString('base64url');
}

function tooMany(): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: `An account can have ${MAX_PER_USER} passkeys. Remove one first.`,
  });
}

function registeredAlready(): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: 'This passkey is registered already.',
    failure: 'registered_already' satisfies CeremonyFailure,
  });
}
