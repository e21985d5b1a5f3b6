import type { RoleDeclaration } from '../../config/options.js';

/** The permissions this library itself asks about. */
export const SHIPPED_PERMISSIONS = {
  'admin:access': 'Open the administration.',
  'users:read': 'See people and their sign-in data.',
  'users:manage': 'Create, change, suspend and delete people of lower rank.',
  'users:impersonate': 'Act as somebody of lower rank.',
  'roles:read': 'See roles and who holds them.',
  'roles:assign': 'Give and take roles of lower rank.',
  'roles:manage': 'Create and change roles of lower rank.',
  'permissions:read': 'See the catalog of permissions.',
  'permissions:manage': 'Change the catalog of permissions.',
  'sessions:manage': 'End the sessions of people of lower rank.',
  'audit:read': 'Read the audit log.',
  'webhooks:manage': 'Send events to other services, and see what was sent.',
  'apikeys:manage': 'Revoke the API keys of others, and manage service accounts.',
  'tokens:introspect': 'Check tokens, API keys and session cookies, and what users may do.',
  'org:create': 'Found an organization.',
  'org:read': 'See an organization.',
  'org:manage': 'Change an organization.',
  'org:delete': 'Delete an organization.',
  'org:members:invite': 'Invite people to an organization.',
  'org:members:remove': 'Remove people from an organization.',
  'project:read': 'See a project.',
  'project:create': 'Create a project.',
  'project:manage': 'Change a project.',
  'project:delete': 'Delete a project.',
  'project:members:invite': 'Invite people to a project.',
  'project:members:remove': 'Remove people from a project.',
  'team:read': 'See a team.',
  'team:create': 'Create a team.',
  'team:manage': 'Change a team.',
  'team:delete': 'Delete a team.',
  'team:members:invite': 'Invite people to a team.',
  'team:members:remove': 'Remove people from a team.',
  'resource:read': 'See a resource.',
  'resource:create': 'Create a resource.',
  'resource:manage': 'Change a resource.',
  'resource:delete': 'Delete a resource.',
} as const satisfies Readonly<Record<string, string>>;

const TEAM_ROLES = ['team_lead', 'team_member'];
const PROJECT_ROLES = ['project_admin', 'project_member', ...TEAM_ROLES];
const ORG_ROLES = ['org_owner', 'org_admin', 'org_member', ...PROJECT_ROLES];

const ROLES = {
  superadmin: {
    description: 'May do everything.',
    level: 100,
    at: ['global'],
    permissions: ['*'],
    mayAssign: ['superadmin', 'admin', 'moderator', 'user', ...ORG_ROLES, 'owner'],
  },
  admin: {
    description: 'Runs the installation.',
    level: 90,
    at: ['global'],
    permissions: [
      'admin:access',
      'users:*',
      'roles:read',
      'roles:assign',
      'permissions:read',
      'sessions:manage',
      'audit:read',
      'webhooks:manage',
      'apikeys:manage',
      'org:*',
      'project:*',
      'team:*',
      'resource:*',
    ],
    mayAssign: ['moderator', 'user', ...ORG_ROLES],
  },
  moderator: {
    description: 'Looks after people.',
    level: 50,
    at: ['global'],
    permissions: ['admin:access', 'users:read', 'users:manage', 'sessions:manage'],
    mayAssign: ['user'],
  },
  user: { description: 'Everybody who signed up.', level: 0, at: ['global'], permissions: ['org:create'] },
  org_owner: {
    description: 'Owns an organization.',
    level: 40,
    at: ['org'],
    permissions: [
      'org:*',
      'project:*',
      'team:*',
      'resource:*',
      'apikeys:manage',
      'audit:read',
      'roles:read',
      'roles:assign',
      'roles:manage',
    ],
    mayAssign: ORG_ROLES,
  },
  org_admin: {
    description: 'Runs an organization.',
    level: 30,
    at: ['org'],
    permissions: [
      'org:read',
      'org:manage',
      'org:members:*',
      'project:*',
      'team:*',
      'resource:*',
      'audit:read',
    ],
    mayAssign: ['org_member', ...PROJECT_ROLES],
  },
  org_member: {
    description: 'Belongs to an organization.',
    level: 10,
    at: ['org'],
    permissions: ['org:read', 'project:read', 'team:read'],
  },
  project_admin: {
    description: 'Runs a project.',
    level: 20,
    at: ['project'],
    permissions: ['project:*', 'team:*', 'resource:*'],
    mayAssign: ['project_member', ...TEAM_ROLES],
  },
  project_member: {
    description: 'Works in a project.',
    level: 10,
    at: ['project'],
    permissions: ['project:read', 'team:read', 'resource:create'],
  },
  team_lead: {
    description: 'Leads a team.',
    level: 20,
    at: ['team'],
    permissions: ['team:*', 'resource:*'],
    mayAssign: ['team_member'],
  },
  team_member: {
    description: 'Works in a team.',
    level: 10,
    at: ['team'],
    permissions: ['team:read', 'resource:create'],
  },
  owner: {
    description: 'Held by the owner of a scope, without an assignment.',
    level: null,
    permissions: ['resource:manage'],
  },
} satisfies Readonly<Record<string, RoleDeclaration>>;

export type ShippedRole = keyof typeof ROLES;

/** The roles every installation has. Edges that name a role stand in for rank. */
export const SHIPPED_ROLES: Readonly<Record<string, RoleDeclaration>> = ROLES;
