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

/** What a user has been given, compiled for deciding: scope -> the roles held there. */
export class Grants {
  readonly userId: string;
  readonly catalogue: RoleCatalogue;
  /** When the first assignment in it ends, in milliseconds; the whole is not to be used after that. */
  readonly expiresAt: number;
  readonly byScope: ReadonlyMap<string, RoleSet>;
  readonly #owner: RoleSet;

  constructor(userId: string, assignments: readonly AssignmentRow[], catalogue: RoleCatalogue, now: number) {
    this.userId = userId;
    this.catalogue = catalogue;
    const live = assignments.filter(
      (assignment) => assignment.expiresAt === null || assignment.expiresAt.getTime() > now,
    );
    this.expiresAt = live.reduce(
      (first, { expiresAt }) => Math.min(first, expiresAt?.getTime() ?? Infinity),
      Infinity,
    );
    const idsByScope = new Map<string, string[]>();
    for (const { scope, roleId } of live) {
      const ids = idsByScope.get(scope);
      if (ids === undefined) idsByScope.set(scope, [roleId]);
      else ids.push(roleId);
    }
    this.byScope = new Map([...idsByScope].map(([scope, ids]) => [scope, catalogue.setOf(ids)]));
    const owner = catalogue.find('owner');
    this.#owner = catalogue.setOf(owner === null ? [] : [owner.id]);
  }

  /** The one decision: some role held at the scope or above it contains the permission. */
  allow(permission: string, chain: Chain): boolean {
    const { scopes, owners } = chain;
    for (let index = 0; index < scopes.length; index += 1) {
      const set = this.byScope.get(scopes[index] as string);
      if (set?.allows(permission)) return true;
      if (owners[index] === this.userId && this.#owner.allows(permission)) return true;
    }
    return false;
  }

  /** The roles held at the scope of a chain or above it, with where. */
  rolesAlong(chain: Chain): { scope: string; set: RoleSet }[] {
    return chain.scopes.flatMap((scope, index) => {
      const set = this.byScope.get(scope);
      return [
        ...(set === undefined ? [] : [{ scope, set }]),
        ...(chain.owners[index] === this.userId ? [{ scope, set: this.#owner }] : []),
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
