import { SYSTEM } from '../../actor.js';
import type { RoleDeclaration } from '../../config/options.js';
import { newId } from '../../crypto/random.js';
import { isUniqueViolation } from '../../db/client.js';
import { misconfigured } from '../../errors.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import { holds, type Role, type RoleCatalog } from './role-catalog.js';
import { checkRole } from './role-input.js';
import type { RoleStore } from './role-store.js';
import { differences } from './role-sync.js';
import { isPermissionName } from './scope-name.js';
import { SHIPPED_PERMISSIONS, SHIPPED_ROLES } from './shipped.js';
import { SuperadminGuard } from './superadmins.js';

const COUNTERS = [
  'roles_version',
  'scopes_version',
  'scope_moves',
  'teams_version',
  'webhooks_version',
  'superadmin',
  'superadmin_changes',
];
const ATTEMPTS = 5;

/**
 * Creates what is missing: counters, shipped and declared permissions and roles. Nothing that exists is changed; with `roles: { sync: 'report' }`
 * a role that differs from its declaration is reported. Several processes may do this at once.
 *
 * @throws AuthTunaError `misconfigured` for a declaration that cannot be, with its name
 */
export async function seed(runtime: Runtime, ledger: Ledger, store: RoleStore): Promise<void> {
  const declared: Declared[] = [
    ...Object.entries(SHIPPED_ROLES).map(([name, role]) => ({ name, role, origin: 'shipped' as const })),
    ...Object.entries(runtime.config.roles ?? {}).map(([name, role]) => ({
      name,
      role,
      origin: 'code' as const,
    })),
  ];
  for (const { name, role } of declared) requireSound(name, role, declared);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createMissing(runtime, ledger, store, declared);
      break;
    } catch (error) {
      // Another process created the same at the same moment: look again at what is still missing.
      if (!isUniqueViolation(error) || attempt === ATTEMPTS) throw error;
    }
  }
  await new SuperadminGuard({ ...runtime, roleStore: store }).recount();
  if (runtime.config.roleSync === 'report')
    await reportDifferences(
      runtime,
      store,
      declared.filter(({ origin }) => origin === 'code'), // shipped roles are the host's to change
    );
}

/**
 * Refuses a role whose permission is neither declared, shipped nor stored: a slip of the pen would otherwise become a permission that no guard
 * asks for. Where the option `permissions` is not used, the roles themselves declare them.
 */
function requireKnown(declared: readonly Declared[], known: ReadonlySet<string>): void {
  for (const { name, role, origin } of declared) {
    if (origin !== 'code') continue;
    const unknown = (role.permissions ?? []).filter((entry) => isPermissionName(entry) && !known.has(entry));
    if (unknown.length > 0)
      throw misconfigured(
        `roles.${name}: ${unknown.join(', ')} is no permission. Correct the name, or declare it in the option permissions`,
      );
  }
}

interface Declared {
  name: string;
  role: RoleDeclaration;
  origin: Role['origin'];
}

// Long: one batch with all that the declared roles lack, in the order of their foreign keys.
async function createMissing(
  runtime: Runtime,
  ledger: Ledger,
  store: RoleStore,
  declared: readonly Declared[],
): Promise<void> {
  const { db, config } = runtime;
  const now = runtime.now();
  const counters = new Set((await db.counter.findMany()).map((row) => row.name));
  const missingCounters = COUNTERS.filter((name) => !counters.has(name));
  if (missingCounters.length > 0)
    await db.counter.createMany({ data: missingCounters.map((name) => ({ name, value: 0 })) });

  const descriptions: Readonly<Record<string, string>> = SHIPPED_PERMISSIONS;
  const wantedByName = [
    ...Object.keys(descriptions),
    ...Object.entries(config.permissions ?? {}).flatMap(([resource, actions]) =>
      actions.map((action) => `${resource}:${action}`),
    ),
  ];
  const wanted = new Set([
    ...wantedByName,
    ...declared.flatMap(({ role }) => (role.permissions ?? []).filter(isPermissionName)),
  ]);
  const permissions = new Set((await db.permission.findMany()).map((row) => row.name));
  const missingPermissions = [...wanted].filter((name) => !permissions.has(name));
  if (config.permissions !== undefined) requireKnown(declared, new Set([...wantedByName, ...permissions]));

  const catalog = await store.current();
  const missingRoles = declared
    .filter(({ name }) => catalog.find(name) === null)
    .map((entry) => ({ ...entry, id: newId(config.random) }));
  if (missingPermissions.length === 0 && missingRoles.length === 0) return;
  const idOf = (name: string) =>
    missingRoles.find((entry) => entry.name === name)?.id ?? (catalog.find(name)?.id as string);
  await ledger.commit({
    writes: [
      db.permission.createMany({
        data: missingPermissions.map((name) => ({
          name,
          description: descriptions[name] ?? null,
          createdAt: now,
        })),
      }),
      db.role.createMany({
        data: missingRoles.map(({ id, name, role, origin }) => ({
          id,
          name,
          description: role.description ?? null,
          level: role.level ?? null,
          at: (role.at ?? []).join(' '),
          origin,
          createdAt: now,
          updatedAt: now,
        })),
      }),
      db.rolePermission.createMany({
        data: missingRoles.flatMap(({ id, role }) =>
          unique(role.permissions).map((permission) => ({ roleId: id, permission })),
        ),
      }),
      db.roleInclusion.createMany({
        data: missingRoles.flatMap(({ id, role }) =>
          unique(role.includes).map((name) => ({ roleId: id, includedId: idOf(name) })),
        ),
      }),
      db.roleAllowAssign.createMany({
        data: missingRoles.flatMap(({ id, role }) =>
          unique(role.mayAssign).map((name) => ({ assignerId: id, assignableId: idOf(name) })),
        ),
      }),
      store.bump(),
    ],
    facts: missingRoles.map(({ name, origin }) => ({
      type: 'role.created' as const,
      actor: SYSTEM,
      target: { type: 'role', id: name },
      data: { origin },
    })),
    invalidates: ['roles'],
  });
  tellOfNewPermissions(runtime, catalog, missingPermissions);
}

/**
 * Tells once, at the first start of a version that brings a permission, which stored roles would have it in a new installation. They are the
 * host's to change, so they are left as they are.
 */
function tellOfNewPermissions({ config }: Runtime, catalog: RoleCatalog, created: readonly string[]): void {
  for (const [name, { permissions = [] }] of Object.entries<RoleDeclaration>(SHIPPED_ROLES)) {
    const role = catalog.find(name);
    const lacking =
      role === null
        ? []
        : permissions.filter((right) => created.includes(right) && !holds(role.permissions, right));
    for (const right of lacking)
      config.logger.info(
        `The role ${name} of this database does not have ${right}, which is new in this version and part of ${name} in new installations. To add it: await authTuna.roles.addPermission('${name}', '${right}', SYSTEM)`,
      );
  }
}

function unique(names: readonly string[] = []): string[] {
  return [...new Set(names)];
}

function requireSound(name: string, role: RoleDeclaration, declared: readonly Declared[]): void {
  const problem = checkRole({ name, ...role });
  if (problem !== null) throw misconfigured(`roles.${name}: ${problem.field} ${problem.message}`);
  for (const other of [...(role.includes ?? []), ...(role.mayAssign ?? [])]) {
    if (!declared.some((entry) => entry.name === other))
      throw misconfigured(`roles.${name} names the role ${other}, which is not declared`);
  }
}

/** Warns of names in guards and options that do not exist. Most are misspelled; others may be made while the app runs. */
export async function warnOfUnknownNames(
  { db, config: { logger } }: Runtime,
  store: RoleStore,
  named: { permissions: ReadonlySet<string>; roles: ReadonlySet<string> },
): Promise<void> {
  const permissions = await db.permission.findMany({
    where: { name: { in: [...named.permissions] } },
    select: { name: true },
  });
  const missing = new Set(named.permissions);
  for (const { name } of permissions) missing.delete(name);
  for (const name of missing)
    logger.warn(
      `A guard asks for ${name}, which is not a permission: correct the name, or declare it in permissions.`,
    );
  const roles = new Set([...(await store.current()).all()].map(({ name }) => name));
  for (const name of named.roles) {
    if (!roles.has(name))
      logger.warn(
        `A guard or option names the role ${name}, which does not exist: correct the name, or declare it in roles.`,
      );
  }
}

async function reportDifferences(
  runtime: Runtime,
  store: RoleStore,
  declared: readonly Declared[],
): Promise<void> {
  const catalog = await store.current();
  for (const { name, role: declaration } of declared) {
    const role = catalog.find(name);
    const fields = role === null ? '' : differences(catalog.describe(role), declaration);
    if (fields !== '')
      runtime.config.logger.warn(
        `The role ${name} in the database differs from its declaration in ${fields}; it is left as it is. To bring it to the declaration at every start, set roles: { sync: 'update', … }; to keep what the database has, sync: 'create'.`,
      );
  }
}
