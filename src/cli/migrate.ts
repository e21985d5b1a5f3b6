import { parseArgs } from 'node:util';
import { migrate, migrationStatus } from '../db/migrate.js';
import { openDatabase } from '../db/open.js';
import { databaseName } from '../db/start-problem.js';
import { optionsFromEnv } from '../env.js';
import { type Command, JSON_OPTION } from './command.js';
import { databaseUrlOf } from './instance.js';

export const migrateDatabase: Command = {
  usage: 'npx authtuna migrate [--database-url URL] [--status] [--json]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: { 'database-url': { type: 'string' }, status: { type: 'boolean' }, ...JSON_OPTION },
    });
    const url = databaseUrlOf(values['database-url'] ?? optionsFromEnv(process.env).databaseUrl);
    const connection = openDatabase(url);
    process.stderr.write(`Database: ${databaseName(url)}\n`);
    try {
      await connection.prepare();
      if (values.status === true) {
        const { applied, pending } = await migrationStatus(connection);
        if (values.json === true) console.log(JSON.stringify({ applied, pending }));
        else
          console.log(
            `${applied.length} applied, ${pending.length} pending${pending.map((name) => `\n  ${name}`).join('')}`,
          );
        return pending.length === 0 ? 0 : 1;
      }
      const applied = await migrate(connection);
      if (values.json === true) console.log(JSON.stringify({ applied, pending: [] }));
      else
        console.log(
          applied.length === 0
            ? 'Nothing to do: the database is up to date.'
            : `Applied:${applied.map((name) => `\n  ${name}`).join('')}`,
        );
      return 0;
    } finally {
      await connection.close();
    }
  },
};
