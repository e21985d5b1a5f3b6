import type { Actor } from '../../actor.js';
import type { Ledger, Write } from '../../core/changes/ledger.js';
import { activityOf, type Mail } from '../../core/changes/outbox.js';
import { canonicalEmail, maskedEmail } from '../../core/identifiers.js';
import type { Runtime } from '../../core/runtime.js';
import type { SignIn, SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignInThrottle } from '../../core/sign-in/sign-in-throttle.js';
import type { MailQuota } from '../../core/tokens/mail-quota.js';
import { type LiveToken, type OneTimeTokens, TOKEN_SECONDS } from '../../core/tokens/one-time-tokens.js';
import { mailTo, type Recipient, standInFor } from '../../core/tokens/recipient.js';
import type { UserRow } from '../../core/user.js';
import { isActive } from '../../core/user.js';
import type { MailboxProof } from '../../core/users/address-ownership.js';
import type { PasswordManager } from '../../core/users/passwords.js';
import { equalInConstantTime, sha256 } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { after } from '../../time.js';

export interface PasswordlessDependencies {
  runtime: Runtime;
  ledger: Ledger;
  passwords: PasswordManager;
  tokens: OneTimeTokens;
  signIn: SignIn;
  signInThrottle: SignInThrottle;
  mailboxProof: MailboxProof;
  mailQuota: MailQuota;
}

/** What the page of a magic link says before it is spent. */
export interface LinkView {
  /** The account, masked: whoever holds the link need not be its owner. */
  email: string;
  /** This is not the browser that asked, so the code that is shown there is needed. */
  needsCode: boolean;
}

const MAX_ATTEMPTS = 5; // of a million six-digit codes: one in 200,000 for whoever guesses at one mail
const CODE_DIGITS = 6;
const BROWSER_CODE_LENGTH = 8;
// Without letters and digits that are taken for each other when read aloud or typed over.
const CODE_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';

/** Signing in by what arrives in the mailbox: a link, or a six-digit code. */
export class PasswordlessManager {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #passwords: PasswordManager;
  readonly #tokens: OneTimeTokens;
  readonly #signIn: SignIn;
  readonly #signInThrottle: SignInThrottle;
  readonly #mailboxProof: MailboxProof;
  readonly #mailQuota: MailQuota;

  constructor(dependencies: PasswordlessDependencies) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#passwords = dependencies.passwords;
    this.#tokens = dependencies.tokens;
    this.#signIn = dependencies.signIn;
    this.#signInThrottle = dependencies.signInThrottle;
    this.#mailboxProof = dependencies.mailboxProof;
    this.#mailQuota = dependencies.mailQuota;
  }

  /**
   * Mails a link that signs in, where there is an account; says nothing about it.
   *
   * @param browserId a value that only the asking browser has; the link signs in there, and elsewhere only with `browserCode(browserId)`.
   * Left out, or with `bindToBrowser: false`, the link signs in anywhere.
   * @throws AuthTunaError `invalid_input` for what is no address; `not_found` when links are off
   */
  async requestLink(email: string, actor: Actor, browserId?: string): Promise<void> {
    const { magicLink } = this.#runtime.config.passwordless;
    if (!magicLink.enabled) throw new AuthTunaError('not_found');
    const address = addressOf(email);
    const mayMail = await this.#mailQuota.reserve({ purpose: 'magic_link', address, actor });
    const user = await this.#recipient(address);
    const bound = magicLink.bindToBrowser && browserId !== undefined ? browserId : null;
    const recipient = user ?? standInFor(this.#runtime, address);
    const issued = mayMail ? await this.#issueLink(recipient, bound, actor) : null;
    await this.#request('user.sign_in_link_requested', address, user, actor, issued);
  }

  /**
   * The eight letters and digits for the asking browser to show: with them its links work in another browser. Null where links are not bound.
   *
   * Derived, not stored, and the same whatever address was asked for, so that it says nothing about any account.
   */
  browserCode(browserId: string): string | null {
    if (!this.#runtime.config.passwordless.magicLink.bindToBrowser) return null;
    const digest = this.#runtime.keys.lookup(JSON.stringify(['browser code', browserId]));
    return [...Buffer.from(digest, 'base64url').subarray(0, BROWSER_CODE_LENGTH)]
      .map((byte) => CODE_ALPHABET[byte % CODE_ALPHABET.length])
      .join('');
  }

  /** Looks at a link without spending it. @throws AuthTunaError `invalid_token` */
  async inspectLink(token: string, browserId?: string): Promise<LinkView> {
    const live = await this.#peekLink(token);
    const user = await this.#subject(live);
    return { email: maskedEmail(user.email), needsCode: !isAskingBrowser(live, browserId) };
  }

  /**
   * Signs in by a link. In the asking browser the token is enough; in another one the code that is shown there is needed.
   *
   * Who proves the mailbox of an unconfirmed account for the first time gets it without whatever was put on it before.
   * @throws AuthTunaError `invalid_token`, also after five wrong codes; `invalid_credentials` for a wrong or missing code;
   * `account_suspended`; of racing callers one succeeds
   */
  async consumeLink(
    input: { token: string; code?: string },
    actor: Actor,
    options: SignInOptions & { browserId?: string } = {},
  ): Promise<SignInResult> {
    const { browserId, ...signInOptions } = options;
    const live = await this.#peekLink(input.token);
    const user = await this.#subject(live);
    if (!isAskingBrowser(live, browserId)) {
      const message = 'Enter the code that is shown in the browser where you asked for this link.';
      if (input.code === undefined) throw new AuthTunaError('invalid_credentials', { message });
      if (!(await this.#reserveAttempt(live.id))) throw new AuthTunaError('invalid_token');
      const code = input.code.toUpperCase().replace(/[^0-9A-Z]/g, '');
      const expected = String(live.data.code);
      if (!equalInConstantTime(this.#codeDigest(live.subject, code), expected)) {
        await this.#failed(user, actor);
        throw new AuthTunaError('invalid_credentials', { message });
      }
    }
    const writes = [...(signInOptions.writes ?? []), this.#signInThrottle.emailCodeWrite(user)];
    return this.#complete(user, live.spend, actor, { ...signInOptions, writes }, () =>
      this.#tokens.missed(live),
    );
  }

  /** Mails a six-digit code, where there is an account; says nothing about it. @throws AuthTunaError `invalid_input`; `not_found` when codes are off */
  async requestCode(email: string, actor: Actor): Promise<void> {
    if (!this.#runtime.config.passwordless.emailCode) throw new AuthTunaError('not_found');
    const address = addressOf(email);
    const mayMail = await this.#mailQuota.reserve({ purpose: 'email_code', address, actor });
    const user = await this.#recipient(address);
    const code = this.#newCode();
    // Hashed whether or not anybody gets it, so that time does not tell.
    const hash = await this.#passwords.hash(code);
    const recipient = user ?? standInFor(this.#runtime, address);
    const issued = mayMail ? this.#issueCode(recipient, code, hash, actor) : null;
    await this.#request('user.sign_in_code_requested', address, user, actor, issued);
  }

  /**
   * Signs in by the code of a mail. It is accepted once, and dead after five wrong ones.
   *
   * @throws AuthTunaError `invalid_credentials` for a wrong, spent, old or exhausted code and an unknown address, alike in answer and time;
   * `rate_limited` in an unknown browser after a hundred wrong ones of any number of mails, until the mailbox opens them again by a link;
   * `account_suspended`
   */
  async consumeCode(
    input: { email: string; code: string },
    actor: Actor,
    options: SignInOptions = {},
  ): Promise<SignInResult> {
    const { db } = this.#runtime;
    const now = this.#runtime.now();
    const address = addressOf(input.email);
    const user = await this.#recipient(address);
    const { id: subject } = user ?? standInFor(this.#runtime, address);
    const row = await db.oneTimeToken.findFirst({
      where: { purpose: 'email_code', subject, usedAt: null, expiresAt: { gt: now } },
      orderBy: { createdAt: 'desc' },
    });
    // Whom the throttle refuses has not guessed: a stranger who was shut out must not use up the owner's code.
    const admitted =
      row !== null && row.attempts < MAX_ATTEMPTS
        ? await this.#signInThrottle.admitEmailCode(address, user, actor, options.deviceCookie)
        : null;
    const mayTry = row !== null && (await this.#reserveAttempt(row.id));
    const hash = mayTry ? row.secretHash : null;
    const matches = await this.#passwords.verifyHash(hash, input.code.replace(/[^0-9]/g, ''));
    if (user === null || row === null || !matches) {
      await this.#failed(user, actor);
      throw new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });
    }
    const spend = db.oneTimeToken.update({
      where: { id: row.id, purpose: 'email_code', usedAt: null, expiresAt: { gt: now } },
      data: { usedAt: now },
    });
    return this.#complete(
      user,
      spend,
      actor,
      { ...options, writes: [...(options.writes ?? []), ...((await admitted?.()) ?? [])] },
      async () => new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' }),
    );
  }

  async #complete(
    user: UserRow,
    spend: Write,
    actor: Actor,
    options: SignInOptions,
    missed: () => Promise<AuthTunaError>,
  ): Promise<SignInResult> {
    try {
      const proved = await this.#mailboxProof.bySignIn(user, spend, this.#ledger, actor);
      return await this.#signIn.complete(proved.user, { amr: ['email'], assuranceLevel: 1 }, actor, {
        ...options,
        writes: [...(options.writes ?? []), ...proved.writes],
      });
    } catch (error) {
      throw isMissing(error) ? await missed() : error;
    }
  }

  async #issueLink(
    user: Recipient,
    browserId: string | null,
    actor: Actor,
  ): Promise<{ writes: Write[]; mail: Mail }> {
    const dependsOn = await this.#passwords.stateOf(user.id);
    const code = browserId === null ? null : this.browserCode(browserId);
    const { token, writes } = this.#tokens.issue({
      purpose: 'magic_link',
      subject: user.id,
      lifetimeSeconds: TOKEN_SECONDS.magic_link,
      ...(dependsOn !== null && { dependsOn }),
      data:
        browserId === null || code === null
          ? {}
          : { browser: sha256(browserId), code: this.#codeDigest(user.id, code) },
    });
    return {
      writes,
      mail: {
        template: 'magic-link',
        ...mailTo(user),
        data: {
          name: user.username,
          link: this.#tokens.link('/passwordless/link/open', token),
          expiresInSeconds: TOKEN_SECONDS.magic_link,
          activity: activityOf(this.#runtime, actor),
        },
      },
    };
  }

  #issueCode(
    user: Recipient,
    code: string,
    secretHash: string,
    actor: Actor,
  ): { writes: Write[]; mail: Mail } {
    const { db, config } = this.#runtime;
    const now = this.#runtime.now();
    const purpose = 'email_code';
    return {
      writes: [
        this.#tokens.revokeAll(user.id, [purpose]),
        db.oneTimeToken.create({
          data: {
            id: newId(config.random),
            purpose,
            subject: user.id,
            secretHash,
            createdAt: now,
            expiresAt: after(now, TOKEN_SECONDS.email_code),
          },
        }),
      ],
      mail: {
        template: 'email-code',
        ...mailTo(user),
        data: {
          name: user.username,
          code,
          expiresInSeconds: TOKEN_SECONDS.email_code,
          activity: activityOf(this.#runtime, actor),
        },
      },
    };
  }

  /** Stores what was asked for by address; an address without an account leaves the same rows. */
  async #request(
    type: EventType,
    address: string,
    user: UserRow | null,
    actor: Actor,
    issued: { writes: Write[]; mail: Mail } | null,
  ): Promise<void> {
    const { keys } = this.#runtime;
    await this.#ledger.commit({
      writes: issued?.writes ?? [],
      facts: [
        {
          type,
          actor,
          ...((issued === null || user === null) && { outcome: 'denied' as const }),
          ...(user === null
            ? { data: { email: keys.lookup(`login ${address}`), masked: maskedEmail(address) } }
            : { target: { type: 'user', id: user.id } }),
        },
      ],
      mails: issued === null ? [] : [issued.mail],
    });
  }

  /** Counted before the comparison, so that of many at once only as many get through as may. */
  async #reserveAttempt(tokenId: string): Promise<boolean> {
    const { count } = await this.#runtime.db.oneTimeToken.updateMany({
      where: { id: tokenId, usedAt: null, attempts: { lt: MAX_ATTEMPTS } },
      data: { attempts: { increment: 1 } },
    });
    return count === 1;
  }

  async #failed(user: UserRow | null, actor: Actor): Promise<void> {
    await this.#ledger.commit({
      writes: [],
      facts: [
        {
          type: 'user.sign_in_failed',
          outcome: 'failure',
          reason: 'invalid_credentials',
          actor,
          ...(user !== null && { target: { type: 'user', id: user.id } }),
        },
      ],
    });
  }

  #peekLink(token: string): Promise<LiveToken> {
    return this.#tokens.peek(token, 'magic_link', {
      dependsOn: (userId) => this.#passwords.stateOf(userId),
    });
  }

  async #subject(live: LiveToken): Promise<UserRow> {
    const user = await this.#runtime.db.user.findUnique({ where: { id: live.subject } });
    if (user === null || user.deletedAt !== null) throw new AuthTunaError('invalid_token');
    return user;
  }

  async #recipient(email: string): Promise<UserRow | null> {
    const user = await this.#runtime.db.user.findUnique({ where: { email } });
    return user !== null && isActive(user, this.#runtime.now()) ? user : null;
  }

  #newCode(): string {
    const limit = 10 ** CODE_DIGITS;
    // 2^32 is no multiple of a million: what is left over at the top would make some codes likelier than others.
    const fair = Math.floor(2 ** 32 / limit) * limit;
    let value = fair;
    while (value >= fair) value = this.#runtime.config.random.bytes(4).readUInt32BE(0);
    return String(value % limit).padStart(CODE_DIGITS, '0');
  }

  #codeDigest(userId: string, code: string): string {
    return this.#runtime.keys.lookup(JSON.stringify(['magic link code', userId, code]));
  }
}

function isAskingBrowser(live: LiveToken, browserId: string | undefined): boolean {
  const { browser } = live.data;
  if (typeof browser !== 'string') return true;
  return browserId !== undefined && equalInConstantTime(sha256(browserId), browser);
}

function addressOf(input: string): string {
  const email = canonicalEmail(input);
  if (email === null)
    throw new AuthTunaError('invalid_input', {
      errors: [{ field: 'email', message: 'must be one plain email address' }],
    });
  return email;
}
