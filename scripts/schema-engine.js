// What separates the migrations from the models, as SQL; for scripts/migration.js and the test that keeps them equal.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import * as engine from '@prisma/schema-engine-wasm/schema_engine_bg';

const root = new URL('../', import.meta.url);

/**
 * The SQL that brings a database with all migrations to the models; empty when they agree.
 *
 * `postgresqlUrl` is an empty database the migrations may be tried in; SQLite uses a temporary file. `schema` is the text of another schema
 * than ours.
 */
export async function diff(dialect, migrations, postgresqlUrl, schema) {
  await loadEngine();
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-diff-'));
  const adapter =
    dialect === 'sqlite'
      ? new ScriptingLibSql({ url: `file:${join(folder, 'empty.db')}` })
      : new DescribingPg({ connectionString: postgresqlUrl });
  try {
    const header = readFileSync(new URL(`prisma/${dialect}.prisma`, root), 'utf8');
    const models = readFileSync(new URL('prisma/authtuna.prisma', root), 'utf8');
    const files = [{ path: 'authtuna.prisma', content: schema ?? `${header}\n${models}` }];
    const schemaEngine = await engine.SchemaEngine.new(
      { datamodels: files.map(({ path, content }) => [path, content]) },
      () => {},
      bindMigrationAwareSqlAdapterFactory(adapter),
    );
    const { exitCode, stdout } = await schemaEngine.diff({
      from: {
        tag: 'migrations',
        baseDir: '.',
        lockfile: { path: 'migration_lock.toml', content: `provider = "${dialect}"` },
        shadowDbInitScript: '',
        migrationDirectories: migrations.map(({ name, sql }) => ({
          path: name,
          migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
        })),
      },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: true,
      filters: { externalTables: [], externalEnums: [] },
    });
    schemaEngine.free();
    return exitCode === 0 ? '' : `${stdout?.trim()}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// The engine sends a whole migration as one statement, of which libsql would run the first only.
class ScriptingLibSql extends PrismaLibSql {
  async connectToShadowDb() {
    const adapter = await super.connectToShadowDb();
    const executeRaw = adapter.executeRaw.bind(adapter);
    adapter.executeRaw = async (query) => {
      if (query.args.length > 0) return executeRaw(query);
      await adapter.executeScript(query.sql);
      return 0;
    };
    return adapter;
  }
}

// The engine reads the catalog, whose one-letter columns (the type "char") the adapter does not know.
class DescribingPg extends PrismaPg {
  async connectToShadowDb() {
    const adapter = await super.connectToShadowDb();
    const performIO = adapter.performIO.bind(adapter);
    const queryRaw = adapter.queryRaw.bind(adapter);
    let letters = [];
    adapter.performIO = async (query) => {
      const result = await performIO(query);
      letters = result.fields
        .filter((field) => field.dataTypeID === CHAR)
        .map((field) => result.fields.indexOf(field));
      for (const column of letters) result.fields[column].dataTypeID = TEXT;
      return result;
    };
    adapter.queryRaw = async (query) => {
      const result = await queryRaw(query);
      for (const column of letters) result.columnTypes[column] = ColumnTypeEnum.Character;
      return result;
    };
    return adapter;
  }
}
const CHAR = 18;
const TEXT = 25;

// Where the engine leaves its last words before it fails.
globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: console.error };

let loaded;

// The package imports its .wasm as a module, which Node 20 cannot.
function loadEngine() {
  loaded ??= (async () => {
    const require = createRequire(import.meta.url);
    const path = require
      .resolve('@prisma/schema-engine-wasm')
      .replace(/schema_engine\.js$/, 'schema_engine_bg.wasm');
    const { instance } = await WebAssembly.instantiate(readFileSync(path), {
      './schema_engine_bg.js': engine,
    });
    engine.__wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
  })();
  return loaded;
}
