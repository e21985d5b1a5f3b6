import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import { sha256 } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError, type FieldError, type FieldRule } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import type { Mail } from '../changes/outbox.js';
import type { Core } from '../core.js';
import { canonicalEmail, canonicalUsername, USERNAME_RULE } from '../identifiers.js';
import type { Proof } from '../sessions/session-writes.js';
import type { IssuedMail, MailedLinks } from '../tokens/mailed-links.js';
import { mailTo, type Recipient, standInFor } from '../tokens/recipient.js';
import type { PreparedUser } from '../users/new-user.js';
import { checkHostFields } from './host-fields.js';

/** How somebody signs up. An organization's own people are let in by its connection, whoever else may sign up. */
export interface SignUpWay {
  by: 'password' | 'provider' | 'organization' | 'passkey' | 'magic_link';
  /** The writes that store the credential together with the account it opens; none for a password, which is part of the input. */
  writesFor?: (userId: string) => readonly Write[];
  /** The way in proved the mailbox: no link has to confirm it. */
  isMailboxProved?: boolean;
  /** A value that only the asking browser has: in this browser the mailed link confirms the address without asking further. */
  browserId?: string | null;
}

export interface SignUpInput {
  email: string;
  username?: string | null;
  password?: string;
  /** The host's own fields. */
  data?: Readonly<Record<string, unknown>>;
}

/** A sign-up whose input passed every rule. */
interface CheckedSignUp {
  email: string;
  username: string | null;
  data: Record<string, unknown>;
}

/** What a person who signs up must still be asked for: `username`, or a field of `signUp.fields` as `data.<name>`. */
export type MissingDetail = 'username' | `data.${string}`;

/**
 * The one way in which people make accounts: every way of signing up meets the same rules, gets the same mails and leaves the same audit
 * entries.
 */
export class SignUp<U extends User = User> {
  readonly #core: Core<U>;
  readonly #links: MailedLinks;

  constructor(core: Core<U>, links: MailedLinks) {
    this.#core = core;
    this.#links = links;
  }

  /**
   * Checks everything that can be said before an account is made. A passkey ceremony asks before it begins, and again at its end.
   *
   * @throws AuthTunaError `forbidden` when sign-up is closed; `invalid_input` with every field that is wrong; `weak_password` where only the
   * password is; what `hooks.beforeSignUp` throws
   */
  async check(input: SignUpInput, way: Pick<SignUpWay, 'by'>): Promise<CheckedSignUp> {
    const { config, passwords } = this.#core;
    const isAdmitted = way.by === 'organization';
    if (!config.signUp.enabled && !isAdmitted)
      throw new AuthTunaError('forbidden', { message: 'Sign-up is closed.', reason: 'sign_up_closed' });
    const email = canonicalEmail(input.email);
    const username = input.username == null ? null : canonicalUsername(input.username);
    const data = checkHostFields(config.signUp.fields, input.data ?? {});
    const errors: FieldError[] = [
      ...emailErrors(email, isAdmitted ? undefined : config.signUp.allowedEmailDomains),
      ...usernameErrors(input.username ?? null, username !== null, config.signUp.username),
      ...data.errors,
    ];
    if (input.password !== undefined)
      await passwords
        .check(input.password, { email: email ?? '', username: username?.username ?? null })
        .catch((error: unknown) => {
          if (errors.length === 0 || !(error instanceof AuthTunaError) || error.code !== 'weak_password')
            throw error;
          errors.push(...(error.details.errors ?? []));
        });
    if (errors.length > 0 || email === null) throw new AuthTunaError('invalid_input', { errors });
    await config.hooks.beforeSignUp?.({ email, ...(username !== null && { username: username.username }) });
    return { email, username: username?.username ?? null, data: data.values };
  }

  /** The details that the options require and the input lacks. */
  missing(input: Pick<SignUpInput, 'username' | 'data'>): MissingDetail[] {
    const { username, fields } = this.#core.config.signUp;
    return [
      ...(username === 'required' && input.username == null ? (['username'] as const) : []),
      ...Object.entries(fields)
        .filter(([name, field]) => field.required && input.data?.[name] === undefined)
        .map(([name]) => `data.${name}` as const),
    ];
  }

  /**
   * Makes an account. Where its address must be confirmed, mails the link for it; the owner of an address that has an account already is
   * told so by mail, by as much work as a new account takes.
   *
   * @throws AuthTunaError as `check`; `conflict` with `field` for a taken address or username: whether an *address* is taken must not reach
   * a stranger where addresses are confirmed
   */
  async create(input: SignUpInput, actor: Actor, way: SignUpWay): Promise<U> {
    const { config, users, mailQuota } = this.#core;
    const checked = await this.check(input, way);
    const isProved = way.isMailboxProved === true;
    const prepared = await users.prepare(
      {
        email: checked.email,
        username: checked.username,
        ...(input.password !== undefined && { password: input.password }),
        emailVerified: isProved,
        data: checked.data as Parameters<typeof users.prepare>[0]['data'],
      },
      actor,
    );
    const mustConfirm = config.signUp.requireVerifiedEmail && !isProved;
    const { writes, mail } = mustConfirm
      ? await this.verification(prepared, way.browserId == null ? null : sha256(way.browserId))
      : { writes: [], mail: this.welcome(prepared) };
    const mayMail = await mailQuota.reserve({ purpose: 'sign_up', address: prepared.email, actor });
    const more = [...(mayMail ? writes : []), ...(way.writesFor?.(prepared.id) ?? [])];
    if (mustConfirm) await this.#refuseTaken(prepared, actor, more.length, mayMail);
    await users.store(prepared, actor, {
      writes: more,
      mails: mayMail ? [mail] : [],
      data: { by: way.by },
    });
    return users.get(prepared.id);
  }

  /** The link that confirms an address, and its mail. @param browser the digest of the browser that signed up */
  async verification(user: Recipient, browser: string | null): Promise<IssuedMail> {
    const { writes, link, expiresInSeconds } = await this.#links.issue('verify_email', user, {
      data: { email: user.email, ...(browser !== null && { browser }) },
    });
    return {
      writes,
      mail: {
        template: 'verification',
        ...mailTo(user),
        data: { name: user.username, link, expiresInSeconds },
      },
    };
  }

  /** The mail for somebody whose account can be used from now on. */
  welcome(user: { email: string; username: string | null }): Mail {
    return {
      template: 'welcome',
      to: user.email,
      data: { name: user.username, link: this.#core.config.baseUrl },
    };
  }

  /** The mail for the owner of an address with which somebody signed up again. */
  alreadyRegistered(user: Recipient): Mail {
    const { baseUrl, paths } = this.#core.config;
    const auth = baseUrl + paths.auth;
    return {
      template: 'already-registered',
      ...mailTo(user),
      data: { name: user.username, loginLink: `${auth}/login`, resetLink: `${auth}/forgot-password` },
    };
  }

  /**
   * Tells everybody of a taken username, and only the owner of a taken address, by as much work as a new account takes: the same number of
   * queries, and one batch of the same number of statements (LG-3).
   */
  async #refuseTaken(
    prepared: PreparedUser,
    actor: Actor,
    furtherWrites: number,
    mayMail: boolean,
  ): Promise<void> {
    const { db, ledger, users } = this.#core;
    const username = prepared.username === null ? null : canonicalUsername(prepared.username);
    if (username !== null) {
      const holder = await db.user.findFirst({
        where: { OR: [{ username: username.username }, { usernameKey: username.key }] },
      });
      if (holder !== null)
        throw new AuthTunaError('conflict', { message: 'This username is taken.', field: 'username' });
    }
    const owner = await db.user.findUnique({ where: { email: prepared.email } });
    if (owner === null) return;
    const recipient = owner.deletedAt === null ? owner : standInFor(this.#core, owner.email);
    await ledger.commit({
      writes: Array.from({ length: prepared.writes.length + furtherWrites }, () =>
        this.#ballast(prepared.id),
      ),
      facts: [
        {
          type: 'user.created',
          outcome: 'failure',
          reason: 'email_taken',
          actor,
          target: { type: 'user', id: owner.id },
        },
      ],
      mails: mayMail ? [this.alreadyRegistered(recipient)] : [],
    });
    await users.find(prepared.id);
    throw new AuthTunaError('conflict', { message: 'This email address is taken.', field: 'email' });
  }

  /** A row that weighs what a row of an account would. It has expired already, allows nothing, and goes with the next clean-up. */
  #ballast(subject: string): Write {
    const now = this.#core.now();
    return this.#core.db.oneTimeToken.create({
      data: {
        id: newId(this.#core.config.random),
        purpose: 'stand_in',
        subject,
        secretHash: '',
        createdAt: now,
        expiresAt: now,
      },
    });
  }
}

function emailErrors(email: string | null, allowed: readonly string[] | undefined): FieldError[] {
  if (email === null)
    return [{ field: 'email', rule: 'invalid_email', message: 'must be one plain email address' }];
  const domain = email.slice(email.lastIndexOf('@') + 1);
  return allowed === undefined || allowed.includes(domain)
    ? []
    : [{ field: 'email', rule: 'domain_not_allowed', message: 'addresses of this domain cannot sign up' }];
}

function usernameErrors(
  given: string | null,
  isWellFormed: boolean,
  rule: 'required' | 'optional' | 'off',
): FieldError[] {
  const broken = (broke: FieldRule, message: string): FieldError[] => [
    { field: 'username', rule: broke, message },
  ];
  if (given === null) return rule === 'required' ? broken('required', 'is required') : [];
  if (rule === 'off') return broken('not_used', 'is not used here');
  return isWellFormed ? [] : broken('invalid_username', USERNAME_RULE);
}

/** What proves a person who signs up, for the session that follows. */
export const PASSWORD_PROOF: Proof = { amr: ['pwd'], assuranceLevel: 1 };
