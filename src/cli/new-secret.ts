import { randomBytes } from 'node:crypto';
import type { Command } from './command.js';

const SECRET_BYTES = 32;

export const newSecret: Command = {
  usage: 'npx authtuna new-secret',
  async run() {
    console.log(randomBytes(SECRET_BYTES).toString('base64url'));
    return 0;
  },
};
