import type { Actor } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import type { CompiledRole } from './role-catalog.js';
import { commitEdit, requireMayEdit, unchangedDraft } from './role-commit.js';
import { allRoles, locateRole, noPermission, type RoleCore } from './role-core.js';
import { entriesOf, requireRoom } from './role-room.js';
import { isPermissionPattern } from './scope-name.js';

/** {@link RoleManager.addPermission} */
export async function addPermission(
  core: RoleCore,
  name: string,
  permission: string,
  actor: Actor,
  ownedBy?: string,
): Promise<void> {
  const found = await locateRole(core, name, ownedBy);
  const { role, chain } = found;
  const { db } = core;
  const isKnown =
    isPermissionPattern(permission) ||
    (await db.permission.findUnique({ where: { name: permission } })) !== null;
  if (!isKnown) throw noPermission(permission);
  await requireMayEdit(core, actor, role, { ...unchangedDraft(role), permissions: [permission] }, chain);
  if (role.direct.includes(permission)) return;
  requireRoom(found.catalog, role.ownedBy, { before: role, entries: entriesOf(role) + 1 }, actor);
  const row = { roleId: role.id, permission };
  const write = db.rolePermission.upsert({ where: { roleId_permission: row }, create: row, update: {} });
  await commitEdit(core, found, [write], actor, { added: permission });
}

/** {@link RoleManager.removePermission} */
export async function removePermission(
  core: RoleCore,
  name: string,
  permission: string,
  actor: Actor,
  ownedBy?: string,
): Promise<void> {
  const found = await locateRole(core, name, ownedBy);
  const { role, chain } = found;
  await requireMayEdit(core, actor, role, unchangedDraft(role), chain);
  if (!role.direct.includes(permission)) throw noEntry(role);
  const where = { roleId_permission: { roleId: role.id, permission } };
  await commitEdit(core, found, [core.db.rolePermission.delete({ where })], actor, { removed: permission });
}

/** {@link RoleManager.allowAssign} */
export async function allowAssign(
  core: RoleCore,
  assigner: string,
  assignable: string,
  actor: Actor,
): Promise<void> {
  const found = await locateRole(core, assigner);
  const { catalog, role, chain } = found;
  const [target] = allRoles(catalog, [assignable], chain) as [CompiledRole];
  await requireMayEdit(core, actor, role, { ...unchangedDraft(role), mayAssign: [target] }, chain);
  const row = { assignerId: role.id, assignableId: target.id };
  const where = { assignerId_assignableId: row };
  const write = core.db.roleAllowAssign.upsert({ where, create: row, update: {} });
  await commitEdit(core, found, [write], actor, { mayAssign: assignable });
}

/** {@link RoleManager.disallowAssign} */
export async function disallowAssign(
  core: RoleCore,
  assigner: string,
  assignable: string,
  actor: Actor,
): Promise<void> {
  const found = await locateRole(core, assigner);
  const { catalog, role, chain } = found;
  const [target] = allRoles(catalog, [assignable], chain) as [CompiledRole];
  await requireMayEdit(core, actor, role, unchangedDraft(role), chain);
  if (!role.mayAssign.includes(target.id)) throw noEntry(role);
  const where = { assignerId_assignableId: { assignerId: role.id, assignableId: target.id } };
  await commitEdit(core, found, [core.db.roleAllowAssign.delete({ where })], actor, {
    mayNoLongerAssign: assignable,
  });
}

function noEntry(role: CompiledRole): AuthTunaError {
  return new AuthTunaError('not_found', { message: `The role ${role.name} has no such entry.` });
}
