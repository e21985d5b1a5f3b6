import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Lane } from '../../crypto/work-queue.js';
import { AuthTunaError } from '../../errors.js';
import { canonicalEmail, canonicalUsername } from '../identifiers.js';
import type { Page } from '../page.js';
import { noUser, requireKnownFields } from '../refusals.js';
import { publicUser, type UserRow } from '../user.js';
import { eraseUser } from './erase.js';
import { importUsers } from './import-users.js';
import type { ImportedUser, ImportOptions, ImportReport } from './imported-user.js';
import { type NewUser, type PreparedUser, prepareUser, storeUser, type WithNewUser } from './new-user.js';
import { deleteUser, restoreUser, suspendUser, unsuspendUser } from './status.js';
import { type UserChange, updateUser } from './update-user.js';
import type { UserCore } from './user-core.js';
import { listUsers, USER_QUERY_FIELDS, type UserQuery } from './user-list.js';

const CHANGE_FIELDS = ['email', 'username', 'emailVerified', 'data'];
const NEW_USER_FIELDS = [...CHANGE_FIELDS, 'password'];

/** People: creating, finding, changing, suspending and deleting them. */
export class UserManager<U extends User = User> {
  readonly #core: UserCore;

  constructor(core: UserCore) {
    this.#core = core;
  }

  /** @throws AuthTunaError `not_found`, also for a deleted user */
  async get(id: string): Promise<U> {
    const user = await this.find(id);
    if (user === null) throw noUser();
    return user;
  }

  /** The user, or null when there is none or it was deleted. */
  async find(id: string): Promise<U | null> {
    return this.#visible(await this.row(id));
  }

  /** By address, in any capitalization. */
  async findByEmail(email: string): Promise<U | null> {
    return this.#visible(await this.#rowByEmail(email));
  }

  async findByUsername(username: string): Promise<U | null> {
    return this.#visible(await this.#rowByUsername(username));
  }

  /** Newest first. @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 or a search over 64 characters */
  async list(query: UserQuery = {}): Promise<Page<U>> {
    requireKnownFields(query, USER_QUERY_FIELDS);
    const { items, nextCursor } = await listUsers(this.#core, query);
    return { items: items.map((row) => publicUser(row) as U), nextCursor };
  }

  /**
   * Creates a user with the role `user`. An actor other than `SYSTEM` needs `users:manage`, and a password that such an actor chose must be
   * changed after the first sign-in.
   *
   * @param input.data the host's own columns
   * @throws AuthTunaError `invalid_input` for address or username; `weak_password`; `conflict` with `field` when one is taken
   * @see docs/requirements.md PW-7
   */
  async create(input: NewUser<U>, actor: Actor = SYSTEM): Promise<U> {
    requireKnownFields(input, NEW_USER_FIELDS);
    await this.#core.access.require(actor, 'users:manage');
    const { password, email, username = null } = input;
    if (password !== undefined) await this.#core.passwords.check(password, { email, username });
    const mustChangePassword = password !== undefined && !isSystem(actor);
    const prepared = await prepareUser(this.#core, { ...input, mustChangePassword }, actor);
    await this.store(prepared, actor);
    return this.get(prepared.id);
  }

  /**
   * Imports the users of another system with their password hashes, 500 at a time. Addresses that have an account are left as they are, so
   * an import that was cut off is continued by running it again. Needs `users:manage`.
   *
   * A hash is compared as the other system made it, and replaced by one of ours at the first sign-in.
   * @throws AuthTunaError `invalid_input` for a row of the wrong shape; `forbidden`
   */
  async import(
    rows: AsyncIterable<ImportedUser> | Iterable<ImportedUser>,
    actor: Actor,
    options: ImportOptions = {},
  ): Promise<ImportReport> {
    requireKnownFields(options, ['dryRun', 'onProgress']);
    await this.#core.access.require(actor, 'users:manage');
    return importUsers(this.#core, rows, actor, options);
  }

  /** The user of that address, created when there is none; an existing user is not changed. */
  async ensure(input: NewUser<U>, actor: Actor = SYSTEM): Promise<U> {
    requireKnownFields(input, NEW_USER_FIELDS);
    const existing = await this.findByEmail(input.email);
    if (existing !== null) return existing;
    try {
      return await this.create(input, actor);
    } catch (error) {
      const isConflict = error instanceof AuthTunaError && error.code === 'conflict';
      const other = isConflict ? await this.findByEmail(input.email) : null;
      if (other === null) throw error;
      return other;
    }
  }

  /**
   * Changes a user. Everybody may change themselves; others need `users:manage` and a rank above theirs. A new address is unverified unless
   * said otherwise, ends every mailed link, and ends the sessions.
   *
   * @throws AuthTunaError `not_found`, `invalid_input`, `conflict`, `forbidden`
   */
  async update(id: string, change: UserChange<U>, actor: Actor = SYSTEM): Promise<U> {
    requireKnownFields(change, CHANGE_FIELDS);
    await updateUser(this.#core, id, change, actor);
    return this.get(id);
  }

  /**
   * Blocks a user and ends their sessions. Needs `users:manage` and a rank above theirs.
   *
   * @throws AuthTunaError `conflict` for oneself and for the last superadmin; `not_found`; `forbidden`
   */
  async suspend(id: string, reason: string, actor: Actor, options: { until?: Date } = {}): Promise<void> {
    requireKnownFields(options, ['until']);
    return suspendUser(this.#core, id, reason, actor, options.until);
  }

  /** Lets a suspended user sign in again. @throws AuthTunaError `not_found`, `forbidden` */
  unsuspend(id: string, reason: string, actor: Actor): Promise<void> {
    return unsuspendUser(this.#core, id, reason, actor);
  }

  /**
   * Deletes a user: they cannot sign in, their sessions and API keys end, their roles are taken away, and scopes that they own have no owner
   * any more. The address stays reserved, so that `restore` can bring the user back.
   *
   * @throws AuthTunaError `conflict` for the last superadmin, and with `orgId` for the last owner of an organization; `not_found`; `forbidden`
   *   for an actor who is neither the user in person nor above them
   */
  delete(id: string, actor: Actor): Promise<void> {
    return deleteUser(this.#core, id, actor);
  }

  /**
   * Removes a user for good, with sessions, credentials, roles, queued mails, and invitations to their confirmed address: nothing in the
   * database leads from the id to a person any more. The address may be used again, for an account without any of the old rights. Audit
   * entries keep the id.
   *
   * @throws AuthTunaError `conflict` for the last superadmin, and with `orgId` for the last owner of an organization; `not_found`; `forbidden`
   *   for an actor who is neither the user in person nor above them
   * @see docs/requirements.md PR-1
   */
  erase(id: string, actor: Actor): Promise<void> {
    return eraseUser(this.#core, id, actor);
  }

  /** Brings a deleted user back, with the role `user` and nothing else; a service account without a role. @throws AuthTunaError `not_found`, `forbidden` */
  restore(id: string, actor: Actor): Promise<void> {
    return restoreUser(this.#core, id, actor);
  }

  /** @internal */
  prepare(input: NewUser<U> & { unconfirmedUntil?: Date }, actor: Actor, lane?: Lane): Promise<PreparedUser> {
    return prepareUser(this.#core, input, actor, lane);
  }

  /** @internal */
  store(prepared: PreparedUser, actor: Actor, more?: WithNewUser): Promise<void> {
    return storeUser(this.#core, prepared, actor, more);
  }

  /** @internal The row, also of a deleted user. */
  async row(id: string): Promise<UserRow | null> {
    return this.#core.db.user.findUnique({ where: { id } });
  }

  /** @internal The row that a sign-in names: by address when `login` has an @, otherwise by username. */
  async rowByLogin(login: string): Promise<UserRow | null> {
    const row = await (login.includes('@') ? this.#rowByEmail(login) : this.#rowByUsername(login));
    return row === null || row.deletedAt !== null ? null : row;
  }

  async #rowByEmail(email: string): Promise<UserRow | null> {
    const canonical = canonicalEmail(email);
    return canonical === null ? null : this.#core.db.user.findUnique({ where: { email: canonical } });
  }

  async #rowByUsername(username: string): Promise<UserRow | null> {
    const canonical = canonicalUsername(username)?.username;
    return canonical === undefined ? null : this.#core.db.user.findUnique({ where: { username: canonical } });
  }

  #visible(row: UserRow | null): U | null {
    return row === null || row.deletedAt !== null ? null : (publicUser(row) as U);
  }
}
