import { type Actor, isSystem, requireUnrestricted } from '../../actor.js';
import { credentialOf } from '../../core/access/credential.js';
import { isScope, parseScope } from '../../core/access/scope-name.js';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { AuthTunaError } from '../../errors.js';

/** Types of scope with members of their own; at every other type, sharing is a part of managing. */
const TYPES_WITH_MEMBERS = ['org', 'project', 'team'];

type MemberAction = 'read' | 'invite' | 'remove';

/** The permission that seeing, inviting or removing people needs at a scope. @throws AuthTunaError `invalid_input` for `global` and for what is no scope */
export function memberPermission(scope: string, action: MemberAction): string {
  const name = isScope(scope) ? parseScope(scope) : null;
  if (name === null || name.type === 'global')
    throw invalid('scope', 'invalid_scope', 'must be a scope such as org:acme');
  const resource = TYPES_WITH_MEMBERS.includes(name.type) ? name.type : 'resource';
  if (action === 'read') return `${resource}:read`;
  return resource === 'resource' ? 'resource:manage' : `${resource}:members:${action}`;
}

/**
 * Checks a permission of the actor at a scope. A person who may not even see the scope is told that there is none: the same answer as for an
 * id that was never given out.
 *
 * @throws AuthTunaError `unauthenticated`, `not_found`, `forbidden`
 */
export async function requireAt(core: Core, actor: Actor, permission: string, scope: string): Promise<void> {
  if (isSystem(actor)) return;
  if (actor.userId === null) throw new AuthTunaError('unauthenticated');
  await requireUnrestricted(actor);
  const seeing = memberPermission(scope, 'read');
  const [isAllowed, isSeen] = await core.access.canAll(actor.userId, [
    { permission, scope },
    { permission: seeing, scope },
  ]);
  if (isAllowed !== true) throw new AuthTunaError(isSeen === true ? 'forbidden' : 'not_found');
  if (credentialOf(actor) !== undefined) await core.access.require(actor, permission, scope);
}
