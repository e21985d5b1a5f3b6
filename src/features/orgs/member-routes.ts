import { type Call, type Route, route } from '../../http/route.js';
import { shownMember, shownPage } from './answers.js';
import { memberInput, roleBody, searchQuery } from './schemas.js';
import { formsAt, type Orgs, orgAt, pageAt, projectAt, requireSeen, teamAt } from './shared-routes.js';

type Params = Pick<Call, 'param'>;

/** Where people can be members: the path of each, and the scope that an address of it names. */
export const MEMBER_PLACES: readonly {
  path: string;
  what: string;
  scopeAt(where: Orgs, call: Params): Promise<string>;
}[] = [
  {
    path: '/:orgId',
    what: 'an organization',
    scopeAt: async (where, { param }) => `org:${(await orgAt(where, param('orgId'))).id}`,
  },
  {
    path: '/:orgId/projects/:projectId',
    what: 'a project',
    scopeAt: async (where, { param }) =>
      `project:${(await projectAt(where, param('orgId'), param('projectId'))).id}`,
  },
  {
    path: '/:orgId/teams/:teamId',
    what: 'a team',
    scopeAt: async (where, { param }) => `team:${(await teamAt(where, param('orgId'), param('teamId'))).id}`,
  },
];

/** Members of organizations, projects and teams. */
// Long: a table of routes, one entry each.
export function memberRoutes(where: Orgs): Route[] {
  const { orgs } = where;
  const formOnly = { form: {}, isFormOnly: true as const };
  return MEMBER_PLACES.flatMap(({ path, what, scopeAt }) => [
    route({
      method: 'get',
      path: `${path}/members`,
      summary: `The members of ${what}`,
      guard: {},
      query: searchQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const scope = await scopeAt(where, call);
        await requireSeen(call, scope);
        return { json: shownPage(await orgs.members(scope, call.query), shownMember) };
      },
    }),
    route({
      method: 'post',
      path: `${path}/members`,
      summary: `Add a person to ${what}`,
      guard: {},
      body: memberInput,
      answers: { 201: '`{ userId, role }`' },
      async run(call) {
        await orgs.addMember(await scopeAt(where, call), call.body, call.actor);
        return { json: call.body, status: 201 };
      },
    }),
    route({
      method: 'patch',
      path: `${path}/members/:userId`,
      summary: `Change the role of a member of ${what}`,
      guard: {},
      body: roleBody,
      answers: { 200: '`{ userId, role }`' },
      async run(call) {
        const member = { userId: call.param('userId'), role: call.body.role };
        await orgs.setRole(await scopeAt(where, call), member, call.actor);
        return { json: member };
      },
    }),
    route({
      method: 'delete',
      path: `${path}/members/:userId`,
      summary: `Remove a member from ${what}, with everything they hold below it`,
      guard: {},
      answers: { 204: 'no body' },
      async run(call) {
        await orgs.removeMember(await scopeAt(where, call), call.param('userId'), call.actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: `${path}/members/:userId/role`,
      summary: `Change the role of a member of ${what}`,
      guard: {},
      ...formOnly,
      forms: formsAt(where, path),
      body: roleBody,
      answers: { 303: `to the page of ${what}` },
      async run(call) {
        const member = { userId: call.param('userId'), role: call.body.role };
        await orgs.setRole(await scopeAt(where, call), member, call.actor);
        return { redirectTo: pageAt(where, path, call) };
      },
    }),
    route({
      method: 'post',
      path: `${path}/members/:userId/remove`,
      summary: `Remove a member from ${what}`,
      guard: {},
      ...formOnly,
      forms: formsAt(where, path),
      answers: { 303: `to the page of ${what}` },
      async run(call) {
        await orgs.removeMember(await scopeAt(where, call), call.param('userId'), call.actor);
        return { redirectTo: pageAt(where, path, call) };
      },
    }),
    route({
      method: 'post',
      path: `${path}/leave`,
      summary: `Leave ${what}`,
      guard: {},
      form: {},
      forms: formsAt(where, path),
      answers: { 204: 'no body' },
      async run(call) {
        await orgs.leave(await scopeAt(where, call), call.actor);
        return { redirectTo: where.path };
      },
    }),
  ]);
}
