import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  mayAssign,
  mayEditRole,
  mayLetIn,
  outranks,
  type RoleDraft,
} from '../../../src/core/access/delegation.js';
import { type Chain, GLOBAL_CHAIN, Grants } from '../../../src/core/access/grants.js';
import { type CompiledRole, RoleCatalog, type RoleRow } from '../../../src/core/access/role-catalog.js';
import {
  chainIn,
  closureIn,
  heldAt,
  oracle,
  pick,
  RIGHTS,
  SCOPES,
  USERS,
  type World,
  worlds,
} from '../../support/world.js';

const RUNS = 10_000;
const GROUP = USERS.slice(0, 3); // they act together; dan holds things and does nothing

const steps = fc.array(
  fc.tuple(
    fc.constantFrom(
      'assign',
      'assign',
      'assign',
      'unassign',
      'create',
      'addPermission',
      'addPermission',
      'removePermission',
      'include',
      'edge',
      'edge',
      'level',
      'at',
      'delete',
      'register',
      'move',
      'move',
      'remove',
    ),
    fc.nat(9_999),
    fc.nat(9_999),
    fc.nat(9_999),
    fc.nat(9_999),
    fc.nat(9_999),
  ),
  { minLength: 4, maxLength: 25 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

test('I-4: no sequence of permitted changes gives people what none of them could have given', () => {
  const permitted = new Map<string, number>();
  fc.assert(
    fc.property(worlds({ withStar: false }), steps, (world, sequence) => {
      const state = new State(world);
      const beyond = questionsBeyond(world);
      for (const step of sequence) {
        if (!state.take(step)) continue;
        permitted.set(step[0], (permitted.get(step[0]) ?? 0) + 1);
        for (const { permission, scope } of beyond)
          for (const userId of GROUP)
            if (state.grantsOf(userId).allow(permission, chainIn(state.world, scope)))
              throw new Error(`${userId} got ${permission} at ${scope} by ${step[0]}`);
      }
    }),
    { numRuns: RUNS },
  );
  // A test in which nothing is ever permitted would prove nothing.
  if (RUNS > 1)
    for (const kind of [
      'assign',
      'unassign',
      'create',
      'addPermission',
      'include',
      'edge',
      'level',
      'at',
      'move',
      'register',
      'remove',
      'delete',
    ])
      expect(permitted.get(kind) ?? 0, kind).toBeGreaterThan(100);
}, 300_000);

/** What nobody of the group holds, nor could hand out: an edge to a role is worth what the role contains, where the edge is held. */
function questionsBeyond(world: World): { permission: string; scope: string }[] {
  const reachable = new Map<string, Set<string>>();
  for (const scope of ['global', ...SCOPES]) {
    const pending = GROUP.flatMap((userId) => heldAt(world, userId, scope));
    const found = new Set<string>();
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (found.has(id)) continue;
      found.add(id);
      pending.push(
        ...closureIn(world, id).flatMap((role) => role.mayAssign.map((edge) => edge.assignableId)),
      );
    }
    reachable.set(scope, found);
  }
  // What could be handed out at a scope is looked at as if somebody held it there.
  const asHeld: World = {
    ...world,
    owners: new Map(),
    assignments: [...reachable].flatMap(([scope, ids]) =>
      [...ids].map((roleId) => ({ userId: 'group', roleId, scope, expiresAt: null })),
    ),
  };
  const unbound: World = { ...asHeld, roles: world.roles.map((role) => ({ ...role, ownedBy: '' })) };
  return SCOPES.concat('global').flatMap((scope) =>
    RIGHTS.filter((permission) => !oracle(unbound, 'group', permission, scope)).map((permission) => ({
      permission,
      scope,
    })),
  );
}

/** Changes a world the way the managers do: the same decisions, then the write. */
class State {
  world: World;
  #catalog: RoleCatalog;
  #version = 0;
  #fresh = 0;
  readonly #gone = new Set<string>();

  constructor(world: World) {
    this.world = {
      ...world,
      parents: new Map(world.parents),
      owners: new Map(world.owners),
      assignments: [...world.assignments],
    };
    this.#catalog = new RoleCatalog(0, world.roles);
  }

  grantsOf(userId: string): Grants {
    return new Grants(
      userId,
      this.world.assignments.filter((row) => row.userId === userId),
      this.#catalog,
      this.world.now,
    );
  }

  take([kind, a, b, c, d, e]: Step): boolean {
    const actor = this.grantsOf(pick(GROUP, a));
    const role = this.#catalog.byId(pick(this.world.roles, b)?.id ?? '');
    if (role === null) return false;
    const scopes = ['global', ...this.world.parents.keys()];
    const definition = role.ownedBy === '' ? GLOBAL_CHAIN : chainIn(this.world, role.ownedBy);
    switch (kind) {
      case 'assign':
        return this.#assign(actor, role, pick(USERS, c), pick(scopes, d));
      case 'unassign':
        return this.#unassign(actor, e);
      case 'create':
        return this.#create(actor, b, c, d, e);
      case 'addPermission': {
        const permission = pick([...RIGHTS, 'doc:*', 'doc:page:*', 'roles:*'], c);
        return this.#edit(actor, role, definition, { permissions: [permission] }, (row) => ({
          ...row,
          permissions: [
            ...row.permissions.filter((entry) => entry.permission !== permission),
            { permission },
          ],
        }));
      }
      case 'removePermission':
        return this.#edit(actor, role, definition, {}, (row) => ({
          ...row,
          permissions: row.permissions.slice(1),
        }));
      case 'include': {
        const other = this.#visible(c, definition);
        if (other === null) return false;
        return this.#edit(actor, role, definition, { includes: [other] }, (row) => ({
          ...row,
          includes: [{ includedId: other.id }],
        }));
      }
      case 'edge': {
        const other = this.#visible(c, definition);
        if (other === null || role.ownedBy !== '') return false;
        return this.#edit(actor, role, definition, { mayAssign: [other] }, (row) => ({
          ...row,
          mayAssign: [
            ...row.mayAssign.filter((edge) => edge.assignableId !== other.id),
            { assignableId: other.id },
          ],
        }));
      }
      case 'level':
        return this.#edit(actor, role, definition, { level: c % 10 }, (row) => ({ ...row, level: c % 10 }));
      case 'at':
        return this.#edit(actor, role, definition, { includes: [role] }, (row) => ({
          ...row,
          at: pick(['', 'org', 'project team'], c),
        }));
      case 'delete':
        if (role.id === 'r0' || !mayEditRole(actor, role, draftOf(role), definition)) return false;
        this.#setRoles(this.world.roles.filter((row) => row.id !== role.id));
        this.world.assignments = this.world.assignments.filter((row) => row.roleId !== role.id);
        return true;
      case 'register': {
        const parent = pick(scopes, c);
        const type = pick(['project', 'team'], d);
        if (!actor.allow(`${type}:create`, chainIn(this.world, parent))) return false;
        this.#fresh += 1;
        const id = `${type}:new${this.#fresh}`;
        this.world.parents.set(id, parent === 'global' ? null : parent);
        if (e % 2 === 0) this.world.owners.set(id, actor.userId);
        return true;
      }
      case 'move':
        return this.#move(actor, pick(scopes, c), pick(scopes, d));
      case 'remove': {
        const id = pick(scopes, c);
        if (id === 'global' || !actor.allow(`${id.split(':')[0]}:manage`, chainIn(this.world, id)))
          return false;
        this.#gone.add(id);
        this.world.parents.delete(id);
        this.world.owners.delete(id);
        for (const [child, parent] of this.world.parents)
          if (parent === id) this.world.parents.set(child, null);
        this.world.assignments = this.world.assignments.filter((row) => row.scope !== id);
        return true;
      }
      default:
        throw new Error(kind);
    }
  }

  #assign(actor: Grants, role: CompiledRole, userId: string, scope: string): boolean {
    const chain = chainIn(this.world, scope);
    if (role.ownedBy !== '' && !chain.scopes.includes(role.ownedBy)) return false;
    if (role.at.length > 0 && !role.at.includes(scope.split(':')[0] as string)) return false;
    if (!mayAssign(actor, role, chain)) return false;
    if (
      !this.world.assignments.some(
        (row) =>
          row.userId === userId && row.roleId === role.id && row.scope === scope && row.expiresAt === null,
      )
    )
      this.world.assignments = [
        ...this.world.assignments,
        { userId, roleId: role.id, scope, expiresAt: null },
      ];
    return true;
  }

  #unassign(actor: Grants, number: number): boolean {
    if (this.world.assignments.length === 0) return false;
    const row = pick(this.world.assignments, number);
    const role = this.#catalog.byId(row.roleId);
    const chain = chainIn(this.world, row.scope);
    const own = row.userId === actor.userId;
    if (
      role === null ||
      (!own && !(mayAssign(actor, role, chain) && outranks(actor, this.grantsOf(row.userId), chain)))
    )
      return false;
    this.world.assignments = this.world.assignments.filter((other) => other !== row);
    return true;
  }

  #create(actor: Grants, b: number, c: number, d: number, e: number): boolean {
    const ownedBy = b % 2 === 0 ? '' : pick([...this.world.parents.keys()], b);
    const chain = ownedBy === '' ? GLOBAL_CHAIN : chainIn(this.world, ownedBy);
    const permissions = [...new Set([pick(RIGHTS, c), pick([...RIGHTS, 'doc:*', 'roles:*'], d)])];
    const included = e % 3 === 0 ? this.#visible(e, chain) : null;
    const includes = included === null ? [] : [included];
    const level = e % 7 === 0 ? null : e % 10;
    if (!mayEditRole(actor, null, { level, permissions, includes, mayAssign: [] }, chain)) return false;
    this.#fresh += 1;
    const row: RoleRow = {
      id: `new${this.#fresh}`,
      name: `new${this.#fresh}`,
      ownedBy,
      description: null,
      level,
      at: '',
      origin: 'database',
      permissions: permissions.map((permission) => ({ permission })),
      includes: includes.map((role) => ({ includedId: role.id })),
      mayAssign: [],
    };
    this.#setRoles([...this.world.roles, row]);
    return true;
  }

  #move(actor: Grants, id: string, to: string): boolean {
    if (id === 'global') return false;
    const [chain, above] = [chainIn(this.world, id), chainIn(this.world, to)];
    const right = `${id.split(':')[0]}:manage`;
    if (above.scopes.includes(id) || !actor.allow(right, chain) || !actor.allow(right, above)) return false;
    const gained = above.scopes.filter((scope) => !chain.scopes.includes(scope));
    const arriving = [...this.#catalog.all()].filter(
      (role) =>
        this.world.assignments.some((row) => row.roleId === role.id && gained.includes(row.scope)) ||
        (role.id === 'r0' && gained.some((scope) => this.world.owners.has(scope))) ||
        role.owners.some((owner) => gained.includes(owner)),
    );
    if (!mayLetIn(actor, arriving, chain)) return false;
    this.world.parents.set(id, to === 'global' ? null : to);
    return true;
  }

  #edit(
    actor: Grants,
    role: CompiledRole,
    chain: Chain,
    change: Partial<RoleDraft>,
    apply: (row: RoleRow) => RoleRow,
  ): boolean {
    if (!mayEditRole(actor, role, { ...draftOf(role), ...change }, chain)) return false;
    this.#setRoles(this.world.roles.map((row) => (row.id === role.id ? apply(row) : row)));
    return true;
  }

  #visible(number: number, chain: Chain): CompiledRole | null {
    const role = this.#catalog.byId(pick(this.world.roles, number).id);
    return role !== null && (role.ownedBy === '' || chain.scopes.includes(role.ownedBy)) ? role : null;
  }

  #setRoles(roles: RoleRow[]): void {
    this.#version += 1;
    this.world = { ...this.world, roles };
    this.#catalog = new RoleCatalog(this.#version, roles);
  }
}

function draftOf(role: CompiledRole): RoleDraft {
  return { level: role.level, permissions: [], includes: [], mayAssign: [] };
}
