import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { SYSTEM } from '../actor.js';
import { AuthTunaError } from '../errors.js';
import type { Command } from './command.js';
import { withInstance } from './instance.js';

export const createAdmin: Command = {
  summary: 'Make a superadmin: a new user, or one that exists.',
  usage:
    'npx authtuna create-admin --email ada@example.com [--username ada] [--role superadmin] [--password-stdin]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        email: { type: 'string' },
        username: { type: 'string' },
        role: { type: 'string', default: 'superadmin' },
        'password-stdin': { type: 'boolean' },
      },
    });
    const email = values.email ?? (await ask('Email: ', { hidden: false }));
    return withInstance(async (authTuna) => {
      // Before anybody is created: an account without its role would be left behind.
      if (!(await authTuna.roles.assignableBy(SYSTEM, 'global')).includes(values.role))
        throw new AuthTunaError('not_found', {
          message: `There is no role ${values.role} to hold at global.`,
        });
      const existing = await authTuna.users.findByEmail(email);
      const user =
        existing ??
        (await authTuna.users.create({
          email,
          ...(values.username !== undefined && { username: values.username }),
          password:
            values['password-stdin'] === true
              ? (await text(process.stdin)).replace(/\r?\n$/, '')
              : await ask('Password: ', { hidden: true }),
          emailVerified: true,
        }));
      await authTuna.roles.assign({ userId: user.id, role: values.role, scope: 'global' }, SYSTEM);
      console.log(
        `${user.email} is ${values.role} now${existing === null ? '' : ' (the account existed; its password is unchanged)'}.`,
      );
      return 0;
    });
  },
};

async function ask(question: string, { hidden }: { hidden: boolean }): Promise<string> {
  let muted = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!muted) process.stdout.write(chunk);
      done();
    },
  });
  const prompt = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY });
  const answer = prompt.question(question);
  muted = hidden;
  try {
    return await answer;
  } finally {
    prompt.close();
    if (hidden) process.stdout.write('\n');
  }
}
