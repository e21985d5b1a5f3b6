import type { Role } from '../../core/access/role-catalog.js';
import type { PageInput } from '../../http/pages/views.js';
import { type Call, type Route, route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import {
  nothing,
  pageQuery,
  permissionBody,
  permissionChangeBody,
  permissionNameBody,
  roleBody,
  roleChangeBody,
  roleNameBody,
  scopeBody,
  scopeMoveBody,
  scopesQuery,
  whyQuery,
} from './schemas.js';
import { changes, reads } from './user-routes.js';

/** Roles, permissions, scopes, and why somebody may do something. */
export function accessRoutes(context: AdminContext): Route[] {
  return [
    ...roleRoutes(context),
    ...roleEditRoutes(context),
    ...permissionRoutes(context),
    ...scopeRoutes(context),
    whyRoute(context),
  ];
}

type PageCall = Pick<Call, 'auth' | 'req' | 'actor'>;

const callOf = (req: Call['req']): PageCall => {
  const auth = req.auth as Call['auth'];
  return { req, auth, actor: auth.actor };
};

async function rolesPage(context: AdminContext, call: PageCall): Promise<PageInput<'admin/roles'>> {
  const { roles } = context.parts.core;
  const [admin, { items }] = await Promise.all([frameOf(context, call), roles.list({ limit: 100 })]);
  return {
    admin,
    roles: items,
    matrix: items.map((role) => ({
      name: role.name,
      cells: items.map(({ name }) => ({ name, may: role.mayAssign.includes(name) })),
    })),
    values: {},
  };
}

async function rolePage(
  context: AdminContext,
  call: PageCall,
  name: string,
): Promise<PageInput<'admin/role'>> {
  const { roles } = context.parts.core;
  const [admin, role, { items }] = await Promise.all([
    frameOf(context, call),
    roles.get(name),
    roles.list({ limit: 100 }),
  ]);
  const scope = role.at.length === 0 || role.at.includes('global') ? 'global' : null;
  const holders = scope === null ? null : await roles.usersWith(name, scope, { limit: 50 });
  return {
    admin,
    role,
    others: items.map((each) => each.name).filter((each) => each !== name && !role.mayAssign.includes(each)),
    holders: (holders?.items ?? []).map(({ id, email }) => ({ id, email })),
  };
}

function roleRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { roles } = parts.core;
  const texts = { conflict: 'not_possible' };
  const forms = [http.views.form('admin/roles', (req) => rolesPage(context, callOf(req)), { texts }).problem];
  return [
    route({
      method: 'get',
      path: '/roles',
      summary: 'All roles, the highest rank first, with who may assign which',
      ...reads('roles:read'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        if (call.wantsPage) return { page: ['admin/roles', await rolesPage(context, call)] };
        const { cursor, limit } = given(call.query);
        return {
          json: await roles.list({
            ...(cursor !== undefined && { cursor }),
            ...(limit !== undefined && { limit }),
          }),
        };
      },
    }),
    route({
      method: 'post',
      path: '/roles',
      summary: 'Create a role',
      ...changes('roles:manage'),
      body: roleBody,
      answers: { 201: 'the role' },
      forms,
      run: async ({ body, actor }) => ({
        json: await roles.create(given(body) as Parameters<typeof roles.create>[0], actor),
        status: 201,
        redirectTo: `${path}/roles/${encodeURIComponent(body.name)}?done=created`,
      }),
    }),
    route({
      method: 'get',
      path: '/roles/:name',
      summary: 'One role',
      ...reads('roles:read'),
      query: nothing,
      answers: { 200: 'the role' },
      async run(call) {
        const name = call.param('name');
        if (call.wantsPage) return { page: ['admin/role', await rolePage(context, call, name)] };
        return { json: await roles.get(name) };
      },
    }),
  ];
}

// Long: a table of routes, one value for each.
/** A change of a role by a script, and by a form on its page. */
function roleEditRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { roles } = parts.core;
  const view = http.views.form(
    'admin/role',
    (req) => rolePage(context, callOf(req), String(req.params.name)),
    {
      texts: { conflict: 'not_possible' },
    },
  );
  const forms = [view.problem];
  const back = (name: string, done: string) => `${path}/roles/${encodeURIComponent(name)}?done=${done}`;
  const changed = async (name: string, done = 'updated'): Promise<{ json: Role; redirectTo: string }> => ({
    json: await roles.get(name),
    redirectTo: back(name, done),
  });
  const guard = changes('roles:manage');
  return [
    ...(['patch', 'post'] as const).map((method) =>
      route({
        method,
        path: '/roles/:name',
        summary: 'Change description, level, included roles or types of scope',
        ...guard,
        ...(method === 'post' && { isFormOnly: true as const }),
        body: roleChangeBody,
        answers: { 200: 'the role' },
        forms,
        async run({ param, body, actor }) {
          await roles.update(param('name'), body as Parameters<typeof roles.update>[1], actor);
          return changed(param('name'));
        },
      }),
    ),
    route({
      method: 'delete',
      path: '/roles/:name',
      summary: 'Delete a role and its assignments',
      ...guard,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await roles.delete(param('name'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/roles/:name/delete',
      summary: 'Delete a role and its assignments',
      ...guard,
      isFormOnly: true,
      answers: { 303: 'to the roles' },
      forms,
      async run({ param, actor }) {
        await roles.delete(param('name'), actor);
        return { redirectTo: `${path}/roles?done=deleted` };
      },
    }),
    route({
      method: 'post',
      path: '/roles/:name/permissions',
      summary: 'Put a permission or a pattern into a role',
      ...guard,
      body: permissionNameBody,
      answers: { 200: 'the role' },
      forms,
      async run({ param, body, actor }) {
        await roles.addPermission(param('name'), body.permission, actor);
        return changed(param('name'));
      },
    }),
    route({
      method: 'delete',
      path: '/roles/:name/permissions/:permission',
      summary: 'Take a permission out of a role',
      ...guard,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await roles.removePermission(param('name'), param('permission'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/roles/:name/remove-permission',
      summary: 'Take a permission out of a role',
      ...guard,
      isFormOnly: true,
      body: permissionNameBody,
      answers: { 303: 'to the role' },
      forms,
      async run({ param, body, actor }) {
        await roles.removePermission(param('name'), body.permission, actor);
        return changed(param('name'));
      },
    }),
    route({
      method: 'post',
      path: '/roles/:name/may-assign',
      summary: 'Let holders of a role assign another one',
      ...guard,
      body: roleNameBody,
      answers: { 200: 'the role' },
      forms,
      async run({ param, body, actor }) {
        await roles.allowAssign(param('name'), body.role, actor);
        return changed(param('name'));
      },
    }),
    route({
      method: 'delete',
      path: '/roles/:name/may-assign/:role',
      summary: 'Keep holders of a role from assigning another one',
      ...guard,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await roles.disallowAssign(param('name'), param('role'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/roles/:name/remove-assignable',
      summary: 'Keep holders of a role from assigning another one',
      ...guard,
      isFormOnly: true,
      body: roleNameBody,
      answers: { 303: 'to the role' },
      forms,
      async run({ param, body, actor }) {
        await roles.disallowAssign(param('name'), body.role, actor);
        return changed(param('name'));
      },
    }),
  ];
}

async function permissionsPage(
  context: AdminContext,
  call: PageCall,
  query: { cursor?: string; limit?: number },
): Promise<PageInput<'admin/permissions'>> {
  const list = await context.parts.core.permissions.list(query);
  return {
    admin: await frameOf(context, call),
    permissions: list.items,
    nextUrl: nextUrl(`${context.path}/permissions`, query, list.nextCursor),
    values: {},
  };
}

function permissionRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { permissions } = parts.core;
  const view = http.views.form('admin/permissions', (req) => permissionsPage(context, callOf(req), {}), {
    texts: { conflict: 'not_possible' },
  });
  const forms = [view.problem];
  const back = (done: string) => `${path}/permissions?done=${done}`;
  return [
    route({
      method: 'get',
      path: '/permissions',
      summary: 'The catalog of permissions',
      ...reads('permissions:read'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        if (call.wantsPage)
          return { page: ['admin/permissions', await permissionsPage(context, call, query)] };
        return { json: await permissions.list(query) };
      },
    }),
    route({
      method: 'post',
      path: '/permissions',
      summary: 'Create a permission',
      ...changes('permissions:manage'),
      body: permissionBody,
      answers: { 201: 'the permission' },
      forms,
      run: async ({ body, actor }) => ({
        json: await permissions.create(given(body) as Parameters<typeof permissions.create>[0], actor),
        status: 201,
        redirectTo: back('created'),
      }),
    }),
    route({
      method: 'patch',
      path: '/permissions/:name',
      summary: 'Change the description or tool of a permission',
      ...changes('permissions:manage'),
      body: permissionChangeBody,
      answers: { 200: 'the permission' },
      async run({ param, body, actor }) {
        await permissions.update(param('name'), body as Parameters<typeof permissions.update>[1], actor);
        return { json: await permissions.get(param('name')) };
      },
    }),
    route({
      method: 'delete',
      path: '/permissions/:name',
      summary: 'Delete a permission, and take it out of every role',
      ...changes('permissions:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await permissions.delete(param('name'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/permissions/:name/delete',
      summary: 'Delete a permission, and take it out of every role',
      ...changes('permissions:manage'),
      isFormOnly: true,
      answers: { 303: 'to the permissions' },
      forms,
      async run({ param, actor }) {
        await permissions.delete(param('name'), actor);
        return { redirectTo: back('deleted') };
      },
    }),
  ];
}

async function scopesPage(
  context: AdminContext,
  call: PageCall,
  query: { parent?: string; cursor?: string; limit?: number },
): Promise<PageInput<'admin/scopes'>> {
  const { scopes } = context.parts;
  const { parent = 'global', ...page } = query;
  const [admin, list, above] = await Promise.all([
    frameOf(context, call),
    scopes.childrenOf(parent, page),
    parent === 'global' ? [] : scopes.ancestorsOf(parent),
  ]);
  return {
    admin,
    parent,
    above: [...above].reverse(),
    scopes: list.items,
    nextUrl: nextUrl(`${context.path}/scopes`, query, list.nextCursor),
    values: {},
  };
}

// Long: a table of routes, one value for each.
function scopeRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { scopes } = parts;
  const view = http.views.form(
    'admin/scopes',
    (req) => {
      const { parent } = (req.body ?? {}) as { parent?: unknown };
      return scopesPage(context, callOf(req), typeof parent === 'string' ? { parent } : {});
    },
    { texts: { conflict: 'not_possible' } },
  );
  const forms = [view.problem];
  const back = (parent: string | null | undefined, done: string) =>
    `${path}/scopes?${new URLSearchParams({ ...(parent != null && { parent }), done }).toString()}`;
  return [
    route({
      method: 'get',
      path: '/scopes',
      summary: 'The registered scopes directly below one: `?parent=`, by default `global`',
      ...reads('roles:read'),
      query: scopesQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        if (call.wantsPage) return { page: ['admin/scopes', await scopesPage(context, call, query)] };
        const { parent = 'global', ...page } = query;
        return { json: await scopes.childrenOf(parent, page) };
      },
    }),
    route({
      method: 'post',
      path: '/scopes',
      summary: 'Register a scope',
      ...changes(),
      body: scopeBody,
      answers: { 201: 'the scope' },
      forms,
      run: async ({ body, actor }) => ({
        json: await scopes.register(given(body) as Parameters<typeof scopes.register>[0], actor),
        status: 201,
        redirectTo: back(body.parent, 'created'),
      }),
    }),
    route({
      method: 'patch',
      path: '/scopes/:id',
      summary: 'Hang a scope elsewhere',
      ...changes(),
      body: scopeMoveBody,
      answers: { 204: 'no body' },
      async run({ param, body, actor }) {
        await scopes.move(param('id'), body.parent, actor);
        return {};
      },
    }),
    route({
      method: 'delete',
      path: '/scopes/:id',
      summary: 'Take a scope out of the tree',
      ...changes(),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await scopes.remove(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/scopes/:id/delete',
      summary: 'Take a scope out of the tree',
      ...changes(),
      isFormOnly: true,
      answers: { 303: 'to the scopes' },
      forms,
      async run({ param, actor }) {
        const parent = await scopes.parentOf(param('id'));
        await scopes.remove(param('id'), actor);
        return { redirectTo: back(parent, 'deleted') };
      },
    }),
  ];
}

function whyRoute(context: AdminContext): Route {
  const { people } = context;
  const { access } = context.parts.core;
  return route({
    method: 'get',
    path: '/why',
    summary: 'Why a user may do something, or may not: `?user=&permission=&scope=`',
    ...reads('users:read', 'roles:read'),
    query: whyQuery,
    answers: { 200: '`{ allowed, reason, chain, grants }`' },
    async run(call) {
      const { user = '', permission = '', scope = 'global' } = given(call.query);
      const found = user === '' ? null : await people.find(user);
      const answer =
        user === '' && call.wantsPage ? null : await access.explain(found?.id ?? '', permission, scope);
      return {
        json: answer,
        page: [
          'admin/why',
          {
            admin: await frameOf(context, call),
            values: { user, permission, scope },
            answer,
            email: found?.email ?? null,
          },
        ],
      };
    },
  });
}
