import { parseArgs } from 'node:util';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';
import { findPerson } from './people.js';

export const why: Command = {
  usage: 'npx authtuna why <email, username or id> <permission> [scope] [--json] [--app ./auth.js]',
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...JSON_OPTION, ...APP_OPTION },
    });
    const [who, permission, scope = 'global'] = positionals;
    if (who === undefined || permission === undefined) {
      console.error(`authtuna why: say who and what\n\n  ${why.usage}`);
      return 2;
    }
    return withInstance(values.app, async (authTuna) => {
      const user = await findPerson(authTuna, who);
      const explanation = await authTuna.access.explain(user.id, permission, scope);
      const { allowed, reason, chain, grants } = explanation;
      if (values.json === true) {
        console.log(JSON.stringify(explanation));
        return allowed ? 0 : 1;
      }
      console.log(`${allowed ? 'yes' : 'no'}: ${reason}`);
      if (chain.length > 0) console.log(`  looked at: ${chain.join(' -> ')}`);
      for (const grant of grants) console.log(`  ${grant.role} at ${grant.scope}, by ${grant.through}`);
      return allowed ? 0 : 1;
    });
  },
};
