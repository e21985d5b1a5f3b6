import type { Actor } from '../../actor.js';
import { activityOf } from '../../core/changes/outbox.js';
import { maskedEmail } from '../../core/identifiers.js';
import { whenMissing } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput } from '../../core/sign-in/sign-up.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import { type IssuedMail, returnToOf } from '../../core/tokens/mailed-links.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import { mailTo, type Recipient } from '../../core/tokens/recipient.js';
import { typedCode } from '../../core/typed.js';
import type { UserRow } from '../../core/user.js';
import { equalInConstantTime, sha256 } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';
import { completeByMail, recordFailure, reserveAttempt } from './mail-proof.js';

/** What the page of a magic link says before it is spent. */
export interface LinkView {
  /** The address, masked: the holder of the link need not be its owner. */
  email: string;
  /** There is no account yet: spending the link makes one, with the details that the options ask for. */
  isSignUp: boolean;
  /** This is not the browser that asked, so the code that is shown there is needed. */
  needsCode: boolean;
  /** Where the person wanted to go who asked for the link. */
  returnTo: string | null;
}

const BROWSER_CODE_LENGTH = 8;
// Without letters and digits that are taken for each other when read aloud or typed over.
const CODE_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
const ENTER_CODE = 'Enter the code that is shown in the browser where you asked for this link.';

/** {@link PasswordlessManager.requestLink} */
export async function requestLink(
  core: SignInCore,
  email: string,
  actor: Actor,
  browserId: string | undefined,
  returnTo: string | null = null,
): Promise<HeldMail | null> {
  const { links, config } = core;
  const { magicLink } = config.passwordless;
  if (!magicLink.enabled) throw new AuthTunaError('not_found');
  const bound = magicLink.bindToBrowser && browserId !== undefined ? browserId : null;
  return links.request({
    type: 'user.sign_in_link_requested',
    purpose: 'magic_link',
    address: links.addressOf(email),
    actor,
    takesNewcomers: config.signUp.enabled,
    issue: (recipient) => issueLink(core, recipient, bound, actor, returnTo),
  });
}

/** {@link PasswordlessManager.browserCode} */
export function browserCode({ config, keys }: SignInCore, browserId: string): string | null {
  if (!config.passwordless.magicLink.bindToBrowser) return null;
  const digest = keys.lookup(JSON.stringify(['browser code', browserId]));
  return [...Buffer.from(digest, 'base64url').subarray(0, BROWSER_CODE_LENGTH)]
    .map((byte) => CODE_ALPHABET[byte % CODE_ALPHABET.length])
    .join('');
}

/** {@link PasswordlessManager.inspectLink} */
export async function inspectLink(core: SignInCore, token: string, browserId?: string): Promise<LinkView> {
  const live = await core.links.peek(token, 'magic_link');
  const { email, user } = await subjectOf(core, live);
  return {
    email: maskedEmail(email),
    isSignUp: user === null,
    needsCode: !isAskingBrowser(live, browserId),
    returnTo: returnToOf(live),
  };
}

/** {@link PasswordlessManager.consumeLink} */
export async function consumeLink(
  core: SignInCore,
  { token, code, ...details }: { token: string; code?: string } & Pick<SignUpInput, 'username' | 'data'>,
  actor: Actor,
  { browserId, ...options }: SignInOptions & { browserId?: string },
): Promise<SignInResult> {
  const { links, signInThrottle, tokens } = core;
  const live = await links.peek(token, 'magic_link');
  const { email, user } = await subjectOf(core, live);
  if (!isAskingBrowser(live, browserId)) await requireCode(core, live, user, code, actor);
  if (user === null) return signUpByLink(core, live, { email, ...details }, actor, options);
  const writes = [...(options.writes ?? []), signInThrottle.emailCodeWrite(user)];
  return completeByMail(core, user, live.spend, actor, { ...options, writes }, () => tokens.missed(live));
}

/** Makes the account of an address that had none: the link has proved the mailbox. Refused details leave the link as it is. */
async function signUpByLink(
  { signUp, signIn, users, tokens, signInThrottle }: SignInCore,
  live: LiveToken,
  input: SignUpInput,
  actor: Actor,
  options: SignInOptions,
): Promise<SignInResult> {
  const { id } = await signUp
    .create(input, actor, { by: 'magic_link', isMailboxProved: true, writesFor: () => [live.spend] })
    .catch(whenMissing(() => tokens.missed(live)));
  const user = await users.row(id);
  if (user === null) throw new AuthTunaError('invalid_token');
  const writes = [...(options.writes ?? []), signInThrottle.emailCodeWrite(user)];
  return signIn.complete(user, { amr: ['email'], assuranceLevel: 1 }, actor, { ...options, writes });
}

/** A link in another browser needs the code that is shown in the browser that asked for it. */
async function requireCode(
  core: SignInCore,
  live: LiveToken,
  user: UserRow | null,
  typed: string | undefined,
  actor: Actor,
): Promise<void> {
  if (typed === undefined) throw new AuthTunaError('invalid_credentials', { message: ENTER_CODE });
  if (!(await reserveAttempt(core, live.id))) throw new AuthTunaError('invalid_token');
  const code = typedCode(typed);
  if (equalInConstantTime(codeDigest(core, live.subject, code), String(live.data.code))) return;
  await recordFailure(core, user, actor);
  throw new AuthTunaError('invalid_credentials', { message: ENTER_CODE });
}

async function issueLink(
  core: SignInCore,
  recipient: Recipient,
  browserId: string | null,
  actor: Actor,
  returnTo: string | null,
): Promise<IssuedMail> {
  const code = browserId === null ? null : browserCode(core, browserId);
  const { writes, link, expiresInSeconds } = await core.links.issue('magic_link', recipient, {
    data: {
      ...(recipient.isNewcomer === true && { email: recipient.email }),
      ...(returnTo !== null && { returnTo }),
      ...(browserId !== null &&
        code !== null && { browser: sha256(browserId), code: codeDigest(core, recipient.id, code) }),
    },
  });
  const data = { name: recipient.username, link, expiresInSeconds, activity: activityOf(core, actor) };
  const template = recipient.isNewcomer === true ? 'magic-link-sign-up' : 'magic-link';
  return { writes, mail: { template, ...mailTo(recipient), data } };
}

function isAskingBrowser(live: LiveToken, browserId: string | undefined): boolean {
  const { browser } = live.data;
  if (typeof browser !== 'string') return true;
  return browserId !== undefined && equalInConstantTime(sha256(browserId), browser);
}

function codeDigest({ keys }: SignInCore, userId: string, code: string): string {
  return keys.lookup(JSON.stringify(['magic link code', userId, code]));
}

/**
 * The address of a link and its account; null for an address that had none and still has none. A suspended account is found too: the
 * sign-in itself says that it is suspended.
 */
async function subjectOf(
  { db }: SignInCore,
  live: LiveToken,
): Promise<{ email: string; user: UserRow | null }> {
  const { email } = live.data;
  const isNewcomer = typeof email === 'string';
  const user = await db.user.findUnique({ where: isNewcomer ? { email } : { id: live.subject } });
  if (user === null && isNewcomer) return { email, user };
  if (user === null || user.deletedAt !== null) throw new AuthTunaError('invalid_token');
  return { email: user.email, user };
}
