import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { requireKnownFields } from '../refusals.js';
import type { RoleCore } from './role-core.js';
import type { ScopeDependent } from './scope-dependent.js';
import { isScope, parseScope } from './scope-name.js';
import { addNode, moveNode, requireChain } from './scope-nodes.js';
import { removeNode } from './scope-removal.js';
import { requireMayMove } from './scope-rights.js';
import type { ScopeNode } from './scope-tree.js';

export interface ScopeInput {
  id: string;
  parent?: string | null;
  ownerId?: string | null;
  name?: string | null;
}

/** {@link ScopeManager.register} */
export async function registerScope(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  node: ScopeInput,
  actor: Actor,
): Promise<ScopeNode> {
  requireKnownFields(node, ['id', 'parent', 'ownerId', 'name']);
  const { type } = requireNode(node.id, 'id');
  const parent = node.parent ?? null;
  if (parent !== null && !isScope(parent)) throw notAScope('parent');
  if (!isSystem(actor)) {
    await core.access.require(actor, `${type}:create`, parent ?? 'global');
    if (node.ownerId != null && node.ownerId !== actor.userId) throw new AuthTunaError('forbidden');
  }
  const { id, name = null, ownerId = null } = node;
  const parentId = parent === 'global' ? null : parent;
  const registeredById = isSystem(actor) ? null : actor.userId;
  await addNode(core, { id, parentId, ownerId, name, registeredById }, async () => {
    if (!isSystem(actor) && (await isInUse(core, dependents, id)))
      throw new AuthTunaError('conflict', { message: `The scope ${id} is in use.` });
    return {
      writes: [],
      facts: [
        {
          type: 'scope.registered',
          actor,
          target: { type: 'scope', id },
          scope: id,
          data: { parent, ownerId },
        },
      ],
    };
  });
  return { id, parent: parentId, ownerId, name };
}

/** {@link ScopeManager.move} */
export async function moveScope(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
  parent: string | null,
  actor: Actor,
): Promise<void> {
  const { type } = requireNode(id, 'id');
  if (parent !== null && !isScope(parent)) throw notAScope('parent');
  await requireMayHang(core, type, id, parent, actor);
  await Promise.all(dependents.map((each) => each.requireFree?.(id, 'move')));
  const parentId = parent === 'global' ? null : parent;
  await moveNode(core, id, parentId, async (from) => {
    // A node in a circle has no chain; a script takes it out of there by moving it.
    if (!isSystem(actor)) await requireMayMove(core, actor, await requireChain(core, id), from.above);
    return {
      writes: [],
      facts: [
        {
          type: 'scope.moved',
          actor,
          target: { type: 'scope', id },
          scope: id,
          data: { from: from.parent, to: parentId },
        },
      ],
    };
  });
}

/** The type's `manage` both where a scope is and where it goes. @throws AuthTunaError `unauthenticated`, `forbidden` */
export async function requireMayHang(
  core: RoleCore,
  type: string,
  id: string,
  parent: string | null,
  actor: Actor,
): Promise<void> {
  await core.access.require(actor, `${type}:manage`, id);
  await core.access.require(actor, `${type}:manage`, parent ?? 'global');
}

/** {@link ScopeManager.remove} */
export async function removeScope(
  core: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
  actor: Actor,
): Promise<void> {
  const { type } = requireNode(id, 'id');
  await core.access.require(actor, `${type}:delete`, id);
  await Promise.all(dependents.map((each) => each.requireFree?.(id, 'remove')));
  await removeNode(core, dependents, id, actor);
}

/** Whether anything was ever said of a scope that is no row: given at it, hung below it, kept about it, known to the host, or removed. */
async function isInUse(
  { db, scopeTree }: RoleCore,
  dependents: readonly ScopeDependent[],
  id: string,
): Promise<boolean> {
  const [assignment, child, role, removal, known, ...uses] = await Promise.all([
    db.roleAssignment.findFirst({ where: { scope: id }, select: { scope: true } }),
    db.scopeNode.findFirst({ where: { parentId: id }, select: { id: true } }),
    db.role.findFirst({ where: { ownedBy: id }, select: { id: true } }),
    // Names are not given out twice: what the host keeps under the old one would belong to the new one's people.
    db.auditEntry.findFirst({ where: { targetId: id, type: 'scope.removed' }, select: { id: true } }),
    scopeTree.resolve(id),
    ...dependents.map((dependent) => dependent.isUsing(id)),
  ]);
  return [assignment, child, role, removal, known].some((found) => found !== null) || uses.includes(true);
}

export function requireNode(scope: string, field: string): { type: string; id: string } {
  const parsed = scope === 'global' ? null : parseScope(scope);
  if (parsed === null) throw notAScope(field);
  return parsed;
}

export function notAScope(field: string): AuthTunaError {
  return new AuthTunaError('invalid_input', {
    errors: [{ field, rule: 'invalid_scope', message: 'must be a scope such as project:42' }],
  });
}
