import {
  type AssignmentRow,
  type CompiledRole,
  holds,
  type RoleCatalog,
  type RoleSet,
} from './role-catalog.js';

/** The ancestors of a scope, itself first and `global` last, with their owners. */
export interface Chain {
  readonly scopes: readonly string[];
  /** Owner of the scope at the same place, or null. */
  readonly owners: readonly (string | null)[];
}

/** What a user has been given, compiled for deciding: scope -> the roles held there. */
export class Grants {
  readonly userId: string;
  readonly catalog: RoleCatalog;
  /** When the first assignment in it ends, in milliseconds; the whole is not to be used after that. */
  readonly expiresAt: number;
  readonly #held: ReadonlyMap<string, RoleSet>;
  /** Permissions and patterns outside which nothing is allowed; null for no limit. */
  readonly #limit: ReadonlySet<string> | null;
  /** The roles held through teams, and which of them the person also holds without a team: for explanations. */
  readonly #throughTeams: readonly AssignmentRow[];
  readonly #own: ReadonlySet<string>;

  /** @param limit permissions and patterns of a credential that may do no more than these, whatever its user holds */
  constructor(
    userId: string,
    assignments: readonly AssignmentRow[],
    catalog: RoleCatalog,
    now: number,
    limit: readonly string[] | null = null,
  ) {
    this.userId = userId;
    this.catalog = catalog;
    const current = assignments.filter(({ expiresAt }) => expiresAt === null || expiresAt.getTime() > now);
    this.expiresAt = current.reduce(
      (first, { expiresAt }) => Math.min(first, expiresAt?.getTime() ?? Infinity),
      Infinity,
    );
    this.#held = catalog.heldBy(current);
    this.#limit = limit === null ? null : new Set(limit);
    this.#throughTeams = current.filter(({ team }) => team !== undefined);
    const shared = new Set(this.#throughTeams.map(placeOf));
    this.#own = new Set(
      shared.size === 0
        ? []
        : current
            .filter(({ team }) => team === undefined)
            .map(placeOf)
            .filter((place) => shared.has(place)),
    );
  }

  /** Whether a credential may do no more than a list of permissions. */
  get isScoped(): boolean {
    return this.#limit !== null;
  }

  /** The roles held exactly at a scope, not those above it. */
  at(scope: string): RoleSet | undefined {
    return this.#held.get(scope);
  }

  /** The scopes at which something is held. */
  get scopes(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** The teams through which a role is held at a scope. */
  teamsGiving(roleId: string, scope: string): string[] {
    return this.#throughTeams.flatMap((row) =>
      row.roleId === roleId && row.scope === scope && row.team !== undefined ? [row.team] : [],
    );
  }

  /** Whether a role that is held at a scope is the person's own, and not a team's alone. */
  isAssigned(roleId: string, scope: string): boolean {
    return this.teamsGiving(roleId, scope).length === 0 || this.#own.has(placeOf({ roleId, scope }));
  }

  /** The one decision: some role held at the scope or above it contains the permission. */
  allow(permission: string, chain: Chain): boolean {
    if (this.#limit !== null && !holds(this.#limit, permission)) return false;
    const { scopes, owners } = chain;
    for (let index = 0; index < scopes.length; index += 1) {
      if (this.heldAt(chain, index)?.allows(permission)) return true;
      if (owners[index] === this.userId && this.catalog.owner.allows(permission)) return true;
    }
    return false;
  }

  /** The roles assigned at one place of a chain, as far as they count there. */
  heldAt(chain: Chain, index: number): RoleSet | undefined {
    const set = this.at(chain.scopes[index] as string);
    return set === undefined || set.owners.length === 0
      ? set
      : this.catalog.within(set, chain.scopes.slice(index));
  }

  /** The roles held at the scope of a chain or above it, with where. */
  rolesAlong(chain: Chain): { scope: string; set: RoleSet }[] {
    return chain.scopes.flatMap((scope, index) => {
      const set = this.heldAt(chain, index);
      return [
        ...(set === undefined ? [] : [{ scope, set }]),
        ...(chain.owners[index] === this.userId ? [{ scope, set: this.catalog.owner }] : []),
      ];
    });
  }

  /** Whether the role of this name is held along the chain; an included role counts. A credential limited to permissions holds no role. */
  holdsRole(name: string, chain: Chain): boolean {
    if (this.#limit !== null) return false;
    // A role defined for everywhere first: a scope's own role of the same name must not replace it.
    const role = this.catalog.find(name) ?? this.catalog.find(name, chain.scopes);
    return (
      role !== null &&
      this.rolesAlong(chain).some(({ set }) => set.roles.some((held) => held.closure.has(role.id)))
    );
  }

  /** The roles assigned at the scope of a chain or above it, as far as they count there. */
  assignedAlong(chain: Chain): CompiledRole[] {
    return chain.scopes.flatMap((_scope, index) => this.heldAt(chain, index)?.roles ?? []);
  }

  /** The roles assigned at any scope. */
  assignedAnywhere(): CompiledRole[] {
    return this.scopes.flatMap((scope) => this.at(scope)?.roles ?? []);
  }
}

function placeOf({ roleId, scope }: Pick<AssignmentRow, 'roleId' | 'scope'>): string {
  return `${roleId} ${scope}`;
}

export const GLOBAL_CHAIN: Chain = Object.freeze({ scopes: ['global'], owners: [null] });
