import type { Actor } from '../../actor.js';
import type { Write } from '../../core/changes/ledger.js';
import { activityOf } from '../../core/changes/outbox.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import type { IssuedMail } from '../../core/tokens/mailed-links.js';
import { mailTo, type Recipient, standInFor } from '../../core/tokens/recipient.js';
import { typedCode } from '../../core/typed.js';
import type { UserRow } from '../../core/user.js';
import { newId, type Random } from '../../crypto/random.js';
import type { Lane } from '../../crypto/work-queue.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import { completeByMail, MAX_ATTEMPTS, recordFailure, reserveAttempt } from './mail-proof.js';

const PURPOSE = 'email_code';
const CODE_SECONDS = 10 * 60; // ASVS 5.0 6.5.5
const CODE_DIGITS = 6;

/** {@link PasswordlessManager.requestCode} */
export async function requestCode(core: SignInCore, email: string, actor: Actor): Promise<HeldMail | null> {
  const { links, config, passwords } = core;
  if (!config.passwordless.emailCode) throw new AuthTunaError('not_found');
  const address = links.addressOf(email);
  const code = newCode(config.random);
  // Hashed whether or not the address has an account, so that time does not tell.
  const hash = await passwords.hash(code, 'stranger');
  return links.request({
    type: 'user.sign_in_code_requested',
    purpose: PURPOSE,
    address,
    actor,
    issue: async (recipient) => issueCode(core, recipient, code, hash, actor),
  });
}

/** {@link PasswordlessManager.consumeCode} */
export async function consumeCode(
  core: SignInCore,
  input: { email: string; code: string },
  actor: Actor,
  options: SignInOptions,
): Promise<SignInResult> {
  const address = core.links.addressOf(input.email);
  const { user, spend, writes } = await core.proofLane.run(
    options.browserCookie,
    () => core.links.recipientAt(address),
    (user, lane) => checkCode(core, { ...input, address }, user, actor, { ...options, lane }),
  );
  return completeByMail(
    core,
    user,
    spend,
    actor,
    { ...options, writes: [...(options.writes ?? []), ...writes] },
    wrongCode,
  );
}

/** The user whose code was typed, with the writes that spend it and forget their failures. @throws AuthTunaError */
async function checkCode(
  core: SignInCore,
  { address, code }: { address: string; code: string },
  user: UserRow | null,
  actor: Actor,
  options: SignInOptions & { lane: Lane },
): Promise<{ user: UserRow; spend: Write; writes: readonly Write[] }> {
  const { db, passwords, signInThrottle } = core;
  const now = core.now();
  const { id: subject } = user ?? standInFor(core, address);
  const row = await db.oneTimeToken.findFirst({
    where: { purpose: PURPOSE, subject, usedAt: null, expiresAt: { gt: now } },
    orderBy: { createdAt: 'desc' },
  });
  // A try that the throttle refuses is no guess: a stranger who was shut out must not use up the owner's code.
  const admitted =
    row !== null && row.attempts < MAX_ATTEMPTS
      ? await signInThrottle.admitEmailCode(address, user, actor, options.browserCookie)
      : null;
  const mayTry = row !== null && (await reserveAttempt(core, row.id));
  const hash = mayTry ? row.secretHash : null;
  const matches = await passwords.verifyHash(hash, typedCode(code), options.lane);
  if (user === null || row === null || !matches) {
    await recordFailure(core, user, actor);
    throw mayTry ? wrongCode() : deadCode();
  }
  const spend = db.oneTimeToken.update({
    where: { id: row.id, purpose: PURPOSE, usedAt: null, expiresAt: { gt: now } },
    data: { usedAt: now },
  });
  return { user, spend, writes: (await admitted?.()) ?? [] };
}

function issueCode(
  core: SignInCore,
  recipient: Recipient,
  code: string,
  secretHash: string,
  actor: Actor,
): IssuedMail {
  const now = core.now();
  const row = {
    id: newId(core.config.random),
    purpose: PURPOSE,
    subject: recipient.id,
    secretHash,
    createdAt: now,
    expiresAt: after(now, CODE_SECONDS),
  };
  return {
    writes: [core.tokens.revokeAll(recipient.id, [PURPOSE]), core.db.oneTimeToken.create({ data: row })],
    mail: {
      template: 'email-code',
      ...mailTo(recipient),
      data: {
        name: recipient.username,
        code,
        expiresInSeconds: CODE_SECONDS,
        activity: activityOf(core, actor),
      },
    },
  };
}

function newCode(random: Random): string {
  const limit = 10 ** CODE_DIGITS;
  // 2^32 is no multiple of a million: values beyond the last multiple would make some codes likelier than others.
  const fair = Math.floor(2 ** 32 / limit) * limit;
  let value = fair;
  while (value >= fair) value = random.bytes(4).readUInt32BE(0);
  return String(value % limit).padStart(CODE_DIGITS, '0');
}

/** No code can be right any more: it is used, too old, or was guessed at too often, or none was asked for. */
function deadCode(): AuthTunaError {
  return new AuthTunaError('invalid_credentials', {
    message: 'This code has expired. Ask for a new one.',
    reason: 'code_expired',
  });
}

function wrongCode(): AuthTunaError {
  return new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });
}
