import { parseArgs } from 'node:util';
import { SYSTEM } from '../actor.js';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';
import { findPerson } from './people.js';

export const roles: Command = {
  usage: [
    'npx authtuna roles [--json] [--app ./auth.js]',
    'npx authtuna roles assign <email, username or id> <role> [scope] [--expires DATE] [--json] [--app ./auth.js]',
    'npx authtuna roles unassign <email, username or id> <role> [scope] [--json] [--app ./auth.js]',
  ].join('\n  '),
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...JSON_OPTION, expires: { type: 'string' }, ...APP_OPTION },
    });
    const [task, who, role, scope = 'global'] = positionals;
    if (task === undefined) return list(values);
    const expiresAt = values.expires === undefined ? undefined : new Date(values.expires);
    const isWrong =
      (task !== 'assign' && task !== 'unassign') ||
      who === undefined ||
      role === undefined ||
      Number.isNaN(expiresAt?.getTime()) ||
      (task === 'unassign' && expiresAt !== undefined);
    if (isWrong) {
      console.error(`authtuna roles: say assign or unassign, a user and a role\n\n  ${roles.usage}`);
      return 2;
    }
    return withInstance(values.app, async (authTuna) => {
      const user = await findPerson(authTuna, who);
      const held = { userId: user.id, role, scope };
      if (task === 'assign')
        await authTuna.roles.assign({ ...held, ...(expiresAt !== undefined && { expiresAt }) }, SYSTEM);
      else await authTuna.roles.unassign(held, SYSTEM);
      if (values.json === true)
        console.log(JSON.stringify({ ...held, email: user.email, isAssigned: task === 'assign' }));
      else console.log(`${user.email} ${task === 'assign' ? 'is' : 'is no longer'} ${role} at ${scope}.`);
      return 0;
    });
  },
};

async function list({
  app,
  json,
}: {
  app?: string | undefined;
  json?: boolean | undefined;
}): Promise<number> {
  return withInstance(app, async (authTuna) => {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await authTuna.roles.list({ limit: 100, ...(cursor !== undefined && { cursor }) });
      for (const role of page.items)
        console.log(
          json === true
            ? JSON.stringify(role)
            : `${role.name}${role.at.length === 0 ? '' : ` (at ${role.at.join(', ')})`}: ${[...role.permissions, ...role.includes.map((name) => `and those of ${name}`)].join(' ')}`,
        );
      cursor = page.nextCursor;
    }
    return 0;
  });
}
