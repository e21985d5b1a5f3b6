import { type Actor, isSystem } from '../../actor.js';
import type { User } from '../../auth.js';
import { sha256 } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import type { Lane } from '../../crypto/work-queue.js';
import { AuthTunaError, type FieldError } from '../../errors.js';
import { after } from '../../time.js';
import type { Fact } from '../changes/audit.js';
import type { Write } from '../changes/ledger.js';
import type { Mail } from '../changes/outbox.js';
import type { Core } from '../core.js';
import { canonicalEmail, canonicalUsername, type Username } from '../identifiers.js';
import { type HeldMail, mailHeld } from '../tokens/mail-quota.js';
import type { IssuedMail, MailedLinks } from '../tokens/mailed-links.js';
import { mailTo, type Recipient } from '../tokens/recipient.js';
import type { UserRow } from '../user.js';
import type { PreparedUser } from '../users/new-user.js';
import { UNCONFIRMED_SECONDS } from '../users/sweep.js';
import { checkConsents, consentWrites, missingConsents, versionsOf } from './consents.js';
import { askHook } from './hooks.js';
import { checkHostFields } from './host-fields.js';
import { emailErrors, type MissingDetail, usernameErrors } from './sign-up-rules.js';

/**
 * How a person signs up. `organization` and `invitation` are let in by somebody who may decide so, whether or not sign-up is open to
 * strangers and to addresses of this domain.
 */
export interface SignUpWay {
  by: 'password' | 'provider' | 'organization' | 'passkey' | 'magic_link' | 'invitation';
  /** The writes that store the credential together with the account it opens; none for a password, which is part of the input. */
  writesFor?: (userId: string) => readonly Write[];
  /** What `writesFor` does, for the audit log. */
  factsFor?: (userId: string) => readonly Fact[];
  /** The way in proved the mailbox, for example by a mailed token: no link has to confirm it. */
  isMailboxProved?: boolean;
  /** A value that only the asking browser has: in this browser the mailed link confirms the address without asking further. */
  browserId?: string | null;
  /** Where the person wanted to go, a path of this site: the mailed link leads there. */
  returnTo?: string | null;
  /** Told when the mail is left out, because one of the same kind was asked for less than a minute ago; alike for every address. */
  onHeld?: (held: HeldMail) => void;
}

export interface SignUpInput {
  email: string;
  username?: string | null | undefined;
  password?: string;
  /** The host's own fields, `signUp.fields`, and consents of `privacy.consents`: true for each that the person gives. */
  data?: Readonly<Record<string, unknown>> | undefined;
}

/** The fields of {@link SignUpInput} and {@link SignUpWay}, for `requireKnownFields`. */
export const SIGN_UP_FIELDS = ['email', 'username', 'password', 'data'];
export const SIGN_UP_WAY_FIELDS: readonly string[] = Object.keys({
  by: true,
  writesFor: true,
  factsFor: true,
  isMailboxProved: true,
  browserId: true,
  returnTo: true,
  onHeld: true,
} satisfies Record<keyof SignUpWay, true>);

/** A sign-up whose input passed every rule. */
interface CheckedSignUp {
  email: string;
  username: string | null;
  data: Record<string, unknown>;
  /** Purposes of `privacy.consents`. */
  consents: string[];
}

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
    const { config } = this.#core;
    this.#requireOpen(way);
    const email = canonicalEmail(input.email);
    const username = input.username == null ? null : canonicalUsername(input.username);
    const consents = checkConsents(config.privacy.consents, input.data ?? {});
    const data = checkHostFields(config.signUp.fields, consents.rest);
    const errors: FieldError[] = [
      ...this.#emailErrors(input.email, way),
      ...usernameErrors(input.username ?? null, username !== null, config.signUp.username),
      ...data.errors,
      ...consents.errors,
    ];
    if (input.password === '') errors.push({ field: 'password', rule: 'required', message: 'is required' });
    const weak = await this.#weakness(input.password, email, username);
    if (errors.length > 0 || weak !== null || email === null) {
      // A taken username is told anyhow, so that all faults of a form are told at once.
      if (username !== null && config.signUp.username !== 'off' && (await this.#isTaken(username)))
        errors.push({ field: 'username', rule: 'taken', message: 'is taken' });
      if (errors.length === 0 && weak !== null) throw weak;
      throw new AuthTunaError('invalid_input', { errors: [...errors, ...(weak?.details.errors ?? [])] });
    }
    const asked = { email, ...(username !== null && { username: username.username }) };
    await askHook(config, 'beforeSignUp', (hooks) => hooks.beforeSignUp?.(asked));
    return { email, username: username?.username ?? null, data: data.values, consents: consents.given };
  }

  /**
   * Checks switch and domain, before a person is asked for further details.
   *
   * @throws AuthTunaError `forbidden`, `invalid_input` as `check`
   */
  async requireAdmitted(email: string, way: Pick<SignUpWay, 'by'>): Promise<void> {
    this.#requireOpen(way);
    const errors = this.#emailErrors(email, way);
    if (errors.length > 0) throw new AuthTunaError('invalid_input', { errors });
  }

  #requireOpen(way: Pick<SignUpWay, 'by'>): void {
    if (!this.#core.config.signUp.enabled && !isAdmitted(way))
      throw new AuthTunaError('forbidden', { message: 'Sign-up is closed.', reason: 'sign_up_closed' });
  }

  #emailErrors(email: string, way: Pick<SignUpWay, 'by'>): FieldError[] {
    return emailErrors(email, isAdmitted(way) ? undefined : this.#core.config.signUp.allowedEmailDomains);
  }

  /** The details that the options require and the input lacks. */
  missing(input: Pick<SignUpInput, 'username' | 'data'>): MissingDetail[] {
    const { signUp, privacy } = this.#core.config;
    const { username, fields } = signUp;
    return [
      ...(username === 'required' && input.username == null ? (['username'] as const) : []),
      ...Object.entries(fields)
        .filter(([name, field]) => field.required && input.data?.[name] === undefined)
        .map(([name]) => `data.${name}` as const),
      ...missingConsents(privacy.consents, input.data ?? {}).map((name) => `data.${name}` as const),
    ];
  }

  /**
   * Makes an account. Where its address must be confirmed, mails the link for it; the owner of an address that has an account already is
   * told so by mail, by as much work as a new account takes.
   *
   * @throws AuthTunaError as `check`; `rate_limited` where the mail that confirms the address may not be sent yet, whether or not it has an
   * account; `conflict` with `field` for a taken address or username: whether an *address* is taken must not reach
   * a stranger where addresses are confirmed
   */
  create(input: SignUpInput, actor: Actor, way: SignUpWay): Promise<U> {
    const isStranger = input.password !== undefined && actor.userId === null && !isSystem(actor);
    return isStranger
      ? this.#core.signInQueue.inLane('newcomer', () => this.#create(input, actor, way, 'newcomer'))
      : this.#create(input, actor, way, 'known');
  }

  async #create(input: SignUpInput, actor: Actor, way: SignUpWay, lane: Lane): Promise<U> {
    const { config, users } = this.#core;
    const checked = await this.check(input, way);
    const isProved = way.isMailboxProved === true;
    const mustConfirm = config.signUp.requireVerifiedEmail && !isProved;
    const prepared = await users.prepare(
      {
        email: checked.email,
        username: checked.username,
        ...(input.password !== undefined && { password: input.password }),
        emailVerified: isProved,
        ...(mustConfirm && { unconfirmedUntil: after(this.#core.now(), UNCONFIRMED_SECONDS) }),
        data: checked.data as Parameters<typeof users.prepare>[0]['data'],
      },
      actor,
      lane,
    );
    const { writes, mail } = mustConfirm
      ? await this.verification(prepared, {
          browser: way.browserId == null ? null : sha256(way.browserId),
          returnTo: way.returnTo ?? null,
        })
      : { writes: [], mail: this.welcome(prepared) };
    const owner = await this.#findTaken(prepared);
    if (owner !== null && !mustConfirm) throw addressTaken();
    await this.#withQuota(prepared.email, isProved, actor, async (held) => {
      // Otherwise the account would wait for a mail that never comes.
      if (mustConfirm && held !== null && !held.isRepeat) throw mailHeld(held);
      if (mustConfirm && held !== null) way.onHeld?.(held);
      const mayMail = held === null;
      const more = [
        ...(mayMail ? writes : []),
        ...(way.writesFor?.(prepared.id) ?? []),
        ...consentWrites(this.#core, prepared.id, checked.consents),
      ];
      if (owner !== null) return this.#tellOwner(owner, prepared, actor, way, more.length, mayMail);
      return users.store(prepared, actor, {
        writes: more,
        mails: mayMail ? [mail] : [],
        facts: way.factsFor?.(prepared.id) ?? [],
        data: {
          by: way.by,
          ...(checked.consents.length > 0 && { consents: versionsOf(config, checked.consents) }),
        },
      });
    });
    const user = await users.find(prepared.id);
    if (user === null) throw addressTaken();
    return user;
  }

  /**
   * The link that confirms an address, and its mail.
   *
   * @param from.browser the digest of the browser that signed up
   * @param from.returnTo where the person wanted to go
   */
  async verification(
    user: Recipient,
    { browser, returnTo }: { browser: string | null; returnTo: string | null },
  ): Promise<IssuedMail> {
    const { writes, link, expiresInSeconds } = await this.#links.issue('verify_email', user, {
      data: {
        email: user.email,
        ...(browser !== null && { browser }),
        ...(returnTo !== null && { returnTo }),
      },
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
      data: { name: user.username, link: this.#core.config.baseUrl + this.#core.config.paths.afterSignIn },
    };
  }

  /**
   * The mail for the owner of an address that has an account already: with which somebody signed up again, or that is confirmed already.
   * The owner of a deleted account is told that it was deleted.
   *
   * @param returnTo where its sign-in link leads
   */
  alreadyRegistered(
    user: Recipient & { deletedAt?: Date | null },
    returnTo?: string | null,
    template: 'already-registered' | 'already-confirmed' = 'already-registered',
  ): Mail {
    const { baseUrl, paths } = this.#core.config;
    if (user.deletedAt != null) return { template: 'account-deleted', ...mailTo(user), data: { name: null } };
    const auth = baseUrl + paths.auth;
    return {
      template,
      ...mailTo(user),
      data: {
        name: user.username,
        loginLink: `${auth}/login${returnTo == null ? '' : `?returnTo=${encodeURIComponent(returnTo)}`}`,
        resetLink: `${auth}/forgot-password`,
      },
    };
  }

  /** The account that has the address already, or null. @throws AuthTunaError `conflict` for a taken username, which everybody is told */
  async #findTaken(prepared: PreparedUser): Promise<UserRow | null> {
    const username = prepared.username === null ? null : canonicalUsername(prepared.username);
    if (username !== null && (await this.#isTaken(username)))
      throw new AuthTunaError('conflict', { message: 'This username is taken.', field: 'username' });
    return this.#core.db.user.findUnique({ where: { email: prepared.email } });
  }

  /** The refusal of a weak password; null for one that is strong enough, missing or empty. */
  async #weakness(
    password: string | undefined,
    email: string | null,
    username: Username | null,
  ): Promise<AuthTunaError | null> {
    if (password === undefined || password === '') return null;
    try {
      await this.#core.passwords.check(password, {
        email: email ?? '',
        username: username?.username ?? null,
      });
      return null;
    } catch (error) {
      if (error instanceof AuthTunaError && error.code === 'weak_password') return error;
      throw error;
    }
  }

  async #isTaken({ username, key }: Username): Promise<boolean> {
    const holder = await this.#core.db.user.findFirst({
      where: { OR: [{ username }, { usernameKey: key }] },
    });
    return holder !== null;
  }

  /** A mail to an unproved address counts against the quota; strangers cannot ask for one to a proved mailbox. */
  #withQuota<T>(
    address: string,
    isProved: boolean,
    actor: Actor,
    work: (held: HeldMail | null) => Promise<T>,
  ): Promise<T> {
    return isProved ? work(null) : this.#core.mailQuota.spend({ purpose: 'sign_up', address, actor }, work);
  }

  /**
   * Tells only the owner of a taken address, by as much work as a new account takes: the same number of queries, and one batch of the
   * same number of statements (LG-3).
   */
  async #tellOwner(
    owner: UserRow,
    prepared: PreparedUser,
    actor: Actor,
    way: SignUpWay,
    furtherWrites: number,
    mayMail: boolean,
  ): Promise<void> {
    const { ledger } = this.#core;
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
      mails: mayMail ? [this.alreadyRegistered(owner, way.returnTo)] : [],
    });
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

/** Somebody who may decide so lets these people in, whether or not sign-up is open to strangers. */
function isAdmitted({ by }: Pick<SignUpWay, 'by'>): boolean {
  return by === 'organization' || by === 'invitation';
}

function addressTaken(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'This email address is taken.', field: 'email' });
}
