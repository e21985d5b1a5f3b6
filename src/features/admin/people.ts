import { type Actor, SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Page } from '../../core/page.js';
import { noUser } from '../../core/refusals.js';
import { publicUser, type UserRow } from '../../core/user.js';
import type { UserQuery } from '../../core/users/user-list.js';
import { OUR_USER_COLUMNS } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { AdminParts } from './parts.js';

/** A user as administrators see it: our columns, the host's listed ones, and the names of the roles held at `global`. */
export type AdminUser = User & { roles: string[] };

const ID_SHAPE = /^[\w-]{1,64}$/; // nothing else is ever an id, and PostgreSQL fails on a NUL

/** People, as the administration lists and changes them. */
export class People {
  readonly #parts: AdminParts;
  readonly #columns: readonly string[];

  /** @param columns columns of the host that are shown */
  constructor(parts: AdminParts, columns: readonly string[]) {
    this.#parts = parts;
    this.#columns = columns;
  }

  async list(query: UserQuery): Promise<Page<AdminUser>> {
    const { items, nextCursor } = await this.#parts.core.users.list(query);
    return { items: await this.#withRoles(items), nextCursor };
  }

  /** Deleted people as well. @throws AuthTunaError `not_found` */
  async get(id: string): Promise<AdminUser> {
    const row = await this.#row(id);
    const [user] = await this.#withRoles([publicUser(row)]);
    if (user === undefined) throw noUser();
    return user;
  }

  /** People of these ids, deleted ones too; unknown ids are left out. */
  async some(ids: readonly string[]): Promise<AdminUser[]> {
    const rows = await this.#parts.core.db.user.findMany({
      where: { id: { in: ids.filter((id) => ID_SHAPE.test(id)) }, kind: 'person' },
    });
    return this.#withRoles(rows.map(publicUser));
  }

  /** By address, username or id; null for none. */
  async find(text: string): Promise<User | null> {
    const { users } = this.#parts.core;
    const named = (await users.findByEmail(text)) ?? (await users.findByUsername(text));
    return named ?? (ID_SHAPE.test(text) ? users.find(text) : null);
  }

  /** Whether the actor may act upon this person. */
  async isAbove(actor: Actor, id: string, permission: string): Promise<boolean> {
    try {
      await this.#parts.core.access.requireAbove(actor, id, permission);
      return true;
    } catch (error) {
      if (error instanceof AuthTunaError && error.code === 'forbidden') return false;
      throw error;
    }
  }

  /** Makes the person choose a new password, ends their sessions, and mails a link to do so. */
  async resetPassword(id: string, actor: Actor): Promise<void> {
    const { core, auth } = this.#parts;
    const user = await core.users.get(id);
    await core.passwords.requireChange(id, actor);
    // What `users:manage` and rank have just allowed needs no further permission; the entry names the actor all the same.
    await core.sessions.revokeAll(id, { ...SYSTEM, ...actor });
    const { ip, userAgent } = actor;
    // No stranger asks for this mail, so no quota holds it back.
    await auth.requestPasswordReset(user.email, { ...SYSTEM, ip, userAgent });
  }

  async #row(id: string): Promise<UserRow> {
    const row = ID_SHAPE.test(id) ? await this.#parts.core.users.row(id) : null;
    if (row === null) throw noUser();
    return row;
  }

  /** One query for all of them. */
  async #withRoles(users: readonly User[]): Promise<AdminUser[]> {
    const { core } = this.#parts;
    const rows = await core.db.roleAssignment.findMany({
      where: {
        userId: { in: users.map(({ id }) => id) },
        scope: 'global',
        OR: [{ expiresAt: null }, { expiresAt: { gt: core.now() } }],
      },
      select: { userId: true, roleId: true },
    });
    const catalog = await core.roleStore.current();
    return users.map((user) => {
      const held = rows.filter(({ userId }) => userId === user.id);
      const roles = held.flatMap(({ roleId }) => catalog.byId(roleId)?.name ?? []).sort();
      const shown = Object.entries(user).filter(
        ([column]) => OUR_USER_COLUMNS.has(column) || this.#columns.includes(column),
      );
      return { ...(Object.fromEntries(shown) as unknown as User), roles };
    });
  }
}
