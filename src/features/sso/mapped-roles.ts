import { type Actor, SYSTEM } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';
import { type ConnectionRow, findConnection, mappingOf } from './connection.js';

const MAX_ROLES = 100;

/** Roles that an organization's provider gives by its claims. */
export class MappedRoles {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Gives and takes the mapped roles by the claims of today. Roles that no claim is mapped to are left alone. */
  async apply(provider: string, userId: string, claims: Readonly<Record<string, unknown>>): Promise<void> {
    const row = await findConnection(this.#core, provider);
    if (row === null || row.rolesClaim === null) return;
    const mapping = mappingOf(row);
    const claimed = claims[row.rolesClaim];
    const values = (Array.isArray(claimed) ? claimed : [claimed]).filter(
      (value) => typeof value === 'string',
    );
    const wanted = new Set(
      values.flatMap((value) => (Object.hasOwn(mapping, value) ? [mapping[value]!] : [])),
    );
    const held = new Set(
      (await this.#core.roles.assignmentsOf(userId))
        .filter(({ scope }) => scope === row.scope)
        .map(({ role }) => role),
    );
    for (const role of new Set(Object.values(mapping))) {
      // Who set the mapping up was allowed to assign these roles; SYSTEM acts on their word.
      if (wanted.has(role) && !held.has(role)) await this.#moveRole('assign', userId, role, row.scope);
      if (!wanted.has(role) && held.has(role)) await this.#moveRole('unassign', userId, role, row.scope);
    }
  }

  /** Takes roles away that claims gave: once nothing maps to them, no sign-in would. Those that a person gave stay. */
  async take(row: ConnectionRow, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const given = await this.#core.db.roleAssignment.findMany({
      where: {
        scope: row.scope,
        assignedById: null,
        role: { name: { in: [...names] } },
        user: { socialAccounts: { some: { provider: SSO_PREFIX + row.id } } },
      },
      select: { userId: true, role: { select: { name: true } } },
    });
    for (const { userId, role } of given) await this.#moveRole('unassign', userId, role.name, row.scope);
  }

  /** @throws AuthTunaError `forbidden` for a role that the actor may not assign at the scope; `invalid_input` for too many */
  async requireMayMap(
    mapping: Readonly<Record<string, string>> | undefined,
    scope: string,
    actor: Actor,
  ): Promise<void> {
    if (mapping === undefined) return;
    const roles = Object.values(mapping);
    if (roles.length > MAX_ROLES)
      throw invalid('roleMapping', 'too_long', `may name at most ${MAX_ROLES} values`);
    const assignable = new Set(await this.#core.roles.assignableBy(actor, scope));
    const refused = roles.find((role) => !assignable.has(role));
    if (refused !== undefined)
      throw new AuthTunaError('forbidden', {
        message: `You may not assign the role ${refused} at ${scope}.`,
      });
  }

  /** Skips a role that no longer exists, and that of the last owner: neither may keep a user from signing in. */
  async #moveRole(move: 'assign' | 'unassign', userId: string, role: string, scope: string): Promise<void> {
    await this.#core.roles[move]({ userId, role, scope }, SYSTEM).catch((error: unknown) => {
      if (!(error instanceof AuthTunaError) || error.code === 'unavailable') throw error;
      this.#core.config.logger.warn(`A mapped role could not be ${move}ed.`, {
        role,
        scope,
        reason: error.message,
      });
    });
  }
}
