import type { PrismaClient } from '../../src/db/generated/sqlite/client.js';
import { RIGHTS, USERS, type World } from './world.js';

/** Replaces everything about people, roles and scopes by a world, past all managers. */
export async function storeWorld(client: unknown, world: World): Promise<void> {
  const db = client as PrismaClient;
  const at = new Date(world.now);
  await db.$transaction([
    db.user.deleteMany({}),
    db.role.deleteMany({}),
    db.scopeNode.deleteMany({}),
    db.auditEntry.deleteMany({}),
    db.permission.deleteMany({}),
    db.permission.createMany({
      data: [...RIGHTS, 'project:create', 'team:create', 'team:manage'].map((name) => ({
        name,
        createdAt: at,
      })),
    }),
    db.user.createMany({
      data: USERS.map((id) => ({ id, email: `${id}@example.com`, createdAt: at, updatedAt: at })),
    }),
    db.role.createMany({
      data: world.roles.map(({ permissions: _p, includes: _i, mayAssign: _m, ...role }) => ({
        ...role,
        createdAt: at,
        updatedAt: at,
      })),
    }),
    db.rolePermission.createMany({
      data: world.roles.flatMap(({ id, permissions }) => permissions.map((row) => ({ roleId: id, ...row }))),
    }),
    db.roleInclusion.createMany({
      data: world.roles.flatMap(({ id, includes }) => includes.map((row) => ({ roleId: id, ...row }))),
    }),
    db.roleAllowAssign.createMany({
      data: world.roles.flatMap(({ id, mayAssign }) => mayAssign.map((row) => ({ assignerId: id, ...row }))),
    }),
    db.roleAssignment.createMany({ data: world.assignments.map((row) => ({ ...row, assignedAt: at })) }),
    db.teamAssignment.deleteMany({}),
    db.teamAssignment.createMany({ data: world.teams.map((row) => ({ ...row, assignedAt: at })) }),
    db.counter.update({ where: { name: 'teams_version' }, data: { value: { increment: 1 } } }),
    db.scopeNode.createMany({
      data: [...world.parents].map(([id, parentId]) => ({
        id,
        parentId,
        ownerId: world.owners.get(id) ?? null,
        createdAt: at,
      })),
    }),
    db.counter.update({ where: { name: 'roles_version' }, data: { value: { increment: 1 } } }),
  ]);
}
