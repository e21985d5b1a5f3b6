// Compiled, not run: the names of permissions are types.
import { createAuthTuna, definePermissions } from '../../../src/index.js';

const permissions = definePermissions({ project: ['read', 'update'], post: ['create'] });
const settings = { baseUrl: 'http://localhost:3000', secrets: ['x'.repeat(32)] };

const authTuna = createAuthTuna({ ...settings, permissions });
authTuna.requirePermission('project:read');
authTuna.requirePermission(['project:update', 'post:create'], { scopeFrom: 'projectId' });
authTuna.requirePermission('users:manage'); // a shipped one

// @ts-expect-error misspelt
authTuna.requirePermission('projcet:read');
// @ts-expect-error no such action
authTuna.requirePermission('project:burn');
// @ts-expect-error one of several is misspelt
authTuna.requirePermission(['project:read', 'post:craete']);
// @ts-expect-error a guard names concrete permissions
authTuna.requirePermission('project:*');

// Declared in place, without definePermissions.
const inPlace = createAuthTuna({ ...settings, permissions: { doc: ['read'] } });
inPlace.requirePermission('doc:read');
// @ts-expect-error misspelt
inPlace.requirePermission('doc:raed');

// Where nothing is declared any name goes.
createAuthTuna(settings).requirePermission('anything:goes');
