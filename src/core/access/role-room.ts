import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';

/** Roles that people may define for one scope. */
export const MAX_OWN_ROLES = 100;
/** Permissions and inclusions in all of these together. */
const MAX_OWN_ENTRIES = 2000;

/**
 * Bounds what people define for a scope of theirs: every process keeps the roles of all scopes in memory, and anybody may found an
 * organization. Scripts are free.
 *
 * It counts in the catalog, so the batch must hold `rolesChangedSince`: otherwise many at once would each find room.
 *
 * @param change the role as it is, null for a new one, and how many permissions and inclusions it is to have
 * @throws AuthTunaError `conflict`
 */
export function requireRoom(
  catalog: RoleCatalog,
  ownedBy: string,
  change: { before: CompiledRole | null; entries: number },
  actor: Actor,
): void {
  if (ownedBy === '' || isSystem(actor)) return;
  const others = catalog.ownedBy(ownedBy).filter((role) => role !== change.before);
  if (change.before === null && others.length >= MAX_OWN_ROLES)
    throw new AuthTunaError('conflict', {
      message: `An organization has at most ${MAX_OWN_ROLES} roles of its own.`,
    });
  const grows = change.before === null || change.entries > entriesOf(change.before);
  const sum = others.reduce((entries, role) => entries + entriesOf(role), change.entries);
  if (grows && sum > MAX_OWN_ENTRIES)
    throw new AuthTunaError('conflict', {
      message: `The roles of an organization hold at most ${MAX_OWN_ENTRIES} permissions and roles in all.`,
    });
}

/** How many permissions and inclusions a role has of its own. */
export function entriesOf({ direct, includes }: CompiledRole): number {
  return direct.length + includes.length;
}
