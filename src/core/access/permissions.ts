import { type Actor, SYSTEM } from '../../actor.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../page.js';
import { invalid, requireKnownFields } from '../refusals.js';
import { requireMayEdit, unchangedDraft } from './role-commit.js';
import { asConflict, definitionChain, noPermission, type RoleCore } from './role-core.js';
import { isPermissionName } from './scope-name.js';
import { rolesChangedSince } from './versions.js';

export interface Permission {
  name: string;
  description: string | null;
  /** The product area that defines it. */
  tool: string | null;
  createdAt: Date;
}

const PERMISSION_FIELDS = ['name', 'description', 'tool'];

/** The catalog of permissions. Holding one is a matter of roles; this says which there are and what they mean. */
export class PermissionManager {
  readonly #core: RoleCore;

  constructor(core: RoleCore) {
    this.#core = core;
  }

  /**
   * Needs `permissions:manage`.
   * @throws AuthTunaError `invalid_input` for a name that is not `resource:action`; `conflict` when there is one of that name; `forbidden`
   */
  async create(
    permission: { name: string; description?: string; tool?: string },
    actor: Actor = SYSTEM,
  ): Promise<Permission> {
    requireKnownFields(permission, PERMISSION_FIELDS);
    requireName(permission.name);
    await this.#core.access.require(actor, 'permissions:manage');
    const row = {
      name: permission.name,
      description: permission.description ?? null,
      tool: permission.tool ?? null,
      createdAt: this.#core.now(),
    };
    try {
      await this.#core.ledger.commit({
        writes: [this.#core.db.permission.create({ data: row })],
        facts: [{ type: 'permission.created', actor, target: { type: 'permission', id: row.name } }],
      });
    } catch (error) {
      if (isUniqueViolation(error))
        throw new AuthTunaError('conflict', { message: `The permission ${row.name} exists already.` });
      throw error;
    }
    return row;
  }

  /** The permission of that name, made when it is not there. */
  async ensure(
    permission: { name: string; description?: string; tool?: string },
    actor: Actor = SYSTEM,
  ): Promise<Permission> {
    requireKnownFields(permission, PERMISSION_FIELDS);
    requireName(permission.name);
    const existing = await this.find(permission.name);
    if (existing !== null) return existing;
    try {
      return await this.create(permission, actor);
    } catch (error) {
      if (error instanceof AuthTunaError && error.code === 'conflict') return this.get(permission.name);
      throw error;
    }
  }

  /** @throws AuthTunaError `not_found` */
  async get(name: string): Promise<Permission> {
    const permission = await this.find(name);
    if (permission === null) throw noPermission(name);
    return permission;
  }

  async find(name: string): Promise<Permission | null> {
    return this.#core.db.permission.findUnique({ where: { name } });
  }

  /** By name. @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 */
  async list(query: PageQuery = {}): Promise<Page<Permission>> {
    requireKnownFields(query, PAGE_FIELDS);
    const { items, nextCursor } = await pageOf(query, async ({ take, after }) => {
      const rows = await this.#core.db.permission.findMany({
        where: after === null ? {} : { name: { gt: after } },
        orderBy: { name: 'asc' },
        take,
      });
      return rows.map((row) => ({ ...row, id: row.name }));
    });
    return { items: items.map(({ id: _name, ...permission }) => permission), nextCursor };
  }

  /** Needs `permissions:manage`. @throws AuthTunaError `not_found`, `forbidden` */
  async update(
    name: string,
    change: { description?: string | null; tool?: string | null },
    actor: Actor,
  ): Promise<void> {
    requireKnownFields(change, ['description', 'tool']);
    await this.#core.access.require(actor, 'permissions:manage');
    const { description, tool } = change;
    const data = { ...(description !== undefined && { description }), ...(tool !== undefined && { tool }) };
    await this.#commit(
      name,
      [this.#core.db.permission.update({ where: { name }, data })],
      'permission.updated',
      actor,
    );
  }

  /**
   * Removes it from every role as well. Needs `permissions:manage`, and the right to edit each of these roles.
   *
   * @throws AuthTunaError `not_found`, `forbidden`; `conflict` when roles changed at the same moment
   */
  async delete(name: string, actor: Actor): Promise<void> {
    await this.#core.access.require(actor, 'permissions:manage');
    const { db } = this.#core;
    const catalog = await this.#core.roleStore.current();
    for (const role of catalog.all()) {
      if (!role.direct.includes(name)) continue;
      const chain = await definitionChain(this.#core, role.ownedBy);
      await requireMayEdit(this.#core, actor, role, unchangedDraft(role), chain);
    }
    const writes = [
      db.permission.delete({ where: { name } }),
      db.rolePermission.deleteMany({ where: { permission: name } }),
      rolesChangedSince(db, catalog.version),
    ];
    await this.#commit(name, writes, 'permission.deleted', actor);
  }

  async #commit(
    name: string,
    writes: readonly Write[],
    type: 'permission.updated' | 'permission.deleted',
    actor: Actor,
  ): Promise<void> {
    try {
      await this.#core.ledger.commit({
        writes,
        facts: [{ type, actor, target: { type: 'permission', id: name } }],
        invalidates: ['roles'],
      });
    } catch (error) {
      if (isMissing(error) && (await this.find(name)) === null) throw noPermission(name);
      throw asConflict(error);
    }
  }
}

function requireName(name: string): void {
  if (!isPermissionName(name))
    throw invalid(
      'name',
      'invalid_format',
      'must look like project:read: lower-case words, digits, - and _, joined by colons',
    );
}
