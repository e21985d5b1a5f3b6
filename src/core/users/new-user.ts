import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import { newId } from '../../crypto/random.js';
import type { Lane } from '../../crypto/work-queue.js';
import type { ExtraColumns } from '../../db/client.js';
import type { Change, Write } from '../changes/ledger.js';
import { requireHostColumns } from '../host-columns.js';
import { canonicalEmail, canonicalUsername, USERNAME_RULE } from '../identifiers.js';
import { invalid, invalidEmail, whenTaken } from '../refusals.js';
import { basicRoleWrites, takenBy, type UserCore } from './user-core.js';

/** What a user is made from. */
export interface NewUser<U extends User = User> {
  email: string;
  username?: string | null;
  password?: string;
  emailVerified?: boolean;
  /** The host's own columns. */
  data?: Partial<ExtraColumns<U>>;
}

/** A user that is checked and not stored yet. */
export interface PreparedUser {
  id: string;
  email: string;
  username: string | null;
  writes: Write[];
}

/** What is stored, mailed and recorded together with a new user. */
export interface WithNewUser {
  mails?: Change['mails'];
  writes?: readonly Write[];
  facts?: Change['facts'];
  /** Goes into the audit entry. */
  data?: Readonly<Record<string, unknown>>;
}

/**
 * Checks the input, hashes a password that the caller has checked already, and returns the writes. Stores nothing.
 *
 * @param input.unconfirmedUntil when the account is removed, unless its address was confirmed or it was used
 * @param input.mustChangePassword whether the person chooses another password before anything else; false by default
 * @throws AuthTunaError `invalid_input`
 */
export async function prepareUser<U extends User>(
  core: UserCore,
  input: NewUser<U> & { unconfirmedUntil?: Date; mustChangePassword?: boolean },
  actor: Actor,
  lane?: Lane,
): Promise<PreparedUser> {
  const { db, config } = core;
  const email = requireEmail(input.email);
  const username = requireUsername(input.username);
  const hash = input.password === undefined ? null : await core.passwords.hash(input.password, lane);
  requireHostColumns('user', input.data);

  const id = newId(config.random);
  const now = core.now();
  const row = {
    ...input.data,
    id,
    email,
    ...username,
    emailVerifiedAt: input.emailVerified === true ? now : null,
    unconfirmedUntil: input.unconfirmedUntil ?? null,
    mustChangePassword: input.mustChangePassword ?? false,
    createdAt: now,
    updatedAt: now,
  };
  return {
    id,
    email,
    username: username.username,
    writes: [
      db.user.create({ data: row }),
      ...(hash === null ? [] : [db.password.create({ data: { userId: id, hash, changedAt: now } })]),
      ...(await basicRoleWrites(core, id, actor.userId, now)),
    ],
  };
}

/** Stores a prepared user in one batch with `more`. @throws AuthTunaError `conflict` with `field` for a taken address or username */
export async function storeUser(
  core: UserCore,
  prepared: PreparedUser,
  actor: Actor,
  { mails, writes = [], facts = [], data }: WithNewUser = {},
): Promise<void> {
  const change: Change = {
    writes: [...prepared.writes, ...writes],
    facts: [
      {
        type: 'user.created',
        actor,
        target: { type: 'user', id: prepared.id },
        ...(data !== undefined && { data }),
      },
      ...facts,
    ],
    mails,
  };
  await core.ledger.commit(change).catch(whenTaken(() => takenBy(core, prepared)));
}

/** An address in the form it is stored in. @throws AuthTunaError `invalid_input` */
export function requireEmail(email: string): string {
  const canonical = canonicalEmail(email);
  if (canonical === null) throw invalidEmail(email);
  return canonical;
}

/** The columns of a username, null for none. @throws AuthTunaError `invalid_input` */
export function requireUsername(username: string | null | undefined): {
  username: string | null;
  usernameKey: string | null;
} {
  if (username == null) return { username: null, usernameKey: null };
  const canonical = canonicalUsername(username);
  if (canonical === null) throw invalid('username', 'invalid_username', USERNAME_RULE);
  return { username: canonical.username, usernameKey: canonical.key };
}
