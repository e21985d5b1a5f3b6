import { onTestFinished } from 'vitest';
import { parseConfig } from '../../src/config/config.js';
import type { AuthTunaOptions } from '../../src/config/options.js';
import { createRuntime, type Runtime } from '../../src/core/runtime.js';
import { guardDb } from '../../src/db/client.js';
import { TestClock } from '../../src/testing/index.js';
import { SECRET, TestLogger } from './app.js';
import { freshDatabase, openDatabase, type TestDatabase } from './database.js';

/** A runtime of its own, as one process of the library has it, closed after the test. A second on the same rows: pass `shared`. */
export async function startRuntime(
  options: Partial<AuthTunaOptions> = {},
  shared: { database?: TestDatabase; clock?: TestClock } = {},
): Promise<{ runtime: Runtime; clock: TestClock; database: TestDatabase; logger: TestLogger }> {
  const database = shared.database ?? (await freshDatabase());
  const clock = shared.clock ?? new TestClock();
  const logger = new TestLogger();
  const connection = await openDatabase(database);
  onTestFinished(async () => {
    await connection.close();
    if (shared.database === undefined) await database.drop();
  });
  const config = parseConfig({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
    clock,
    logger,
    ...options,
  });
  return { runtime: createRuntime(config, guardDb(connection.client)), clock, database, logger };
}
