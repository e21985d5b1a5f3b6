import type { Core } from '../../core/core.js';

/**
 * A condition on the ids of one type of scope below a parent: those that the user may read. No condition where the right is held at the
 * parent, which is at all below it.
 */
export async function readableBelow(
  core: Core,
  userId: string | null,
  type: 'project' | 'team',
  parent: string,
): Promise<{ id?: { in: string[] } }> {
  if (userId === null) return { id: { in: [] } };
  const permission = `${type}:read`;
  if (await core.access.can(userId, permission, parent)) return {};
  const granted = await core.access.scopesWith(userId, permission, { type });
  return granted.all ? {} : { id: { in: granted.scopes.map((scope) => scope.slice(type.length + 1)) } };
}
