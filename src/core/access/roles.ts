import { type Actor, SYSTEM } from '../../actor.js';
import type { Checked } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../page.js';
import { requireKnownFields } from '../refusals.js';
import type { PublicUser } from '../user.js';
import {
  type AssignmentSource,
  assign,
  assignableBy,
  assignmentsOf,
  type RoleAssignment,
  unassign,
} from './assignments.js';
import type { Role } from './role-catalog.js';
import { locateRoleAt, noRole, type RoleCore } from './role-core.js';
import { createRole, deleteRole, updateRole } from './role-edits.js';
import { addPermission, allowAssign, disallowAssign, removePermission } from './role-entries.js';
import { checkInput, type RoleChange, type RoleInput } from './role-input.js';
import {
  assignmentsOfTeam,
  assignToTeam,
  type TeamAssignment,
  unassignFromTeam,
} from './team-assignments.js';

export type { RoleAssignment } from './assignments.js';
export type { RoleChange, RoleInput } from './role-input.js';
export type { TeamAssignment } from './team-assignments.js';

/** Who holds a role: a person, or a team by its id without `team:`. */
export type Holder = { userId: string } | { team: string };

const HOLDING_FIELDS = ['userId', 'team', 'role', 'scope'];

/**
 * Roles, and the people who hold them. An actor other than `SYSTEM` can pass on only what they hold, below their own rank; docs/access.md has
 * the rules as a table.
 */
export class RoleManager<R extends string = string, P extends string = string> {
  readonly #core: RoleCore;

  constructor(core: RoleCore) {
    this.#core = core;
  }

  /**
   * An actor other than `SYSTEM` needs `roles:manage` where the role is defined, a higher level, and everything that goes into it.
   *
   * @throws AuthTunaError `invalid_input`; `not_found` for an included role that does not exist; `conflict` when the name is taken, and beyond 100
   * roles of one scope or 2,000 permissions and included roles in these; `forbidden`
   */
  async create(input: RoleInput, actor: Actor = SYSTEM): Promise<Role> {
    await createRole(this.#core, input, actor);
    return this.get(input.name, input.ownedBy);
  }

  /** The role of that name, made when it is not there; one that is there is left as it is. */
  async ensure(input: RoleInput, actor: Actor = SYSTEM): Promise<Role> {
    checkInput(input);
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
    requireKnownFields(query, ['ownedBy', ...PAGE_FIELDS]);
    const catalog = await this.#core.roleStore.current();
    const roles = [...catalog.ownedBy(query.ownedBy ?? '')].sort(
      (a, b) => (b.level ?? -1) - (a.level ?? -1) || a.name.localeCompare(b.name),
    );
    const { items, nextCursor } = await pageOf(query, async ({ take, after }) => {
      const begin = after === null ? 0 : roles.findIndex((role) => role.id === after);
      return begin < 0 ? [] : roles.slice(begin, begin + take);
    });
    return { items: items.map((role) => catalog.describe(role)), nextCursor };
  }

  /**
   * Changes a role; `permissions`, `includes` and `at` replace what it has. An actor other than `SYSTEM` must rank above it, before and after, and above every role that includes it.
   *
   * @throws AuthTunaError `not_found`, also for a permission; `invalid_input`; `forbidden`; `conflict` when roles changed at the same moment, and where no superadmin
   * would be left
   */
  update(name: string, change: RoleChange, actor: Actor, ownedBy?: string): Promise<void> {
    return updateRole(this.#core, name, change, actor, ownedBy);
  }

  /**
   * Deletes the role and its assignments, never the people who held it.
   *
   * @throws AuthTunaError `forbidden` for a shipped role, which others depend on; `not_found`; `conflict` as for `update`
   */
  delete(name: string, actor: Actor, ownedBy?: string): Promise<void> {
    return deleteRole(this.#core, name, actor, ownedBy);
  }

  /**
   * Puts a permission or a pattern into a role; one that is there already stays there.
   *
   * @throws AuthTunaError `not_found` for an unknown role or permission; `forbidden` for an actor who does not hold it or does not outrank the role;
   * `conflict` when roles changed at the same moment
   */
  addPermission<N extends string>(
    name: string,
    permission: N & Checked<N, P | `${string}*`>,
    actor: Actor,
    ownedBy?: string,
  ): Promise<void> {
    return addPermission(this.#core, name, permission, actor, ownedBy);
  }

  /** @throws AuthTunaError `not_found` when the role does not exist or does not hold it; `forbidden`; `conflict` */
  removePermission(name: string, permission: string, actor: Actor, ownedBy?: string): Promise<void> {
    return removePermission(this.#core, name, permission, actor, ownedBy);
  }

  /** Lets holders of one role assign another. @throws AuthTunaError `not_found`; `forbidden` when the actor could not assign it; `conflict` */
  allowAssign(assigner: string, assignable: string, actor: Actor): Promise<void> {
    return allowAssign(this.#core, assigner, assignable, actor);
  }

  /** @throws AuthTunaError `not_found`, `forbidden`, `conflict` */
  disallowAssign(assigner: string, assignable: string, actor: Actor): Promise<void> {
    return disallowAssign(this.#core, assigner, assignable, actor);
  }

  /**
   * Gives a user, or everybody in a team, a role at a scope. Assigning it again changes only when it ends.
   *
   * A person is in a team while they hold a role exactly at `team:<id>`. To give somebody such a role is to give them all that the team holds,
   * and needs the right to.
   *
   * @throws AuthTunaError `not_found` for an unknown user or role; `invalid_input` for a scope that is none, or of a type the role is not for,
   * an end in the past, or `superadmin` and `org_owner` for a service account; `forbidden` when the actor may not grant this role at this scope; `conflict` when a role, or the scope, changed at
   * the same moment
   */
  async assign<N extends string>(
    assignment: Holder & { role: N & Checked<N, R>; scope: string; expiresAt?: Date | null },
    actor: Actor,
  ): Promise<void> {
    requireKnownFields(assignment, [...HOLDING_FIELDS, 'expiresAt']);
    return 'team' in assignment
      ? assignToTeam(this.#core, assignment, actor)
      : assign(this.#core, assignment, actor);
  }

  /**
   * Takes a role at a scope away. Everybody may step down from their own.
   *
   * @throws AuthTunaError `not_found` when it is not held there; `forbidden` when the actor may not, or does not outrank the holder;
   * `conflict` for the last superadmin, and when a role, or the scope, changed at the same moment
   */
  async unassign<N extends string>(
    assignment: Holder & { role: N & Checked<N, R>; scope: string },
    actor: Actor,
  ): Promise<void> {
    requireKnownFields(assignment, HOLDING_FIELDS);
    return 'team' in assignment
      ? unassignFromTeam(this.#core, assignment, actor)
      : unassign(this.#core, assignment, actor);
  }

  /** @internal As `assign` and `unassign`, for what the claims of a provider say. */
  assignFrom(from: AssignmentSource, assignment: Parameters<typeof assign>[1], actor: Actor): Promise<void> {
    return assign(this.#core, assignment, actor, from);
  }

  /** @internal */
  unassignFrom(
    from: AssignmentSource,
    assignment: Parameters<typeof unassign>[1],
    actor: Actor,
  ): Promise<void> {
    return unassign(this.#core, assignment, actor, from);
  }

  /** What a user holds, without what their teams hold. What has expired is left out, cleaned up or not. */
  assignmentsOf(userId: string): Promise<RoleAssignment[]> {
    return assignmentsOf(this.#core, userId);
  }

  /** What a team holds, and so everybody in it. What has expired is left out. */
  assignmentsOfTeam(team: string): Promise<TeamAssignment[]> {
    return assignmentsOfTeam(this.#core, team);
  }

  /** The names of the roles that an actor may assign at a scope. */
  assignableBy(actor: Actor, scope: string): Promise<string[]> {
    return assignableBy(this.#core, actor, scope);
  }

  /** The people who hold a role exactly at a scope, themselves or through a team. */
  async usersWith(name: string, scope: string, query: PageQuery = {}): Promise<Page<PublicUser>> {
    requireKnownFields(query, PAGE_FIELDS);
    const { role } = await locateRoleAt(this.#core, name, scope);
    return this.#core.access.holdersOf(role.id, scope, query);
  }
}
