import { parseArgs } from 'node:util';
import type { Command } from './command.js';
import { readSchemaFolder, readShippedSchema, schemaFolder } from './init.js';
import { missingFrom, parseModels } from './schema.js';

export const generate: Command = {
  summary: 'Tell whether your Prisma schema has all that this version needs.',
  usage: 'npx authtuna generate --check [--schema prisma]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: { check: { type: 'boolean' }, schema: { type: 'string', default: 'prisma' } },
    });
    const folder = schemaFolder(values.schema);
    const missing = missingFrom(parseModels(readSchemaFolder(folder)), parseModels(readShippedSchema()));
    if (missing.length === 0) {
      console.log(`The schema in ${folder} has everything AuthTuna needs.`);
      return 0;
    }
    console.log(
      `The schema in ${folder} lacks:\n${missing.map((line) => `  ${line}`).join('\n')}\n\nAdd it, then: npx prisma generate && npx prisma migrate dev`,
    );
    return 1;
  },
};
