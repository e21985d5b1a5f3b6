import { type Route, route } from '../../http/route.js';
import { ownColumns, shownPage, shownProject, shownTeam } from './answers.js';
import { scopeOf } from './organization.js';
import {
  projectBody,
  projectChange,
  projectSettings,
  searchQuery,
  teamBody,
  teamChange,
  teamQuery,
  teamSettings,
} from './schemas.js';
import { type Orgs, orgAt, pageAt, projectAt, requireSeen, teamAt } from './shared-routes.js';

/** Projects and teams of an organization. */
export function treeRoutes(where: Orgs): Route[] {
  return [...projectRoutes(where), ...teamRoutes(where), ...formRoutes(where)];
}

/** The forms of the pages of projects and teams. */
function formRoutes(where: Orgs): Route[] {
  const { projects, teams, forms, http } = where;
  const places = [
    {
      path: '/:orgId/projects/:projectId',
      what: 'project',
      manager: projects,
      param: 'projectId',
      find: projectAt,
      body: projectSettings,
      fields: http.config.project.fields,
    },
    {
      path: '/:orgId/teams/:teamId',
      what: 'team',
      manager: teams,
      param: 'teamId',
      find: teamAt,
      body: teamSettings,
      fields: {},
    },
  ] as const;
  return places.flatMap(({ path, what, manager, param: name, find, body, fields }) => [
    route({
      method: 'post',
      path: `${path}/settings`,
      summary: `Change a ${what}`,
      guard: {},
      body,
      form: {},
      isFormOnly: true,
      forms: forms?.place,
      answers: { 303: `to the page of the ${what}` },
      async run(call) {
        const { id } = await find(where, call.param('orgId'), call.param(name));
        const { data = {}, ...change } = call.body;
        const own = ownColumns(fields, data, { isPartial: true });
        await manager.update(id, { ...withoutGaps(change), ...own }, call.actor);
        return { redirectTo: pageAt(where, path, call) };
      },
    }),
    route({
      method: 'post',
      path: `${path}/delete`,
      summary: `Delete a ${what} with everything below it`,
      guard: { recent: 'login' },
      form: {},
      isFormOnly: true,
      forms: forms?.place,
      answers: { 303: 'to the page of the organization' },
      async run({ param, actor }) {
        await manager.delete((await find(where, param('orgId'), param(name))).id, actor);
        return { redirectTo: pageAt(where, '/:orgId', { param }) };
      },
    }),
  ]);
}

function projectRoutes(where: Orgs): Route[] {
  const { projects } = where;
  const { fields } = where.http.config.project;
  return [
    route({
      method: 'get',
      path: '/:orgId/projects',
      summary: 'The projects of an organization that the caller may read',
      guard: {},
      query: searchQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { id: orgId } = await orgAt(where, call.param('orgId'));
        await requireSeen(call, scopeOf(orgId));
        const page = await projects.list({ orgId, ...call.query, readableBy: call.user.id });
        return { json: shownPage(page, (project) => shownProject(where, project)) };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/projects',
      summary: 'Make a project',
      guard: {},
      body: projectBody,
      form: {},
      forms: where.forms?.organization,
      answers: { 201: 'the project' },
      async run({ param, body, actor }) {
        const { id: orgId } = await orgAt(where, param('orgId'));
        const { data = {}, ...input } = body;
        const created = await projects.create(
          { orgId, ...withoutGaps(input), ...ownColumns(fields, data) },
          actor,
        );
        const project = shownProject(where, created);
        return { json: project, status: 201, redirectTo: `${where.path}/${param('orgId')}` };
      },
    }),
    route({
      method: 'get',
      path: '/:orgId/projects/:projectId',
      summary: 'One project',
      guard: {},
      answers: { 200: 'the project' },
      async run(call) {
        const project = await projectAt(where, call.param('orgId'), call.param('projectId'));
        await requireSeen(call, `project:${project.id}`);
        return { json: shownProject(where, project) };
      },
    }),
    route({
      method: 'patch',
      path: '/:orgId/projects/:projectId',
      summary: 'Change a project',
      guard: {},
      body: projectChange,
      answers: { 200: 'the project' },
      async run({ param, body, actor }) {
        const { id } = await projectAt(where, param('orgId'), param('projectId'));
        const { data = {}, ...change } = body;
        const own = ownColumns(fields, data, { isPartial: true });
        const updated = await projects.update(id, { ...withoutGaps(change), ...own }, actor);
        return { json: shownProject(where, updated) };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId/projects/:projectId',
      summary: 'Delete a project with everything below it',
      guard: { recent: 'login' },
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        const { id } = await projectAt(where, param('orgId'), param('projectId'));
        await projects.delete(id, actor);
        return {};
      },
    }),
  ];
}

function teamRoutes(where: Orgs): Route[] {
  const { teams } = where;
  return [
    route({
      method: 'get',
      path: '/:orgId/teams',
      summary: 'The teams directly below an organization, or below `parent`, that the caller may read',
      guard: {},
      query: teamQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const org = await orgAt(where, call.param('orgId'));
        const { parent, ...query } = call.query;
        const scope = await parentIn(where, org.id, parent);
        await requireSeen(call, scope);
        const page = await teams.list({ parent: scope, ...withoutGaps(query), readableBy: call.user.id });
        return { json: shownPage(page, shownTeam) };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/teams',
      summary: 'Make a team below an organization, or below `parent`',
      guard: {},
      body: teamBody,
      form: {},
      forms: where.forms?.organization,
      answers: { 201: 'the team' },
      async run({ param, body, actor }) {
        const org = await orgAt(where, param('orgId'));
        const parent = await parentIn(where, org.id, body.parent);
        const team = shownTeam(await teams.create({ parent, name: body.name }, actor));
        return { json: team, status: 201, redirectTo: `${where.path}/${param('orgId')}` };
      },
    }),
    route({
      method: 'get',
      path: '/:orgId/teams/:teamId',
      summary: 'One team',
      guard: {},
      answers: { 200: 'the team' },
      async run(call) {
        const team = await teamAt(where, call.param('orgId'), call.param('teamId'));
        await requireSeen(call, `team:${team.id}`);
        return { json: shownTeam(team) };
      },
    }),
    route({
      method: 'patch',
      path: '/:orgId/teams/:teamId',
      summary: 'Change a team',
      guard: {},
      body: teamChange,
      answers: { 200: 'the team' },
      async run({ param, body, actor }) {
        const { id } = await teamAt(where, param('orgId'), param('teamId'));
        return { json: shownTeam(await teams.update(id, withoutGaps(body), actor)) };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId/teams/:teamId',
      summary: 'Delete a team with everything below it',
      guard: { recent: 'login' },
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        const { id } = await teamAt(where, param('orgId'), param('teamId'));
        await teams.delete(id, actor);
        return {};
      },
    }),
  ];
}

/** The organization itself, or a project of it. @throws AuthTunaError `not_found` */
async function parentIn(where: Orgs, orgId: string, parent: string | undefined): Promise<string> {
  if (parent === undefined || parent === scopeOf(orgId)) return scopeOf(orgId);
  const id = parent.startsWith('project:') ? parent.slice('project:'.length) : '';
  return `project:${(await projectAt(where, orgId, id)).id}`;
}

type WithoutGaps<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The input without fields that were not given. */
export function withoutGaps<T extends object>(input: T): WithoutGaps<T> {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as WithoutGaps<T>;
}
