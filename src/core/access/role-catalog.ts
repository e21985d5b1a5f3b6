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

/** A role with everything it stands for, worked out when it is first asked for: in a large installation few of the roles are asked about in one process. */
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
  /** The same as a list that may name one twice: for a walk over all roles, where a set of each would cost more than the walk. */
  edges(): readonly string[];
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
  readonly #byName = new Map<string, CompiledRole>();
  readonly #byOwner = new Map<string, CompiledRole[]>();
  readonly #sets = new Map<string, RoleSet>();
  readonly #held = rememberAtMost<ReadonlyMap<string, RoleSet>>(MAX_HELD);
  /** What owning a scope allows there. */
  readonly owner: RoleSet;

  constructor(version: number, rows: readonly RoleRow[]) {
    this.version = version;
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    this.#byId = new Map(rows.map((row) => [row.id, new LazyRole(row, this.#rows)]));
    for (const role of this.#byId.values()) {
      this.#byName.set(nameAt(role.name, role.ownedBy), role);
      const siblings = this.#byOwner.get(role.ownedBy);
      if (siblings === undefined) this.#byOwner.set(role.ownedBy, [role]);
      else siblings.push(role);
    }
    const owner = this.find('owner');
    this.owner = this.setOf(owner === null ? [] : [owner.id]);
  }

  all(): IterableIterator<CompiledRole> {
    return this.#byId.values();
  }

  /** Those that can be held at a place with these scopes at and above it: everybody's, and what one of the scopes defined for itself. */
  visibleAt(scopes: readonly string[]): CompiledRole[] {
    return ['', ...scopes].flatMap((scope) => this.ownedBy(scope));
  }

  /** Those that a scope defined for itself; everybody's for an empty name. */
  ownedBy(scope: string): readonly CompiledRole[] {
    return this.#byOwner.get(scope) ?? [];
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
    for (const scope of chain) {
      const own = this.#byName.get(nameAt(name, scope));
      if (own !== undefined) return own;
    }
    return this.#byName.get(nameAt(name, '')) ?? null;
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
          return row === undefined ? [] : [new LazyRole(row, rows)];
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

function nameAt(name: string, ownedBy: string): string {
  return `${name} ${ownedBy}`;
}

/** Roles that include one another in a long row would fill the memory if each of them were worked out at once. */
class LazyRole implements CompiledRole {
  readonly #row: RoleRow;
  readonly #byId: ReadonlyMap<string, RoleRow>;
  #closure: ReadonlySet<string> | undefined;
  #permissions: ReadonlySet<string> | undefined;
  #assignable: ReadonlySet<string> | undefined;
  #standing: Pick<CompiledRole, 'rank' | 'isRanked' | 'owners'> | undefined;

  constructor(row: RoleRow, byId: ReadonlyMap<string, RoleRow>) {
    this.#row = row;
    this.#byId = byId;
  }

  get id() {
    return this.#row.id;
  }
  get name() {
    return this.#row.name;
  }
  get ownedBy() {
    return this.#row.ownedBy;
  }
  get level() {
    return this.#row.level;
  }
  get description() {
    return this.#row.description;
  }
  get origin() {
    return this.#row.origin as Role['origin'];
  }
  get at() {
    return this.#row.at === '' ? [] : this.#row.at.split(' ');
  }
  get direct() {
    return this.#row.permissions.map((entry) => entry.permission);
  }
  get includes() {
    return this.#row.includes.map((entry) => entry.includedId);
  }
  get mayAssign() {
    return this.#row.mayAssign.map((entry) => entry.assignableId);
  }

  get closure(): ReadonlySet<string> {
    this.#closure ??= closureOf(this.#row.id, this.#byId);
    return this.#closure;
  }
  get permissions(): ReadonlySet<string> {
    this.#permissions ??= new Set(
      this.#rows().flatMap((row) => row.permissions.map((entry) => entry.permission)),
    );
    return this.#permissions;
  }
  get assignable(): ReadonlySet<string> {
    this.#assignable ??= new Set(this.edges());
    return this.#assignable;
  }
  edges(): string[] {
    const [only, ...more] = this.#rows();
    const own = only?.mayAssign.map((entry) => entry.assignableId) ?? [];
    return more.length === 0
      ? own
      : own.concat(more.flatMap((row) => row.mayAssign.map((entry) => entry.assignableId)));
  }
  get rank() {
    return this.#standingOf().rank;
  }
  get isRanked() {
    return this.#standingOf().isRanked;
  }
  get owners() {
    return this.#standingOf().owners;
  }

  #standingOf(): Pick<CompiledRole, 'rank' | 'isRanked' | 'owners'> {
    if (this.#standing === undefined) {
      const rows = this.#rows();
      this.#standing = {
        rank: Math.max(-1, ...rows.map(({ level }) => level ?? -1)),
        isRanked: rows.every(({ level }) => level !== null),
        owners: [...new Set(rows.map(({ ownedBy }) => ownedBy).filter((owner) => owner !== ''))],
      };
    }
    return this.#standing;
  }

  #rows(): RoleRow[] {
    return [...this.closure].flatMap((id) => this.#byId.get(id) ?? []);
  }
}

/** The id of a role and of all it includes, at any depth. Roles that include one another are one role. */
function closureOf(roleId: string, byId: ReadonlyMap<string, RoleRow>): ReadonlySet<string> {
  const closure = new Set<string>();
  const pending = [roleId];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (closure.has(id)) continue;
    closure.add(id);
    pending.push(...(byId.get(id)?.includes.map((inclusion) => inclusion.includedId) ?? []));
  }
  return closure;
}
