import type { Config } from '../../config/config.js';
import type { Role } from '../../core/access/role-catalog.js';
import { listedColumns } from '../../core/host-columns.js';
import type { Page } from '../../core/page.js';
import { readHostFields } from '../../core/sign-in/host-fields.js';
import type { Member } from './members.js';
import type { Organization } from './organization.js';
import type { Project } from './projects.js';
import type { Team } from './teams.js';

// What goes out over HTTP, field by field. Of the columns that a host added, only those go out that its options list (RB-9).

type Options = { http: { config: Pick<Config, 'organization' | 'project'> } };

export function shownOrg({ http }: Options, org: Organization) {
  const { id, slug, name, metadata, policy, createdAt, updatedAt } = org;
  const own = listedColumns(org, http.config.organization.publicColumns);
  return { ...own, id, slug, name, metadata, policy, createdAt, updatedAt };
}

export function shownProject({ http }: Options, project: Project) {
  const { id, orgId, slug, name, metadata, createdAt, updatedAt } = project;
  const own = listedColumns(project, http.config.project.publicColumns);
  return { ...own, id, orgId, slug, name, metadata, createdAt, updatedAt };
}

/** What a request gives for columns of the host, for a manager. @throws AuthTunaError `invalid_input` for a field that the options do not declare */
export function ownColumns(...input: Parameters<typeof readHostFields>): { data?: Record<string, unknown> } {
  const data = readHostFields(...input);
  return Object.keys(data).length === 0 ? {} : { data };
}

export function shownTeam({ id, parent, ownerId, name, createdAt }: Team) {
  return { id, parent, ownerId, name, createdAt };
}

export function shownMember({ user: { id, email, username }, roles, since }: Member) {
  return { user: { id, email, username }, roles, since };
}

export function shownRole({ name, description, level, permissions, includes, at, ownedBy, origin }: Role) {
  return { name, description, level, permissions, includes, at, ownedBy, origin };
}

/** A page of a list with every item as it goes out. */
export function shownPage<T, S>({ items, nextCursor }: Page<T>, show: (item: T) => S): Page<S> {
  return { items: items.map(show), nextCursor };
}
