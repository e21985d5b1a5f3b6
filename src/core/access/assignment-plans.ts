import { type Actor, isSystem } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Fact } from '../changes/audit.js';
import type { Change, Write } from '../changes/ledger.js';
import { invalid, noUser } from '../refusals.js';
import { mayAssign, outranks } from './delegation.js';
import {
  countingOrg,
  hasOneOwner,
  isOwnerRole,
  LAST_OWNER,
  ownerAdded,
  ownerRemoved,
  userStays,
} from './org-owners.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { asConflict, locateRoleAt, noRole, type RoleCore, standingAt } from './role-core.js';
import { isScope, parseScope } from './scope-name.js';
import { LAST_SUPERADMIN, SuperadminGuard, superadminRoles } from './superadmins.js';
import { mayGiveTeamRoles, mayTakeTeamRoles } from './team-rights.js';
import { rolesUnchanged, scopeStays } from './versions.js';

/** The role and the place of an assignment, as they were when it was decided. */
export interface Place {
  userId: string;
  scope: string;
  /** Whether the scope was registered, read before everything else. */
  isRow: boolean;
  role: CompiledRole;
  catalog: RoleCatalog;
  actor: Actor;
}

/** Where an assignment comes from other than from a person's own choice. */
export interface AssignmentSource {
  /** The provider whose claims say it: `sso-<id>` */
  source: string;
  /** The role must be this one: the name alone may mean another role by now. */
  roleId: string;
}

/** A change of an assignment that the actor may make, ready for a batch. */
export interface AssignmentPlan {
  place: Place;
  change: Change;
  /** Why the batch missed, in the words of this change. */
  refusalOf(error: unknown): Promise<unknown>;
}

/** Everything that assigning a role takes, decided but not done. @throws AuthTunaError as `RoleManager.assign` */
export async function planAssign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string; expiresAt?: Date | null },
  actor: Actor,
  from?: AssignmentSource,
): Promise<AssignmentPlan> {
  const { userId, scope } = assignment;
  const expiresAt = assignment.expiresAt ?? null;
  const place = await decide(core, { ...assignment, expiresAt }, actor, from);
  const { role } = place;
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [user, orgId] = await Promise.all([
    core.db.user.findUnique({ where: { id: userId } }),
    countingOrg(core.db, { role, scope, expiresAt }),
  ]);
  if (user === null || user.deletedAt !== null) throw noUser();
  if (user.kind === 'service') requireServiceRole(place);
  const change = changeOf(core, place, {
    expiresAt,
    source: from?.source ?? null,
    orgId,
    more: makesSuperadmin(place, expiresAt) ? superadmins.added(user, seen) : [],
  });
  return { place, change, refusalOf: (error) => explain(core, error, place) };
}

/**
 * As `planAssign`, for a user whom the same batch makes.
 *
 * @returns the change, by the id of the new user; its writes stand behind the one that makes the user
 */
export async function planFirstRole(
  core: RoleCore,
  assignment: { role: string; scope: string },
  actor: Actor,
): Promise<(userId: string) => Change> {
  const { scope } = assignment;
  if (scope === 'global') throw invalid('scope', 'invalid_scope', 'must be a scope other than global');
  const place = await decide(core, { ...assignment, userId: '', expiresAt: null }, actor);
  const orgId = await countingOrg(core.db, { role: place.role, scope, expiresAt: null });
  return (userId) => changeOf(core, { ...place, userId }, { expiresAt: null, source: null, orgId, more: [] });
}

/** Whether the actor may give the role there. A refusal is recorded. @throws AuthTunaError */
async function decide(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string; expiresAt: Date | null },
  actor: Actor,
  from?: AssignmentSource,
): Promise<Place> {
  const { place, chain } = await placeOf(core, assignment, actor);
  const { role } = place;
  if (from !== undefined && role.id !== from.roleId) throw noRole(assignment.role);
  requireFits(core, place, assignment.expiresAt);
  const standing = await standingAt(core, actor, chain);
  if (standing !== null) {
    const may = mayAssign(standing, role) && (await mayGiveTeamRoles(core, standing.actor, assignment.scope));
    if (!may) throw await refused(core, 'role.assigned', place);
  }
  return place;
}

function changeOf(
  core: RoleCore,
  place: Place,
  {
    expiresAt,
    source,
    orgId,
    more,
  }: { expiresAt: Date | null; source: string | null; orgId: string | null; more: readonly Write[] },
): Change {
  const { userId, role, scope, actor } = place;
  return {
    writes: [
      ...(orgId === null ? [] : [userStays(core.db, userId)]),
      core.db.roleAssignment.create({
        data: {
          userId,
          roleId: role.id,
          scope,
          assignedById: actor.userId,
          source,
          assignedAt: core.now(),
          expiresAt,
        },
      }),
      ...more,
      ...unchanged(core, place),
      ...(orgId === null ? [] : [ownerAdded(core.db, orgId)]),
    ],
    facts: [factOf('role.assigned', place, { expiresAt })],
    invalidates: [`user:${userId}`],
  };
}

/**
 * Whether the actor may give this role at this scope to anybody: what an invitation promises.
 *
 * @throws AuthTunaError `not_found` for an unknown role; `invalid_input` for a malformed scope, or one of a type the role is not for
 */
export async function mayGive(
  core: RoleCore,
  assignment: { role: string; scope: string },
  actor: Actor,
): Promise<boolean> {
  const { place, chain } = await placeOf(core, { ...assignment, userId: '' }, actor);
  requireFits(core, place, null);
  const standing = await standingAt(core, actor, chain);
  if (standing === null) return true;
  return mayAssign(standing, place.role) && mayGiveTeamRoles(core, standing.actor, assignment.scope);
}

/** Everything that taking a role away takes, decided but not done. @throws AuthTunaError as `RoleManager.unassign` */
export async function planUnassign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string },
  actor: Actor,
  from?: AssignmentSource,
): Promise<AssignmentPlan> {
  const { userId, scope } = assignment;
  const { place, chain } = await placeOf(core, assignment, actor);
  const { role } = place;
  if (from !== undefined && role.id !== from.roleId) throw noRole(assignment.role);
  const standing = await standingAt(core, actor, chain);
  if (standing !== null && actor.userId !== userId) {
    const target = await core.access.standingOf(userId);
    const may =
      mayAssign(standing, role) &&
      outranks(standing, target) &&
      (await mayTakeTeamRoles(core, standing.actor, scope, target));
    if (!may) throw await refused(core, 'role.unassigned', place);
  }
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const where = { userId_roleId_scope: { userId, roleId: role.id, scope } };
  const [user, existing] = await Promise.all([
    core.db.user.findUnique({ where: { id: userId } }),
    core.db.roleAssignment.findUnique({ where }),
  ]);
  if (user === null) throw noUser();
  if (existing === null) throw notHeld(place);
  const { expiresAt } = existing;
  const wasSuperadmin = makesSuperadmin(place, expiresAt);
  const orgId = await countingOrg(core.db, { role, scope, expiresAt });
  const change: Change = {
    writes: [
      core.db.roleAssignment.delete({ where: { ...where, expiresAt } }),
      ...(wasSuperadmin ? superadmins.removed(user, seen) : []),
      ...unchanged(core, place),
      ...(orgId === null ? [] : [ownerRemoved(core.db, orgId)]),
    ],
    facts: [factOf('role.unassigned', place)],
    invalidates: [`user:${userId}`],
  };
  return {
    place,
    change,
    async refusalOf(error) {
      if (!isMissing(error)) return error;
      if ((await core.db.roleAssignment.findUnique({ where })) === null) return notHeld(place);
      if (wasSuperadmin && (await superadmins.isLast(user))) return asConflict(error, LAST_SUPERADMIN);
      const isLastOwner = orgId !== null && (await hasOneOwner(core.db, scope));
      return asConflict(error, isLastOwner ? LAST_OWNER : undefined);
    },
  };
}

async function placeOf(
  core: RoleCore,
  { userId, role: name, scope }: { userId: string; role: string; scope: string },
  actor: Actor,
) {
  const isRow = await isRegistered(core, scope);
  const { catalog, role, chain } = await locateRoleAt(core, name, scope);
  const place: Place = { userId, scope, isRow, role, catalog, actor };
  return { place, chain };
}

/** Refuses the roles of which somebody always has to be left. @throws AuthTunaError `invalid_input` */
function requireServiceRole({ catalog, role }: Place): void {
  const refusal = superadminRoles(catalog).has(role.id)
    ? 'a service account cannot be superadmin, because only superadmins could revoke its keys'
    : isOwnerRole(role)
      ? 'a service account cannot own an organization, because it goes with the organization that it belongs to'
      : null;
  if (refusal !== null) throw invalid('userId', 'not_used', refusal);
}

/** Whether the role may be held there and so long. @throws AuthTunaError `invalid_input` */
export function requireFits(
  core: RoleCore,
  { role, scope }: Pick<Place, 'role' | 'scope'>,
  expiresAt: Date | null,
): void {
  if (role.at.length > 0 && !role.at.includes(parseScope(scope)?.type ?? ''))
    throw invalid('scope', 'invalid_scope', `${role.name} can be assigned at ${role.at.join(', ')} only`);
  if (expiresAt !== null && !(expiresAt > core.now()))
    throw invalid('expiresAt', 'in_past', 'must be in the future');
  if (expiresAt !== null && role.name === 'superadmin' && role.ownedBy === '')
    throw invalid('expiresAt', 'not_used', 'superadmin cannot expire; unassign it instead');
}

/** Whether an assignment counts among those of which one must always be left. */
export function makesSuperadmin({ catalog, role, scope }: Place, expiresAt: Date | null): boolean {
  return scope === 'global' && expiresAt === null && superadminRoles(catalog).has(role.id);
}

/** What the assignment was decided by, for its batch: the roles, where they decide who is a superadmin, and the node of the scope. */
export function unchanged({ db }: RoleCore, { scope, isRow, catalog }: Place): Write[] {
  if (scope === 'global') return [rolesUnchanged(db, catalog.version)];
  return isRow ? [scopeStays(db, scope)] : [];
}

export async function isRegistered({ scopeTree }: RoleCore, scope: string): Promise<boolean> {
  return isScope(scope) && scope !== 'global' && (await scopeTree.rowOf(scope)) !== null;
}

/** Why a batch missed: what the assignment was decided by is gone or has changed. */
export async function explain(
  core: RoleCore,
  error: unknown,
  { catalog, role, userId }: Place,
): Promise<unknown> {
  const isReferenceGone = error instanceof AuthTunaError && error.details.reason === 'reference_gone';
  if (!isMissing(error) && !isReferenceGone) return error;
  if ((await core.roleStore.current()).byId(role.id) === null) return noRole(catalog.describe(role).name);
  const user = await core.db.user.findUnique({ where: { id: userId } });
  return user === null || user.deletedAt !== null ? noUser() : asConflict(error);
}

export function notHeld({ role, scope }: Place): AuthTunaError {
  return new AuthTunaError('not_found', { message: `The user does not hold ${role.name} at ${scope}.` });
}

export function factOf(
  type: 'role.assigned' | 'role.unassigned',
  { userId, scope, role, actor }: Place,
  data: Readonly<Record<string, unknown>> = {},
): Fact {
  return { type, actor, target: { type: 'user', id: userId }, scope, data: { role: role.name, ...data } };
}

/** The refusal, recorded: an attempt to give or take a role is worth knowing afterwards. */
export async function refused(
  core: RoleCore,
  type: 'role.assigned' | 'role.unassigned',
  place: Place,
): Promise<AuthTunaError> {
  await core.audit.record({ ...factOf(type, place), outcome: 'denied' });
  return place.role.isRanked || isSystem(place.actor)
    ? new AuthTunaError('forbidden')
    : new AuthTunaError('forbidden', {
        message: `The role ${place.role.name} has no level, so no user outranks it: give it a level, or name it in mayAssign of another role.`,
      });
}
