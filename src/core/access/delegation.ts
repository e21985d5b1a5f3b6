import type { Chain, Grants } from './grants.js';
import { type CompiledRole, holds } from './role-catalog.js';

/*
 * Who may change what: pure decisions over what an actor holds along a chain of scopes. Together they keep one promise: no sequence
 * of permitted changes gives anybody what nobody in the sequence could have given.
 */

/** Whether a right (a name or a pattern) is held along the chain by one role that covers all of it. */
function holdsRight(actor: Grants, right: string, chain: Chain): boolean {
  return actor.rolesAlong(chain).some(({ set }) => set.roles.some((role) => holds(role.permissions, right)));
}

/** Whether a role held along the chain has an explicit edge to this one. */
function hasEdgeTo(actor: Grants, role: CompiledRole, chain: Chain): boolean {
  return actor.rolesAlong(chain).some(({ set }) => set.roles.some((own) => own.assignable.has(role.id)));
}

/** Whether the actor may give this role at the scope of the chain: by an explicit edge, or by rank with everything it stands for. */
export function mayAssign(actor: Grants, role: CompiledRole, chain: Chain): boolean {
  if (hasEdgeTo(actor, role, chain)) return true;
  return (
    role.level !== null &&
    actor.levelAlong(chain) > role.level &&
    actor.allow('roles:assign', chain) &&
    covers(actor, role, chain)
  );
}

/** Whether the actor holds every right of the role along the chain, and could hand on whatever its holder could, at any number of steps. */
function covers(
  actor: Grants,
  role: CompiledRole,
  chain: Chain,
  seen: ReadonlySet<string> = new Set(),
): boolean {
  const path = new Set([...seen, role.id]);
  return (
    [...role.permissions].every((right) => holdsRight(actor, right, chain)) &&
    [...role.assignable].every((id) => path.has(id) || isWithinReach(actor, id, chain, path))
  );
}

/** A role that could be handed on by the one given must itself be within the giver's reach, or giving would open a path. */
function isWithinReach(actor: Grants, roleId: string, chain: Chain, seen: ReadonlySet<string>): boolean {
  const role = actor.catalog.byId(roleId);
  if (role === null || hasEdgeTo(actor, role, chain)) return true;
  return role.level !== null && actor.levelAlong(chain) > role.level && covers(actor, role, chain, seen);
}

/** Whether people who hold these roles higher up may come to hold them at the scope of the chain, because it is hung below theirs. */
export function mayLetIn(actor: Grants, arriving: Iterable<CompiledRole>, chain: Chain): boolean {
  return [...arriving].every((role) => covers(actor, role, chain));
}

/** Whether the actor may take something away from, or act upon, a person of that standing at the scope of the chain. */
export function outranks(actor: Grants, target: Grants, chain: Chain): boolean {
  return actor.userId !== target.userId && actor.levelAlong(chain) > target.levelAlong(chain);
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
 * before and after, and everything that is put into it held by the actor there.
 */
export function mayEditRole(
  actor: Grants,
  before: CompiledRole | null,
  draft: RoleDraft,
  chain: Chain,
): boolean {
  if (!actor.allow('roles:manage', chain)) return false;
  const level = actor.levelAlong(chain);
  const isBelow = (other: number | null) => other === null || other < level;
  if (!isBelow(draft.level) || (before !== null && !isBelow(before.level))) return false;
  return (
    draft.permissions.every((right) => holdsRight(actor, right, chain)) &&
    draft.includes.every((role) => isBelow(role.level) && covers(actor, role, chain)) &&
    draft.mayAssign.every((role) => mayAssign(actor, role, chain))
  );
}
