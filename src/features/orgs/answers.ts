import type { Role } from '../../core/access/role-catalog.js';
import type { Page } from '../../core/page.js';
import type { Member } from './members.js';
import type { Organization } from './organization.js';
import type { Project } from './projects.js';
import type { Team } from './teams.js';

// What goes out over HTTP, field by field: columns that a host added to its tables are its own business (RB-9).

export function shownOrg({ id, slug, name, metadata, policy, createdAt, updatedAt }: Organization) {
  return { id, slug, name, metadata, policy, createdAt, updatedAt };
}

export function shownProject({ id, orgId, slug, name, metadata, createdAt, updatedAt }: Project) {
  return { id, orgId, slug, name, metadata, createdAt, updatedAt };
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
