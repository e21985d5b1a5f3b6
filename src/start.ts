import type { User } from './auth.js';
import { type Config, DEFAULT_DATABASE_URL } from './config/config.js';
import type { AuthTunaOptions } from './config/options.js';
import { RoleStore } from './core/access/role-store.js';
import { seed, warnOfUnknownNames } from './core/access/seeds.js';
import { AuditManager } from './core/changes/audit.js';
import { Ledger } from './core/changes/ledger.js';
import type { SignInCore } from './core/sign-in/create-sign-in.js';
import { bootstrapAdmin } from './core/users/bootstrap-admin.js';
import { guardDb, type PrismaLike } from './db/client.js';
import type { DatabaseConnection } from './db/connection.js';
import { checkTables, migrate } from './db/migrate.js';
import type { Guards } from './http/guards/guards.js';

const START_MS = 30_000; // a first start writes more than a request ever does, and nobody waits for it at a page

/** What a start works with. */
export interface Start {
  client: PrismaLike;
  /** Ours; null where the host brought its own client. */
  connection: DatabaseConnection | null;
  guards: Guards;
  /** Whether the first administrator's link is printed, because no mail leaves this machine. */
  printLink: boolean;
}

/**
 * Migrates the shipped database (or checks the tables of the host's own), and stores the roles, permissions and first administrator that
 * are missing.
 *
 * @throws AuthTunaError `misconfigured`, `unavailable`
 */
export async function prepareDatabase<U extends User>(
  core: SignInCore<U>,
  { client, connection, guards, printLink }: Start,
): Promise<void> {
  const { config, roleStore, hasher, db } = core;
  if (connection === null) await checkTables(db);
  else {
    await connection.prepare();
    await migrate(connection);
  }
  const patient = { ...core, db: guardDb(client, { timeoutMs: START_MS }) };
  await seed(patient, new Ledger(patient, new AuditManager(patient)), new RoleStore(patient));
  await warnOfUnknownNames(core, roleStore, {
    permissions: guards.named.permissions,
    roles: new Set([...guards.named.roles, ...config.mfa.requiredForRoles]),
  });
  await hasher.warmUp();
  await bootstrapAdmin(core, { printLink });
}

export function warnOfDefaultDatabase({ isSecure, logger }: Config, options: AuthTunaOptions): void {
  if (!isSecure || options.databaseUrl !== undefined || options.prisma !== undefined) return;
  logger.warn(
    `Everything is kept in ${DEFAULT_DATABASE_URL}, a file in the working directory, because databaseUrl is not set: name the file or a postgresql: address, or a new container begins without users.`,
  );
}
