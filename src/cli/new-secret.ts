import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Command, JSON_OPTION } from './command.js';

const SECRET_BYTES = 32;

export const newSecret: Command = {
  usage: 'npx authtuna new-secret [--json]',
  async run(args) {
    const { values } = parseArgs({ args, options: JSON_OPTION });
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    console.log(values.json === true ? JSON.stringify({ secret }) : secret);
    return 0;
  },
};
