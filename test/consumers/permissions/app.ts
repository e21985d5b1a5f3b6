// Compiled, not run: the names of permissions are types.
import { type Auth, createAuthTuna, definePermissions, type NamesOf, SYSTEM } from '../../../src/index.js';

const permissions = definePermissions({ project: ['read', 'update'], post: ['create'] });
const settings = { baseUrl: 'http://localhost:3000', secrets: ['x'.repeat(32)] };

const authTuna = createAuthTuna({ ...settings, permissions });
authTuna.requirePermission('project:read');
authTuna.requirePermission(['project:update', 'post:create'], { scopeFrom: 'projectId' });
authTuna.requirePermission('users:manage'); // a shipped one

// @ts-expect-error misspelled
authTuna.requirePermission('projcet:read');
// @ts-expect-error no such action
authTuna.requirePermission('project:burn');
// @ts-expect-error one of several is misspelled
authTuna.requirePermission(['project:read', 'post:craete']);
// @ts-expect-error a guard names concrete permissions
authTuna.requirePermission('project:*');

// Declared in place, without definePermissions.
const inPlace = createAuthTuna({ ...settings, permissions: { doc: ['read'] } });
inPlace.requirePermission('doc:read');
// @ts-expect-error misspelled
inPlace.requirePermission('doc:raed');

// Where nothing is declared any name goes.
createAuthTuna(settings).requirePermission('anything:goes');

// Managers and req.auth know the names as well; a name that is known at run time only passes.
const named = createAuthTuna({
  ...settings,
  permissions,
  roles: { sync: 'update', viewer: { permissions: ['project:read'] } },
});
declare global {
  namespace Express {
    interface AuthTunaNames extends NamesOf<typeof named> {}
  }
}
declare const auth: Auth;
const later: string = String(Date.now());
export async function ask(userId: string) {
  await named.access.can(userId, 'project:read');
  await named.access.can(userId, later);
  await named.access.canAll(userId, [{ permission: 'project:read' }, { permission: 'post:create' }]);
  await named.access.hasRole(userId, 'viewer');
  await named.access.hasRole(userId, later);
  await named.access.whereFor(userId, 'project:read', { project: 'id' });
  await named.roles.assign({ userId, role: 'viewer', scope: 'global' }, SYSTEM);
  await named.roles.assign({ userId, role: later, scope: 'global' }, SYSTEM);
  await named.roles.addPermission('viewer', 'project:*', SYSTEM);
  await auth.can('project:read');
  await auth.can(later);
  await auth.hasRole('superadmin');
  named.requireRole(['viewer', 'moderator']);
  named.requireRole(later);

  // @ts-expect-error misspelled
  await named.access.can(userId, 'project:raed');
  // @ts-expect-error misspelled
  await named.access.canAll(userId, [{ permission: 'project:raed' }]);
  // @ts-expect-error no such role
  await named.access.hasRole(userId, 'veiwer');
  // @ts-expect-error misspelled
  await named.access.whereFor(userId, 'project:raed', { project: 'id' });
  // @ts-expect-error no such role
  await named.roles.assign({ userId, role: 'veiwer', scope: 'global' }, SYSTEM);
  // @ts-expect-error misspelled
  await named.roles.addPermission('viewer', 'project:raed', SYSTEM);
  // @ts-expect-error misspelled
  await auth.can('project:raed');
  // @ts-expect-error no such role
  await auth.hasRole('veiwer');
  // @ts-expect-error no such role
  named.requireRole(['viewer', 'veiwer']);
}
