import type { Actor } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import { type Mail, noticeTo } from '../../core/changes/outbox.js';
import { codesKey } from '../../core/limits/throttle.js';
import { whenMissing } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { FactorProof, SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { isActive, type UserRow } from '../../core/user.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { verifyAuthentication } from './ceremony.js';
import {
  bytesOf,
  CHALLENGE_SECONDS,
  consumeChallenge,
  issueChallenge,
  refusalOf,
  refuse,
} from './challenges.js';
import type { AuthenticationResponse } from './schemas.js';
import { loadWebAuthn, type WebAuthn } from './webauthn.js';

export type AuthenticationOptions = Awaited<ReturnType<WebAuthn['generateAuthenticationOptions']>>;

/** The state of the browser in which a ceremony began. A challenge counts only in the same state of the same browser. */
export type CeremonyHolder =
  /** Signed in, or waiting for a step-up. */
  | { kind: 'step_up'; userId: string; sessionId: string }
  /** Half signed in. */
  | { kind: 'second_factor'; pendingToken: string }
  /** Not signed in; `browser` is a value that only this browser has. */
  | { kind: 'sign_in'; browser: string };

/** The fields of each {@link CeremonyHolder}, for `requireKnownFields`. */
export const HOLDER_FIELDS: Readonly<Record<CeremonyHolder['kind'], readonly string[]>> = {
  step_up: ['kind', 'userId', 'sessionId'],
  second_factor: ['kind', 'pendingToken'],
  sign_in: ['kind', 'browser'],
};

/** The outcome of a ceremony with a passkey. */
export type PasskeyOutcome =
  | { kind: 'signed_in'; result: SignInResult }
  | { kind: 'stepped_up'; elevated: SessionWithToken };

type PasskeyRow = Awaited<ReturnType<Db['passkey']['findUniqueOrThrow']>>;
type StepUpHolder = Extract<CeremonyHolder, { kind: 'step_up' }>;

/** {@link PasskeyManager.beginSignIn} */
export async function beginAssertion(
  core: SignInCore,
  holder: CeremonyHolder,
): Promise<AuthenticationOptions> {
  const challenge = await issueChallenge(core, purposeOf(holder), await bindingOf(core, holder), {});
  const { generateAuthenticationOptions } = await loadWebAuthn();
  return generateAuthenticationOptions({
    rpID: core.config.passkeys.rpId,
    challenge: bytesOf(challenge),
    timeout: CHALLENGE_SECONDS * 1000,
    // As a second factor a PIN or fingerprint is not required; an authenticator that has one asks for it.
    userVerification: holder.kind === 'second_factor' ? 'preferred' : 'required',
    allowCredentials: [],
  });
}

/** {@link PasskeyManager.finishSignIn} */
export async function finishAssertion(
  core: SignInCore,
  response: AuthenticationResponse,
  holder: CeremonyHolder,
  actor: Actor,
  options: SignInOptions,
): Promise<PasskeyOutcome> {
  const binding = await bindingOf(core, holder);
  const { client } = await consumeChallenge(
    core,
    response,
    'webauthn.get',
    purposeOf(holder),
    binding,
    actor,
  );
  const row = await core.db.passkey.findUnique({
    where: { credentialId: response.id },
    include: { user: true },
  });
  // The browser may forget it. One that another account has, or that is on hold, stays.
  if (row === null) throw await refuse(core, 'unknown_credential', actor, undefined, { isGone: true });
  const isOnHold =
    holder.kind === 'sign_in' && (await core.secondFactors.isOnHold(row.userId, row.createdAt));
  if (isOnHold) throw await refuse(core, 'unknown_credential', actor);
  const { user } = row;
  const verified = await verifyAuthentication(response, client.challenge, core.config.passkeys, row, {
    requireUserVerification: holder.kind !== 'second_factor',
  }).catch(async (error: unknown) => {
    throw await refusalOf(core, error, actor, user.id);
  });
  if (verified.isCounterBehind) return finishDoubtful(core, row, user, holder, actor, options);

  const { counter, isBackedUp, isBackupEligible } = verified;
  const used = { counter, isBackedUp, isBackupEligible, lastUsedAt: core.now() };
  const beganToSync = isBackupEligible && !row.isBackupEligible;
  const proof: FactorProof = {
    factor: 'passkey',
    amr: ['hwk'],
    writes: [
      core.db.passkey.update({ where: { id: row.id, counter: row.counter }, data: used }),
      // The passkey proved the person, so failures at codes are forgotten, also a hundred in a row.
      core.throttle.clear(codesKey(user.id)),
    ],
    ...(beganToSync ? syncing(core, row, user, actor) : { facts: [], mails: [] }),
  };
  const amr = verified.userVerified ? ['hwk', 'user'] : ['hwk'];
  return conclude(core, holder, user, proof, amr, actor, options).catch(
    whenMissing(() => refuse(core, 'wrong_counter', actor, user.id)),
  );
}

/** A counter that went back means that the passkey may have been copied. Such a passkey needs another factor beside it. */
async function finishDoubtful(
  core: SignInCore,
  row: PasskeyRow,
  user: UserRow,
  holder: CeremonyHolder,
  actor: Actor,
  options: SignInOptions,
): Promise<PasskeyOutcome> {
  await core.audit.record(suspicion(row, actor));
  if (holder.kind !== 'sign_in') throw await refuse(core, 'wrong_counter', actor, user.id);
  const result = await core.signIn
    .complete(user, { amr: ['hwk'], assuranceLevel: 1 }, actor, { ...options, doubtful: 'passkey' })
    .catch(async (error: unknown) => {
      const isRefusal = error instanceof AuthTunaError && error.code === 'invalid_credentials';
      throw isRefusal ? await refuse(core, 'wrong_counter', actor, user.id) : error;
    });
  return { kind: 'signed_in', result };
}

async function conclude(
  core: SignInCore,
  holder: CeremonyHolder,
  user: UserRow,
  proof: FactorProof,
  amr: string[],
  actor: Actor,
  options: SignInOptions,
): Promise<PasskeyOutcome> {
  if (holder.kind === 'second_factor') {
    const pending = await core.signIn.pending(holder.pendingToken);
    if (pending.user.id !== user.id) throw await refuse(core, 'unknown_credential', actor, user.id);
    return { kind: 'signed_in', result: await core.signIn.finish(pending, proof, actor, options) };
  }
  if (holder.kind === 'sign_in') {
    const { writes, facts, mails } = proof;
    const signIn = { ...options, writes, facts, mails };
    const result = await core.signIn.complete(user, { amr, assuranceLevel: 2 }, actor, signIn);
    return { kind: 'signed_in', result };
  }
  if (holder.userId !== user.id) throw await refuse(core, 'unknown_credential', actor, user.id);
  if (!isActive(user, core.now())) throw new AuthTunaError('account_suspended');
  return { kind: 'stepped_up', elevated: await elevate(core, holder, proof, amr, actor, options) };
}

async function elevate(
  core: SignInCore,
  { userId, sessionId }: StepUpHolder,
  proof: FactorProof,
  amr: string[],
  actor: Actor,
  { fingerprint }: SignInOptions,
): Promise<SessionWithToken> {
  const { write, result } = await core.sessions.prepareElevation(
    sessionId,
    { amr, assuranceLevel: 2 },
    { replaces: true, ...(fingerprint !== undefined && { fingerprint }) },
  );
  await core.ledger.commit({
    writes: [...proof.writes, write],
    facts: [
      ...proof.facts,
      {
        type: 'session.elevated',
        actor: { ...actor, userId, sessionId },
        target: { type: 'session', id: sessionId },
        data: { amr },
      },
    ],
    mails: proof.mails,
    invalidates: [`session:${sessionId}`],
  });
  return result;
}

function purposeOf(holder: CeremonyHolder): string {
  return `passkey_${holder.kind}`;
}

async function bindingOf(core: SignInCore, holder: CeremonyHolder): Promise<string> {
  if (holder.kind === 'sign_in') return holder.browser;
  if (holder.kind === 'step_up') return holder.sessionId;
  return (await core.signIn.pending(holder.pendingToken)).id;
}

/** A passkey that was made for one device is kept by a service from now on that copies it to others; its owner is told. */
function syncing(core: SignInCore, row: PasskeyRow, user: UserRow, actor: Actor) {
  const { to, data } = noticeTo(core, user, actor);
  const fact: Fact = {
    type: 'passkey.synced',
    actor,
    target: { type: 'user', id: user.id },
    data: { passkeyId: row.id },
  };
  const mail: Mail = { template: 'passkey-synced', to, data: { ...data, passkeyName: row.name } };
  return { facts: [fact], mails: [mail] };
}

function suspicion(row: PasskeyRow, actor: Actor): Fact {
  return {
    type: 'passkey.suspicious',
    outcome: 'denied',
    reason: 'counter_went_back',
    actor,
    target: { type: 'user', id: row.userId },
    data: { passkeyId: row.id },
  };
}
