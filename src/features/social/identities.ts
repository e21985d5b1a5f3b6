import type { Actor } from '../../actor.js';
import { accountChanged, type Change, type Write } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { UserRow } from '../../core/user.js';
import type { CredentialStore } from '../../core/users/address-ownership.js';
import { newId } from '../../crypto/random.js';
import { type Db, isMissing, isUniqueViolation } from '../../db/client.js';
import type { Profile, SocialProvider } from '../../oauth-client/provider.js';
import type { TokenSet } from '../../oauth-client/token-endpoint.js';
import type { TokenKeeper } from './token-keeper.js';

/** A linked identity, as its owner sees it. */
export interface SocialAccount {
  id: string;
  provider: string;
  /** As people know it; its id once it is no longer configured. */
  providerName: string;
  /** What the provider calls the person: address or name. */
  email: string | null;
  name: string | null;
  createdAt: Date;
  lastUsedAt: Date;
}

export type IdentityRow = Awaited<ReturnType<Db['socialAccount']['findUniqueOrThrow']>>;

/** Identities at providers that are linked to accounts. */
export class LinkedIdentities implements CredentialStore {
  readonly #core: Core;
  readonly #keeper: TokenKeeper;

  constructor(core: Core, keeper: TokenKeeper) {
    this.#core = core;
    this.#keeper = keeper;
  }

  removeAll(userId: string, since?: Date): Write[] {
    return [
      this.#core.db.socialAccount.deleteMany({
        where: { userId, ...(since !== undefined && { createdAt: { gte: since } }) },
      }),
    ];
  }

  /** Stores a new identity of an account that was there before, and tells its owner. */
  async link(
    user: UserRow,
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    actor: Actor,
    conditions: Write[],
  ): Promise<IdentityRow> {
    const row = this.newRow(user.id, provider, profile, tokens);
    const notice = noticeTo(this.#core, user, actor);
    await this.commit({
      writes: [...conditions, this.#core.db.socialAccount.create({ data: row })],
      facts: [
        {
          type: 'social.linked',
          actor,
          target: { type: 'user', id: user.id },
          data: { provider: provider.id },
        },
      ],
      mails: [
        { template: 'social-linked', to: notice.to, data: { ...notice.data, provider: provider.name } },
      ],
    });
    return row;
  }

  /** A row for a new identity of an account. */
  newRow(userId: string, provider: SocialProvider, profile: Profile, tokens: TokenSet): IdentityRow {
    const id = newId(this.#core.config.random);
    const now = this.#core.now();
    return {
      id,
      userId,
      provider: provider.id,
      subject: profile.subject,
      createdAt: now,
      ...this.seen(provider, profile, tokens, { id, tokens: null, name: null }),
    };
  }

  /** The columns that every sign-in by an identity brings up to date. */
  seen(
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    present: Pick<IdentityRow, 'id' | 'tokens' | 'name'>,
  ) {
    return {
      email: profile.email,
      emailVerified: profile.emailVerified,
      // Apple tells the name once.
      name: profile.name ?? present.name,
      tokens: provider.keepTokens ? this.#keeper.seal(present, tokens) : null,
      lastUsedAt: this.#core.now(),
    };
  }

  /** Stores a change of an identity. @throws AuthTunaError `conflict` when the account or the identity changed at the same moment */
  commit(change: Change): Promise<void> {
    return orConflict(() => this.#core.ledger.commit(change));
  }
}

/** What `change` gives. @throws AuthTunaError `conflict` when it met another change of the account */
export async function orConflict<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!isMissing(error) && !isUniqueViolation(error)) throw error;
    throw accountChanged();
  }
}

/** The public form of an identity. */
export function toAccount(row: IdentityRow, providerName = row.provider): SocialAccount {
  const { id, provider, email, name, createdAt, lastUsedAt } = row;
  return { id, provider, providerName, email, name, createdAt, lastUsedAt };
}
