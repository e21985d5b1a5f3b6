import { parseArgs } from 'node:util';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';
import { findPerson } from './people.js';

export const users: Command = {
  usage: [
    'npx authtuna users [--search TEXT] [--role ROLE] [--limit 20] [--json] [--app ./auth.js]',
    'npx authtuna users <email, username or id> [--json] [--app ./auth.js]',
  ].join('\n  '),
  async run(args) {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { search: text, role: text, limit: text, ...JSON_OPTION, ...APP_OPTION },
    });
    const [who] = positionals;
    return withInstance(values.app, async (authTuna) => {
      if (who !== undefined) {
        const user = await findPerson(authTuna, who);
        const roles = (await authTuna.roles.assignmentsOf(user.id)).map(({ role, scope }) => ({
          role,
          scope,
        }));
        if (values.json === true) console.log(JSON.stringify({ ...user, roles }));
        else
          console.log([lineOf(user), ...roles.map(({ role, scope }) => `  ${role} at ${scope}`)].join('\n'));
        return 0;
      }
      const { items } = await authTuna.users.list({
        ...(values.search !== undefined && { search: values.search }),
        ...(values.role !== undefined && { role: values.role }),
        limit: Number(values.limit ?? 20),
      });
      if (values.json === true) console.log(JSON.stringify(items));
      else for (const user of items) console.log(lineOf(user));
      return 0;
    });
  },
};

interface Listed {
  id: string;
  email: string;
  username: string | null;
  emailVerifiedAt: Date | null;
  suspendedAt: Date | null;
}

function lineOf({ id, email, username, emailVerifiedAt, suspendedAt }: Listed): string {
  const remarks = [
    ...(username === null ? [] : [username]),
    ...(emailVerifiedAt === null ? ['address not confirmed'] : []),
    ...(suspendedAt === null ? [] : ['suspended']),
  ];
  return `${email}${remarks.length === 0 ? '' : ` (${remarks.join(', ')})`}  ${id}`;
}
