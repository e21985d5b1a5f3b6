import { type Chain, GLOBAL_CHAIN, type Grants } from './grants.js';
import { type CompiledRole, holds } from './role-catalog.js';

/*
 * Who may change what: pure decisions over what an actor holds along a chain of scopes. Together they keep two promises. No sequence of
 * permitted changes gives a right or a rank that its actors could not have given. And nothing is taken from a person of equal or
 * higher rank. docs/access.md has the same rules as one table.
 */

/** What an actor can do with roles at one scope, worked out once for a decision. */
export class Standing {
  readonly actor: Grants;
  readonly chain: Chain;
  /** The highest level of a role held along the chain, included roles counted; -1 for none. A role without a level gives no rank. */
  readonly rank: number;
  readonly #roles: readonly CompiledRole[];
  /** Ids of the roles that a role held along the chain names in `mayAssign`. */
  readonly #assignable: ReadonlySet<string>;
  readonly #rights = new Map<string, boolean>();
  /** Roles whose holder could hand on nothing that the actor could not; and roles of which that is known to be false. */
  readonly #covered = new Set<string>();
  readonly #uncovered = new Set<string>();

  constructor(actor: Grants, chain: Chain) {
    this.actor = actor;
    this.chain = chain;
    this.#roles = actor.rolesAlong(chain).flatMap(({ set }) => set.roles);
    this.rank = Math.max(-1, ...this.#roles.map((role) => role.rank));
    this.#assignable = new Set(this.#roles.flatMap((role) => [...role.assignable]));
  }

  /** Whether a role held along the chain names this one in `mayAssign`. Such an edge stands in for rank where the role has none. */
  hasEdgeTo(role: CompiledRole): boolean {
    return this.#assignable.has(role.id);
  }

  /** Whether a right (a name or a pattern) is held along the chain by one role that covers all of it. */
  holdsRight(right: string): boolean {
    let answer = this.#rights.get(right);
    if (answer === undefined) {
      answer = this.#roles.some((role) => holds(role.permissions, right));
      this.#rights.set(right, answer);
    }
    return answer;
  }

  /** Whether the role ranks below the actor. A role without a level is above everybody; an edge to it stands in for that level. */
  isAbove(role: CompiledRole): boolean {
    return role.rank < this.rank && (role.isRanked || this.hasEdgeTo(role));
  }

  /**
   * Whether the actor holds every right of the role along the chain, and could hand on whatever its holder could, at any number of steps.
   * Each role is looked at once, however many roles may assign one another.
   */
  covers(role: CompiledRole): boolean {
    if (this.#covered.has(role.id)) return true;
    const seen = new Set([role.id]);
    const pending = [role];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const isFirst = next === role;
      if (this.#uncovered.has(next.id) || !this.#isReachable(next, isFirst)) {
        if (!isFirst) this.#uncovered.add(next.id);
        return false;
      }
      for (const id of next.edges()) {
        if (seen.has(id) || this.#covered.has(id) || this.#assignable.has(id)) continue;
        const handedOn = this.actor.catalog.byId(id);
        if (handedOn === null) continue;
        seen.add(id);
        pending.push(handedOn);
      }
    }
    for (const id of seen) if (id !== role.id) this.#covered.add(id);
    return true;
  }

  /** A role that could be handed on by the one given must itself be below the giver, or giving would open a path. */
  #isReachable(role: CompiledRole, isGiven: boolean): boolean {
    return (isGiven || this.isAbove(role)) && [...role.permissions].every((right) => this.holdsRight(right));
  }
}

/** Whether the actor may give this role at the scope of the chain: by an explicit edge, or by rank with everything it stands for. */
export function mayAssign(standing: Standing, role: CompiledRole): boolean {
  if (standing.hasEdgeTo(role)) return true;
  return (
    role.isRanked &&
    role.rank < standing.rank &&
    standing.actor.allow('roles:assign', standing.chain) &&
    standing.covers(role)
  );
}

/**
 * Whether people who hold these roles higher up may come to hold them at the scope of the chain, because it is hung below theirs. It is the
 * same as assigning each of these roles there. An owner higher up needs only what the actor holds: owning gives no rank to act with.
 */
export function mayLetIn(standing: Standing, assigned: Iterable<CompiledRole>, isOwned: boolean): boolean {
  const { owner } = standing.actor.catalog;
  return (
    [...assigned].every((role) => mayAssign(standing, role)) &&
    (!isOwned || owner.roles.every((role) => standing.covers(role)))
  );
}

/**
 * Whether the actor may take something away from, or act upon, a person at the scope of the chain. The owner of a node is outranked only by
 * people who have their rank from above it.
 */
export function outranks(standing: Standing, target: Grants): boolean {
  const { actor, chain } = standing;
  if (actor.userId === target.userId) return false;
  let from = standing;
  for (let index = 0; index < chain.scopes.length; index += 1) {
    if (chain.owners[index] === target.userId && target.catalog.owner.roles.some((role) => !role.isRanked))
      from = new Standing(actor, above(chain, index));
  }
  const roles = target
    .assignedAlong(chain)
    .concat(
      target.catalog.owner.roles.filter((role) => role.isRanked && chain.owners.includes(target.userId)),
    );
  return from.rank > -1 && roles.every((role) => from.isAbove(role)); // a person without a rank is above no other, not even above a person without roles
}

function above(chain: Chain, index: number): Chain {
  return { scopes: chain.scopes.slice(index + 1), owners: chain.owners.slice(index + 1) };
}

/** Whether the actor's rank at `global` is above every role that the target holds anywhere. */
export function outranksEverywhere(actor: Grants, target: Grants): boolean {
  const standing = new Standing(actor, GLOBAL_CHAIN);
  return (
    actor.userId !== target.userId &&
    standing.rank > -1 &&
    target.assignedAnywhere().every((role) => standing.isAbove(role))
  );
}

/** What a role is to become. */
export interface RoleDraft {
  level: number | null;
  permissions: readonly string[];
  includes: readonly CompiledRole[];
  mayAssign: readonly CompiledRole[];
}

/**
 * Whether the actor may make a role into this, or change it from `before`: `roles:manage` where the role is defined, rank above it
 * before and after and above every role that includes it, and everything that is put into it held by the actor there. A role without a level
 * is edited by people who hold `*`.
 *
 * A new role may have no level: until somebody names it in `mayAssign`, only `SYSTEM` can assign it.
 */
export function mayEditRole(standing: Standing, before: CompiledRole | null, draft: RoleDraft): boolean {
  const { actor, chain, rank } = standing;
  if (!actor.allow('roles:manage', chain)) return false;
  const holdsAll = standing.holdsRight('*');
  if (draft.level === null ? before !== null && !holdsAll : draft.level >= rank) return false;
  const isBelow = (role: CompiledRole) => role.rank < rank && (role.isRanked || holdsAll);
  const including = before === null ? [] : actor.catalog.including(before);
  return (
    including.every(isBelow) &&
    draft.permissions.every((right) => standing.holdsRight(right)) &&
    draft.includes.every((role) => isBelow(role) && standing.covers(role)) &&
    draft.mayAssign.every((role) => mayAssign(standing, role))
  );
}
