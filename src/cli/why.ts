import { parseArgs } from 'node:util';
import { AuthTunaError } from '../errors.js';
import type { Command } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';

export const why: Command = {
  summary: 'Explain a decision: who may do what where, and through which role.',
  usage: 'npx authtuna why <email, username or id> <permission> [scope] [--app ./auth.js]',
  async run(args) {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: APP_OPTION });
    const [who, permission, scope = 'global'] = positionals;
    if (who === undefined || permission === undefined) {
      console.error(`authtuna why: say who and what\n\n  ${why.usage}`);
      return 2;
    }
    return withInstance(values.app, async ({ users, access }) => {
      const user =
        (await users.findByEmail(who)) ?? (await users.findByUsername(who)) ?? (await users.find(who));
      if (user === null) throw new AuthTunaError('not_found', { message: `There is no user ${who}.` });
      const { allowed, reason, chain, grants } = await access.explain(user.id, permission, scope);
      console.log(`${allowed ? 'yes' : 'no'}: ${reason}`);
      if (chain.length > 0) console.log(`  looked at: ${chain.join(' -> ')}`);
      for (const grant of grants) console.log(`  ${grant.role} at ${grant.scope}, by ${grant.through}`);
      return allowed ? 0 : 1;
    });
  },
};
