import { rememberAtMost } from '../../remember.js';
import { matches } from './scope-name.js';

const FEW = 8; // assignments; who has more has them alone
const MAX_HELD = 10_000;

/** A role as it is listed and returned. */
export interface Role {
  name: string;
  description: string | null;
  /** Rank, or null when it is not reachable by rank. */
  level: number | null;
  /** Names and patterns held directly, without those of included roles. */
  permissions: string[];
  includes: string[];
  /** Scope types it may be assigned at; empty for any. */
  at: string[];
  /** Roles that its holders may assign. */
  mayAssign: string[];
  /** The scope that defined it for itself, or null. */
  ownedBy: string | null;
  origin: 'shipped' | 'code' | 'database';
}

/** A role with everything it stands for worked out. */
export interface CompiledRole {
  readonly id: string;
  readonly name: string;
  readonly ownedBy: string;
  readonly level: number | null;
  /** The highest level of the closure; -1 where no role of it has one. */
  readonly rank: number;
  /** Whether every role of the closure has a level. To a person who would act upon its holders, a role that is not ranked is above all. */
  readonly isRanked: boolean;
  readonly at: readonly string[];
  readonly description: string | null;
  readonly origin: Role['origin'];
  readonly direct: readonly string[];
  readonly includes: readonly string[];
  readonly mayAssign: readonly string[];
  /** Ids of this role and of all it includes, at any depth. */
  readonly closure: ReadonlySet<string>;
  /** Names and patterns of the whole closure. */
  readonly permissions: ReadonlySet<string>;
  /** Ids of the roles that some role of the closure may assign. */
  readonly assignable: ReadonlySet<string>;
  /** The scopes that defined roles of the closure for themselves; what those contain counts only at them and below. */
  readonly owners: readonly string[];
}

/** The rows a catalog is made from. */
export interface RoleRow {
  id: string;
  name: string;
  ownedBy: string;
  description: string | null;
  level: number | null;
  at: string;
  origin: string;
  permissions: { permission: string }[];
  includes: { includedId: string }[];
  mayAssign: { assignableId: string }[];
}

/** One role held at one scope. */
export interface AssignmentRow {
  roleId: string;
  scope: string;
  expiresAt: Date | null;
  /** The team through which it is held; none for a role of the person's own. */
  team?: string;
}

/** All roles at one version, compiled. Replaced as a whole when a role changes; nothing in it is ever altered. */
export class RoleCatalog {
  readonly version: number;
  readonly #rows: ReadonlyMap<string, RoleRow>;
  readonly #byId: Map<string, CompiledRole>;
  readonly #byName = new Map<string, CompiledRole[]>();
  readonly #sets = new Map<string, RoleSet>();
  readonly #held = rememberAtMost<ReadonlyMap<string, RoleSet>>(MAX_HELD);
  /** What owning a scope allows there. */
  readonly owner: RoleSet;

  constructor(version: number, rows: readonly RoleRow[]) {
    this.version = version;
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    this.#byId = new Map(rows.map((row) => [row.id, compile(row, this.#rows)]));
    for (const role of this.#byId.values()) {
      this.#byName.set(role.name, [...(this.#byName.get(role.name) ?? []), role]);
    }
    const owner = this.find('owner');
    this.owner = this.setOf(owner === null ? [] : [owner.id]);
  }

  all(): IterableIterator<CompiledRole> {
    return this.#byId.values();
  }

  byId(id: string): CompiledRole | null {
    return this.#byId.get(id) ?? null;
  }

  /** The roles as they would be if this one included those. */
  withIncludes(role: CompiledRole, includes: readonly CompiledRole[]): RoleCatalog {
    const included = includes.map(({ id }) => ({ includedId: id }));
    const rows = [...this.#rows.values()];
    return new RoleCatalog(
      this.version,
      rows.map((row) => (row.id === role.id ? { ...row, includes: included } : row)),
    );
  }

  /** The roles as they would be without this one. */
  without(role: CompiledRole): RoleCatalog {
    return new RoleCatalog(
      this.version,
      [...this.#rows.values()].filter(({ id }) => id !== role.id),
    );
  }

  /** The role and every role that includes it, at any depth. */
  including(role: CompiledRole): CompiledRole[] {
    return [...this.#byId.values()].filter(({ closure }) => closure.has(role.id));
  }

  /** The role of this name that is visible along a chain of scopes: the nearest owner's own first, then everybody's. */
  find(name: string, chain: readonly string[] = []): CompiledRole | null {
    const candidates = this.#byName.get(name) ?? [];
    for (const scope of chain) {
      const own = candidates.find((role) => role.ownedBy === scope);
      if (own !== undefined) return own;
    }
    return candidates.find((role) => role.ownedBy === '') ?? null;
  }

  /** What a combination of roles allows; the same object for the same combination, so its answers are worked out once. */
  setOf(roleIds: readonly string[]): RoleSet {
    const known = roleIds.filter((id) => this.#byId.has(id)).sort();
    const key = known.join(' ');
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new RoleSet(known.map((id) => this.#byId.get(id) as CompiledRole));
      this.#sets.set(key, set);
    }
    return set;
  }

  /** The roles of a user by scope; the same map for the same few assignments, which most people share with many others. */
  heldBy(assignments: readonly Pick<AssignmentRow, 'roleId' | 'scope'>[]): ReadonlyMap<string, RoleSet> {
    if (assignments.length > FEW) return this.#compileHeld(assignments);
    let key = '';
    for (const { roleId, scope } of assignments) key += `${roleId} ${scope} `;
    let held = this.#held.get(key);
    if (held === undefined) {
      held = this.#compileHeld(assignments);
      this.#held.set(key, held);
    }
    return held;
  }

  #compileHeld(
    assignments: readonly Pick<AssignmentRow, 'roleId' | 'scope'>[],
  ): ReadonlyMap<string, RoleSet> {
    const idsByScope = new Map<string, string[]>();
    for (const { scope, roleId } of assignments) {
      const ids = idsByScope.get(scope);
      if (ids === undefined) idsByScope.set(scope, [roleId]);
      else if (!ids.includes(roleId)) ids.push(roleId);
    }
    return new Map([...idsByScope].map(([scope, ids]) => [scope, this.setOf(ids)]));
  }

  /**
   * What of a set counts at a place with these scopes at and above it. A role that a scope defined for itself counts there and below only:
   * when a place is moved away from below it, an editor of that role no longer decides for the place.
   */
  within(set: RoleSet, above: readonly string[]): RoleSet {
    const present = set.owners.filter((owner) => above.includes(owner));
    if (present.length === set.owners.length) return set;
    const counts = (role: Pick<RoleRow, 'ownedBy'>) => role.ownedBy === '' || present.includes(role.ownedBy);
    const key = `${set.roles.map((role) => role.id).join(' ')} | ${present.join(' ')}`;
    let part = this.#sets.get(key);
    if (part === undefined) {
      const rows = new Map([...this.#rows].filter(([, row]) => counts(row)));
      part = new RoleSet(
        set.roles.flatMap(({ id }) => {
          const row = rows.get(id);
          return row === undefined ? [] : [compile(row, rows)];
        }),
      );
      this.#sets.set(key, part);
    }
    return part;
  }

  /** The public form, with ids replaced by names. */
  describe(role: CompiledRole): Role {
    const names = (ids: readonly string[]) => ids.map((id) => this.#byId.get(id)?.name ?? id).sort();
    return {
      name: role.name,
      description: role.description,
      level: role.level,
      permissions: [...role.direct].sort(),
      includes: names(role.includes),
      at: [...role.at],
      mayAssign: names(role.mayAssign),
      ownedBy: role.ownedBy === '' ? null : role.ownedBy,
      origin: role.origin,
    };
  }
}

const MAX_REMEMBERED = 10_000; // names come from guards, so this is never met unless a host passes on what users send

/** Several roles held together, with the answers to "is this permission in one of them" remembered. */
export class RoleSet {
  readonly roles: readonly CompiledRole[];
  /** The scopes without which some of it does not count. */
  readonly owners: readonly string[];
  readonly #answers = new Map<string, boolean>();

  constructor(roles: readonly CompiledRole[]) {
    this.roles = roles;
    this.owners = [...new Set(roles.flatMap((role) => role.owners))];
  }

  allows(permission: string): boolean {
    const known = this.#answers.get(permission);
    if (known !== undefined) return known;
    const answer = this.roles.some((role) => holds(role.permissions, permission));
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear();
    this.#answers.set(permission, answer);
    return answer;
  }
}

/** Whether a set of names and patterns contains a permission, or covers a pattern. */
export function holds(held: ReadonlySet<string>, permission: string): boolean {
  if (held.has(permission)) return true;
  for (const entry of held) if (matches(entry, permission)) return true;
  return false;
}

function compile(row: RoleRow, byId: ReadonlyMap<string, RoleRow>): CompiledRole {
  const closure = new Set<string>();
  const pending = [row.id];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (closure.has(id)) continue; // roles that include one another are one role
    closure.add(id);
    pending.push(...(byId.get(id)?.includes.map((inclusion) => inclusion.includedId) ?? []));
  }
  const rows = [...closure].flatMap((id) => byId.get(id) ?? []);
  return {
    id: row.id,
    name: row.name,
    ownedBy: row.ownedBy,
    level: row.level,
    rank: Math.max(-1, ...rows.map(({ level }) => level ?? -1)),
    isRanked: rows.every(({ level }) => level !== null),
    at: row.at === '' ? [] : row.at.split(' '),
    description: row.description,
    origin: row.origin as Role['origin'],
    direct: row.permissions.map((entry) => entry.permission),
    includes: row.includes.map((entry) => entry.includedId),
    mayAssign: row.mayAssign.map((entry) => entry.assignableId),
    closure,
    permissions: new Set(rows.flatMap((included) => included.permissions.map((entry) => entry.permission))),
    assignable: new Set(rows.flatMap((included) => included.mayAssign.map((entry) => entry.assignableId))),
    owners: [...new Set(rows.map((included) => included.ownedBy).filter((owner) => owner !== ''))],
  };
}
