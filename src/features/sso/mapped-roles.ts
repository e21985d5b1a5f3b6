import { type Actor, isSystem, SYSTEM } from '../../actor.js';
import type { CompiledRole, RoleCatalog } from '../../core/access/role-catalog.js';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';
import { type ConnectionRow, findConnection, roleIdsOf } from './connection.js';

const MAX_ROLES = 100;

/**
 * Roles that an organization's provider gives by its claims.
 *
 * A mapping acts for the person who set it up: each role is given and taken by what that person may do at this moment. It names roles by id,
 * since a name can be deleted and made anew as another role.
 */
export class MappedRoles {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Gives and takes the mapped roles by the claims of today. Roles that no claim is mapped to are left alone. */
  async apply(provider: string, userId: string, claims: Readonly<Record<string, unknown>>): Promise<void> {
    const row = await findConnection(this.#core, provider);
    if (row === null || row.rolesClaim === null) return;
    const mapping = roleIdsOf(row);
    const claimed = claims[row.rolesClaim];
    const values = (Array.isArray(claimed) ? claimed : [claimed]).filter(
      (value) => typeof value === 'string',
    );
    const wanted = new Set(
      values.flatMap((value) => (Object.hasOwn(mapping, value) ? [mapping[value]!] : [])),
    );
    const given = await this.#core.db.roleAssignment.findMany({
      where: { userId, scope: row.scope },
      select: { roleId: true, expiresAt: true },
    });
    const now = this.#core.now();
    const held = new Set(
      given.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ roleId }) => roleId),
    );
    const ids = new Set(Object.values(mapping));
    const moves = [...ids].filter((id) => wanted.has(id) !== held.has(id));
    if (moves.length === 0 || !(await this.#mayAct(row, userId))) return;
    const catalog = await this.#core.roleStore.current();
    for (const id of moves)
      await this.#moveRole(
        wanted.has(id) ? 'assign' : 'unassign',
        row,
        userId,
        catalog.byId(id),
        makerOf(row),
      );
  }

  /**
   * Takes roles away that claims gave: once nothing maps to them, no sign-in would. Those that a person gave stay, and so do those of people
   * from whom the actor may not take them.
   */
  async take(row: ConnectionRow, roleIds: readonly string[], actor: Actor): Promise<void> {
    if (roleIds.length === 0) return;
    const given = await this.#core.db.roleAssignment.findMany({
      where: { scope: row.scope, source: SSO_PREFIX + row.id, roleId: { in: [...roleIds] } },
      select: { userId: true, roleId: true },
    });
    const catalog = await this.#core.roleStore.current();
    for (const { userId, roleId } of given)
      await this.#moveRole('unassign', row, userId, catalog.byId(roleId), actor);
  }

  /**
   * The mapping with the ids of its roles.
   *
   * @throws AuthTunaError `forbidden` for a role that the actor may not assign at the scope; `invalid_input` for too many
   */
  async resolve(
    mapping: Readonly<Record<string, string>>,
    scope: string,
    actor: Actor,
  ): Promise<Record<string, string>> {
    const entries = Object.entries(mapping);
    if (entries.length > MAX_ROLES)
      throw invalid('roleMapping', 'too_long', `may name at most ${MAX_ROLES} values`);
    if (entries.length === 0) return {};
    const assignable = new Set(await this.#core.roles.assignableBy(actor, scope));
    const chain = await this.#core.scopeTree.chainOf(scope, { fresh: true });
    const catalog = await this.#core.roleStore.current();
    return Object.fromEntries(
      entries.map(([value, name]) => {
        const role = catalog.find(name, chain?.scopes ?? []);
        if (role === null || !assignable.has(name))
          throw new AuthTunaError('forbidden', {
            message: `You may not assign the role ${name} at ${scope}.`,
          });
        return [value, role.id];
      }),
    );
  }

  /** False for a maker who is suspended or gone: the mapping stops, which the log and the audit log say. */
  async #mayAct(row: ConnectionRow, userId: string): Promise<boolean> {
    const maker = makerOf(row);
    if (maker.userId === null || (await this.#core.access.grantsOf(maker.userId)) !== null) return true;
    await this.#core.audit.record({
      type: 'role.assigned',
      outcome: 'denied',
      reason: 'mapping_without_maker',
      actor: maker,
      scope: row.scope,
      target: { type: 'user', id: userId },
      data: { connection: row.id },
    });
    this.#warn(row, {}, 'the person who set the mapping up is suspended or gone');
    return false;
  }

  /** A role that is gone by now, one that may not be moved any more, or the last owner's, keeps no user from signing in. */
  async #moveRole(
    move: 'assign' | 'unassign',
    row: ConnectionRow,
    userId: string,
    role: CompiledRole | null,
    actor: Actor,
  ): Promise<void> {
    if (role === null) return this.#warn(row, {}, 'a role of the mapping was deleted');
    const from = { source: SSO_PREFIX + row.id, roleId: role.id };
    const assignment = { userId, role: role.name, scope: row.scope };
    await this.#core.roles[`${move}From`](from, assignment, actor).catch((error: unknown) => {
      if (!(error instanceof AuthTunaError) || error.code === 'unavailable') throw error;
      this.#warn(row, { role: role.name, move }, error.message);
    });
  }

  #warn(row: ConnectionRow, facts: object, reason: string): void {
    this.#core.config.logger.warn(
      'A mapped role was not moved. Somebody who may assign the roles of this mapping must set it again.',
      { connection: row.id, scope: row.scope, ...facts, reason },
    );
  }
}

/** For whom a mapping acts. A connection that a script made acts as the script. */
function makerOf({ mappedById }: ConnectionRow): Actor {
  return mappedById === null ? SYSTEM : { userId: mappedById, ip: null, userAgent: null };
}

/** How a connection stores who set up its mapping. */
export function makerIdOf(actor: Actor): string | null {
  return isSystem(actor) ? null : actor.userId;
}

/** Value of the claim -> name of the role. A role that was deleted is left out. */
export function namesIn(
  mapping: Readonly<Record<string, string>>,
  catalog: RoleCatalog,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(mapping).flatMap(([value, id]) => {
      const role = catalog.byId(id);
      return role === null ? [] : [[value, role.name]];
    }),
  );
}
