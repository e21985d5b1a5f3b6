import type { ErrorRequestHandler, Request } from 'express';
import { mayLeave } from '../../core/access/withdrawal.js';
import { listedColumns } from '../../core/host-columns.js';
import { maskedEmail } from '../../core/identifiers.js';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import { forBrowsers } from '../../http/pages/for-browsers.js';
import { formFields, ownFields } from '../../http/pages/own-fields.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages } from '../../http/route.js';
import type { PageData } from '../../templates/template-data.js';
import { scopeAccepted } from './accept-invitation.js';
import { memberPermission } from './guard.js';
import { scopeOf } from './organization.js';
import { type OrgForms, type Orgs, orgAt, projectAt, requireSeen, teamAt } from './shared-routes.js';

/** The name under which an opened invitation waits in the browser until it is accepted. */
export const OPENED_INVITATION = 'invitation';

const SHOWN = 100; // rows of each list on the page of an organization

export function orgPages(where: Orgs, http: HttpKit): { pages: FeaturePages; forms: OrgForms } {
  const { views, config } = http;
  const path = config.paths.orgs;
  const list = listPage(where, http);
  const organization = organizationPage(where, http);
  const place = placePage(where, http);
  const accept = acceptPage(where, http);
  const accepted = acceptedAlready(where, http);
  return {
    pages: {
      mounted: 'orgs',
      formAt: (req) => {
        if (req.path.startsWith('/invitations/')) return `${path}/invitations/accept`;
        const page = /^\/[^/]+(\/(projects|teams)\/[^/]+(?=\/))?/.exec(req.path);
        return path + (page?.[0] ?? '');
      },
      routes: [
        { path: '/', guard: {}, show: [forBrowsers(views, list)] },
        {
          path: '/invitations/accept',
          show: [views.takeLink(OPENED_INVITATION, `${path}/invitations/accept`), accept.show, accepted],
        },
        { path: '/:orgId', guard: {}, show: [forBrowsers(views, organization)] },
        { path: '/:orgId/projects/:projectId', guard: {}, show: [forBrowsers(views, place)] },
        { path: '/:orgId/teams/:teamId', guard: {}, show: [forBrowsers(views, place)] },
      ],
    },
    forms: {
      list: [list.problem],
      organization: [organization.problem],
      place: [place.problem],
      accept: [accept.problem, accepted],
    },
  };
}

function listPage({ orgs, core }: Orgs, { views, mounts, config }: HttpKit): FormView {
  return views.form('orgs/list', async (req) => {
    const user = currentUser(req);
    const cursor = req.query.cursor;
    const [mine, joinable, mayFound] = await Promise.all([
      orgs.list({ userId: user.id, ...(typeof cursor === 'string' && { cursor }) }),
      orgs.joinable(user.id),
      core.access.can(user.id, 'org:create'),
    ]);
    const isMine = new Set(mine.items.map(({ id }) => id));
    return {
      mounted: mounts.pages,
      organizations: mine.items.map(({ id, slug, name }) => ({ id, slug, name })),
      joinable: joinable.items
        .filter(({ id }) => !isMine.has(id))
        .map(({ id, slug, name }) => ({ id, slug, name })),
      mayFound,
      fields: formFields(config.organization.fields),
      nextCursor: mine.nextCursor,
    };
  });
}

function organizationPage(where: Orgs, { views, mounts, config }: HttpKit): FormView {
  const { core, projects, teams } = where;
  return views.form(
    'orgs/organization',
    async (req): Promise<Omit<PageData['orgs/organization'], 'csrfToken'>> => {
      const user = currentUser(req);
      const auth = authOf(req);
      const org = await orgAt(where, String(req.params.orgId));
      const scope = scopeOf(org.id);
      await requireSeen({ auth }, scope);
      const checks = ['org:manage', 'org:delete', 'project:create', 'team:create'];
      const [[mayManage, mayDelete, mayAddProject, mayAddTeam], { may, ...people }, allProjects, allTeams] =
        await Promise.all([
          core.access.canAll(
            user.id,
            checks.map((permission) => ({ permission, scope })),
          ),
          peopleAt(where, req, scope),
          projects.list({ orgId: org.id, limit: SHOWN, readableBy: user.id }),
          teams.list({ parent: scope, limit: SHOWN, readableBy: user.id }),
        ]);
      return {
        mounted: mounts.pages,
        organization: { id: org.id, slug: org.slug, name: org.name },
        base: `${config.paths.orgs}/${org.slug}`,
        scope,
        fields: formFields(config.organization.fields, listedColumns(org, config.organization.publicColumns)),
        projectFields: formFields(config.project.fields),
        ...people,
        projects: allProjects.items.map(({ id, name }) => ({ id, name })),
        teams: allTeams.items.map(({ id, name }) => ({ id, name })),
        may: {
          ...may,
          manage: mayManage === true,
          delete: mayDelete === true,
          addProject: mayAddProject === true,
          addTeam: mayAddTeam === true,
        },
      };
    },
  );
}

/** A project or a team, with the people in it. */
function placePage(where: Orgs, { views, mounts, config }: HttpKit): FormView {
  const { core, teams } = where;
  return views.form('orgs/place', async (req): Promise<Omit<PageData['orgs/place'], 'csrfToken'>> => {
    const user = currentUser(req);
    const auth = authOf(req);
    const { orgId, projectId, teamId } = req.params as Record<string, string | undefined>;
    const org = await orgAt(where, orgId ?? '');
    const kind = teamId === undefined ? 'project' : 'team';
    const place =
      teamId === undefined
        ? await projectAt(where, org.id, projectId ?? '')
        : await teamAt(where, org.id, teamId);
    const { id, name } = place;
    const scope = `${kind}:${id}`;
    await requireSeen({ auth }, scope);
    const [[mayManage, mayDelete], { may, ...people }, below] = await Promise.all([
      core.access.canAll(user.id, [
        { permission: `${kind}:manage`, scope },
        { permission: `${kind}:delete`, scope },
      ]),
      peopleAt(where, req, scope),
      kind === 'project' ? teams.list({ parent: scope, limit: SHOWN, readableBy: user.id }) : null,
    ]);
    return {
      mounted: mounts.pages,
      organization: { id: org.id, slug: org.slug, name: org.name },
      base: `${config.paths.orgs}/${org.slug}/${kind}s/${id}`,
      kind,
      name,
      fields:
        kind === 'project'
          ? formFields(config.project.fields, listedColumns(place, config.project.publicColumns))
          : [],
      ...people,
      teams: (below?.items ?? []).map((team) => ({ id: team.id, name: team.name })),
      may: { ...may, manage: mayManage === true, delete: mayDelete === true },
    };
  });
}

/** What a page shows of the people at a scope, and what the visitor may do about them. */
async function peopleAt({ orgs, core }: Orgs, req: Request, scope: string) {
  const user = currentUser(req);
  const search = typeof req.query.search === 'string' ? req.query.search.slice(0, 64) : '';
  const [mayInvite, mayRemove] = await core.access.canAll(user.id, [
    { permission: memberPermission(scope, 'invite'), scope },
    { permission: memberPermission(scope, 'remove'), scope },
  ]);
  const window = { isOpen: true, limit: SHOWN };
  const [members, invitations, links, roles, leave] = await Promise.all([
    orgs.members(scope, { search, limit: SHOWN }),
    mayInvite === true ? orgs.listInvitations(scope, window) : null,
    mayInvite === true ? orgs.listInvitationLinks(scope, window) : null,
    core.roles.assignableBy(authOf(req).actor, scope),
    mayLeave(core, user.id, scope),
  ]);
  return {
    search,
    members: members.items.map(({ user: member, roles: held, since }) => ({
      id: member.id,
      email: member.email,
      username: member.username,
      roles: held.join(', '),
      since,
      isSelf: member.id === user.id,
    })),
    hasMore: members.nextCursor !== null,
    invitations: (invitations?.items ?? []).map(({ id, email, role, expiresAt }) => ({
      id,
      email,
      role,
      expiresAt,
    })),
    links: (links?.items ?? []).map(({ id, role, uses, maxUses, expiresAt }) => ({
      id,
      role,
      uses,
      maxUses,
      expiresAt,
    })),
    roles,
    may: { invite: mayInvite === true && roles.length > 0, remove: mayRemove === true, leave },
  };
}

/** Back onto an invitation that this person has accepted: it leads to where they have joined. */
function acceptedAlready({ core, path }: Orgs, { views }: HttpKit): ErrorRequestHandler {
  return (error, req, res, next) => {
    const token = views.kept(req, OPENED_INVITATION);
    const { user } = authOf(req);
    const isDead = error instanceof AuthTunaError && error.code === 'invalid_token';
    if (!isDead || token === null || user === null || !views.wantsPage(req)) return next(error);
    scopeAccepted(core, token, user.email).then((scope) => {
      if (scope === null) return next(error);
      views.redirect(res, pageOfScope(path, scope));
    }, next);
  };
}

/** The page of an organization, or the list of them for what lies below one. */
export function pageOfScope(path: string, scope: string): string {
  return scope.startsWith('org:') ? `${path}/${scope.slice('org:'.length)}` : path;
}

/** What an invitation offers; accepting it is a post. */
function acceptPage({ orgs, core }: Orgs, { views, config, mounts }: HttpKit): FormView {
  const path = `${config.paths.orgs}/invitations/accept`;
  return views.form(
    'orgs/accept',
    async (req): Promise<Omit<PageData['orgs/accept'], 'csrfToken'>> => {
      const token = views.keptLink(req, OPENED_INVITATION);
      const link = await orgs.peekInvitationLink(token);
      const { scope, email, role } =
        link === null ? await orgs.peekInvitation(token) : { ...link, email: null };
      const chain = await core.scopeTree.chainOf(scope, { fresh: true });
      const orgScope = chain?.scopes.find((each) => each.startsWith('org:')) ?? scope;
      const node = await core.scopeTree.rowOf(orgScope);
      const { user } = authOf(req);
      const hasAccount = email === null || (await core.db.user.count({ where: { email } })) > 0;
      const state =
        user === null
          ? hasAccount
            ? 'sign_in'
            : 'sign_up'
          : email === null || user.email === email
            ? 'accept'
            : 'other_account';
      return {
        organization: node?.name ?? orgScope,
        role,
        email: email === null ? null : maskedEmail(email),
        state,
        signInUrl: mounts.pages.auth ? views.withReturnTo(`${config.paths.auth}/login`, path) : null,
        username: config.signUp.username,
        fields: ownFields(config),
        minPasswordLength: config.password.minLength,
      };
    },
    { cures: ['forbidden', 'email_not_verified'] },
  );
}
