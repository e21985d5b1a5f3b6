import { SYSTEM } from '../../actor.js';
import type { RoleCatalog, RoleDeclaration } from '../../config/options.js';
import { AuthTunaError } from '../../errors.js';
import type { Role } from './role-catalog.js';
import type { RoleManager } from './roles.js';

const ATTEMPTS = 5;
/** What an edit meets that another process made first: the roles changed, or the entry is gone already. */
const OVERTAKEN: ReadonlySet<string> = new Set(['conflict', 'not_found']);

/** The fields in which a stored role is not what its declaration says, in words; empty where it is. */
export function differences(role: Role, declaration: RoleDeclaration): string {
  return [
    role.level === (declaration.level ?? null) ? '' : 'level',
    isSame(role.permissions, declaration.permissions) ? '' : 'permissions',
    isSame(role.includes, declaration.includes) ? '' : 'includes',
    isSame(role.at, declaration.at) ? '' : 'at',
    isSame(role.mayAssign, declaration.mayAssign) ? '' : 'mayAssign',
  ]
    .filter((field) => field !== '')
    .join(', ');
}

/**
 * Brings stored roles to their declaration, each with an entry in the audit log. Several processes may do this at once.
 *
 * @throws AuthTunaError `conflict` where the roles keep changing, or no superadmin would be left
 */
export async function syncRoles(roles: RoleManager, declared: RoleCatalog): Promise<void> {
  for (const [name, declaration] of Object.entries(declared)) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await syncRole(roles, name, declaration);
        break;
      } catch (error) {
        // Another process changed roles at the same moment: compare again.
        const isOvertaken = error instanceof AuthTunaError && OVERTAKEN.has(error.code);
        if (!isOvertaken || attempt === ATTEMPTS) throw error;
      }
    }
  }
}

async function syncRole(roles: RoleManager, name: string, declaration: RoleDeclaration): Promise<void> {
  const role = await roles.get(name);
  if (differences(role, declaration) === '') return;
  const { level = null, permissions = [], includes = [], at = [], mayAssign = [] } = declaration;
  await roles.update(name, { level, permissions, includes, at }, SYSTEM);
  for (const other of mayAssign)
    if (!role.mayAssign.includes(other)) await roles.allowAssign(name, other, SYSTEM);
  for (const other of role.mayAssign)
    if (!mayAssign.includes(other)) await roles.disallowAssign(name, other, SYSTEM);
}

function isSame(a: readonly string[], b: readonly string[] = []): boolean {
  return [...new Set(a)].sort().join(' ') === [...new Set(b)].sort().join(' ');
}
