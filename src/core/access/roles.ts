import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Change, Ledger, Write } from '../changes/ledger.js';
import { type Page, type PageQuery, pageOf } from '../page.js';
import { invalid, noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import type { PublicUser } from '../user.js';
import type { Access } from './access.js';
import { mayAssign, mayEditRole, outranks, type RoleDraft } from './delegation.js';
import { type Chain, GLOBAL_CHAIN, type Grants } from './grants.js';
import type { CompiledRole, Role, RoleCatalog } from './role-catalog.js';
import type { RoleStore } from './role-store.js';
import { isPermissionName, isPermissionPattern, isScope, parseScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';
import { isSuperadminRole, SuperadminGuard } from './superadmins.js';

export interface RoleAssignment {
  userId: string;
  role: string;
  scope: string;
  assignedById: string | null;
  assignedAt: Date;
  expiresAt: Date | null;
}

export interface RoleInput {
  name: string;
  description?: string;
  level?: number | null;
  permissions?: readonly string[];
  includes?: readonly string[];
  at?: readonly string[];
  /** The scope that defines this role for itself; visible and assignable only there and below. */
  ownedBy?: string;
}

export interface RoleChange {
  description?: string | null;
  level?: number | null;
  at?: readonly string[];
  includes?: readonly string[];
}

const ROLE_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const LAST_SUPERADMIN = 'The last superadmin stays.';
const SCOPE_TYPE = /^[a-z][a-z0-9_-]*$/;

/** Roles and who holds them where. Whoever is not `SYSTEM` can pass on only what they hold, below their own rank. */
export class RoleManager {
  readonly #core: Runtime & { ledger: Ledger; access: Access; roleStore: RoleStore; scopeTree: ScopeTree };
  readonly #superadmins: SuperadminGuard;

  constructor(
    core: Runtime & { ledger: Ledger; access: Access; roleStore: RoleStore; scopeTree: ScopeTree },
  ) {
    this.#core = core;
    this.#superadmins = new SuperadminGuard(core);
  }

  /**
   * An actor other than `SYSTEM` needs `roles:manage` where the role is defined, a higher level, and everything that goes into it.
   *
   * @throws AuthTunaError `invalid_input`; `not_found` for an included role that does not exist; `conflict` when the name is taken; `forbidden`
   */
  async create(input: RoleInput, actor: Actor = SYSTEM): Promise<Role> {
    checkInput(input);
    const catalog = await this.#core.roleStore.current();
    const chain = await this.#definitionChain(input.ownedBy ?? '');
    // A second role of a name that is visible here would be taken for the first.
    const namesake = catalog.find(input.name, chain.scopes);
    if (namesake !== null && namesake.ownedBy !== (input.ownedBy ?? ''))
      throw new AuthTunaError('conflict', { message: `The role ${input.name} exists already.` });
    const includes = allOf(catalog, input.includes, chain);
    const permissions = [...new Set(input.permissions ?? [])];
    await this.#requireMayEdit(
      actor,
      null,
      { level: input.level ?? null, permissions, includes, mayAssign: [] },
      chain,
    );
    const names = permissions.filter(isPermissionName);
    const known = new Set(
      (await this.#core.db.permission.findMany({ where: { name: { in: names } } })).map((row) => row.name),
    );
    const unknown = names.filter((name) => !known.has(name));
    // A script that declares a role declares its permissions with it; a person needs them to exist.
    if (unknown.length > 0 && !isSystem(actor))
      throw new AuthTunaError('not_found', { message: `There is no permission ${unknown[0]}.` });

    const now = this.#core.now();
    const id = newId(this.#core.config.random);
    const { db } = this.#core;
    const writes: Write[] = [
      ...unknown.map((name) =>
        db.permission.upsert({ where: { name }, create: { name, createdAt: now }, update: {} }),
      ),
      db.role.create({
        data: {
          id,
          name: input.name,
          ownedBy: input.ownedBy ?? '',
          description: input.description ?? null,
          level: input.level ?? null,
          at: (input.at ?? []).join(' '),
          origin: 'database',
          createdAt: now,
          updatedAt: now,
        },
      }),
      db.rolePermission.createMany({ data: permissions.map((permission) => ({ roleId: id, permission })) }),
      db.roleInclusion.createMany({ data: includes.map((role) => ({ roleId: id, includedId: role.id })) }),
      this.#core.roleStore.bump(),
    ];
    try {
      await this.#core.ledger.commit({
        writes,
        facts: [
          {
            type: 'role.created',
            actor,
            target: { type: 'role', id: input.name },
            data: { permissions, level: input.level ?? null },
          },
        ],
        invalidates: ['roles'],
      });
    } catch (error) {
      if (isUniqueViolation(error))
        throw new AuthTunaError('conflict', { message: `The role ${input.name} exists already.` });
      throw error;
    }
    return this.get(input.name, input.ownedBy);
  }

  /** The role of that name, made when it is not there; one that is there is left as it is. */
  async ensure(input: RoleInput, actor: Actor = SYSTEM): Promise<Role> {
    const existing = await this.find(input.name, input.ownedBy);
    if (existing !== null) return existing;
    try {
      return await this.create(input, actor);
    } catch (error) {
      if (error instanceof AuthTunaError && error.code === 'conflict')
        return this.get(input.name, input.ownedBy);
      throw error;
    }
  }

  /** @throws AuthTunaError `not_found` */
  async get(name: string, ownedBy?: string): Promise<Role> {
    const role = await this.find(name, ownedBy);
    if (role === null) throw noRole(name);
    return role;
  }

  async find(name: string, ownedBy?: string): Promise<Role | null> {
    const catalog = await this.#core.roleStore.current();
    const role = catalog.find(name, ownedBy === undefined ? [] : [ownedBy]);
    return role === null || role.ownedBy !== (ownedBy ?? '') ? null : catalog.describe(role);
  }

  /** By rank, highest first; with `ownedBy`, those of one scope. @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 */
  async list(query: PageQuery & { ownedBy?: string } = {}): Promise<Page<Role>> {
    const catalog = await this.#core.roleStore.current();
    const roles = [...catalog.all()]
      .filter((role) => role.ownedBy === (query.ownedBy ?? ''))
      .sort((a, b) => (b.level ?? -1) - (a.level ?? -1) || a.name.localeCompare(b.name));
    const { items, nextCursor } = await pageOf(query, async ({ take, after }) => {
      const begin = after === null ? 0 : roles.findIndex((role) => role.id === after);
      return begin < 0 ? [] : roles.slice(begin, begin + take);
    });
    return { items: items.map((role) => catalog.describe(role)), nextCursor };
  }

  /** @throws AuthTunaError `not_found`, `invalid_input`, `forbidden` as for `create` */
  async update(name: string, change: RoleChange, actor: Actor, ownedBy?: string): Promise<void> {
    checkInput({ name, ...change, description: change.description ?? undefined });
    const { catalog, role, chain } = await this.#locate(name, ownedBy);
    const includes = allOf(catalog, change.includes, chain);
    await this.#requireMayEdit(
      actor,
      role,
      {
        level: change.level === undefined ? role.level : change.level,
        permissions: [],
        // Where a role may be assigned decides who can pass it on, so widening that takes all that the role contains.
        includes: change.at === undefined ? includes : [...includes, role],
        mayAssign: [],
      },
      chain,
    );
    const { db } = this.#core;
    const data = {
      updatedAt: this.#core.now(),
      ...(change.description !== undefined && { description: change.description }),
      ...(change.level !== undefined && { level: change.level }),
      ...(change.at !== undefined && { at: change.at.join(' ') }),
    };
    const writes: Write[] = [db.role.update({ where: { id: role.id }, data })];
    if (change.includes !== undefined) {
      writes.push(
        db.roleInclusion.deleteMany({ where: { roleId: role.id } }),
        db.roleInclusion.createMany({
          data: includes.map((included) => ({ roleId: role.id, includedId: included.id })),
        }),
      );
    }
    await this.#commitEdit(role, writes, actor, { ...change });
  }

  /**
   * Deletes the role and its assignments, never the people who held it.
   *
   * @throws AuthTunaError `forbidden` for a shipped role, which others depend on; `not_found`
   */
  async delete(name: string, actor: Actor, ownedBy?: string): Promise<void> {
    const { role, chain } = await this.#locate(name, ownedBy);
    if (role.origin === 'shipped')
      throw new AuthTunaError('forbidden', { message: `${name} is a role of the system and stays.` });
    await this.#requireMayEdit(actor, role, emptyDraft(role), chain);
    try {
      await this.#core.ledger.commit({
        writes: [this.#core.db.role.delete({ where: { id: role.id } }), this.#core.roleStore.bump()],
        facts: [{ type: 'role.deleted', actor, target: { type: 'role', id: name } }],
        invalidates: ['roles'],
      });
    } catch (error) {
      if (isMissing(error)) throw noRole(name);
      throw error;
    }
  }

  /**
   * Puts a permission or a pattern into a role; one that is there already stays there.
   *
   * @throws AuthTunaError `not_found` for an unknown role or permission; `forbidden` for an actor who does not hold it or does not outrank the role
   */
  async addPermission(name: string, permission: string, actor: Actor, ownedBy?: string): Promise<void> {
    const { role, chain } = await this.#locate(name, ownedBy);
    if (
      !isPermissionPattern(permission) &&
      (await this.#core.db.permission.findUnique({ where: { name: permission } })) === null
    ) {
      throw new AuthTunaError('not_found', { message: `There is no permission ${permission}.` });
    }
    await this.#requireMayEdit(actor, role, { ...emptyDraft(role), permissions: [permission] }, chain);
    if (role.direct.includes(permission)) return;
    const row = { roleId: role.id, permission };
    await this.#commitEdit(
      role,
      [
        this.#core.db.rolePermission.upsert({
          where: { roleId_permission: row },
          create: row,
          update: {},
        }),
      ],
      actor,
      { added: permission },
    );
  }

  /** @throws AuthTunaError `not_found` when the role does not exist or does not hold it; `forbidden` */
  async removePermission(name: string, permission: string, actor: Actor, ownedBy?: string): Promise<void> {
    const { role, chain } = await this.#locate(name, ownedBy);
    await this.#requireMayEdit(actor, role, emptyDraft(role), chain);
    const where = { roleId_permission: { roleId: role.id, permission } };
    await this.#commitEdit(role, [this.#core.db.rolePermission.delete({ where })], actor, {
      removed: permission,
    });
  }

  /** Lets holders of one role assign another. @throws AuthTunaError `not_found`; `forbidden` when the actor could not assign it itself */
  async allowAssign(assigner: string, assignable: string, actor: Actor): Promise<void> {
    const { catalog, role, chain } = await this.#locate(assigner);
    const target = required(catalog, assignable, chain.scopes);
    await this.#requireMayEdit(actor, role, { ...emptyDraft(role), mayAssign: [target] }, chain);
    const row = { assignerId: role.id, assignableId: target.id };
    const write = this.#core.db.roleAllowAssign.upsert({
      where: { assignerId_assignableId: row },
      create: row,
      update: {},
    });
    await this.#commitEdit(role, [write], actor, { mayAssign: assignable });
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async disallowAssign(assigner: string, assignable: string, actor: Actor): Promise<void> {
    const { catalog, role, chain } = await this.#locate(assigner);
    const target = required(catalog, assignable, chain.scopes);
    await this.#requireMayEdit(actor, role, emptyDraft(role), chain);
    const where = { assignerId_assignableId: { assignerId: role.id, assignableId: target.id } };
    await this.#commitEdit(role, [this.#core.db.roleAllowAssign.delete({ where })], actor, {
      mayNoLongerAssign: assignable,
    });
  }

  /**
   * Gives a user a role at a scope. Assigning it again changes only when it ends.
   *
   * @throws AuthTunaError `not_found` for an unknown user or role; `invalid_input` for a scope that is none, or of a type the role is not for,
   * or an end in the past; `forbidden` when the actor may not grant this role at this scope
   */
  async assign(
    assignment: { userId: string; role: string; scope: string; expiresAt?: Date | null },
    actor: Actor,
  ): Promise<void> {
    const { userId, scope } = assignment;
    const expiresAt = assignment.expiresAt ?? null;
    const { role, chain } = await this.#locateAt(assignment.role, scope);
    if (role.at.length > 0 && !role.at.includes(parseScope(scope)?.type ?? '')) {
      throw invalid('scope', 'invalid_scope', `${role.name} can be assigned at ${role.at.join(', ')} only`);
    }
    const now = this.#core.now();
    if (expiresAt !== null && !(expiresAt > now))
      throw invalid('expiresAt', 'in_past', 'must be in the future');
    if (isSuperadminRole(role) && expiresAt !== null)
      throw invalid('expiresAt', 'not_used', 'superadmin has no end; take it away instead');
    if (!isSystem(actor)) {
      const grants = await this.#grantsOf(actor);
      if (!mayAssign(grants, role, chain))
        throw await this.#refused(actor, 'role.assigned', role, scope, userId);
    }
    const superadmins = isSuperadminRole(role) ? await this.#superadmins.observe() : null;
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null || user.deletedAt !== null) throw noUser();

    const key = { userId, roleId: role.id, scope };
    const change: Change = {
      writes: [
        this.#core.db.roleAssignment.create({
          data: { ...key, assignedById: actor.userId, assignedAt: now, expiresAt },
        }),
        ...(superadmins === null ? [] : this.#superadmins.added(user, superadmins)),
      ],
      facts: [
        {
          type: 'role.assigned',
          actor,
          target: { type: 'user', id: userId },
          scope,
          data: { role: role.name, expiresAt },
        },
      ],
      invalidates: [`user:${userId}`],
    };
    try {
      await this.#core.ledger.commit(change);
    } catch (error) {
      if (!isUniqueViolation(error)) throw asConflict(error);
      await this.#changeEnd(key, expiresAt, role, chain, actor);
    }
  }

  async #changeEnd(
    key: { userId: string; roleId: string; scope: string },
    expiresAt: Date | null,
    role: CompiledRole,
    chain: Chain,
    actor: Actor,
  ): Promise<void> {
    const where = { userId_roleId_scope: key };
    const existing = await this.#core.db.roleAssignment.findUnique({ where });
    if (existing === null || existing.expiresAt?.getTime() === expiresAt?.getTime()) return;
    const endsEarlier =
      expiresAt !== null && expiresAt.getTime() < (existing.expiresAt?.getTime() ?? Infinity);
    // To let it end earlier is to take it away.
    if (endsEarlier && !isSystem(actor) && actor.userId !== key.userId) {
      const [grants, target] = await Promise.all([
        this.#grantsOf(actor),
        this.#core.access.standingOf(key.userId),
      ]);
      if (!outranks(grants, target, chain))
        throw await this.#refused(actor, 'role.assigned', role, key.scope, key.userId);
    }
    await this.#core.ledger.commit({
      writes: [this.#core.db.roleAssignment.update({ where, data: { expiresAt } })],
      facts: [
        {
          type: 'role.assigned',
          actor,
          target: { type: 'user', id: key.userId },
          scope: key.scope,
          data: { role: role.name, expiresAt },
        },
      ],
      invalidates: [`user:${key.userId}`],
    });
  }

  /**
   * Takes a role at a scope away. Everybody may step down from their own.
   *
   * @throws AuthTunaError `not_found` when it is not held there; `forbidden` when the actor may not, or does not outrank the holder;
   * `conflict` for the last superadmin
   */
  async unassign(assignment: { userId: string; role: string; scope: string }, actor: Actor): Promise<void> {
    const { userId, scope } = assignment;
    const { role, chain } = await this.#locateAt(assignment.role, scope);
    if (!isSystem(actor) && actor.userId !== userId) {
      const [grants, target] = await Promise.all([
        this.#grantsOf(actor),
        this.#core.access.standingOf(userId),
      ]);
      if (!mayAssign(grants, role, chain) || !outranks(grants, target, chain)) {
        throw await this.#refused(actor, 'role.unassigned', role, scope, userId);
      }
    } else if (!isSystem(actor)) {
      await this.#grantsOf(actor);
    }
    const superadmins = isSuperadminRole(role) ? await this.#superadmins.observe() : null;
    const user = await this.#core.db.user.findUnique({ where: { id: userId } });
    if (user === null) throw noUser();
    const where = { userId_roleId_scope: { userId, roleId: role.id, scope } };
    try {
      await this.#core.ledger.commit({
        writes: [
          this.#core.db.roleAssignment.delete({ where }),
          ...(superadmins === null ? [] : this.#superadmins.removed(user, superadmins)),
        ],
        facts: [
          {
            type: 'role.unassigned',
            actor,
            target: { type: 'user', id: userId },
            scope,
            data: { role: role.name },
          },
        ],
        invalidates: [`user:${userId}`],
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
      if ((await this.#core.db.roleAssignment.findUnique({ where })) !== null)
        throw asConflict(
          error,
          superadmins !== null && (await this.#superadmins.isLast(user)) ? LAST_SUPERADMIN : undefined,
        );
      throw new AuthTunaError('not_found', { message: `The user does not hold ${role.name} at ${scope}.` });
    }
  }

  /** What a user holds. What has expired is left out, cleaned up or not. */
  async assignmentsOf(userId: string): Promise<RoleAssignment[]> {
    const now = this.#core.now();
    const rows = await this.#core.db.roleAssignment.findMany({
      where: { userId, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
      include: { role: { select: { name: true } } },
      orderBy: [{ scope: 'asc' }, { assignedAt: 'asc' }],
    });
    return rows.map(({ roleId: _id, role, ...row }) => ({ ...row, role: role.name }));
  }

  /** The names of the roles that an actor may assign at a scope. */
  async assignableBy(actor: Actor, scope: string): Promise<string[]> {
    const chain = await this.#chainOf(scope);
    const catalog = await this.#core.roleStore.current();
    const grants = isSystem(actor) ? null : await this.#grantsOf(actor);
    const type = parseScope(scope)?.type ?? '';
    return (
      [...catalog.all()]
        .filter((role) => role.at.length === 0 || role.at.includes(type))
        // Of several roles of one name, `assign` takes the nearest.
        .filter((role) => catalog.find(role.name, chain.scopes) === role)
        .filter((role) => grants === null || mayAssign(grants, role, chain))
        .map((role) => role.name)
        .sort()
    );
  }

  /** Who holds a role exactly at a scope. */
  async usersWith(name: string, scope: string, query: PageQuery = {}): Promise<Page<PublicUser>> {
    const { role } = await this.#locateAt(name, scope);
    return this.#core.access.holdersOf(role.id, scope, query);
  }

  async #locate(
    name: string,
    ownedBy = '',
  ): Promise<{ catalog: RoleCatalog; role: CompiledRole; chain: Chain }> {
    const catalog = await this.#core.roleStore.current();
    const role = catalog.find(name, ownedBy === '' ? [] : [ownedBy]);
    if (role === null || role.ownedBy !== ownedBy) throw noRole(name);
    return { catalog, role, chain: await this.#chainFor(ownedBy) };
  }

  async #locateAt(name: string, scope: string): Promise<{ role: CompiledRole; chain: Chain }> {
    const chain = await this.#chainOf(scope);
    const role = (await this.#core.roleStore.current()).find(name, chain.scopes);
    if (role === null) throw noRole(name);
    return { role, chain };
  }

  async #definitionChain(ownedBy: string): Promise<Chain> {
    if (ownedBy !== '' && (!isScope(ownedBy) || ownedBy === 'global'))
      throw invalid('ownedBy', 'invalid_scope', 'must be a scope such as org:acme');
    return this.#chainFor(ownedBy);
  }

  async #chainFor(ownedBy: string): Promise<Chain> {
    return ownedBy === '' ? GLOBAL_CHAIN : this.#chainOf(ownedBy);
  }

  async #chainOf(scope: string): Promise<Chain> {
    const chain = await this.#core.scopeTree.chainOf(scope, { fresh: true });
    if (chain === null)
      throw invalid('scope', 'invalid_scope', 'must be global or a scope such as project:42');
    return chain;
  }

  async #grantsOf(actor: Actor): Promise<Grants> {
    const grants = actor.userId === null ? null : await this.#core.access.grantsOf(actor.userId);
    if (grants === null) throw new AuthTunaError(actor.userId === null ? 'unauthenticated' : 'forbidden');
    return grants;
  }

  async #requireMayEdit(
    actor: Actor,
    before: CompiledRole | null,
    draft: RoleDraft,
    chain: Chain,
  ): Promise<void> {
    if (isSystem(actor)) return;
    if (!mayEditRole(await this.#grantsOf(actor), before, draft, chain)) throw new AuthTunaError('forbidden');
  }

  /** The refusal, recorded: who tried to give or take what is worth knowing afterwards. */
  async #refused(
    actor: Actor,
    type: 'role.assigned' | 'role.unassigned',
    role: CompiledRole,
    scope: string,
    userId: string,
  ): Promise<AuthTunaError> {
    await this.#core.ledger.commit({
      writes: [],
      facts: [
        {
          type,
          outcome: 'denied',
          actor,
          target: { type: 'user', id: userId },
          scope,
          data: { role: role.name },
        },
      ],
    });
    return role.level === null
      ? new AuthTunaError('forbidden', {
          message: `Nobody outranks the role ${role.name}, because it has no level: give it one, or name it in mayAssign of another role.`,
        })
      : new AuthTunaError('forbidden');
  }

  async #commitEdit(
    role: CompiledRole,
    writes: Write[],
    actor: Actor,
    data: Record<string, unknown>,
  ): Promise<void> {
    try {
      await this.#core.ledger.commit({
        writes: [...writes, this.#core.roleStore.bump()],
        facts: [{ type: 'role.updated', actor, target: { type: 'role', id: role.name }, data }],
        invalidates: ['roles'],
      });
    } catch (error) {
      if (isMissing(error))
        throw new AuthTunaError('not_found', { message: `The role ${role.name} has no such entry.` });
      throw error;
    }
  }
}

function emptyDraft(role: CompiledRole): RoleDraft {
  return { level: role.level, permissions: [], includes: [], mayAssign: [] };
}

/** The roles of these names, each once. */
function allOf(catalog: RoleCatalog, names: readonly string[] = [], chain: Chain): CompiledRole[] {
  return [...new Set(names)].map((name) => required(catalog, name, chain));
}

function required(catalog: RoleCatalog, name: string, chain: Chain | readonly string[]): CompiledRole {
  const role = catalog.find(name, 'scopes' in chain ? chain.scopes : chain);
  if (role === null) throw noRole(name);
  return role;
}

function noRole(name: string): AuthTunaError {
  return new AuthTunaError('not_found', { message: `There is no role ${name}.` });
}

function asConflict(
  error: unknown,
  message = 'Something else changed at the same moment. Try again.',
): unknown {
  return isMissing(error) ? new AuthTunaError('conflict', { message }) : error;
}

function checkInput(input: RoleInput): void {
  const problem = checkRole(input);
  if (problem !== null) throw invalid(problem.field, 'invalid_format', problem.message);
}

/** @internal What is wrong with a role as it was described, or null. */
export function checkRole(input: RoleInput): { field: string; message: string } | null {
  if (!ROLE_NAME.test(input.name))
    return { field: 'name', message: 'must be lower-case letters, digits, - and _, beginning with a letter' };
  const { level } = input;
  if (level !== undefined && level !== null && (!Number.isInteger(level) || level < 0 || level > 100)) {
    return { field: 'level', message: 'must be a whole number from 0 to 100, or null' };
  }
  const odd = input.permissions?.find((entry) => !isPermissionName(entry) && !isPermissionPattern(entry));
  if (odd !== undefined)
    return {
      field: 'permissions',
      message: `${odd} is neither a permission such as project:read nor a pattern such as project:*`,
    };
  const type = input.at?.find((entry) => !SCOPE_TYPE.test(entry));
  return type === undefined
    ? null
    : { field: 'at', message: `${type} is not a type of scope, such as project` };
}
