import type { Actor } from '../../actor.js';
import type { Role } from '../../core/access/role-catalog.js';
import { MAX_OWN_ROLES } from '../../core/access/role-room.js';
import type { RoleChange, RoleInput } from '../../core/access/roles.js';
import type { Core } from '../../core/core.js';
import { requireAt } from './guard.js';
import { scopeOf } from './organization.js';

const TYPES = ['org', 'project', 'team'];

/** The roles that can be held in an organization: its own ones, then everybody's for organizations, projects and teams. */
export async function rolesOf(core: Core, orgId: string): Promise<Role[]> {
  const own = await core.roles.list({ ownedBy: scopeOf(orgId), limit: MAX_OWN_ROLES });
  const shared: Role[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await core.roles.list({ limit: MAX_OWN_ROLES, ...(cursor !== undefined && { cursor }) });
    shared.push(...page.items.filter(({ at }) => at.some((type) => TYPES.includes(type))));
    cursor = page.nextCursor;
  }
  return [...own.items, ...shared];
}

/**
 * Defines a role that is visible and assignable in the organization only. The actor needs `roles:manage` there, a rank above the role and
 * everything that goes into it.
 *
 * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `conflict` for a name that is taken, and beyond 100 roles or 2,000 entries in all
 */
export async function createOrgRole(
  core: Core,
  orgId: string,
  input: Omit<RoleInput, 'ownedBy'>,
  actor: Actor,
): Promise<Role> {
  const ownedBy = scopeOf(orgId);
  await requireAt(core, actor, 'roles:manage', ownedBy);
  return core.roles.create({ ...input, ownedBy }, actor);
}

/** Changes a role of an organization. @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`, `conflict` */
export async function updateOrgRole(
  core: Core,
  orgId: string,
  name: string,
  change: RoleChange,
  actor: Actor,
): Promise<Role> {
  const ownedBy = scopeOf(orgId);
  await requireAt(core, actor, 'roles:manage', ownedBy);
  await core.roles.update(name, change, actor, ownedBy);
  return core.roles.get(name, ownedBy);
}

/** @throws AuthTunaError `not_found`, `forbidden`, `conflict` */
export async function deleteOrgRole(core: Core, orgId: string, name: string, actor: Actor): Promise<void> {
  const ownedBy = scopeOf(orgId);
  await requireAt(core, actor, 'roles:manage', ownedBy);
  await core.roles.delete(name, actor, ownedBy);
}
