import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { SYSTEM } from '../actor.js';
import { hasOtherWayIn } from '../core/users/sign-in-methods.js';
import { AuthTunaError } from '../errors.js';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';

export const createAdmin: Command = {
  usage:
    'npx authtuna create-admin --email ada@example.com [--username ada] [--role superadmin] [--password-stdin] [--json] [--app ./auth.js]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        email: { type: 'string' },
        username: { type: 'string' },
        role: { type: 'string', default: 'superadmin' },
        'password-stdin': { type: 'boolean' },
        ...JSON_OPTION,
        ...APP_OPTION,
      },
    });
    const email =
      values.email ?? (await ask('Email: ', { hidden: false, instead: 'say --email ada@example.com' }));
    return withInstance(values.app, async (authTuna, { core }) => {
      // Before anybody is created: an account without its role would be left behind.
      if (!(await authTuna.roles.assignableBy(SYSTEM, 'global')).includes(values.role))
        throw new AuthTunaError('not_found', {
          message: `There is no role ${values.role} to hold at global.`,
        });
      const existing = await authTuna.users.findByEmail(email);
      const row = existing === null ? null : await core.users.row(existing.id);
      // Without a way to sign in there is nothing to take over: the first person to sign in must prove the mailbox.
      const isUnproved =
        row !== null &&
        row.emailVerifiedAt === null &&
        (row.lastLoginAt !== null || (await hasOtherWayIn(core, row.id, { passkeyId: '' })));
      let userId = existing?.id;
      if (isUnproved) {
        console.error(
          `${row.email} has an account, but its address was never proved: a stranger may have made it. It gets a new password, and every other way in is removed.`,
        );
        await core.ownership.claimFor(row, await newPassword(values['password-stdin']), SYSTEM);
      }
      userId ??= (
        await authTuna.users.create({
          email,
          ...(values.username !== undefined && { username: values.username }),
          password: await newPassword(values['password-stdin']),
          emailVerified: true,
        })
      ).id;
      await authTuna.roles.assign({ userId, role: values.role, scope: 'global' }, SYSTEM);
      const remark = isUnproved
        ? ' (the account existed, unproved; its password was replaced and everything else on it removed)'
        : existing === null
          ? ''
          : ' (the account existed; its password is unchanged)';
      const { email: address } = await authTuna.users.get(userId);
      const facts = { id: userId, email: address, role: values.role, existed: existing !== null, isUnproved };
      console.log(
        values.json === true ? JSON.stringify(facts) : `${address} is ${values.role} now${remark}.`,
      );
      return 0;
    });
  },
};

async function newPassword(fromStdin: boolean | undefined): Promise<string> {
  return fromStdin === true
    ? (await text(process.stdin)).replace(/\r?\n$/, '')
    : ask('Password: ', { hidden: true, instead: 'pass the password by --password-stdin < password.txt' });
}

/** @throws AuthTunaError `invalid_input` where there is no terminal, with what to pass `instead` */
async function ask(
  question: string,
  { hidden, instead }: { hidden: boolean; instead: string },
): Promise<string> {
  if (!process.stdin.isTTY)
    throw new AuthTunaError('invalid_input', { message: `There is no terminal to ask at: ${instead}.` });
  let muted = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!muted) process.stdout.write(chunk);
      done();
    },
  });
  const prompt = createInterface({ input: process.stdin, output, terminal: true });
  const answer = prompt.question(question);
  muted = hidden;
  try {
    return await answer;
  } finally {
    prompt.close();
    if (hidden) process.stdout.write('\n');
  }
}
