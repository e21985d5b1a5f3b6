import type { Actor } from '../../actor.js';
import type { Ledger, Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { SessionManager } from '../sessions/sessions.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import type { UserRow } from '../user.js';

/** Something an account can be entered with, beside its password and sessions; its feature says how to take it away. */
export interface CredentialStore {
  /** The writes that remove every one a user has, or those that were added since a moment. */
  removeAll(userId: string, since?: Date): Write[];
}

/**
 * What happens when somebody first shows that the mailbox of an account is theirs.
 *
 * Until then anybody may have made the account with that address, hoping that the owner comes along later. So whatever was put on it before
 * ends: password, sessions, passkeys, second factors, keys, linked identities, half-finished sign-ins and changes of address.
 * @see "Pre-hijacked accounts", USENIX Security 2022; docs/requirements.md EM-11
 */
export class MailboxProof {
  /** Features add theirs. */
  readonly credentials: CredentialStore[] = [];
  readonly #runtime: Runtime;
  readonly #sessions: SessionManager;
  readonly #tokens: OneTimeTokens;

  constructor(runtime: Runtime, sessions: SessionManager, tokens: OneTimeTokens) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#tokens = tokens;
  }

  /** For the batch that sets a new password: takes everything else away when the address was unproved, and marks it proved. */
  beside(user: UserRow): Write[] {
    if (user.emailVerifiedAt !== null) return [];
    return [...this.credentials.flatMap((store) => store.removeAll(user.id)), this.#markProved(user)];
  }

  /** For the batch that gives a former address back: takes away what was added since a moment; without one, everything. */
  removeAdded(userId: string, since?: Date): Write[] {
    return [
      ...this.credentials.flatMap((store) => store.removeAll(userId, since)),
      this.#runtime.db.password.deleteMany({
        where: { userId, ...(since !== undefined && { changedAt: { gte: since } }) },
      }),
    ];
  }

  /**
   * For a sign-in by mail: the user as it is once the mailbox is proved. A first proof is committed here, together with spending the token.
   *
   * @param keep a feature that has taken care of its own in `spend`, because one of its credentials is the proof
   * @returns the row to sign in with, and the writes that are still to go into its batch
   * @throws what the database says when the token was spent or the user changed meanwhile
   */
  async bySignIn(
    user: UserRow,
    spend: Write,
    ledger: Ledger,
    actor: Actor,
    keep?: CredentialStore,
  ): Promise<{ user: UserRow; writes: Write[] }> {
    if (user.emailVerifiedAt !== null) return { user, writes: [spend] };
    await ledger.commit({
      // On its own before the sign-in, which would otherwise ask for the second factor that an impostor had set up.
      writes: [
        spend,
        ...this.credentials.filter((store) => store !== keep).flatMap((store) => store.removeAll(user.id)),
        this.#runtime.db.password.deleteMany({ where: { userId: user.id } }),
        ...this.#sessions.revokeAllWrites(user, { reason: 'mailbox_proved' }),
        this.#tokens.revokeAll(user.id),
        this.#markProved(user),
      ],
      facts: [{ type: 'user.email_verified', actor, target: { type: 'user', id: user.id } }],
      invalidates: [`user:${user.id}`],
    });
    const proved = await this.#runtime.db.user.findUniqueOrThrow({ where: { id: user.id } });
    return { user: proved, writes: [] };
  }

  #markProved(user: UserRow): Write {
    const now = this.#runtime.now();
    return this.#runtime.db.user.update({
      where: { id: user.id, email: user.email },
      data: { emailVerifiedAt: now, mustChangePassword: false, updatedAt: now },
    });
  }
}
