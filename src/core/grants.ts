import type { RoleCatalogue, RoleSet } from './role-catalogue.js';

/** The ancestors of a scope, itself first and `global` last, with their owners. */
export interface Chain {
  readonly scopes: readonly string[];
  /** Owner of the scope at the same place, or null. */
  readonly owners: readonly (string | null)[];
}

export interface AssignmentRow {
  roleId: string;
  scope: string;
  expiresAt: Date | null;
}

const FEW = 6;

/** What a user has been given, compiled for deciding: scope -> the roles held there. */
export class Grants {
  readonly userId: string;
  readonly catalogue: RoleCatalogue;
  /** When the first assignment in it ends, in milliseconds; the whole is not to be used after that. */
  readonly expiresAt: number;
  /** Scopes and the roles held there, side by side. A map only where there are many: a small one costs more than all the rest. */
  readonly #scopes: readonly string[];
  readonly #sets: readonly RoleSet[];
  readonly #byScope: ReadonlyMap<string, RoleSet> | null;

  constructor(userId: string, assignments: readonly AssignmentRow[], catalogue: RoleCatalogue, now: number) {
    this.userId = userId;
    this.catalogue = catalogue;
    let expiresAt = Infinity;
    const idsByScope = new Map<string, string[]>();
    for (const { scope, roleId, expiresAt: end } of assignments) {
      if (end !== null && end.getTime() <= now) continue;
      if (end !== null) expiresAt = Math.min(expiresAt, end.getTime());
      const ids = idsByScope.get(scope);
      if (ids === undefined) idsByScope.set(scope, [roleId]);
      else ids.push(roleId);
    }
    this.expiresAt = expiresAt;
    this.#scopes = [...idsByScope.keys()];
    this.#sets = [...idsByScope.values()].map((ids) => catalogue.setOf(ids));
    this.#byScope =
      this.#scopes.length <= FEW
        ? null
        : new Map(this.#scopes.map((scope, index) => [scope, this.#sets[index] as RoleSet]));
  }

  /** The roles held exactly at a scope, not those above it. */
  at(scope: string): RoleSet | undefined {
    if (this.#byScope !== null) return this.#byScope.get(scope);
    for (let index = 0; index < this.#scopes.length; index += 1) {
      if (this.#scopes[index] === scope) return this.#sets[index];
    }
    return undefined;
  }

  /** The scopes at which something is held. */
  get scopes(): readonly string[] {
    return this.#scopes;
  }

  /** The one decision: some role held at the scope or above it contains the permission. */
  allow(permission: string, chain: Chain): boolean {
    const { scopes, owners } = chain;
    for (let index = 0; index < scopes.length; index += 1) {
      const set = this.at(scopes[index] as string);
      if (set?.allows(permission)) return true;
      if (owners[index] === this.userId && this.catalogue.owner.allows(permission)) return true;
    }
    return false;
  }

  /** The roles held at the scope of a chain or above it, with where. */
  rolesAlong(chain: Chain): { scope: string; set: RoleSet }[] {
    return chain.scopes.flatMap((scope, index) => {
      const set = this.at(scope);
      return [
        ...(set === undefined ? [] : [{ scope, set }]),
        ...(chain.owners[index] === this.userId ? [{ scope, set: this.catalogue.owner }] : []),
      ];
    });
  }

  /** Whether a role of this name is held along the chain; an included role counts. */
  holdsRole(name: string, chain: Chain): boolean {
    return this.rolesAlong(chain).some(({ set }) =>
      set.roles.some(
        (role) =>
          role.name === name || [...role.closure].some((id) => this.catalogue.byId(id)?.name === name),
      ),
    );
  }

  /** The highest level of a role held along the chain; -1 for none. */
  levelAlong(chain: Chain): number {
    let level = -1;
    for (const { set } of this.rolesAlong(chain)) {
      for (const role of set.roles) if (role.level !== null && role.level > level) level = role.level;
    }
    return level;
  }
}

export const GLOBAL_CHAIN: Chain = Object.freeze({ scopes: ['global'], owners: [null] });
