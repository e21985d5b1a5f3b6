import type { ErrorRequestHandler } from 'express';
import type { Core } from '../../core/core.js';
import { AuthTunaError } from '../../errors.js';
import type { HttpKit } from '../../http/kit.js';
import type { Call } from '../../http/route.js';
import { memberPermission } from './guard.js';
import type { OrgManager } from './manager.js';
import { type Organization, scopeOf } from './organization.js';
import type { Project, ProjectManager } from './projects.js';
import type { Team, TeamManager } from './teams.js';

/** The managers of the feature, and the core where addresses are looked up in the tree. */
export interface Orgs {
  core: Core;
  orgs: OrgManager;
  projects: ProjectManager;
  teams: TeamManager;
  http: HttpKit;
  /** The path of the router. */
  path: string;
  /** Null without pages. */
  forms: OrgForms | null;
}

/** The forms of the pages: routes show them again when a post is refused. */
export interface OrgForms {
  list: readonly ErrorRequestHandler[];
  organization: readonly ErrorRequestHandler[];
  /** Of a project or a team. */
  place: readonly ErrorRequestHandler[];
  accept: readonly ErrorRequestHandler[];
}

/** @throws AuthTunaError `not_found` */
export async function orgAt({ orgs }: Orgs, idOrSlug: string): Promise<Organization> {
  const org = await orgs.findByName(idOrSlug);
  if (org === null) throw new AuthTunaError('not_found');
  return org;
}

/** A project that is in the organization of the address. @throws AuthTunaError `not_found` */
export async function projectAt(where: Orgs, idOrSlug: string, projectId: string): Promise<Project> {
  const [org, project] = await Promise.all([orgAt(where, idOrSlug), where.projects.find(projectId)]);
  if (project === null || project.orgId !== org.id) throw new AuthTunaError('not_found');
  return project;
}

/** A team below the organization of the address, at any depth. @throws AuthTunaError `not_found` */
export async function teamAt(where: Orgs, idOrSlug: string, teamId: string): Promise<Team> {
  const [org, team] = await Promise.all([orgAt(where, idOrSlug), where.teams.find(teamId)]);
  const chain = team === null ? null : await where.core.scopeTree.chainOf(`team:${teamId}`, { fresh: true });
  if (team === null || chain?.scopes.includes(scopeOf(org.id)) !== true) throw new AuthTunaError('not_found');
  return team;
}

/** The forms of the page that an address of members belongs to. @param path a pattern, such as `/:orgId/teams/:teamId` */
export function formsAt({ forms }: Orgs, path: string): readonly ErrorRequestHandler[] | undefined {
  return path === '/:orgId' ? forms?.organization : forms?.place;
}

/** The address of a page. @param path a pattern whose parameters the request has */
export function pageAt(where: Orgs, path: string, { param }: Pick<Call, 'param'>): string {
  return where.path + path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(param(name)));
}

/** Answers 404 for a scope that the caller may not see: the same answer as for one that does not exist. */
export async function requireSeen({ auth }: Pick<Call, 'auth'>, scope: string): Promise<void> {
  if (!(await auth.can(memberPermission(scope, 'read'), scope))) throw new AuthTunaError('not_found');
}
