import { AuthTunaError } from '../../errors.js';
import type { Access } from '../access/access.js';
import type { RoleStore } from '../access/role-store.js';
import type { Ledger, Write } from '../changes/ledger.js';
import { noUser } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import type { SessionManager } from '../sessions/sessions.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import type { UserRow } from '../user.js';
import type { PasswordManager } from './passwords.js';

/** What the management of users is built from. */
export type UserCore = Runtime & {
  readonly ledger: Ledger;
  readonly access: Access;
  readonly sessions: SessionManager;
  readonly tokens: OneTimeTokens;
  readonly roleStore: RoleStore;
  readonly passwords: PasswordManager;
};

/** The row of a user who is not deleted. @throws AuthTunaError `not_found` */
export async function requireUserRow({ db }: UserCore, id: string): Promise<UserRow> {
  const row = await db.user.findUnique({ where: { id } });
  if (row === null || row.deletedAt !== null) throw noUser();
  return row;
}

/** The writes that give a user the role `user`; none where the host deleted that role. */
export async function basicRoleWrites(
  { db, roleStore }: UserCore,
  userId: string,
  assignedById: string | null,
  now: Date,
): Promise<Write[]> {
  const role = (await roleStore.current()).find('user');
  if (role === null) return [];
  const data = { userId, roleId: role.id, scope: 'global', assignedById, assignedAt: now };
  return [db.roleAssignment.create({ data })];
}

/** The refusal for a write that met a unique constraint: `conflict`, with the field that another user holds. */
export async function takenBy(
  { db }: UserCore,
  wanted: { id: string; email: string; username: string | null },
): Promise<AuthTunaError> {
  const other = await db.user.findUnique({ where: { email: wanted.email } });
  const field = other !== null && other.id !== wanted.id ? 'email' : 'username';
  return new AuthTunaError('conflict', {
    message: `This ${field === 'email' ? 'email address' : 'username'} is taken.`,
    field,
  });
}
