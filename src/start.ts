import type { User } from './auth.js';
import { type Config, DEFAULT_DATABASE_URL } from './config/config.js';
import type { AnyOptions } from './config/options.js';
import { RoleStore } from './core/access/role-store.js';
import { syncRoles } from './core/access/role-sync.js';
import { seed, warnOfUnknownNames } from './core/access/seeds.js';
import { AuditManager } from './core/changes/audit.js';
import { Ledger } from './core/changes/ledger.js';
import type { BroadcastHealth } from './core/instances/broadcast.js';
import type { SignInCore } from './core/sign-in/create-sign-in.js';
import { bootstrapAdmin } from './core/users/bootstrap-admin.js';
import { type AnyPrisma, type Db, type DbOptions, guardDb } from './db/client.js';
import type { DatabaseConnection } from './db/connection.js';
import { columnsOf } from './db/host-user.js';
import { checkTables, migrate } from './db/migrate.js';
import { checkClientSchema } from './db/schema/check-client.js';
import { schemaOfClient } from './db/schema/client-schema.js';
import { hostModelName } from './db/schema/model-names.js';
import { parseModels } from './db/schema/schema-text.js';
import { databaseName, startProblem } from './db/start-problem.js';
import { AuthTunaError } from './errors.js';
import type { Guards } from './http/guards/guards.js';

/** The limit of one database call where no page waits: a first start, an import. */
const BULK_MS = 30_000;

/** What a start works with. */
export interface Start {
  client: AnyPrisma;
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
  const { config, roleStore } = core;
  const patient = { ...core, db: core.bulkDb };
  if (connection === null) {
    checkClientSchema(client, config);
    await checkTables(patient.db);
  } else {
    await connection.prepare();
    await migrate(connection);
  }
  await requireWritable(patient.db);
  await seed(patient, new Ledger(patient, new AuditManager(patient)), new RoleStore(patient));
  if (config.roleSync === 'update') await syncRoles(core.roles, config.roles);
  await warnOfUnknownNames(core, roleStore, {
    permissions: guards.named.permissions,
    roles: new Set([...guards.named.roles, ...config.mfa.requiredForRoles]),
  });
  await bootstrapAdmin(core, { printLink });
}

/**
 * Writes nothing, as a write: a database that can only be read would let people in who are signed in, and fail at the next sign-in.
 *
 * @throws AuthTunaError `unavailable`
 */
async function requireWritable({ counter }: Db): Promise<void> {
  try {
    await counter.updateMany({ where: { name: 'roles_version' }, data: { value: { increment: 0 } } });
  } catch (error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      if (!/read.?only/i.test(cause.message)) continue;
      throw new AuthTunaError(
        'unavailable',
        {},
        {
          cause: new Error('The database can only be read. Give the app the right to write.', {
            cause: error,
          }),
        },
      );
    }
    throw error;
  }
}

export function warnOfDefaultDatabase({ isSecure, logger }: Config, options: AnyOptions): void {
  if (!isSecure || options.databaseUrl !== undefined || options.prisma !== undefined) return;
  logger.warn(
    `Everything is kept in ${DEFAULT_DATABASE_URL}, a file in the working directory, because databaseUrl is not set: name the file or a postgresql: address, or a new container begins without users.`,
  );
}

/**
 * For `.catch()` of `ready()`: who starts the app reads why the database cannot be used. A visitor, whose request waits for the same, does not.
 *
 * @throws AuthTunaError with the reason as its message where it is `unavailable`; otherwise the error itself
 */
export function tellOperator({ databaseUrl, prisma }: Config): (error: unknown) => never {
  return (error) => {
    const isOurs = error instanceof AuthTunaError;
    if (isOurs && error.code !== 'unavailable') throw error;
    if (!isOurs && error instanceof TypeError) throw error; // a mistake in code, not a database
    const message = startProblem(error, prisma === undefined ? databaseUrl : undefined);
    throw new AuthTunaError('unavailable', { message }, { cause: error });
  };
}

/** Logs one line on what was started, so that a wrong database or a forgotten router is seen at once. */
export function announceStart(
  { databaseUrl, prisma, mail, logger }: Config,
  started: { broadcast: BroadcastHealth; places: readonly string[]; isMailKept: boolean },
): void {
  const { broadcast, places, isMailKept } = started;
  const database = databaseName(prisma === undefined ? databaseUrl : undefined);
  const isHeard = broadcast.kind === 'none' ? 'none' : `${broadcast.kind}, ${broadcast.isUp ? 'up' : 'down'}`;
  const facts = [
    `database ${database}`,
    `routers ${places.length === 0 ? 'none so far' : places.join(' ')}`,
    `broadcast ${isHeard}`,
    `mail ${mail === undefined ? 'none' : isMailKept ? 'kept in memory' : `from ${mail.from}`}`,
  ];
  logger.info(`AuthTuna is ready: ${facts.join('; ')}.`);
}

/** The database for requests, and the same for work that no request waits for. */
export function guardedDatabases(config: Config, client: AnyPrisma): { db: Db; bulkDb: Db } {
  const options = databaseOptions(config, client);
  return { db: guardDb(client, options), bulkDb: guardDb(client, { ...options, timeoutMs: BULK_MS }) };
}

/** How a client of the host is used: what it calls our models, and which row of its own comes with a user. */
function databaseOptions({ models, user }: Config, client: AnyPrisma): DbOptions {
  const { hostUser } = user;
  const columns = columnsOf(client, hostModelName(models, 'User'));
  if (hostUser === undefined) return { models };
  const model = parseModels(schemaOfClient(client) ?? '').find(
    ({ name }) => name === hostModelName(models, 'User'),
  );
  const foreignKeys = model?.fields.get(hostUser.relation)?.relationFields ?? [];
  return { models, hostUser: { ...hostUser, columns, foreignKeys } };
}
