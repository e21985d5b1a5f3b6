import type { Actor } from '../../actor.js';
import type { Write } from '../changes/ledger.js';
import type { ImportProblem, Prepared } from './imported-user.js';
import type { UserCore } from './user-core.js';

/** What a user who exists lacks, as writes; or why they cannot be completed. */
export interface Completion {
  writes: Write[];
  problem: ImportProblem['problem'] | null;
}

/**
 * The writes that complete users whose rows the host made before it had our models: the canonical address, the password, the role `user`.
 * None for a user who lacks nothing. A password that is there already is never replaced.
 *
 * @returns the completions by row number
 */
export async function planCompletion(
  core: UserCore,
  batch: readonly Prepared[],
  actor: Actor,
): Promise<Map<number, Completion>> {
  const there = await lookUp(core, batch);
  const now = core.now();
  return new Map(
    batch.map((user): [number, Completion] => {
      const row = there.rows.get(user.id);
      if (row === undefined) return [user.row, { writes: [], problem: 'no_such_user' }];
      const holder = there.holders.get(user.email);
      if (holder !== undefined && holder !== user.id)
        return [user.row, { writes: [], problem: 'same_address_twice' }];
      return [user.row, { writes: writesFor(core, there, row, user, actor, now), problem: null }];
    }),
  );
}

interface ExistingRow {
  id: string;
  email: string;
  usernameKey: string | null;
  emailVerifiedAt: Date | null;
  suspendedAt: Date | null;
}

interface Existing {
  rows: ReadonlyMap<string, ExistingRow>;
  /** Who has each of the addresses, in its one spelling. */
  holders: ReadonlyMap<string, string>;
  /** Who has each of the usernames, by its look-alike key. */
  keyHolders: Map<string, string>;
  withPassword: ReadonlySet<string>;
  withRole: ReadonlySet<string>;
  roleId: string | null;
}

async function lookUp({ db, roleStore }: UserCore, batch: readonly Prepared[]): Promise<Existing> {
  const ids = batch.map(({ id }) => id);
  const keys = batch.flatMap(({ usernameKey }) => usernameKey ?? []);
  const roleId = (await roleStore.current()).find('user')?.id ?? null;
  const [rows, holders, keyHolders, passwords, assignments] = await Promise.all([
    db.user.findMany({
      where: { id: { in: ids }, deletedAt: null },
      select: { id: true, email: true, usernameKey: true, emailVerifiedAt: true, suspendedAt: true },
    }),
    db.user.findMany({
      where: { email: { in: batch.map(({ email }) => email) } },
      select: { id: true, email: true },
    }),
    db.user.findMany({ where: { usernameKey: { in: keys } }, select: { id: true, usernameKey: true } }),
    db.password.findMany({ where: { userId: { in: ids } }, select: { userId: true } }),
    roleId === null
      ? []
      : db.roleAssignment.findMany({
          where: { userId: { in: ids }, roleId, scope: 'global' },
          select: { userId: true },
        }),
  ]);
  return {
    rows: new Map(rows.map((row) => [row.id, row])),
    holders: new Map(holders.map(({ id, email }) => [email, id])),
    keyHolders: new Map(keyHolders.map(({ id, usernameKey }) => [usernameKey ?? '', id])),
    withPassword: new Set(passwords.map(({ userId }) => userId)),
    withRole: new Set(assignments.map(({ userId }) => userId)),
    roleId,
  };
}

function writesFor(
  { db }: UserCore,
  { keyHolders, withPassword, withRole, roleId }: Existing,
  row: ExistingRow,
  { id, email, username, usernameKey, hash, given }: Prepared,
  actor: Actor,
  now: Date,
): Write[] {
  const isNameFree = usernameKey !== null && row.usernameKey === null && !keyHolders.has(usernameKey);
  if (isNameFree) keyHolders.set(usernameKey, id);
  const change = {
    ...(isNameFree && { username, usernameKey }),
    ...(row.email !== email && { email }),
    ...(given.emailVerified === true &&
      row.emailVerifiedAt === null && { emailVerifiedAt: given.createdAt ?? now }),
    ...(given.isSuspended === true &&
      row.suspendedAt === null && { suspendedAt: now, suspendedReason: 'suspended before the import' }),
  };
  return [
    // With the address as it was read: the row is left alone if somebody changed it meanwhile.
    ...(Object.keys(change).length === 0
      ? []
      : [db.user.update({ where: { id, email: row.email }, data: { ...change, updatedAt: now } })]),
    ...(hash === null || withPassword.has(id)
      ? []
      : [db.password.create({ data: { userId: id, hash, changedAt: given.createdAt ?? now } })]),
    ...(roleId === null || withRole.has(id)
      ? []
      : [
          db.roleAssignment.create({
            data: { userId: id, roleId, scope: 'global', assignedById: actor.userId, assignedAt: now },
          }),
        ]),
  ];
}
