import type { HttpKit } from '../../http/kit.js';
import type { Call } from '../../http/route.js';
import type { AdminFrame, AdminLink } from '../../templates/template-data.js';
import type { Impersonation } from './impersonation.js';
import type { AdminParts } from './parts.js';
import type { People } from './people.js';

/** Options of the administration. */
export interface AdminRouterOptions {
  /** False: JSON only. Default true. */
  pages?: boolean;
  /** Columns of your own `User` model that lists and pages show. Default: none. */
  userColumns?: readonly string[];
  /** Pages of your own that the navigation leads to. */
  links?: readonly AdminLink[];
}

/** What the routes of the administration share. */
export interface AdminContext {
  readonly parts: AdminParts;
  readonly people: People;
  readonly impersonation: Impersonation;
  readonly http: HttpKit;
  /** Where the administration is mounted. */
  readonly path: string;
  readonly options: AdminRouterOptions;
}

/** Permissions that decide what the pages show. Routes and managers decide again. */
const SHOWN = {
  users: 'users:read',
  manageUsers: 'users:manage',
  impersonate: 'users:impersonate',
  roles: 'roles:read',
  manageRoles: 'roles:manage',
  permissions: 'permissions:read',
  managePermissions: 'permissions:manage',
  sessions: 'sessions:manage',
  audit: 'audit:read',
  webhooks: 'webhooks:manage',
  orgs: 'org:read',
  createOrgs: 'org:create',
  manageOrgs: 'org:manage',
  deleteOrgs: 'org:delete',
  apiKeys: 'apikeys:manage',
} as const;

/** The frame of every page: navigation, and the confirmation of what was just done. */
export async function frameOf(
  { path, options, http }: Pick<AdminContext, 'path' | 'options' | 'http'>,
  { auth, req }: Pick<Call, 'auth' | 'req'>,
): Promise<AdminFrame> {
  const names = Object.keys(SHOWN) as (keyof typeof SHOWN)[];
  const may = await Promise.all(names.map((name) => auth.can(SHOWN[name])));
  const { done } = req.query;
  return {
    path,
    account: http.accountPage(),
    links: options.links ?? [],
    can: Object.fromEntries(names.map((name, index) => [name, may[index] === true])) as AdminFrame['can'],
    done: typeof done === 'string' && /^[a-z_]{1,40}$/.test(done) ? done : null,
  };
}

/** A query without the fields that a form left empty. */
export function given<T extends object>(query: T): { [K in keyof T]?: Exclude<T[K], '' | undefined> } {
  return Object.fromEntries(
    Object.entries(query).filter(([, value]) => value !== '' && value !== undefined),
  ) as { [K in keyof T]?: Exclude<T[K], '' | undefined> };
}

/** The address of the next page of a list, or null at its end. */
export function nextUrl(path: string, query: object, nextCursor: string | null): string | null {
  if (nextCursor === null) return null;
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== undefined && value !== '' && key !== 'done' && key !== 'cursor')
      parameters.set(key, value instanceof Date ? value.toISOString() : String(value));
  parameters.set('cursor', nextCursor);
  return `${path}?${parameters.toString()}`;
}
