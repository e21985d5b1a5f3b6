import type { Actor } from '../../actor.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import type { Change, Write } from '../changes/ledger.js';
import type { Mail } from '../changes/outbox.js';
import type { Core } from '../core.js';
import { canonicalEmail, maskedEmail } from '../identifiers.js';
import { invalidEmail, whenMissing } from '../refusals.js';
import { isActive, type UserRow } from '../user.js';
import type { HeldMail } from './mail-quota.js';
import type { LiveToken } from './one-time-tokens.js';
import { newcomerAt, type Recipient, standInFor } from './recipient.js';

interface LinkKind {
  /** The page that the link opens, below the path of the auth router. */
  path: string;
  lifetimeSeconds: number;
  /** The link dies when the password or the address of its account changes. */
  dependsOnAccount?: true;
}

/**
 * Every link that is mailed. A reset only starts a flow; a link that signs in lives as long as ASVS 6.5.5 allows.
 */
export const MAILED_LINKS = {
  verify_email: { path: '/verify-email', lifetimeSeconds: 24 * 3600 },
  reset_password: { path: '/reset-password', lifetimeSeconds: 30 * 60, dependsOnAccount: true },
  change_email: { path: '/change-email/confirm', lifetimeSeconds: 3600, dependsOnAccount: true },
  undo_email_change: { path: '/change-email/undo', lifetimeSeconds: 7 * 86_400 },
  unlock: { path: '/unlock', lifetimeSeconds: 25 * 3600 }, // longer than a day, in which two are mailed at most
  magic_link: { path: '/passwordless/link/open', lifetimeSeconds: 10 * 60, dependsOnAccount: true },
  cancel_factor_reset: { path: '/mfa/reset/cancel', lifetimeSeconds: 72 * 3600 },
} as const satisfies Record<string, LinkKind>;

export type LinkPurpose = keyof typeof MAILED_LINKS;

/** A link that is about to be mailed: the writes that store its token, and its address. */
export interface IssuedLink {
  writes: Write[];
  link: string;
  expiresInSeconds: number;
}

/** What is stored and mailed for a request: null where nothing may be mailed. */
export interface IssuedMail {
  writes: readonly Write[];
  mail: Mail;
}

/** A request for a mail that anybody can make. */
interface RequestOfMail {
  type: EventType;
  purpose: string;
  address: string;
  actor: Actor;
  takesNewcomers?: boolean;
  issue: (recipient: Recipient) => Promise<IssuedMail>;
}

/** Links that are mailed: asking for one, looking at it, and spending it together with what it allows. */
export class MailedLinks {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The address in its canonical spelling. @throws AuthTunaError `invalid_input` */
  addressOf(input: string, field = 'email'): string {
    const address = canonicalEmail(input);
    if (address === null) throw invalidEmail(input, field);
    return address;
  }

  /** The account of an address, if mails may be sent to it; null otherwise. */
  async recipientAt(address: string): Promise<UserRow | null> {
    const user = await this.#core.db.user.findUnique({ where: { email: address } });
    return user !== null && isActive(user, this.#core.now()) ? user : null;
  }

  /**
   * Handles a request for a mail that anybody can make. The same work is done for every address: one without an account gets a token and a
   * mail that goes nowhere.
   *
   * @param request.takesNewcomers an address without an account gets a real mail too
   * @param request.issue makes the token and the mail
   * @returns null when the mail was stored, otherwise until when it is held back: for every address alike
   */
  async request(request: RequestOfMail): Promise<HeldMail | null> {
    const { purpose, address, actor } = request;
    return this.#core.mailQuota.spend({ purpose, address, actor }, async (held) => {
      await this.#handle(request, held === null);
      return held;
    });
  }

  async #handle(request: RequestOfMail, mayMail: boolean): Promise<void> {
    const { type, address, actor } = request;
    const row = await this.#core.db.user.findUnique({ where: { email: address } });
    const user = row !== null && isActive(row, this.#core.now()) ? row : null;
    const isNewcomer = row === null && request.takesNewcomers === true;
    const recipient =
      user ?? (isNewcomer ? newcomerAt(this.#core, address) : standInFor(this.#core, address));
    const issued = mayMail ? await request.issue(recipient) : null;
    await this.#core.ledger.commit({
      writes: issued?.writes ?? [],
      facts: [
        {
          type,
          actor,
          ...((issued === null || (user === null && !isNewcomer)) && { outcome: 'denied' as const }),
          ...(user === null
            ? { data: { email: this.#core.keys.lookup(`login ${address}`), masked: maskedEmail(address) } }
            : { target: { type: 'user', id: user.id } }),
        },
      ],
      mails: issued === null ? [] : [issued.mail],
    });
  }

  /** A new link for an account, or for a stand-in. */
  async issue(
    purpose: LinkPurpose,
    recipient: Pick<Recipient, 'id'>,
    options: {
      data?: Readonly<Record<string, unknown>>;
      subject?: string;
      lifetimeSeconds?: number;
      /** What the link depends on, where the same batch changes that. Default: the account as it is. */
      state?: string;
    } = {},
  ): Promise<IssuedLink> {
    const kind: LinkKind = MAILED_LINKS[purpose];
    const { data, subject = recipient.id, lifetimeSeconds = kind.lifetimeSeconds } = options;
    const dependsOn =
      kind.dependsOnAccount === true
        ? (options.state ?? (await this.#core.passwords.stateOf(recipient.id)))
        : null;
    const { token, writes } = this.#core.tokens.issue({
      purpose,
      subject,
      lifetimeSeconds,
      ...(data !== undefined && { data }),
      ...(dependsOn !== null && { dependsOn }),
    });
    const { baseUrl, paths } = this.#core.config;
    // On the configured origin, whatever a request said (EM-5).
    return {
      writes,
      link: `${baseUrl}${paths.auth}${kind.path}?token=${token}`,
      expiresInSeconds: lifetimeSeconds,
    };
  }

  /** Looks at a link without spending it. @throws AuthTunaError `invalid_token` */
  peek(token: string, purpose: LinkPurpose): Promise<LiveToken> {
    const kind: LinkKind = MAILED_LINKS[purpose];
    return this.#core.tokens.peek(
      token,
      purpose,
      kind.dependsOnAccount === true ? { dependsOn: (userId) => this.#core.passwords.stateOf(userId) } : {},
    );
  }

  /**
   * Whether a link that is dead has done what it was mailed for, so that there is nothing left to do.
   *
   * `confirmed`: its address is the account's, and confirmed. `overtaken`: what it was for was undone or replaced meanwhile. Null for a
   * link of which nothing can be said.
   */
  async outcomeOf(
    token: string,
    purpose: 'verify_email' | 'change_email',
  ): Promise<{ outcome: 'confirmed' | 'overtaken'; returnTo: string | null } | null> {
    const former = await this.#core.tokens.recall(token, purpose);
    if (former === null) return null;
    const user = await this.#core.db.user.findUnique({ where: { id: former.subject } });
    if (user === null || user.deletedAt !== null) return null;
    const address = purpose === 'verify_email' ? former.data.email : former.data.newEmail;
    const isConfirmed = user.email === address && user.emailVerifiedAt !== null;
    return { outcome: isConfirmed ? 'confirmed' : 'overtaken', returnTo: returnToOf(former) };
  }

  /** The account that a link is for. @throws AuthTunaError `invalid_token` when it is gone or suspended */
  async subjectOf(live: LiveToken, userId = live.subject): Promise<UserRow> {
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || !isActive(user, this.#core.now())) throw new AuthTunaError('invalid_token');
    return user;
  }

  /**
   * Spends a link together with what it allows.
   *
   * @throws AuthTunaError `invalid_token` when it was spent at the same moment; `conflict` when what it was to change had changed, or the
   * address is taken
   */
  async spend(live: LiveToken, change: Change): Promise<void> {
    const { ledger, tokens } = this.#core;
    try {
      await ledger
        .commit({ ...change, writes: [live.spend, ...change.writes] })
        .catch(whenMissing(() => tokens.missed(live)));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new AuthTunaError('conflict', { message: 'This email address is taken.', field: 'email' });
    }
  }
}

/** Where the person wanted to go who asked for a link; a path of this site, or null. */
export function returnToOf(live: Pick<LiveToken, 'data'>): string | null {
  const { returnTo } = live.data;
  return typeof returnTo === 'string' ? returnTo : null;
}
