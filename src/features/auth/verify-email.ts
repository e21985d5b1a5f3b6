import type { Actor } from '../../actor.js';
import { maskedEmail } from '../../core/identifiers.js';
import { GUESSING } from '../../core/limits/throttle.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { returnToOf } from '../../core/tokens/mailed-links.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import { type PublicUser, publicUser, type UserRow } from '../../core/user.js';
import { equalInConstantTime, sha256 } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';

/** How a person shows that they made the account whose address they confirm. */
export interface MakerProof {
  /** The value that only the browser had in which the account was made. */
  browserId?: string | null;
  /** The password that was chosen at sign-up. */
  password?: string;
}

/** The fields of {@link MakerProof}, for `requireKnownFields`. */
export const MAKER_PROOF_FIELDS = ['browserId', 'password'];

/** What the page of a verification link says before it is spent. */
export interface VerificationView {
  /** Masked: the holder of the link need not be the owner of the account. */
  email: string;
  username: string | null;
  createdAt: Date;
  hasPassword: boolean;
  /** Nothing shows that the person who looks is the one who signed up. */
  needsProof: boolean;
  /** Where they wanted to go when they signed up. */
  returnTo: string | null;
}

/** {@link AuthManager.verifyEmail} */
export async function verifyEmail(
  core: SignInCore,
  token: string,
  actor: Actor,
  proof: MakerProof | undefined,
): Promise<PublicUser> {
  const { links, signUp, db } = core;
  const live = await links.peek(token, 'verify_email');
  const user = await links.subjectOf(live);
  if (proof !== undefined) await requireMaker(core, live, user, actor, proof);
  const now = core.now();
  await links.spend(live, {
    writes: [
      db.user.update({
        where: { id: user.id, email: String(live.data.email), deletedAt: null },
        data: { emailVerifiedAt: now, unconfirmedUntil: null, updatedAt: now },
      }),
    ],
    facts: [{ type: 'user.email_verified', actor, target: { type: 'user', id: user.id } }],
    mails: [signUp.welcome(user)],
    invalidates: [`user:${user.id}`],
  });
  return publicUser({ ...user, emailVerifiedAt: now });
}

/** {@link AuthManager.claimAccount} */
export async function claimAccount(
  core: SignInCore,
  input: { token: string; newPassword: string },
  actor: Actor,
): Promise<void> {
  const { links, ownership, passwords, sessions, signInThrottle, signUp } = core;
  const live = await links.peek(input.token, 'verify_email');
  const user = await links.subjectOf(live);
  if (user.emailVerifiedAt !== null || user.email !== live.data.email)
    throw new AuthTunaError('invalid_token');
  await passwords.check(input.newPassword, user);
  const hash = await passwords.hash(input.newPassword);
  const target = { type: 'user', id: user.id };
  await links.spend(live, {
    writes: [
      ...ownership.beside(user),
      ...passwords.replaceWrites(user.id, hash),
      ...sessions.revokeAllWrites(user, { reason: 'mailbox_proved' }),
      ...signInThrottle.unlockWrites(user),
    ],
    facts: [
      { type: 'user.email_verified', actor, target },
      { type: 'password.reset', actor, target },
    ],
    mails: [signUp.welcome(user)],
    invalidates: [`user:${user.id}`],
  });
}

/** {@link AuthManager.inspectVerification} */
export async function inspectVerification(
  { links, db }: SignInCore,
  token: string,
  actor: Actor,
  browserId: string | null,
): Promise<VerificationView> {
  const live = await links.peek(token, 'verify_email');
  const user = await links.subjectOf(live);
  const password = await db.password.findUnique({ where: { userId: user.id } });
  return {
    email: maskedEmail(user.email),
    username: user.username,
    createdAt: user.createdAt,
    hasPassword: password !== null,
    needsProof: !isMaker(live, user, actor, browserId),
    returnTo: returnToOf(live),
  };
}

/**
 * Confirms an address and signs in: in the browser that signed up, or with the password, nothing is left to prove.
 *
 * @returns null where no sign-in follows: a user is signed in here already, or the sign-in was refused
 */
export async function verifyAndSignIn(
  core: SignInCore,
  token: string,
  actor: Actor,
  proof: MakerProof,
  options: SignInOptions,
): Promise<SignInResult | null> {
  const { id } = await verifyEmail(core, token, actor, proof);
  const user = await core.users.row(id);
  if (user === null || actor.userId !== null) return null;
  const amr = proof.password === undefined ? ['email'] : ['pwd', 'email'];
  return core.signIn.complete(user, { amr, assuranceLevel: 1 }, actor, options).catch((error: unknown) => {
    if (error instanceof AuthTunaError && error.code !== 'unavailable') return null; // the address is confirmed all the same
    throw error;
  });
}

/** Without this an impostor's password would open the account as soon as the owner of the address clicks. */
async function requireMaker(
  { throttle, passwords, audit, db }: SignInCore,
  live: LiveToken,
  user: UserRow,
  actor: Actor,
  proof: MakerProof,
): Promise<void> {
  if (isMaker(live, user, actor, proof.browserId ?? null)) return;
  const refused = () =>
    new AuthTunaError('invalid_credentials', {
      message: 'Enter the password that you chose when you signed up.',
      field: 'password',
    });
  if (proof.password === undefined) throw refused();
  const bucket = `verify-email:${user.id}`;
  await throttle.reserve(bucket, GUESSING, user.id);
  if (await passwords.verify(user.id, proof.password)) {
    await db.$transaction([throttle.clear(bucket)]);
    return;
  }
  await audit.record({
    type: 'user.email_verified',
    outcome: 'failure',
    reason: 'invalid_credentials',
    actor,
    target: { type: 'user', id: user.id },
  });
  throw refused();
}

/** A session of the account, or the browser in which it was made. A confirmed address needs no further proof. */
function isMaker(live: LiveToken, user: UserRow, actor: Actor, browserId: string | null): boolean {
  const { browser } = live.data;
  const isSameBrowser =
    typeof browser === 'string' && browserId !== null && equalInConstantTime(sha256(browserId), browser);
  return isSameBrowser || actor.userId === user.id || user.emailVerifiedAt !== null;
}
