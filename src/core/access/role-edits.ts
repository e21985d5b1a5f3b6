import { type Actor, isSystem } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import { requireKnownFields } from '../refusals.js';
import { commitEdit, requireMayEdit, superadminWrites, unchangedDraft } from './role-commit.js';
import {
  allRoles,
  asConflict,
  definitionChain,
  locateRole,
  noPermission,
  noRole,
  type RoleCore,
} from './role-core.js';
import { CHANGE_FIELDS, checkInput, type RoleChange, type RoleInput } from './role-input.js';
import { requireRoom } from './role-room.js';
import { isPermissionName } from './scope-name.js';
import { rolesChangedSince } from './versions.js';

const ATTEMPTS = 5; // roles that are made at once are made one after the other

/** {@link RoleManager.create} */
export async function createRole(core: RoleCore, input: RoleInput, actor: Actor): Promise<void> {
  checkInput(input);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptToCreate(core, input, actor);
    } catch (error) {
      if (isUniqueViolation(error)) throw nameTaken(input.name);
      if (!isMissing(error) || attempt === ATTEMPTS) throw asConflict(error);
    }
  }
}

async function attemptToCreate(core: RoleCore, input: RoleInput, actor: Actor): Promise<void> {
  const { db, roleStore, ledger, config } = core;
  const catalog = await roleStore.current();
  const chain = await definitionChain(core, input.ownedBy ?? '');
  // A second role of a name that is visible here would be taken for the first.
  const namesake = catalog.find(input.name, chain.scopes);
  if (namesake !== null && namesake.ownedBy !== (input.ownedBy ?? '')) throw nameTaken(input.name);
  const includes = allRoles(catalog, input.includes, chain);
  const permissions = [...new Set(input.permissions ?? [])];
  const level = input.level ?? null;
  await requireMayEdit(core, actor, null, { level, permissions, includes, mayAssign: [] }, chain);
  const entries = permissions.length + includes.length;
  requireRoom(catalog, input.ownedBy ?? '', { before: null, entries }, actor);
  const now = core.now();
  const id = newId(config.random);
  const writes: Write[] = [
    ...(await missingPermissions(core, permissions, actor)).map((name) =>
      db.permission.upsert({ where: { name }, create: { name, createdAt: now }, update: {} }),
    ),
    db.role.create({
      data: {
        id,
        name: input.name,
        ownedBy: input.ownedBy ?? '',
        description: input.description ?? null,
        level,
        at: (input.at ?? []).join(' '),
        origin: 'database',
        createdAt: now,
        updatedAt: now,
      },
    }),
    db.rolePermission.createMany({ data: permissions.map((permission) => ({ roleId: id, permission })) }),
    db.roleInclusion.createMany({ data: includes.map((role) => ({ roleId: id, includedId: role.id })) }),
    // What it includes, and the other roles of its scope, must still be what was looked at.
    includes.length === 0 && input.ownedBy === undefined
      ? roleStore.bump()
      : rolesChangedSince(db, catalog.version),
  ];
  await ledger.commit({
    writes,
    facts: [
      {
        type: 'role.created',
        actor,
        target: { type: 'role', id: input.name },
        data: { permissions, level },
      },
    ],
    invalidates: ['roles'],
  });
}

/** A script that declares a role declares its permissions with it; a person needs them to exist. @throws AuthTunaError `not_found` */
async function missingPermissions(
  { db }: RoleCore,
  permissions: readonly string[],
  actor: Actor,
): Promise<string[]> {
  const names = permissions.filter(isPermissionName);
  const known = new Set(
    (await db.permission.findMany({ where: { name: { in: names } } })).map((row) => row.name),
  );
  const unknown = names.filter((name) => !known.has(name));
  if (unknown[0] !== undefined && !isSystem(actor)) throw noPermission(unknown[0]);
  return unknown;
}

/** @throws AuthTunaError `not_found` for a name that is no permission; patterns pass */
async function requirePermissions({ db }: RoleCore, permissions: readonly string[]): Promise<void> {
  const names = permissions.filter(isPermissionName);
  if (names.length === 0) return;
  const rows = await db.permission.findMany({ where: { name: { in: names } }, select: { name: true } });
  const unknown = names.find((name) => !rows.some((row) => row.name === name));
  if (unknown !== undefined) throw noPermission(unknown);
}

/** {@link RoleManager.update} */
export async function updateRole(
  core: RoleCore,
  name: string,
  change: RoleChange,
  actor: Actor,
  ownedBy?: string,
): Promise<void> {
  requireKnownFields(change, CHANGE_FIELDS);
  checkInput({ name, ...change, description: change.description ?? undefined });
  const found = await locateRole(core, name, ownedBy);
  const { catalog, role, chain } = found;
  const includes = allRoles(catalog, change.includes, chain);
  const permissions = change.permissions === undefined ? null : [...new Set(change.permissions)];
  const added = (permissions ?? []).filter((each) => !role.direct.includes(each));
  await requirePermissions(core, added);
  await requireMayEdit(
    core,
    actor,
    role,
    {
      level: change.level === undefined ? role.level : change.level,
      permissions: added,
      // Where a role may be assigned decides who can pass it on, so widening that takes all that the role contains.
      includes: change.at === undefined ? includes : [...includes, role],
      mayAssign: [],
    },
    chain,
  );
  const entries =
    (permissions ?? role.direct).length +
    (change.includes === undefined ? role : { includes }).includes.length;
  requireRoom(catalog, role.ownedBy, { before: role, entries }, actor);
  const { db } = core;
  const data = {
    updatedAt: core.now(),
    ...(change.description !== undefined && { description: change.description }),
    ...(change.level !== undefined && { level: change.level }),
    ...(change.at !== undefined && { at: change.at.join(' ') }),
  };
  const writes: Write[] = [
    db.role.update({ where: { id: role.id }, data }),
    ...(permissions === null
      ? []
      : [
          db.rolePermission.deleteMany({ where: { roleId: role.id } }),
          db.rolePermission.createMany({
            data: permissions.map((permission) => ({ roleId: role.id, permission })),
          }),
        ]),
  ];
  if (change.includes === undefined) return commitEdit(core, found, writes, actor, { ...change });
  await commitEdit(
    core,
    found,
    [
      ...writes,
      db.roleInclusion.deleteMany({ where: { roleId: role.id } }),
      db.roleInclusion.createMany({
        data: includes.map((included) => ({ roleId: role.id, includedId: included.id })),
      }),
    ],
    actor,
    { ...change },
    catalog.withIncludes(role, includes),
  );
}

/** {@link RoleManager.delete} */
export async function deleteRole(
  core: RoleCore,
  name: string,
  actor: Actor,
  ownedBy?: string,
): Promise<void> {
  const { catalog, role, chain } = await locateRole(core, name, ownedBy);
  if (role.origin === 'shipped')
    throw new AuthTunaError('forbidden', { message: `${name} is a role of the system and stays.` });
  await requireMayEdit(core, actor, role, unchangedDraft(role), chain);
  const superadmins = await superadminWrites(core, catalog, catalog.without(role));
  try {
    await core.ledger.commit({
      writes: [
        core.db.role.delete({ where: { id: role.id } }),
        ...superadmins,
        rolesChangedSince(core.db, catalog.version),
      ],
      facts: [{ type: 'role.deleted', actor, target: { type: 'role', id: name } }],
      invalidates: ['roles'],
    });
  } catch (error) {
    if (isMissing(error) && (await core.roleStore.current()).byId(role.id) === null) throw noRole(name);
    throw asConflict(error);
  }
}

function nameTaken(name: string): AuthTunaError {
  return new AuthTunaError('conflict', { message: `The role ${name} exists already.` });
}
