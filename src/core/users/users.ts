import { type Actor, SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import { newId } from '../../crypto/random.js';
import { type ExtraColumns, isMissing, isUniqueViolation, OUR_USER_COLUMNS } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import type { Access } from '../access/access.js';
import type { RoleStore } from '../access/role-store.js';
import { SuperadminGuard } from '../access/superadmins.js';
import { accountChanged, type Ledger, type Write } from '../changes/ledger.js';
import { canonicalEmail, canonicalUsername, USERNAME_RULE } from '../identifiers.js';
import { type Page, pageOf } from '../page.js';
import { invalid, invalidEmail, noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import type { SessionManager } from '../sessions/sessions.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import type { UserRow } from '../user.js';
import { publicUser } from '../user.js';
import type { PasswordManager } from './passwords.js';

export interface UserQuery {
  /** Part of an address or username, at most 64 characters; `_` also finds any other character in its place. */
  search?: string;
  /** Only people who hold this role, at `scope` or anywhere. */
  role?: string;
  scope?: string;
  status?: 'active' | 'suspended' | 'deleted';
  cursor?: string;
  /** 1 to 100, default 50. */
  limit?: number;
}

const MAX_SEARCH = 64;

type UserCore = Runtime & {
  ledger: Ledger;
  access: Access;
  sessions: SessionManager;
  tokens: OneTimeTokens;
  roleStore: RoleStore;
  passwords: PasswordManager;
};

/** People: making, finding, changing, suspending and deleting them. */
export class UserManager<U extends User = User> {
  readonly #core: UserCore;
  readonly #superadmins: SuperadminGuard;

  constructor(core: UserCore) {
    this.#core = core;
    this.#superadmins = new SuperadminGuard(core);
  }

  /** @throws AuthTunaError `not_found`, also for a deleted user */
  async get(id: string): Promise<U> {
    const user = await this.find(id);
    if (user === null) throw noUser();
    return user;
  }

  /** The user, or null when there is none or it was deleted. */
  async find(id: string): Promise<U | null> {
    return this.#visible(await this.#core.db.user.findUnique({ where: { id } }));
  }

  /** By address, in any capitalization. */
  async findByEmail(email: string): Promise<U | null> {
    const canonical = canonicalEmail(email);
    return canonical === null
      ? null
      : this.#visible(await this.#core.db.user.findUnique({ where: { email: canonical } }));
  }

  async findByUsername(username: string): Promise<U | null> {
    const canonical = canonicalUsername(username);
    return canonical === null
      ? null
      : this.#visible(await this.#core.db.user.findUnique({ where: { username: canonical.username } }));
  }

  /** Newest first. @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 or a search over 64 characters */
  async list(query: UserQuery = {}): Promise<Page<U>> {
    const { search, role, scope, status } = query;
    if (search !== undefined && search.length > MAX_SEARCH)
      throw invalid('search', 'too_long', `must have at most ${MAX_SEARCH} characters`);
    // No address or username holds these, and LIKE reads them as something else.
    if (search !== undefined && /[%\\]/.test(search)) return { items: [], nextCursor: null };
    const now = this.#core.now();
    const roleIds =
      role === undefined
        ? []
        : [...(await this.#core.roleStore.current()).all()]
            .filter((entry) => entry.name === role)
            .map((entry) => entry.id);
    const held = {
      ...(role !== undefined && { roleId: { in: roleIds } }),
      ...(scope !== undefined && { scope }),
      OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
    };
    const suspended = {
      suspendedAt: { not: null },
      OR: [{ suspendedUntil: null }, { suspendedUntil: { gt: now } }],
    };
    const where = {
      AND: [
        status === 'deleted' ? { deletedAt: { not: null } } : { deletedAt: null },
        status === 'suspended' ? suspended : {},
        status === 'active' ? { NOT: suspended } : {},
        search === undefined
          ? {}
          : {
              OR: [
                { email: { contains: search.toLowerCase() } },
                { username: { contains: search.toLowerCase() } },
              ],
            },
        role === undefined && scope === undefined ? {} : { assignments: { some: held } },
      ],
    };
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#core.db.user.findMany({
        where,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take,
        ...(after !== null && { cursor: { id: after } }),
      });
      return rows.map((row) => publicUser(row) as U);
    });
  }

  /**
   * Makes a user with the role `user`. An actor other than `SYSTEM` needs `users:manage`.
   *
   * @param input.data the host's own columns
   * @throws AuthTunaError `invalid_input` for address or username; `weak_password`; `conflict` with `field` when one is taken
   */
  async create(
    input: {
      email: string;
      username?: string | null;
      password?: string;
      emailVerified?: boolean;
      data?: Partial<ExtraColumns<U>>;
    },
    actor: Actor = SYSTEM,
  ): Promise<U> {
    await this.#core.access.require(actor, 'users:manage');
    if (input.password !== undefined)
      await this.#core.passwords.check(input.password, {
        email: input.email,
        username: input.username ?? null,
      });
    const prepared = await this.prepare(input, actor);
    await this.store(prepared, actor);
    return this.get(prepared.id);
  }

  /** The user of that address, made when there is none; one that is there is left as it is. */
  async ensure(input: Parameters<UserManager<U>['create']>[0], actor: Actor = SYSTEM): Promise<U> {
    const existing = await this.findByEmail(input.email);
    if (existing !== null) return existing;
    try {
      return await this.create(input, actor);
    } catch (error) {
      const other =
        error instanceof AuthTunaError && error.code === 'conflict'
          ? await this.findByEmail(input.email)
          : null;
      if (other === null) throw error;
      return other;
    }
  }

  /** @internal Checks the input, hashes a password that the caller has checked, and gives the writes; nothing is stored yet. */
  async prepare(
    input: {
      email: string;
      username?: string | null;
      password?: string;
      emailVerified?: boolean;
      data?: Partial<ExtraColumns<U>>;
    },
    actor: Actor,
  ): Promise<PreparedUser> {
    const { db, config } = this.#core;
    const email = canonicalEmail(input.email);
    if (email === null) throw invalidEmail();
    const username = input.username == null ? null : canonicalUsername(input.username);
    if (input.username != null && username === null)
      throw invalid('username', 'invalid_username', USERNAME_RULE);
    const hash = input.password === undefined ? null : await this.#core.passwords.hash(input.password);
    requireHostColumns(input.data);
    const userRole = (await this.#core.roleStore.current()).find('user');

    const id = newId(config.random);
    const now = this.#core.now();
    const row = {
      ...input.data,
      id,
      email,
      username: username?.username ?? null,
      usernameKey: username?.key ?? null,
      emailVerifiedAt: input.emailVerified === true ? now : null,
      createdAt: now,
      updatedAt: now,
    };
    return {
      id,
      email,
      username: row.username,
      writes: [
        db.user.create({ data: row }),
        ...(hash === null ? [] : [db.password.create({ data: { userId: id, hash, changedAt: now } })]),
        ...(userRole === null
          ? []
          : [
              db.roleAssignment.create({
                data: {
                  userId: id,
                  roleId: userRole.id,
                  scope: 'global',
                  assignedById: actor.userId,
                  assignedAt: now,
                },
              }),
            ]),
      ],
    };
  }

  /** @internal */
  async store(
    prepared: PreparedUser,
    actor: Actor,
    more: {
      mails?: Parameters<Ledger['commit']>[0]['mails'];
      writes?: readonly Write[];
      data?: Readonly<Record<string, unknown>>;
    } = {},
  ): Promise<void> {
    try {
      await this.#core.ledger.commit({
        writes: [...prepared.writes, ...(more.writes ?? [])],
        facts: [
          {
            type: 'user.created',
            actor,
            target: { type: 'user', id: prepared.id },
            ...(more.data !== undefined && { data: more.data }),
          },
        ],
        mails: more.mails,
      });
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw await this.#taken(prepared);
    }
  }

  /**
   * Changes a user. Everybody may change themselves; others need `users:manage` and a rank above theirs. A new address is unverified unless
   * said otherwise, ends every mailed link, and ends the sessions.
   *
   * @throws AuthTunaError `not_found`, `invalid_input`, `conflict`, `forbidden`
   */
  async update(
    id: string,
    change: {
      email?: string;
      username?: string | null;
      emailVerified?: boolean;
      data?: Partial<ExtraColumns<U>>;
    },
    actor: Actor = SYSTEM,
  ): Promise<U> {
    if (actor.userId !== id) await this.#core.access.requireAbove(actor, id, 'users:manage');
    // A proof of the mailbox is nothing a person can say of themselves.
    else if (change.emailVerified !== undefined || change.email !== undefined)
      await this.#core.access.require(actor, 'users:manage');
    const user = await this.#row(id);
    const email = change.email === undefined ? user.email : canonicalEmail(change.email);
    if (email === null) throw invalidEmail();
    const username = change.username == null ? null : canonicalUsername(change.username);
    if (change.username != null && username === null)
      throw invalid('username', 'invalid_username', USERNAME_RULE);
    requireHostColumns(change.data);
    const emailChanged = email !== user.email;
    const now = this.#core.now();
    const verifiedAt =
      change.emailVerified === undefined
        ? emailChanged
          ? null
          : user.emailVerifiedAt
        : change.emailVerified
          ? (user.emailVerifiedAt ?? now)
          : null;
    try {
      await this.#core.ledger.commit({
        writes: [
          this.#core.db.user.update({
            where: { id, email: user.email },
            data: {
              ...change.data,
              email,
              emailVerifiedAt: verifiedAt,
              updatedAt: now,
              ...(change.username !== undefined && {
                username: username?.username ?? null,
                usernameKey: username?.key ?? null,
              }),
            },
          }),
          ...(emailChanged
            ? [
                ...this.#core.sessions.revokeAllWrites(user, { reason: 'email_changed' }),
                this.#core.tokens.revokeAll(id),
                // What somebody above decides stands; on one's own account the owner's way back survives a thief.
                ...(actor.userId === id ? [] : [this.#core.tokens.revokeUndos(id)]),
              ]
            : []),
        ],
        facts: [
          {
            type: 'user.updated',
            actor,
            target: { type: 'user', id },
            data: { fields: Object.keys(change) },
          },
        ],
        invalidates: [`user:${id}`],
      });
    } catch (error) {
      if (isUniqueViolation(error))
        throw await this.#taken({ id, email, username: username?.username ?? null });
      throw isMissing(error) ? new AuthTunaError('conflict') : error;
    }
    return this.get(id);
  }

  /**
   * Blocks a user and ends their sessions. Needs `users:manage` and a rank above theirs.
   *
   * @throws AuthTunaError `conflict` for oneself and for the last superadmin; `not_found`; `forbidden`
   */
  async suspend(id: string, reason: string, actor: Actor, options: { until?: Date } = {}): Promise<void> {
    if (actor.userId === id) throw new AuthTunaError('conflict', { message: 'You cannot suspend yourself.' });
    await this.#core.access.requireAbove(actor, id, 'users:manage');
    const superadmins = await this.#superadmins.observe();
    const [user, held] = await Promise.all([this.#row(id), this.#superadmins.heldBy(id)]);
    const now = this.#core.now();
    if (options.until !== undefined && !(options.until > now))
      throw invalid('until', 'in_past', 'must be in the future');
    await this.#commit(user, actor, 'user.suspended', reason, [
      ...(held > 0
        ? this.#superadmins.removed(user, superadmins, held)
        : this.#superadmins.unaffected(superadmins)),
      ...this.#core.sessions.revokeAllWrites(user, { reason: 'suspended' }),
      this.#core.tokens.revokeAll(id),
      this.#core.db.user.update({
        where: { id },
        data: {
          suspendedAt: now,
          suspendedUntil: options.until ?? null,
          suspendedReason: reason,
          updatedAt: now,
        },
      }),
    ]);
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async unsuspend(id: string, reason: string, actor: Actor): Promise<void> {
    await this.#core.access.requireAbove(actor, id, 'users:manage');
    const superadmins = await this.#superadmins.observe();
    const [user, held] = await Promise.all([this.#row(id), this.#superadmins.heldBy(id)]);
    if (user.suspendedAt === null) return;
    const now = this.#core.now();
    await this.#commit(user, actor, 'user.unsuspended', reason, [
      ...this.#superadmins.unaffected(superadmins), // before the user, as where one is suspended: two such batches must not wait for each other
      this.#core.db.user.update({
        where: { id, suspendedAt: user.suspendedAt },
        data: { suspendedAt: null, suspendedUntil: null, suspendedReason: null, updatedAt: now },
      }),
      ...(held > 0 ? this.#superadmins.added({ id, suspendedAt: null }, superadmins, held) : []),
    ]);
  }

  /**
   * Deletes a user: they cannot sign in, their sessions end, what they were given is taken away. Nothing of anybody else is touched, and the
   * address stays reserved, so that `restore` can bring them back.
   *
   * @throws AuthTunaError `conflict` for the last superadmin; `not_found`; `forbidden` for an actor who is neither the user nor above them
   */
  async delete(id: string, actor: Actor): Promise<void> {
    if (actor.userId !== id) await this.#core.access.requireAbove(actor, id, 'users:manage');
    const superadmins = await this.#superadmins.observe();
    const [user, held] = await Promise.all([this.#row(id), this.#superadmins.heldBy(id)]);
    const now = this.#core.now();
    await this.#commit(user, actor, 'user.deleted', null, [
      ...(held > 0
        ? this.#superadmins.removed(user, superadmins, held)
        : this.#superadmins.unaffected(superadmins)),
      this.#core.db.roleAssignment.deleteMany({ where: { userId: id } }),
      ...this.#core.sessions.revokeAllWrites(user, { reason: 'deleted' }),
      this.#core.tokens.revokeAll(id),
      this.#core.db.user.update({
        where: { id, deletedAt: null },
        data: { deletedAt: now, updatedAt: now },
      }),
    ]);
  }

  /** Brings a deleted user back, with the role `user` and nothing else. @throws AuthTunaError `not_found`, `forbidden` */
  async restore(id: string, actor: Actor): Promise<void> {
    await this.#core.access.requireAbove(actor, id, 'users:manage');
    const user = await this.#core.db.user.findUnique({ where: { id } });
    if (user === null) throw noUser();
    if (user.deletedAt === null) return;
    const now = this.#core.now();
    const userRole = (await this.#core.roleStore.current()).find('user');
    await this.#commit(user, actor, 'user.restored', null, [
      this.#core.db.user.update({
        where: { id, deletedAt: user.deletedAt },
        data: { deletedAt: null, updatedAt: now },
      }),
      this.#core.db.roleAssignment.deleteMany({ where: { userId: id } }), // one that was given while the account was being deleted
      ...(userRole === null
        ? []
        : [
            this.#core.db.roleAssignment.create({
              data: {
                userId: id,
                roleId: userRole.id,
                scope: 'global',
                assignedById: actor.userId,
                assignedAt: now,
              },
            }),
          ]),
    ]);
  }

  /** @internal */
  async row(id: string): Promise<UserRow | null> {
    return this.#core.db.user.findUnique({ where: { id } });
  }

  /** @internal The one row an identifier of a sign-in names: an address when it has an @, a username otherwise. */
  async rowByLogin(login: string): Promise<UserRow | null> {
    const { db } = this.#core;
    if (login.includes('@')) {
      const email = canonicalEmail(login);
      return email === null ? null : this.#undeleted(await db.user.findUnique({ where: { email } }));
    }
    const username = canonicalUsername(login);
    return username === null
      ? null
      : this.#undeleted(await db.user.findUnique({ where: { username: username.username } }));
  }

  #undeleted(row: UserRow | null): UserRow | null {
    return row === null || row.deletedAt !== null ? null : row;
  }

  #visible(row: UserRow | null): U | null {
    return row === null || row.deletedAt !== null ? null : (publicUser(row) as U);
  }

  async #row(id: string): Promise<UserRow> {
    const row = await this.#core.db.user.findUnique({ where: { id } });
    if (row === null || row.deletedAt !== null) throw noUser();
    return row;
  }

  async #commit(
    user: UserRow,
    actor: Actor,
    type: EventType,
    reason: string | null,
    writes: Write[],
  ): Promise<void> {
    try {
      await this.#core.ledger.commit({
        writes,
        facts: [{ type, actor, target: { type: 'user', id: user.id }, ...(reason !== null && { reason }) }],
        invalidates: [`user:${user.id}`],
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (!(await this.#superadmins.isLast(user))) throw accountChanged();
      throw new AuthTunaError('conflict', { message: 'The last superadmin stays.' });
    }
  }

  async #taken(wanted: { id: string; email: string; username: string | null }): Promise<AuthTunaError> {
    const other = await this.#core.db.user.findUnique({ where: { email: wanted.email } });
    const field = other !== null && other.id !== wanted.id ? 'email' : 'username';
    return new AuthTunaError('conflict', {
      message: `This ${field === 'email' ? 'email address' : 'username'} is taken.`,
      field,
    });
  }
}

export interface PreparedUser {
  id: string;
  email: string;
  username: string | null;
  writes: Write[];
}

const NESTED_WRITE = /^(create|connect|update|upsert|delete|set|disconnect)/;

/** A host may pass on what a browser sent as `data`, so neither our own columns nor rows of other models are written from there. */
function requireHostColumns(data: object | undefined): void {
  for (const [key, value] of Object.entries(data ?? {})) {
    if (OUR_USER_COLUMNS.has(key))
      throw invalid(`data.${key}`, 'unknown_field', 'is not a column of your own');
    const isNested =
      typeof value === 'object' &&
      value !== null &&
      Object.keys(value).some((word) => NESTED_WRITE.test(word));
    if (isNested) throw invalid(`data.${key}`, 'wrong_type', 'must be a value');
  }
}
