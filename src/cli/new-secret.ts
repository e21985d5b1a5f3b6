import { randomBytes } from 'node:crypto';
import type { Command } from './command.js';

const SECRET_BYTES = 32;

export const newSecret: Command = {
  summary: 'Print a new random secret.',
  usage: 'npx authtuna new-secret',
  async run() {
    console.log(randomBytes(SECRET_BYTES).toString('base64url'));
    return 0;
  },
};
