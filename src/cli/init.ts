import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareSchemas, type SchemaProblems } from '../db/schema/compare.js';
import { hostModelName, type ModelNames, renamedSchema } from '../db/schema/model-names.js';
import { type ModelText, parseModels } from '../db/schema/schema-text.js';
import { readShippedSchema } from '../db/schema/shipped.js';
import { type Command, JSON_OPTION } from './command.js';
import { findSchema, modelNamesOf, readSchema, readSchemaFolder, type SchemaPlace } from './host-schema.js';

const PREFIX = 'Auth';
const RELATION = 'hostUser';

export const init: Command = {
  usage: 'npx authtuna init [--schema prisma] [--models Auth] [--same-user] [--json]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        schema: { type: 'string' },
        models: { type: 'string' },
        'same-user': { type: 'boolean' },
        ...JSON_OPTION,
      },
    });
    const place = findSchema(values.schema);
    const target = join(place.folder, 'authtuna.prisma');
    const answer = (isWritten: boolean, lines: readonly string[]) => {
      console.log(
        values.json === true ? JSON.stringify({ file: target, isWritten, lines }) : lines.join('\n'),
      );
      return 0;
    };
    if (existsSync(target))
      return answer(false, [
        `${target} is there already and stays as it is. Compare it with: npx authtuna generate --check`,
      ]);
    const theirs = parseModels(`${readSchema(place)}\n${readSchemaFolder(place.folder)}`);
    const plan = planFor(theirs, {
      names: modelNamesOf(values.models),
      isSameUser: values['same-user'] === true,
    });
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(target, plan.text);
    return answer(true, [`Wrote ${target}.`, ...placeLines(place, target), ...plan.lines, ...nextLines()]);
  },
};

interface Plan {
  text: string;
  lines: string[];
}

/** Which of our models go into the new file, under which names, and what the host adds to its own. */
function planFor(
  theirs: readonly ModelText[],
  choice: { names: ModelNames | undefined; isSameUser: boolean },
): Plan {
  const shipped = readShippedSchema();
  const ours = parseModels(shipped);
  const isTaken = (names: ModelNames | undefined) => (model: ModelText) =>
    theirs.some(({ name }) => name === hostModelName(names, model.name));
  const user = theirs.find(({ name }) => name === 'User');
  const taken = ours.filter(isTaken(choice.names));
  const isOneUser = choice.isSameUser || (taken.length === 1 && user !== undefined && fits(theirs, ours));
  if (taken.length > 0 && choice.names === undefined && !isOneUser) return beside(shipped, ours, user, taken);

  const names = choice.names;
  const text = without(shipped, taken);
  const { lines, conflicts } = compareSchemas(theirs, taken, { names });
  return {
    text: renamedSchema(text, namesOf(ours), names),
    lines: [
      ...(names === undefined ? [] : ['', 'Tell createAuthTuna the names:', `  models: ${literal(names)},`]),
      ...(taken.length === 0
        ? []
        : toAdd(
            taken.map(({ name }) => hostModelName(names, name)),
            lines,
          )),
      ...toChange(conflicts),
      ...(taken.some(({ name }) => name === 'User')
        ? ['', 'Rows that exist get the defaults above.', ...importLines(hostModelName(names, 'User'))]
        : []),
    ],
  };
}

/** Whether the host's own user model can become ours by adding lines. */
function fits(theirs: readonly ModelText[], ours: readonly ModelText[]): boolean {
  const user = ours.filter(({ name }) => name === 'User');
  return (
    compareSchemas(theirs, user).conflicts.filter((line) => !line.includes('of yours without')).length === 0
  );
}

/** Our user beside the host's user: all models of ours under a prefix, with a relation between the two users. */
function beside(
  shipped: string,
  ours: readonly ModelText[],
  user: ModelText | undefined,
  taken: readonly ModelText[],
): Plan {
  const id = [...(user?.fields.values() ?? [])].find(({ isId }) => isId);
  const text = renamedSchema(shipped, namesOf(ours), PREFIX);
  const lines = [
    '',
    `Your schema has ${taken.map(({ name }) => name).join(', ')} already, so ours are called ${PREFIX}User, ${PREFIX}Session, …`,
    '',
    'Tell createAuthTuna:',
    `  models: '${PREFIX}',`,
  ];
  if (user === undefined || id === undefined) return { text, lines };
  const native = id.native === null ? '' : ` @db.${id.native}`;
  const relation = [
    `  ${RELATION}Id ${id.type} @unique${native}`,
    `  ${RELATION} User @relation(fields: [${RELATION}Id], references: [${id.name}], onDelete: Cascade)`,
    '',
  ];
  return {
    text: text.replace(/^(model AuthUser \{\n)/m, `$1${relation.join('\n')}\n`),
    lines: [
      ...lines,
      `  user: { ${RELATION}: { create: ({ email }) => ({ email }) } },   // the columns of your own new row`,
      '',
      'Add one line to your model User, the other end of the relation:',
      '  authUser AuthUser?',
      '',
      ...importLines('User'),
      '',
      `A request then has your id as req.user.${RELATION}Id. To make your own model our user instead: npx authtuna init --same-user`,
    ],
  };
}

/** How the users who are there already get in. */
function importLines(model: string): string[] {
  const table = model === 'User' ? '' : ` --table ${model}`;
  return [
    '',
    'After the migration, bring addresses and passwords of your users over. auth.js exports your AuthTuna:',
    `  npx authtuna import --from prisma${table} --app ./auth.js --dry-run`,
    '  and then the same without --dry-run',
  ];
}

function placeLines({ folder, file }: SchemaPlace, target: string): string[] {
  if (file === null || !existsSync(file)) return [];
  return [
    '',
    `Prisma reads ${file} only. Do one of these:`,
    `  set schema: '${folder}' in prisma.config.ts, so that it reads every file of the folder`,
    `  or append ours: cat ${target} >> ${file} && rm ${target}`,
  ];
}

function toAdd(models: readonly string[], lines: SchemaProblems['lines']): string[] {
  return models.flatMap((model) => {
    const own = lines.filter((each) => each.model === model);
    return own.length === 0 ? [] : ['', `Add to your model ${model}:`, ...own.map(({ line }) => `  ${line}`)];
  });
}

function toChange(conflicts: readonly string[]): string[] {
  return conflicts.length === 0 ? [] : ['', 'Change:', ...conflicts.map((line) => `  ${line}`)];
}

function nextLines(): string[] {
  return ['', 'Then: npx prisma generate && npx prisma migrate dev --name authtuna'];
}

function without(text: string, models: readonly ModelText[]): string {
  return models.reduce((rest, model) => rest.replace(model.text, ''), text).replace(/\n{3,}/g, '\n\n');
}

function namesOf(models: readonly ModelText[]): string[] {
  return models.map(({ name }) => name);
}

function literal(names: ModelNames): string {
  if (typeof names === 'string') return `'${names}'`;
  const entries = Object.entries(names).map(([ours, theirs]) => `${ours}: '${theirs}'`);
  return `{ ${entries.join(', ')} }`;
}
