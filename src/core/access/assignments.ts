import { type Actor, isSystem } from '../../actor.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Fact } from '../changes/audit.js';
import type { Write } from '../changes/ledger.js';
import { invalid, noUser } from '../refusals.js';
import { mayAssign, outranks } from './delegation.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import { asConflict, freshChain, locateRoleAt, noRole, type RoleCore, standingAt } from './role-core.js';
import { isScope, parseScope } from './scope-name.js';
import { SuperadminGuard, superadminRoles } from './superadmins.js';
import { rolesUnchanged, scopeStays } from './versions.js';

export interface RoleAssignment {
  userId: string;
  role: string;
  scope: string;
  assignedById: string | null;
  assignedAt: Date;
  expiresAt: Date | null;
}

/** The role and the place of an assignment, as they were when it was decided. */
interface Place {
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

type Row = { userId: string; roleId: string; scope: string };

const LAST_SUPERADMIN = 'The last superadmin stays.';

/** {@link RoleManager.assign} */
export async function assign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string; expiresAt?: Date | null },
  actor: Actor,
  from?: AssignmentSource,
): Promise<void> {
  const { userId, scope } = assignment;
  const expiresAt = assignment.expiresAt ?? null;
  const isRow = await isRegistered(core, scope);
  const { catalog, role, chain } = await locateRoleAt(core, assignment.role, scope);
  if (from !== undefined && role.id !== from.roleId) throw noRole(assignment.role);
  const place = { userId, scope, isRow, role, catalog, actor };
  requireFits(core, place, expiresAt);
  const standing = await standingAt(core, actor, chain);
  if (standing !== null && !mayAssign(standing, role)) throw await refused(core, 'role.assigned', place);

  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const user = await core.db.user.findUnique({ where: { id: userId } });
  if (user === null || user.deletedAt !== null) throw noUser();
  if (user.kind === 'service' && superadminRoles(catalog).has(role.id))
    throw invalid(
      'userId',
      'not_used',
      'a service account cannot be superadmin: nobody could end it in time',
    );
  const row = { userId, roleId: role.id, scope };
  try {
    await core.ledger.commit({
      writes: [
        core.db.roleAssignment.create({
          data: {
            ...row,
            assignedById: actor.userId,
            source: from?.source ?? null,
            assignedAt: core.now(),
            expiresAt,
          },
        }),
        ...(makesSuperadmin(place, expiresAt) ? superadmins.added(user, seen) : []),
        ...unchanged(core, place),
      ],
      facts: [factOf('role.assigned', place, { expiresAt })],
      invalidates: [`user:${userId}`],
    });
  } catch (error) {
    if (!isUniqueViolation(error)) throw await explain(core, error, place);
    await changeEnd(core, row, expiresAt, place);
  }
}

/** Whether the role may be held there and so long. @throws AuthTunaError `invalid_input` */
function requireFits(core: RoleCore, { role, scope }: Place, expiresAt: Date | null): void {
  if (role.at.length > 0 && !role.at.includes(parseScope(scope)?.type ?? ''))
    throw invalid('scope', 'invalid_scope', `${role.name} can be assigned at ${role.at.join(', ')} only`);
  if (expiresAt !== null && !(expiresAt > core.now()))
    throw invalid('expiresAt', 'in_past', 'must be in the future');
  if (expiresAt !== null && role.name === 'superadmin' && role.ownedBy === '')
    throw invalid('expiresAt', 'not_used', 'superadmin has no end; take it away instead');
}

/** Assigning again changes only when an assignment ends. To let it end earlier is to take it away. */
async function changeEnd(core: RoleCore, row: Row, expiresAt: Date | null, place: Place): Promise<void> {
  const where = { userId_roleId_scope: row };
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const [existing, user] = await Promise.all([
    core.db.roleAssignment.findUnique({ where }),
    core.db.user.findUnique({ where: { id: row.userId } }),
  ]);
  if (existing === null || user === null) throw notHeld(place);
  if (existing.expiresAt?.getTime() === expiresAt?.getTime()) return;
  const endsEarlier = expiresAt !== null && expiresAt.getTime() < (existing.expiresAt?.getTime() ?? Infinity);
  if (endsEarlier && place.actor.userId !== row.userId) {
    const standing = await standingAt(core, place.actor, await freshChain(core, row.scope));
    if (standing !== null && !outranks(standing, await core.access.standingOf(row.userId)))
      throw await refused(core, 'role.assigned', place);
  }
  const [was, is] = [makesSuperadmin(place, existing.expiresAt), makesSuperadmin(place, expiresAt)];
  await core.ledger
    .commit({
      writes: [
        core.db.roleAssignment.update({
          where: { ...where, expiresAt: existing.expiresAt },
          data: { expiresAt },
        }),
        ...(was && !is ? superadmins.removed(user, seen) : []),
        ...(is && !was ? superadmins.added(user, seen) : []),
        ...unchanged(core, place),
      ],
      facts: [factOf('role.assigned', place, { expiresAt })],
      invalidates: [`user:${row.userId}`],
    })
    .catch(async (error: unknown) => {
      throw await explain(core, error, place);
    });
}

/** {@link RoleManager.unassign} */
export async function unassign(
  core: RoleCore,
  assignment: { userId: string; role: string; scope: string },
  actor: Actor,
  from?: AssignmentSource,
): Promise<void> {
  const { userId, scope } = assignment;
  const isRow = await isRegistered(core, scope);
  const { catalog, role, chain } = await locateRoleAt(core, assignment.role, scope);
  if (from !== undefined && role.id !== from.roleId) throw noRole(assignment.role);
  const place = { userId, scope, isRow, role, catalog, actor };
  const standing = await standingAt(core, actor, chain);
  if (standing !== null && actor.userId !== userId) {
    const target = await core.access.standingOf(userId);
    if (!mayAssign(standing, role) || !outranks(standing, target))
      throw await refused(core, 'role.unassigned', place);
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
  const wasSuperadmin = makesSuperadmin(place, existing.expiresAt);
  try {
    await core.ledger.commit({
      writes: [
        core.db.roleAssignment.delete({ where: { ...where, expiresAt: existing.expiresAt } }),
        ...(wasSuperadmin ? superadmins.removed(user, seen) : []),
        ...unchanged(core, place),
      ],
      facts: [factOf('role.unassigned', place)],
      invalidates: [`user:${userId}`],
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
    if ((await core.db.roleAssignment.findUnique({ where })) === null) throw notHeld(place);
    const isLast = wasSuperadmin && (await superadmins.isLast(user));
    throw asConflict(error, isLast ? LAST_SUPERADMIN : undefined);
  }
}

/** {@link RoleManager.assignmentsOf} */
export async function assignmentsOf({ db, now }: RoleCore, userId: string): Promise<RoleAssignment[]> {
  const rows = await db.roleAssignment.findMany({
    where: { userId, OR: [{ expiresAt: null }, { expiresAt: { gt: now() } }] },
    include: { role: { select: { name: true } } },
    orderBy: [{ scope: 'asc' }, { assignedAt: 'asc' }],
  });
  return rows.map(({ roleId: _id, source: _source, role, ...row }) => ({ ...row, role: role.name }));
}

/** {@link RoleManager.assignableBy} */
export async function assignableBy(core: RoleCore, actor: Actor, scope: string): Promise<string[]> {
  const chain = await freshChain(core, scope);
  const catalog = await core.roleStore.current();
  const standing = await standingAt(core, actor, chain);
  const type = parseScope(scope)?.type ?? '';
  return (
    [...catalog.all()]
      .filter((role) => role.at.length === 0 || role.at.includes(type))
      // Of several roles of one name, `assign` takes the nearest.
      .filter((role) => catalog.find(role.name, chain.scopes) === role)
      .filter((role) => standing === null || mayAssign(standing, role))
      .map((role) => role.name)
      .sort()
  );
}

/** Whether an assignment counts among those of which one must always be left. */
function makesSuperadmin({ catalog, role, scope }: Place, expiresAt: Date | null): boolean {
  return scope === 'global' && expiresAt === null && superadminRoles(catalog).has(role.id);
}

/** What the assignment was decided by, for its batch: the roles, where they decide who is a superadmin, and the node of the scope. */
function unchanged({ db }: RoleCore, { scope, isRow, catalog }: Place): Write[] {
  if (scope === 'global') return [rolesUnchanged(db, catalog.version)];
  return isRow ? [scopeStays(db, scope)] : [];
}

async function isRegistered({ scopeTree }: RoleCore, scope: string): Promise<boolean> {
  return isScope(scope) && scope !== 'global' && (await scopeTree.rowOf(scope)) !== null;
}

/** Why a batch missed: what the assignment was decided by is gone or has changed. */
async function explain(core: RoleCore, error: unknown, { catalog, role, userId }: Place): Promise<unknown> {
  const isReferenceGone = error instanceof AuthTunaError && error.details.reason === 'reference_gone';
  if (!isMissing(error) && !isReferenceGone) return error;
  if ((await core.roleStore.current()).byId(role.id) === null) return noRole(catalog.describe(role).name);
  const user = await core.db.user.findUnique({ where: { id: userId } });
  return user === null || user.deletedAt !== null ? noUser() : asConflict(error);
}

function notHeld({ role, scope }: Place): AuthTunaError {
  return new AuthTunaError('not_found', { message: `The user does not hold ${role.name} at ${scope}.` });
}

function factOf(
  type: 'role.assigned' | 'role.unassigned',
  { userId, scope, role, actor }: Place,
  data: Readonly<Record<string, unknown>> = {},
): Fact {
  return { type, actor, target: { type: 'user', id: userId }, scope, data: { role: role.name, ...data } };
}

/** The refusal, recorded: an attempt to give or take a role is worth knowing afterwards. */
async function refused(
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
