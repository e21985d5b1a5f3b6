import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  mayAssign,
  mayEditRole,
  mayLetIn,
  outranks,
  type RoleDraft,
  Standing,
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
  rankIn,
  SCOPES,
  USERS,
  type World,
  worlds,
} from '../../support/world.js';

// RUNS=20000 is the long form.
const RUNS = Number(process.env.RUNS ?? 2000);
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

test('no sequence of permitted changes gives a right or a rank that none of the group could have given, or takes from an equal (I-4)', () => {
  const permitted = new Map<string, number>();
  fc.assert(
    fc.property(worlds({ withStar: false }), steps, (world, sequence) => {
      const state = new State(world);
      const beyond = questionsBeyond(world);
      const ranks = new Map(['global', ...SCOPES].map((scope) => [scope, highestReachable(world, scope)]));
      for (const step of sequence) {
        const before = state.world;
        const owned = new Map(before.owners);
        const parents = new Map(before.parents);
        if (!state.take(step)) continue;
        permitted.set(step[0], (permitted.get(step[0]) ?? 0) + 1);
        for (const userId of GROUP) {
          for (const { permission, scope } of beyond)
            if (state.grantsOf(userId).allow(permission, chainIn(state.world, scope)))
              throw new Error(`${userId} got ${permission} at ${scope} by ${step[0]}`);
          for (const [scope, rank] of ranks)
            if (new Standing(state.grantsOf(userId), chainIn(state.world, scope)).rank > rank)
              throw new Error(`${userId} got a rank above ${rank} at ${scope} by ${step[0]}`);
        }
        if (TAKES.has(step[0]))
          requireBelow({ ...before, owners: owned, parents }, state.world, pick(GROUP, step[1]), step[0]);
      }
    }),
    { numRuns: RUNS },
  );
  // A test in which nothing is ever permitted would prove nothing; some kinds are rare enough for the long form.
  expect([...permitted.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(RUNS / 10);
  if (RUNS >= 20_000)
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
      expect(permitted.get(kind) ?? 0, kind).toBeGreaterThan(5);
}, 300_000);

/** Steps that take from people; edits of roles are measured by roles, in the table of access.test.ts. */
const TAKES: ReadonlySet<string> = new Set(['unassign', 'move', 'remove']);

/** Everybody but the actor who lost a right at a scope had a lower rank there than the actor had before. */
function requireBelow(before: World, after: World, actor: string, kind: string): void {
  for (const userId of USERS) {
    if (userId === actor) continue;
    for (const scope of SCOPES)
      for (const permission of RIGHTS) {
        if (!oracle(before, userId, permission, scope) || oracle(after, userId, permission, scope)) continue;
        // A scope that is gone is nobody's any more: what is held above it reaches whatever hung below it all the same.
        if (!after.parents.has(scope) && heldAt(before, userId, scope).length === 0) continue;
        if (rankIn(before, actor, scope) <= rankIn(before, userId, scope))
          throw new Error(`${actor} took ${permission} at ${scope} from ${userId} by ${kind}`);
      }
  }
}

/** The highest rank at a scope that somebody of the group holds or could hand out there. */
function highestReachable(world: World, scope: string): number {
  const ids = chainIn(world, scope).scopes.flatMap((place) => [...reachableAt(world, place)]);
  const roles = world.roles.map((role) => ({ ...role, ownedBy: '' }));
  return Math.max(-1, ...ids.flatMap((id) => closureIn({ roles }, id).map(({ level }) => level ?? -1)));
}

/** Ids of the roles that somebody of the group holds at exactly this scope, or could hand on there, at any number of steps. */
function reachableAt(world: World, scope: string): Set<string> {
  const pending = GROUP.flatMap((userId) => heldAt(world, userId, scope));
  const found = new Set<string>();
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    pending.push(...closureIn(world, id).flatMap((role) => role.mayAssign.map((edge) => edge.assignableId)));
  }
  return found;
}

/** What nobody of the group holds, nor could hand out: an edge to a role is worth what the role contains, where the edge is held. */
function questionsBeyond(world: World): { permission: string; scope: string }[] {
  const reachable = new Map(['global', ...SCOPES].map((scope) => [scope, reachableAt(world, scope)]));
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
        if (role.id === 'r0' || !mayEditRole(new Standing(actor, definition), role, draftOf(role)))
          return false;
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
        if (id === 'global') return false;
        const chain = chainIn(this.world, id);
        if (!actor.allow(`${id.split(':')[0]}:delete`, chain) || !this.#mayTake(actor, chain, [id]))
          return false;
        const above = this.world.parents.get(id) ?? null;
        this.world.parents.delete(id);
        this.world.owners.delete(id);
        for (const [child, parent] of this.world.parents)
          if (parent === id) this.world.parents.set(child, above);
        const defined = new Set(this.world.roles.filter((row) => row.ownedBy === id).map((row) => row.id));
        this.world.assignments = this.world.assignments.filter(
          (row) => row.scope !== id && !defined.has(row.roleId),
        );
        this.#setRoles(this.world.roles.filter((row) => !defined.has(row.id)));
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
    if (!mayAssign(new Standing(actor, chain), role)) return false;
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
    const standing = new Standing(actor, chain);
    if (
      role === null ||
      (!own && !(mayAssign(standing, role) && outranks(standing, this.grantsOf(row.userId))))
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
    const draft = { level, permissions, includes, mayAssign: [] };
    if (!mayEditRole(new Standing(actor, chain), null, draft)) return false;
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
        role.owners.some((owner) => gained.includes(owner)),
    );
    const isOwned = gained.some((scope) => this.world.owners.has(scope));
    if (!mayLetIn(new Standing(actor, chain), arriving, isOwned)) return false;
    const lost = chain.scopes.slice(1).filter((scope) => !above.scopes.includes(scope));
    if (!this.#mayTake(actor, chain, lost)) return false;
    this.world.parents.set(id, to === 'global' ? null : to);
    return true;
  }

  /** Whether everybody who holds something by these scopes is below the actor; the managers ask the database the same. */
  #mayTake(actor: Grants, chain: Chain, lost: readonly string[]): boolean {
    const standing = new Standing(actor, chain);
    const below = [...this.world.parents.keys()]
      .map((scope) => chainIn(this.world, scope))
      .filter(({ scopes }) => scopes.indexOf(chain.scopes[0] as string) > 0);
    const isDefinedThere = (role: CompiledRole) => role.owners.some((owner) => lost.includes(owner));
    return USERS.filter((userId) => userId !== actor.userId)
      .map((userId) => this.grantsOf(userId))
      .every((target) => {
        const everywhere = target.assignedAnywhere();
        const holdsDefined = everywhere.some(isDefinedThere);
        const isConcerned =
          holdsDefined ||
          lost.some(
            (scope) => target.at(scope) !== undefined || this.world.owners.get(scope) === target.userId,
          );
        const isBelow =
          outranks(standing, target) &&
          below.every(({ scopes: [scope = ''] }) =>
            [
              ...(target.at(scope)?.roles ?? []),
              ...(this.world.owners.get(scope) === target.userId
                ? target.catalog.owner.roles.filter((role) => role.isRanked)
                : []),
            ].every((role) => standing.isAbove(role)),
          );
        return (
          (!isConcerned || isBelow) && (!holdsDefined || everywhere.every((role) => standing.isAbove(role)))
        );
      });
  }

  #edit(
    actor: Grants,
    role: CompiledRole,
    chain: Chain,
    change: Partial<RoleDraft>,
    apply: (row: RoleRow) => RoleRow,
  ): boolean {
    const draft = { ...draftOf(role), ...change };
    if (!mayEditRole(new Standing(actor, chain), role, draft)) return false;
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

test('deciding who may assign looks at each edge once, where 250 roles may all assign one another', () => {
  const count = 250;
  const ids = Array.from({ length: count }, (_, index) => `role${index}`);
  const row = (id: string, level: number, permissions: string[], mayAssign: string[]): RoleRow => ({
    id,
    name: id,
    ownedBy: '',
    description: null,
    level,
    at: '',
    origin: 'database',
    permissions: permissions.map((permission) => ({ permission })),
    includes: [],
    mayAssign: mayAssign.map((assignableId) => ({ assignableId })),
  });
  class CountingCatalog extends RoleCatalog {
    asked = 0;
    override byId(id: string): CompiledRole | null {
      this.asked += 1;
      return super.byId(id);
    }
  }
  const rows = [row('root', 100, ['*'], []), ...ids.map((id) => row(id, 10, ['a:b'], ids))];
  const catalog = new CountingCatalog(1, rows);
  const held = [{ roleId: 'root', scope: 'global', expiresAt: null }];
  const standing = new Standing(new Grants('ada', held, catalog, 0), GLOBAL_CHAIN);
  catalog.asked = 0;
  const role = (id: string) => catalog.find(id) as CompiledRole;
  expect(mayAssign(standing, role('role0'))).toBe(true);
  expect(catalog.asked).toBeLessThanOrEqual(count);
  expect(ids.every((id) => mayAssign(standing, role(id)))).toBe(true);
  expect(catalog.asked).toBeLessThanOrEqual(2 * count);
});
