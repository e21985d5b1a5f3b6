import { generateAuthenticationOptions, generateRegistrationOptions } from '@simplewebauthn/server';
import { type Actor, isSystem } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Change } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { codesKey } from '../../core/limits/throttle.js';
import { noUser } from '../../core/refusals.js';
import type { Proof, SessionWithToken } from '../../core/sessions/sessions.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { FactorProof, SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput, SignUpWay } from '../../core/sign-in/sign-up.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import type { UserRow } from '../../core/user.js';
import { isActive } from '../../core/user.js';
import { hasOtherWayIn } from '../../core/users/sign-in-methods.js';
import { newId } from '../../crypto/random.js';
import { parseSplitToken, secretMatches } from '../../crypto/split-token.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { nameOf } from './authenticators.js';
import {
  ALGORITHMS,
  type CeremonyFailure,
  type ClientData,
  readClientData,
  refused,
  verifyAuthentication,
  verifyRegistration,
} from './ceremony.js';
import type { AuthenticationResponse, RegistrationResponse } from './schemas.js';

export type RegistrationOptions = Awaited<ReturnType<typeof generateRegistrationOptions>>;
export type AuthenticationOptions = Awaited<ReturnType<typeof generateAuthenticationOptions>>;

/** A passkey as its owner sees it. */
export interface Passkey {
  id: string;
  name: string;
  /** How a browser can reach it: `internal`, `hybrid`, `usb`, … */
  transports: string[];
  /** Copied between devices by its provider. */
  isBackedUp: boolean;
  createdAt: Date;
  lastUsedAt: Date | null;
}

/** Who the browser is to a ceremony; a challenge counts for nobody else. */
export type CeremonyHolder =
  /** Signed in, or waiting for a step-up. */
  | { kind: 'step_up'; userId: string; sessionId: string }
  /** Half signed in. */
  | { kind: 'second_factor'; pendingToken: string }
  /** Nobody yet; `browser` is a value that only this browser has. */
  | { kind: 'sign_in'; browser: string };

/** What a finished ceremony with a passkey comes to. */
export type PasskeyOutcome =
  | { kind: 'signed_in'; result: SignInResult }
  | { kind: 'stepped_up'; elevated: SessionWithToken };

const CHALLENGE_SECONDS = 300;
const ID_CHARACTERS = 16; // of a split token, whose two halves in a row are the challenge
const MAX_PER_USER = 20;
const USER_HANDLE_BYTES = 32;

/**
 * Passkeys: making them, signing in with them, and looking after them.
 *
 * The challenge is a one-time token, so it exists once, in the database, for one ceremony of one browser, and trying it spends it. Only
 * discoverable credentials are made and asked for, so the options say nothing about who has an account.
 * @see W3C WebAuthn Level 3; docs/requirements.md PK-1 to PK-6
 */
export class PasskeyManager {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** A user's passkeys, the newest first. */
  async list(userId: string): Promise<Passkey[]> {
    const rows = await this.#core.db.passkey.findMany({
      where: { userId },
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
    });
    return rows.map(toPasskey);
  }

  /** How many recovery codes the user has, so that whoever adds a first passkey can be given some. */
  recoveryCodesLeft(userId: string): Promise<number> {
    return this.#core.db.recoveryCode.count({ where: { userId, usedAt: null } });
  }

  /**
   * What `navigator.credentials.create()` is to be called with, for a user who is signed in. The challenge lives five minutes.
   *
   * @throws AuthTunaError `forbidden` for another's; `not_found` for no such user; `conflict` when the user has 20 passkeys
   */
  async beginRegistration(userId: string, actor: Actor): Promise<RegistrationOptions> {
    const user = await this.#own(userId, actor);
    const present = await this.#core.db.passkey.findMany({ where: { userId } });
    if (present.length >= MAX_PER_USER) throw tooMany();
    const userHandle = present[0]?.userHandle ?? this.#newUserHandle();
    const challenge = await this.#challenge('passkey_registration', actor.sessionId ?? userId, {
      userId,
      userHandle,
    });
    return this.#registrationOptions(user.email, userHandle, challenge, present);
  }

  /**
   * Stores a passkey. With the first second factor of a user all other sessions end; the actor's goes on under a new cookie (`session`).
   *
   * @param options.name default: what the authenticator's model is called
   * @throws AuthTunaError `invalid_credentials` with `failure`; `conflict` for a credential that is known, or the 21st, or when the account changed
   * at the same moment; `forbidden`, `not_found`; `session_revoked` when the actor's has ended
   */
  async finishRegistration(
    userId: string,
    response: RegistrationResponse,
    actor: Actor,
    options: { name?: string } = {},
  ): Promise<{ passkey: Passkey; session: SessionWithToken | null }> {
    const user = await this.#own(userId, actor);
    const { client, live } = await this.#consume(
      response.response.clientDataJSON,
      'webauthn.create',
      'passkey_registration',
      actor.sessionId ?? userId,
      actor,
    );
    if (live.data.userId !== userId) throw refused('wrong_challenge');
    const made = await this.#verifyRegistration(
      response,
      client,
      String(live.data.userHandle),
      options.name,
      actor,
    );

    const { db } = this.#core;
    if ((await db.passkey.count({ where: { userId } })) >= MAX_PER_USER) throw tooMany();
    const isFirstFactor = (await this.#core.signIn.factorsOf(userId)).length === 0;
    const { sessionId } = actor;
    const kept =
      sessionId === undefined
        ? null
        : await this.#core.sessions.prepareElevation(sessionId, { amr: ['hwk'], assuranceLevel: 2 });
    const { to, data } = noticeTo(this.#core, user, actor);
    await this.#store({
      writes: [
        db.passkey.create({ data: { ...made, userId } }),
        // Whoever is signed in elsewhere has not proved what the account asks for from now on.
        ...(isFirstFactor
          ? this.#core.sessions.revokeAllWrites(user, {
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
          target: { type: 'user', id: userId },
          data: { passkeyId: made.id, aaguid: made.aaguid, backedUp: made.isBackedUp },
        },
      ],
      mails: [{ template: 'passkey-added', to, data: { ...data, passkeyName: made.name } }],
      invalidates: [`user:${userId}`],
    });
    return { passkey: toPasskey({ ...made, lastUsedAt: null }), session: kept?.result ?? null };
  }

  /**
   * What `navigator.credentials.create()` is to be called with, for a sign-up without a password. Says the same whether the address is taken
   * or not.
   *
   * @throws AuthTunaError as `auth.signUp`, before the browser is asked for anything
   */
  async beginSignUp(details: SignUpInput, browser: string): Promise<RegistrationOptions> {
    await this.#core.signUp.check(details, { by: 'passkey' });
    const userHandle = this.#newUserHandle();
    const challenge = await this.#challenge('passkey_sign_up', browser, { details, userHandle });
    return this.#registrationOptions(details.email, userHandle, challenge, []);
  }

  /**
   * Finishes the ceremony of a sign-up: gives the details it began with, and the way that stores the passkey together with the account.
   *
   * @throws AuthTunaError as `finishRegistration`
   */
  async finishSignUp(
    response: RegistrationResponse,
    browser: string,
    actor: Actor,
    options: { name?: string } = {},
  ): Promise<{ details: SignUpInput; way: SignUpWay & { proof: Proof } }> {
    const { client, live } = await this.#consume(
      response.response.clientDataJSON,
      'webauthn.create',
      'passkey_sign_up',
      browser,
      actor,
    );
    const { userHandle, details } = live.data;
    const made = await this.#verifyRegistration(response, client, String(userHandle), options.name, actor);
    return {
      details: details as SignUpInput,
      way: {
        by: 'passkey',
        writesFor: (userId) => [this.#core.db.passkey.create({ data: { ...made, userId } })],
        proof: { amr: ['hwk', 'user'], assuranceLevel: 2 },
      },
    };
  }

  /** What `navigator.credentials.get()` is to be called with; the same for everybody. The challenge lives five minutes. */
  async beginSignIn(holder: CeremonyHolder): Promise<AuthenticationOptions> {
    const { config } = this.#core;
    const challenge = await this.#challenge(purposeOf(holder), await this.#bindingOf(holder), {});
    return generateAuthenticationOptions({
      rpID: config.passkeys.rpId,
      challenge: bytesOf(challenge),
      timeout: CHALLENGE_SECONDS * 1000,
      // Also where it need not be verified: who can, shall.
      userVerification: holder.kind === 'second_factor' ? 'preferred' : 'required',
      allowCredentials: [],
    });
  }

  /**
   * Ends a ceremony: signs in, completes a sign-in that waits for its second factor, or raises the session.
   *
   * An authenticator whose counter went back may have been copied: alone it signs nobody in.
   * @throws AuthTunaError `invalid_credentials` with `failure`; `invalid_token` when the waiting sign-in is over; `account_suspended`
   */
  async finishSignIn(
    response: AuthenticationResponse,
    holder: CeremonyHolder,
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<PasskeyOutcome> {
    const { client } = await this.#consume(
      response.response.clientDataJSON,
      'webauthn.get',
      purposeOf(holder),
      await this.#bindingOf(holder),
      actor,
    );
    const { db, config } = this.#core;
    const row = await db.passkey.findUnique({
      where: { credentialId: response.id },
      include: { user: true },
    });
    if (row === null) throw await this.#refuse('unknown_credential', actor);
    const { user } = row;
    const verified = await verifyAuthentication(response, client.challenge, config.passkeys, row, {
      requireUserVerification: holder.kind !== 'second_factor',
    }).catch(async (error: unknown) => {
      throw error instanceof AuthTunaError
        ? await this.#refuse(error.details.failure as CeremonyFailure, actor, user.id)
        : error;
    });
    if (verified.isCounterBehind) {
      await this.#core.ledger.commit({ writes: [], facts: [suspicion(row, actor)] });
      if (holder.kind !== 'sign_in') throw await this.#refuse('wrong_counter', actor, user.id);
      const result = await this.#core.signIn
        .complete(user, { amr: ['hwk'], assuranceLevel: 1 }, actor, { ...options, doubtful: 'passkey' })
        .catch(async (error: unknown) => {
          const isRefusal = error instanceof AuthTunaError && error.code === 'invalid_credentials';
          throw isRefusal ? await this.#refuse('wrong_counter', actor, user.id) : error;
        });
      return { kind: 'signed_in', result };
    }

    const proof: FactorProof = {
      factor: 'passkey',
      amr: ['hwk'],
      writes: [
        db.passkey.update({
          where: { id: row.id, counter: row.counter },
          data: {
            counter: verified.counter,
            isBackedUp: verified.isBackedUp,
            lastUsedAt: this.#core.now(),
          },
        }),
        // Another factor has proved who it is: codes count from zero again, and are open again after too many.
        this.#core.throttle.clear(codesKey(user.id)),
      ],
      facts: [],
      mails: [],
    };
    try {
      return await this.#conclude(holder, user, proof, verified.userVerified, actor, options);
    } catch (error) {
      throw isMissing(error) ? await this.#refuse('wrong_counter', actor, user.id) : error;
    }
  }

  async #conclude(
    holder: CeremonyHolder,
    user: UserRow,
    proof: FactorProof,
    userVerified: boolean,
    actor: Actor,
    options: SignInOptions,
  ): Promise<PasskeyOutcome> {
    if (holder.kind === 'second_factor') {
      const pending = await this.#core.signIn.pending(holder.pendingToken);
      if (pending.user.id !== user.id) throw await this.#refuse('unknown_credential', actor, user.id);
      return { kind: 'signed_in', result: await this.#core.signIn.finish(pending, proof, actor, options) };
    }
    const amr = userVerified ? ['hwk', 'user'] : ['hwk'];
    if (holder.kind === 'sign_in') {
      const { writes } = proof;
      const result = await this.#core.signIn.complete(user, { amr, assuranceLevel: 2 }, actor, {
        ...options,
        writes,
      });
      return { kind: 'signed_in', result };
    }
    if (holder.userId !== user.id) throw await this.#refuse('unknown_credential', actor, user.id);
    if (!isActive(user, this.#core.now())) throw new AuthTunaError('account_suspended');
    const { write, result } = await this.#core.sessions.prepareElevation(
      holder.sessionId,
      { amr, assuranceLevel: 2 },
      { replaces: true, ...(options.fingerprint !== undefined && { fingerprint: options.fingerprint }) },
    );
    await this.#core.ledger.commit({
      writes: [...proof.writes, write],
      facts: [
        {
          type: 'session.elevated',
          actor: { ...actor, userId: user.id, sessionId: holder.sessionId },
          target: { type: 'session', id: holder.sessionId },
          data: { amr },
        },
      ],
      invalidates: [`session:${holder.sessionId}`],
    });
    return { kind: 'stepped_up', elevated: result };
  }

  /** @throws AuthTunaError `not_found`, also for somebody else's passkey; `forbidden` for an actor who is not the user */
  async rename(userId: string, id: string, name: string, actor: Actor): Promise<Passkey> {
    await this.#own(userId, actor);
    try {
      await this.#core.ledger.commit({
        writes: [this.#core.db.passkey.update({ where: { id, userId }, data: { name } })],
        facts: [
          { type: 'passkey.renamed', actor, target: { type: 'user', id: userId }, data: { passkeyId: id } },
        ],
      });
    } catch (error) {
      throw isMissing(error) ? noPasskey() : error;
    }
    const row = await this.#core.db.passkey.findUnique({ where: { id } });
    if (row === null) throw noPasskey();
    return toPasskey(row);
  }

  /**
   * Removes a passkey. Every other session ends; the actor's goes on under a new cookie (`session`).
   *
   * @throws AuthTunaError `not_found`; `forbidden` for another's; `conflict` when it is the user's last way in, or the account changed at the same
   * moment; `session_revoked` when the actor's has ended
   */
  async delete(userId: string, id: string, actor: Actor): Promise<{ session: SessionWithToken | null }> {
    // The row is read first: raising its epoch below misses if another way in was taken away meanwhile.
    const user = await this.#own(userId, actor);
    const { db } = this.#core;
    const rows = await db.passkey.findMany({ where: { userId } });
    const row = rows.find((candidate) => candidate.id === id);
    if (row === undefined) throw noPasskey();
    if (!(await hasOtherWayIn(this.#core, userId, { passkeyId: id })))
      throw new AuthTunaError('conflict', {
        message: 'This is the only way to sign in to this account. Add another one first.',
        reason: 'last_way_in',
      });
    const { to, data } = noticeTo(this.#core, user, actor);
    const session = await this.#core.secondFactors.commitChange(user, actor, {
      proof: null,
      writes: [db.passkey.delete({ where: { id, userId } })],
      facts: [
        { type: 'passkey.removed', actor, target: { type: 'user', id: userId }, data: { passkeyId: id } },
      ],
      mails: [{ template: 'passkey-removed', to, data: { ...data, passkeyName: row.name } }],
      ...(rows.length === 1 && { removed: 'passkey' }),
    });
    return { session };
  }

  /** A new challenge: the two halves of a one-time token in a row. */
  async #challenge(purpose: string, browser: string, data: Record<string, unknown>): Promise<string> {
    const { token, writes } = this.#core.tokens.issue({
      purpose,
      subject: newId(this.#core.config.random), // several tabs may wait at once
      lifetimeSeconds: CHALLENGE_SECONDS,
      data,
      browser,
    });
    await this.#core.ledger.commit({ writes, facts: [] });
    return token.replace('.', '');
  }

  /** Spends the challenge that a response names, whether or not the rest of it is good. */
  async #consume(
    clientDataJSON: string,
    type: ClientData['type'] & ('webauthn.create' | 'webauthn.get'),
    purpose: string,
    browser: string,
    actor: Actor,
  ): Promise<{ client: ClientData; live: LiveToken }> {
    let token = '';
    try {
      const client = readClientData(clientDataJSON, type, this.#core.config.passkeys);
      token = `${client.challenge.slice(0, ID_CHARACTERS)}.${client.challenge.slice(ID_CHARACTERS)}`;
      const live = await this.#core.tokens.peek(token, purpose, { browser });
      await this.#core.ledger.commit({ writes: [live.spend], facts: [] });
      return { client, live };
    } catch (error) {
      const isToken = error instanceof AuthTunaError && error.code === 'invalid_token';
      if (isToken || isMissing(error))
        throw await this.#refuse((await this.#isSpent(token)) ? 'replayed' : 'wrong_challenge', actor);
      if (error instanceof AuthTunaError && error.details.failure !== undefined)
        throw await this.#refuse(error.details.failure as CeremonyFailure, actor);
      throw error;
    }
  }

  /** Whether a response to this challenge has been here before. */
  async #isSpent(token: string): Promise<boolean> {
    const parsed = parseSplitToken(token);
    if (parsed === null) return false;
    const row = await this.#core.db.oneTimeToken.findUnique({ where: { id: parsed.id } });
    return row !== null && row.usedAt !== null && secretMatches(parsed.secretHash, row.secretHash);
  }

  async #verifyRegistration(
    response: RegistrationResponse,
    client: ClientData,
    userHandle: string,
    name: string | undefined,
    actor: Actor,
  ) {
    const { config } = this.#core;
    const verified = await verifyRegistration(response, client.challenge, config.passkeys).catch(
      async (error: unknown) => {
        throw error instanceof AuthTunaError
          ? await this.#refuse(error.details.failure as CeremonyFailure, actor)
          : error;
      },
    );
    return {
      ...verified,
      id: newId(config.random),
      userHandle,
      transports: (response.response.transports ?? []).filter((word) => /^[a-z-]+$/.test(word)).join(' '),
      name: name?.trim() || nameOf(verified.aaguid),
      createdAt: this.#core.now(),
    };
  }

  #registrationOptions(
    email: string,
    userHandle: string,
    challenge: string,
    present: readonly { credentialId: string }[],
  ): Promise<RegistrationOptions> {
    const { rpId, rpName } = this.#core.config.passkeys;
    return generateRegistrationOptions({
      rpName,
      rpID: rpId,
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

  #newUserHandle(): string {
    return this.#core.config.random.bytes(USER_HANDLE_BYTES).toString('base64url');
  }

  async #bindingOf(holder: CeremonyHolder): Promise<string> {
    if (holder.kind === 'sign_in') return holder.browser;
    if (holder.kind === 'step_up') return holder.sessionId;
    return (await this.#core.signIn.pending(holder.pendingToken)).id;
  }

  /** Records a refusal and gives the error for it. */
  async #refuse(failure: CeremonyFailure, actor: Actor, userId?: string): Promise<AuthTunaError> {
    await this.#core.ledger.commit({
      writes: [],
      facts: [
        {
          type: 'factor.failed',
          outcome: 'failure',
          reason: failure,
          actor,
          data: { factor: 'passkey' },
          ...(userId !== undefined && { target: { type: 'user', id: userId } }),
        },
      ],
    });
    return refused(failure);
  }

  async #store(change: Change): Promise<void> {
    try {
      await this.#core.ledger.commitToAccount(change);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new AuthTunaError('conflict', { message: 'This passkey is registered already.' });
    }
  }

  async #own(userId: string, actor: Actor): Promise<UserRow> {
    if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || !isActive(user, this.#core.now())) throw noUser();
    return user;
  }
}

function purposeOf(holder: CeremonyHolder): string {
  return `passkey_${holder.kind}`;
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64url, 'base64url'));
}

function suspicion(row: { id: string; userId: string }, actor: Actor): Fact {
  return {
    type: 'passkey.suspicious',
    outcome: 'denied',
    reason: 'counter_went_back',
    actor,
    target: { type: 'user', id: row.userId },
    data: { passkeyId: row.id },
  };
}

function toPasskey(row: {
  id: string;
  name: string;
  transports: string;
  isBackedUp: boolean;
  createdAt: Date;
  lastUsedAt: Date | null;
}): Passkey {
  const { id, name, transports, isBackedUp, createdAt, lastUsedAt } = row;
  return { id, name, transports: transports.split(' ').filter(Boolean), isBackedUp, createdAt, lastUsedAt };
}

function tooMany(): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: `An account can have ${MAX_PER_USER} passkeys. Remove one first.`,
  });
}

function noPasskey(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such passkey.' });
}
