import type { Actor } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import { mayEditRole, type RoleDraft } from './delegation.js';
import type { Chain } from './grants.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { asConflict, noRole, type RoleCore, standingAt } from './role-core.js';
import { SuperadminGuard, superadminRoles } from './superadmins.js';
import { rolesChangedSince } from './versions.js';

/** Refuses an actor who may not edit a role to this draft. @throws AuthTunaError `unauthenticated`, `forbidden` */
export async function requireMayEdit(
  core: RoleCore,
  actor: Actor,
  before: CompiledRole | null,
  draft: RoleDraft,
  chain: Chain,
): Promise<void> {
  const standing = await standingAt(core, actor, chain);
  if (standing !== null && !mayEditRole(standing, before, draft)) throw new AuthTunaError('forbidden');
}

/** A draft that puts nothing into a role and only asks whether the actor may touch it. */
export function unchangedDraft(role: CompiledRole): RoleDraft {
  return { level: role.level, permissions: [], includes: [], mayAssign: [] };
}

/** Commits an edit, as long as the roles are still those by which it was decided. @param after the roles as they will be, where that changes who is a superadmin */
export async function commitEdit(
  core: RoleCore,
  { catalog, role }: { catalog: RoleCatalog; role: CompiledRole },
  writes: readonly Write[],
  actor: Actor,
  data: Record<string, unknown>,
  after: RoleCatalog = catalog,
): Promise<void> {
  const superadmins = after === catalog ? [] : await superadminWrites(core, catalog, after);
  try {
    await core.ledger.commit({
      writes: [...writes, ...superadmins, rolesChangedSince(core.db, catalog.version)],
      facts: [{ type: 'role.updated', actor, target: { type: 'role', id: role.name }, data }],
      invalidates: ['roles'],
    });
  } catch (error) {
    if (isMissing(error) && (await core.roleStore.current()).byId(role.id) === null) throw noRole(role.name);
    throw asConflict(error);
  }
}

/** The writes that keep the number of superadmins right, where a change of roles changes who is one. */
export async function superadminWrites(
  core: RoleCore,
  before: RoleCatalog,
  after: RoleCatalog,
): Promise<Write[]> {
  const [old, next] = [superadminRoles(before), superadminRoles(after)];
  if (old.size === next.size && [...old].every((id) => next.has(id))) return [];
  const superadmins = new SuperadminGuard(core);
  return superadmins.rolesChanged(before, after, await superadmins.observe());
}
