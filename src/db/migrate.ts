import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { AuthTunaError, misconfigured } from '../errors.js';
import { type Db, MODELS, type ModelName } from './client.js';
import type { DatabaseConnection, Dialect, SqlSession } from './connection.js';

/** One migration shipped with this version. */
export interface Migration {
  /** `0001_initial` */
  name: string;
  sql: string;
  /** SHA-256 of the file with Unix line ends, as hex. */
  checksum: string;
}

/** Where a database stands: names of migrations, oldest first. */
export interface MigrationStatus {
  applied: string[];
  pending: string[];
}

/** The shipped migrations of a dialect, oldest first. */
export function shippedMigrations(dialect: Dialect): Migration[] {
  const folder = new URL(`../../prisma/migrations/${dialect}/`, import.meta.url);
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  return names.sort().map((name) => {
    const sql = readFileSync(new URL(`${name}/migration.sql`, folder), 'utf8').replaceAll('\r\n', '\n');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

/**
 * Brings the database to the models of this version and gives the names of the migrations it applied.
 *
 * Each runs in a transaction of its own, which one process at a time can be in, so any number of processes may start at once.
 * @throws AuthTunaError `misconfigured` when a newer version migrated this database, or a migration was changed afterwards
 */
export async function migrate(connection: DatabaseConnection): Promise<string[]> {
  const migrations = shippedMigrations(connection.dialect);
  const applied: string[] = [];
  for (;;) {
    const name = await connection.exclusively((sql) => applyNext(sql, migrations));
    if (name === null) return applied;
    applied.push(name);
  }
}

/** What {@link migrate} did so far and would do now. Changes nothing but an empty list of migrations. */
export async function migrationStatus(connection: DatabaseConnection): Promise<MigrationStatus> {
  const migrations = shippedMigrations(connection.dialect);
  return connection.exclusively(async (sql) => {
    const recorded = await recordedMigrations(sql, migrations);
    return {
      applied: [...recorded],
      pending: migrations.map(({ name }) => name).filter((name) => !recorded.has(name)),
    };
  });
}

async function applyNext(sql: SqlSession, migrations: readonly Migration[]): Promise<string | null> {
  const recorded = await recordedMigrations(sql, migrations);
  const next = migrations.find(({ name }) => !recorded.has(name));
  if (next === undefined) return null;
  await sql.script(next.sql).catch(refuseForeignTable);
  // Numbered parameters are understood by both.
  await sql.query('INSERT INTO "_authtuna_migrations" ("name", "checksum") VALUES ($1, $2)', [
    next.name,
    next.checksum,
  ]);
  return next.name;
}

/** The tables of another app are there already. @throws AuthTunaError `misconfigured`, or the error itself */
function refuseForeignTable(error: unknown): never {
  const [, table] =
    /(?:relation|table) "?(\w+)"? already exists/.exec(error instanceof Error ? error.message : '') ?? [];
  if (table === undefined) throw error;
  throw misconfigured(
    `the database has a table ${table} of another app. Use another database, or on PostgreSQL another schema (?schema=authtuna in databaseUrl). With Prisma in your app, npx authtuna init puts our models beside yours under other names`,
    error,
  );
}

async function recordedMigrations(sql: SqlSession, migrations: readonly Migration[]): Promise<Set<string>> {
  await sql.script(
    `CREATE TABLE IF NOT EXISTS "_authtuna_migrations" (
      "name" TEXT NOT NULL PRIMARY KEY,
      "checksum" TEXT NOT NULL,
      "appliedAt" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    )`,
  );
  const recorded = new Set<string>();
  const rows = await sql.query('SELECT "name", "checksum" FROM "_authtuna_migrations" ORDER BY "name"');
  for (const { name, checksum } of rows) {
    const shipped = migrations.find((migration) => migration.name === name);
    if (shipped === undefined) {
      throw misconfigured(
        `the database is newer than this version of authtuna: it has the migration ${name}. Install the version that made it`,
      );
    }
    if (shipped.checksum !== checksum) {
      throw misconfigured(
        `the migration ${name} is not the one that was applied to this database. Reinstall authtuna; migrations are never edited`,
      );
    }
    recorded.add(shipped.name);
  }
  return recorded;
}

/**
 * Asks once per model whether its table and columns are there, for a host that migrates its own database.
 *
 * @throws AuthTunaError `misconfigured` naming every table and column that is not; `unavailable` when the database does not answer
 */
export async function checkTables(db: Db): Promise<void> {
  const missing: string[] = [];
  for (const { model, columns } of MODELS) {
    if (await isReadable(db, model, columns)) continue;
    const readable = await Promise.all(columns.map((column) => isReadable(db, model, [column])));
    const absent = columns.filter((_, i) => !readable[i]);
    missing.push(
      absent.length === columns.length ? `the table of ${model}` : `${model}: ${absent.join(', ')}`,
    );
  }
  if (missing.length === 0) return;
  throw misconfigured(
    `the database lacks ${missing.join('; ')}. Compare your schema with node_modules/authtuna/prisma/authtuna.prisma (npx authtuna generate --check), then migrate your database`,
  );
}

async function isReadable(db: Db, model: ModelName, columns: readonly string[]): Promise<boolean> {
  const delegate = db[model] as unknown as { findFirst(args: object): Promise<unknown> };
  try {
    await delegate.findFirst({ select: Object.fromEntries(columns.map((column) => [column, true])) });
    return true;
  } catch (error) {
    if (error instanceof AuthTunaError && !isAbsence(error.cause)) throw error;
    return false; // the table or a column, or the client itself does not know the column
  }
}

// Prisma's codes for a table and for a column that does not exist; libsql's have none of their own.
function isAbsence(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return code === 'P2021' || code === 'P2022' || /no such (table|column)/.test(error.message);
}
