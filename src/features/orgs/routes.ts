import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { type Feature, type Route, route } from '../../http/route.js';
import { ownColumns, shownOrg, shownPage, shownRole } from './answers.js';
import { invitationRoutes } from './invitation-routes.js';
import { linkRoutes } from './link-routes.js';
import { memberRoutes } from './member-routes.js';
import { createOrgRole, deleteOrgRole, rolesOf, updateOrgRole } from './org-roles.js';
import { scopeOf } from './organization.js';
import { orgPages } from './pages.js';
import {
  orgBody,
  orgChange,
  orgRoleBody,
  orgRoleChange,
  pageQuery,
  searchQuery,
  settingsBody,
  transferBody,
} from './schemas.js';
import { type Orgs, orgAt, requireSeen } from './shared-routes.js';
import { treeRoutes, withoutGaps } from './tree-routes.js';

/** Organizations and everything in them, at `/orgs`. `:orgId` takes the id or the slug. */
export function orgsFeature(
  managers: Omit<Orgs, 'path' | 'forms' | 'http'>,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const path = http.config.paths.orgs;
  const bare = { ...managers, http, path, forms: null };
  const made = options.pages === false ? null : orgPages(bare, http);
  const where: Orgs = { ...bare, forms: made?.forms ?? null };
  return {
    name: 'orgs',
    path,
    pages: made?.pages ?? null,
    routes: [
      ...invitationRoutes(where),
      ...linkRoutes(where),
      ...orgRoutes(where),
      ...memberRoutes(where),
      ...treeRoutes(where),
      ...roleRoutes(where),
    ],
  };
}

// Long: a table of routes, one entry each.
function orgRoutes(where: Orgs): Route[] {
  const { orgs, path, forms, http } = where;
  const { fields } = http.config.organization;
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The organizations in which the caller holds a role',
      guard: {},
      query: searchQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      run: async ({ query, user }) => ({
        json: shownPage(await orgs.list({ ...query, userId: user.id }), (org) => shownOrg(where, org)),
      }),
    }),
    route({
      method: 'post',
      path: '/',
      summary: 'Found an organization',
      guard: {},
      limit: { name: 'orgs', like: 'signUp', by: 'user' },
      body: orgBody,
      form: {},
      forms: forms?.list,
      answers: { 201: 'the organization' },
      async run({ body, actor }) {
        const { data = {}, ...input } = body;
        const org = await orgs.create({ ...withoutGaps(input), ...ownColumns(fields, data) }, actor);
        return { json: shownOrg(where, org), status: 201, redirectTo: `${path}/${org.slug}` };
      },
    }),
    route({
      method: 'get',
      path: '/:orgId',
      summary: 'One organization',
      guard: {},
      answers: { 200: 'the organization' },
      async run(call) {
        const org = await orgAt(where, call.param('orgId'));
        await requireSeen(call, scopeOf(org.id));
        return { json: shownOrg(where, org) };
      },
    }),
    route({
      method: 'patch',
      path: '/:orgId',
      summary: 'Change an organization',
      guard: {},
      body: orgChange,
      answers: { 200: 'the organization' },
      async run({ param, body, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        const { policy, data = {}, ...change } = body;
        const updated = await orgs.update(
          id,
          {
            ...withoutGaps(change),
            ...ownColumns(fields, data, { isPartial: true }),
            ...(policy !== undefined && { policy: withoutGaps(policy) }),
          },
          actor,
        );
        return { json: shownOrg(where, updated) };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/settings',
      summary: 'Change the name, the slug or own columns of an organization',
      guard: {},
      body: settingsBody,
      form: {},
      isFormOnly: true,
      forms: forms?.organization,
      answers: { 303: 'to the page of the organization' },
      async run({ param, body, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        const { data = {}, ...change } = body;
        const own = ownColumns(fields, data, { isPartial: true });
        const { slug } = await orgs.update(id, { ...withoutGaps(change), ...own }, actor);
        return { redirectTo: `${path}/${slug}` };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/delete',
      summary: 'Delete an organization with everything below it',
      guard: { recent: 'login' },
      form: {},
      isFormOnly: true,
      forms: forms?.organization,
      answers: { 303: 'to the list of organizations' },
      async run({ param, actor }) {
        await orgs.delete((await orgAt(where, param('orgId'))).id, actor);
        return { redirectTo: path };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId',
      summary: 'Delete an organization with everything below it',
      guard: { recent: 'login' },
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await orgs.delete((await orgAt(where, param('orgId'))).id, actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/transfer',
      summary: 'Make another member the owner',
      guard: { recent: 'login' },
      body: transferBody,
      answers: { 204: 'no body' },
      async run({ param, body, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        await orgs.transfer(id, { toUserId: body.userId }, actor);
        return {};
      },
    }),
  ];
}

/** Every process loads all roles again after each change. */
const ROLE_LIMIT = { name: 'orgRoles', like: 'signUp', by: 'user' } as const;

/** Roles that an organization defines for itself. */
function roleRoutes(where: Orgs): Route[] {
  const { core } = where;
  return [
    route({
      method: 'get',
      path: '/:orgId/roles',
      summary: 'The roles that can be held in an organization, its own ones first',
      guard: {},
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor: null }`' },
      async run(call) {
        const { id } = await orgAt(where, call.param('orgId'));
        await requireSeen(call, scopeOf(id));
        const items = await rolesOf(core, id);
        return { json: { items: items.map(shownRole), nextCursor: null } };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/roles',
      summary: 'Define a role for the organization and everything below it',
      guard: {},
      limit: ROLE_LIMIT,
      body: orgRoleBody,
      answers: { 201: 'the role' },
      async run({ param, body, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        return { json: shownRole(await createOrgRole(core, id, withoutGaps(body), actor)), status: 201 };
      },
    }),
    route({
      method: 'patch',
      path: '/:orgId/roles/:name',
      summary: 'Change a role of the organization',
      guard: {},
      limit: ROLE_LIMIT,
      body: orgRoleChange,
      answers: { 200: 'the role' },
      async run({ param, body, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        const change = withoutGaps(body);
        return { json: shownRole(await updateOrgRole(core, id, param('name'), change, actor)) };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId/roles/:name',
      summary: 'Delete a role of the organization, and take it from all who hold it',
      guard: {},
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        const { id } = await orgAt(where, param('orgId'));
        await deleteOrgRole(core, id, param('name'), actor);
        return {};
      },
    }),
  ];
}
