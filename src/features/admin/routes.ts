import type { HttpKit } from '../../http/kit.js';
import type { Feature } from '../../http/route.js';
import { accessRoutes } from './access-routes.js';
import type { AdminContext, AdminRouterOptions } from './admin-pages.js';
import { frameOf } from './admin-pages.js';
import { bulkRoutes } from './bulk-routes.js';
import { Impersonation } from './impersonation.js';
import { keyRoutes } from './key-routes.js';
import { orgRoutes } from './org-routes.js';
import type { AdminParts } from './parts.js';
import { People } from './people.js';
import { serviceAccountRoutes } from './service-account-routes.js';
import { systemRoutes } from './system-routes.js';
import { userRoutes } from './user-routes.js';
import { webhookRoutes } from './webhook-routes.js';

/** The administration, at `/admin`: JSON for scripts, pages for browsers, one table of routes for both. */
export function adminFeature(parts: AdminParts, http: HttpKit, options: AdminRouterOptions = {}): Feature {
  const path = http.config.paths.admin;
  const people = new People(parts, options.userColumns ?? []);
  const impersonation = new Impersonation(parts.core);
  const context: AdminContext = { parts, people, impersonation, http, path, options };
  const newUser = http.views.form('admin/user-new', async (req) => ({
    admin: await frameOf(context, { req, auth: req.auth as never }),
    values: {},
  }));
  return {
    name: 'admin',
    path,
    pages:
      options.pages === false
        ? null
        : {
            mounted: 'admin',
            formAt: (req) => pageOf(path, req.originalUrl),
            routes: [
              {
                path: '/new-user',
                guard: { permission: ['admin:access', 'users:manage'], fresh: true },
                show: [newUser.show],
              },
            ],
          },
    routes: [
      ...userRoutes(context),
      ...bulkRoutes(context),
      ...accessRoutes(context),
      ...orgRoutes(context),
      ...keyRoutes(context),
      ...serviceAccountRoutes(context),
      ...systemRoutes(context),
      ...webhookRoutes(context),
    ],
  };
}

/** The page that a form stood on: a person's, a role's, or a list. */
function pageOf(path: string, url: string): string {
  const [, section, id] = /^\/([\w-]+)(?:\/([\w%:.~-]+))?/.exec(url.slice(path.length)) ?? [];
  if (section === undefined) return path;
  const hasOwnPage =
    ['users', 'roles', 'webhooks', 'orgs', 'service-accounts'].includes(section) && id !== undefined;
  return hasOwnPage ? `${path}/${section}/${id}` : `${path}/${section}`;
}
