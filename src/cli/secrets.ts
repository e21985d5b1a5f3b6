import { parseArgs } from 'node:util';
import { madeWithOlderSecrets, reseal, SEALED_MAILS } from '../core/changes/reseal.js';
import { databaseName } from '../db/start-problem.js';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';

export const secrets: Command = {
  usage: 'npx authtuna secrets rotate [--json] [--app ./auth.js]',
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      options: { ...JSON_OPTION, ...APP_OPTION },
      allowPositionals: true,
    });
    if (positionals.length !== 1 || positionals[0] !== 'rotate') {
      console.error(`There is ${secrets.usage} and nothing else.`);
      return 2;
    }
    return withInstance(values.app, async (_authTuna, { core, sealed: sealedColumns }) => {
      const { sealed, unreadable } = await reseal(core, [...sealedColumns, SEALED_MAILS]);
      const remaining = await madeWithOlderSecrets(core);
      const database = databaseName(core.config.databaseUrl);
      if (values.json === true) console.log(JSON.stringify({ database, sealed, unreadable, remaining }));
      else {
        console.log(`Sealed again with the newest secret: ${listOf(sealed)}`);
        console.log(`Still made with an older secret: ${listOf(remaining)}`);
        if (Object.values(remaining).some((count) => count > 0))
          console.log(
            '  Each is renewed when it is used. Keep the older secret behind the newest until then.',
          );
        if (unreadable > 0)
          console.error(
            `${unreadable} values cannot be opened by any of these secrets. Put the secret back that sealed them, and run this again.`,
          );
      }
      return unreadable > 0 ? 1 : 0;
    });
  },
};

function listOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}
