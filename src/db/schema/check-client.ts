import { misconfigured } from '../../errors.js';
import { schemaOfClient } from './client-schema.js';
import { compareSchemas, describeProblems } from './compare.js';
import type { ModelNames } from './model-names.js';
import { parseModels } from './schema-text.js';
import { readShippedSchema } from './shipped.js';

/**
 * Compares the schema that a host's client was generated from with ours: types, optionality, uniqueness, indexes, and required columns of the
 * host that no row of ours could be written without. A client that does not carry its schema is not compared.
 *
 * @throws AuthTunaError `misconfigured` naming everything that differs
 */
export function checkClientSchema(client: object, expected: HostExpectations): void {
  const { models, signUp, user, organization, project } = expected;
  const text = schemaOfClient(client);
  if (text === null) return;
  const theirs = parseModels(text);
  const filled = Object.entries(signUp.fields)
    .filter(([, field]) => field.required)
    .map(([name]) => name);
  const problems = describeProblems(
    compareSchemas(theirs, parseModels(readShippedSchema()), { names: models, filled }),
  );
  const own = new Set(theirs.flatMap(({ fields }) => [...fields.keys()]));
  for (const [option, columns] of [
    ['user.publicColumns', user.publicColumns],
    ['organization.publicColumns', organization.publicColumns],
    ['organization.fields', Object.keys(organization.fields)],
    ['project.publicColumns', project.publicColumns],
    ['project.fields', Object.keys(project.fields)],
  ] as const)
    for (const column of columns)
      if (!own.has(column))
        problems.push(`${option}: ${column} is no column of your ${option.split('.')[0]} model`);
  if (problems.length === 0) return;
  throw misconfigured(
    `your Prisma schema cannot be used as it is:\n${problems.map((line) => `  - ${line}`).join('\n')}\nChange your schema, then run npx prisma generate and migrate your database (npx authtuna generate --check compares again)`,
  );
}

/** What the options say about the host's schema. */
interface HostExpectations {
  models?: ModelNames | undefined;
  signUp: { fields: Readonly<Record<string, { required: boolean }>> };
  user: { publicColumns: readonly string[] };
  organization: { publicColumns: readonly string[]; fields: object };
  project: { publicColumns: readonly string[]; fields: object };
}
