import { parseArgs } from 'node:util';
import { compareSchemas, describeProblems } from '../db/schema/compare.js';
import { parseModels } from '../db/schema/schema-text.js';
import { readShippedSchema } from '../db/schema/shipped.js';
import { type Command, JSON_OPTION } from './command.js';
import { findSchema, modelNamesOf, readSchema, usedNames } from './host-schema.js';

export const generate: Command = {
  usage: 'npx authtuna generate --check [--schema prisma] [--models Auth] [--filled column,column] [--json]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        check: { type: 'boolean' },
        schema: { type: 'string' },
        models: { type: 'string' },
        filled: { type: 'string', default: '' },
        ...JSON_OPTION,
      },
    });
    const place = findSchema(values.schema);
    const where = place.file ?? place.folder;
    const theirs = parseModels(readSchema(place));
    const ours = parseModels(readShippedSchema());
    const names = modelNamesOf(values.models) ?? usedNames(theirs, ours);
    const problems = describeProblems(
      compareSchemas(theirs, ours, { names, filled: values.filled.split(',').filter(Boolean) }),
    );
    if (values.json === true) {
      console.log(JSON.stringify({ schema: where, problems }));
      return problems.length === 0 ? 0 : 1;
    }
    if (problems.length === 0) {
      console.log(`The schema in ${where} has everything AuthTuna needs.`);
      return 0;
    }
    console.log(
      `The schema in ${where} lacks or contradicts:\n${problems.map((line) => `  ${line}`).join('\n')}\n\nChange it, then: npx prisma generate && npx prisma migrate dev`,
    );
    return 1;
  },
};
