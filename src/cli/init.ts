import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Command } from './command.js';
import { missingFrom, parseModels } from './schema.js';

export const init: Command = {
  summary: "Add AuthTuna's models to your own Prisma schema.",
  usage: 'npx authtuna init [--schema prisma]',
  async run(args) {
    const { values } = parseArgs({ args, options: { schema: { type: 'string', default: 'prisma' } } });
    const folder = schemaFolder(values.schema);
    const target = join(folder, 'authtuna.prisma');
    if (existsSync(target)) {
      console.log(
        `${target} is there already and stays as it is. Compare it with: npx authtuna generate --check`,
      );
      return 0;
    }
    const shipped = readShippedSchema();
    const theirs = parseModels(readSchemaFolder(folder));
    const ours = parseModels(shipped);
    const taken = ours.filter((model) => theirs.some((other) => other.name === model.name));
    let text = shipped;
    for (const model of taken) text = text.replace(model.text, '').replace(/\n{3,}/g, '\n\n');
    mkdirSync(folder, { recursive: true });
    writeFileSync(target, text);
    console.log(`Wrote ${target}.`);
    const missing = missingFrom(theirs, taken);
    if (missing.length > 0)
      console.log(
        `\nYour schema has these models already. Add to them:\n${missing.map((line) => `  ${line}`).join('\n')}`,
      );
    console.log('\nThen: npx prisma generate && npx prisma migrate dev --name authtuna');
    return 0;
  },
};

/** The folder of a schema given as folder or file. */
export function schemaFolder(path: string): string {
  return existsSync(path) && statSync(path).isFile() ? dirname(path) : path;
}

/** All schema files of a folder and of those below it, as one text. */
export function readSchemaFolder(folder: string): string {
  if (!existsSync(folder)) return '';
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.prisma'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

export function readShippedSchema(): string {
  return readFileSync(new URL('../../prisma/authtuna.prisma', import.meta.url), 'utf8');
}
