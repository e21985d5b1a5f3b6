import type { Actor } from '../../actor.js';
import type { Write } from '../changes/ledger.js';
import type { Core } from '../core.js';
import type { UserRow } from '../user.js';

/** A kind of credential beside password and sessions. Its feature says how to remove it. */
export interface CredentialStore {
  /** True for second factors, which no mail alone removes. */
  readonly isFactor?: true;
  /** The writes that remove all credentials of a user, or those that were added since a moment. */
  removeAll(userId: string, since?: Date): Write[];
  /** Whether its credentials end too when the password is set by a mailed link: somebody may have made them who was not the owner. */
  readonly endsWithReset?: boolean;
}

/**
 * What happens when the owner of a mailbox proves it for the first time.
 *
 * Until then anybody may have made the account with that address, hoping that its owner comes along later. So everything that was put on
 * the account before ends: password, sessions, passkeys, second factors, keys, linked identities, half-finished sign-ins, and requested
 * changes of address.
 * @see "Pre-hijacked accounts", USENIX Security 2022; docs/requirements.md EM-11
 */
export class AddressOwnership {
  readonly #core: Core;
  readonly #credentials: readonly CredentialStore[];

  constructor(core: Core, credentials: readonly CredentialStore[]) {
    this.#core = core;
    this.#credentials = credentials;
  }

  /** The writes for a batch that sets a new password: where the address was unproved, they remove everything else and mark it proved. */
  beside(user: UserRow): Write[] {
    if (user.emailVerifiedAt !== null) return [];
    return [...this.#credentials.flatMap((store) => store.removeAll(user.id)), this.#markProved(user)];
  }

  /** The writes for a batch that sets a new password by a mailed link. */
  byReset(user: UserRow): Write[] {
    if (user.emailVerifiedAt === null) return this.beside(user);
    return this.#credentials
      .filter((store) => store.endsWithReset === true)
      .flatMap((store) => store.removeAll(user.id));
  }

  /**
   * The writes for a batch that gives a former address back: they remove the password, which a thief may know, and the identities that were
   * linked since a moment. Second factors stay: see `SecondFactors.holdAdded`.
   */
  removeAdded(userId: string, since: Date): Write[] {
    return [
      ...this.#credentials
        .filter((store) => store.isFactor !== true)
        .flatMap((store) => store.removeAll(userId, since)),
      this.#core.db.password.deleteMany({ where: { userId } }),
    ];
  }

  /** The writes that end everything that was put on an account, by people who never proved its address: ways in, sessions, tokens. */
  wipe(user: UserRow, options: { keep?: CredentialStore | undefined; reason: string }): Write[] {
    const { db, sessions, tokens } = this.#core;
    return [
      ...this.#credentials
        .filter((store) => store !== options.keep)
        .flatMap((store) => store.removeAll(user.id)),
      db.password.deleteMany({ where: { userId: user.id } }),
      ...sessions.revokeAllWrites(user, { reason: options.reason }),
      tokens.revokeAll(user.id),
    ];
  }

  /**
   * Gives an unproved account to the person whom an operator names, with a new password. The operator's word is the proof of the address.
   *
   * @throws AuthTunaError `weak_password`; `conflict` when the account changed meanwhile
   */
  async claimFor(user: UserRow, password: string, actor: Actor): Promise<void> {
    const { db, ledger, passwords } = this.#core;
    await passwords.check(password, user);
    const hash = await passwords.hash(password);
    const target = { type: 'user', id: user.id };
    await ledger.commitToAccount({
      writes: [
        ...this.wipe(user, { reason: 'address_claimed' }),
        db.password.create({ data: { userId: user.id, hash, changedAt: this.#core.now() } }),
        this.#markProved(user),
      ],
      facts: [
        { type: 'user.email_verified', actor, target, reason: 'said_by_operator' },
        { type: 'password.changed', actor, target },
      ],
      invalidates: [`user:${user.id}`],
    });
  }

  /**
   * The user as it is once a sign-in proved the mailbox. A first proof is committed here, together with spending the token.
   *
   * @param keep a store whose own writes are part of `spend`, because one of its credentials is the proof
   * @returns the row to sign in with, and the writes that are still to go into its batch
   * @throws the database's error when the token was spent or the user changed meanwhile
   */
  async bySignIn(
    user: UserRow,
    spend: Write,
    actor: Actor,
    keep?: CredentialStore,
  ): Promise<{ user: UserRow; writes: Write[] }> {
    if (user.emailVerifiedAt !== null) return { user, writes: [spend] };
    const { db, ledger } = this.#core;
    await ledger.commit({
      // On its own before the sign-in, which would otherwise ask for the second factor that an impostor had set up.
      writes: [spend, ...this.wipe(user, { keep, reason: 'mailbox_proved' }), this.#markProved(user)],
      facts: [{ type: 'user.email_verified', actor, target: { type: 'user', id: user.id } }],
      invalidates: [`user:${user.id}`],
    });
    const proved = await db.user.findUniqueOrThrow({ where: { id: user.id } });
    return { user: proved, writes: [] };
  }

  #markProved(user: UserRow): Write {
    const now = this.#core.now();
    return this.#core.db.user.update({
      where: { id: user.id, email: user.email },
      data: { emailVerifiedAt: now, unconfirmedUntil: null, mustChangePassword: false, updatedAt: now },
    });
  }
}
