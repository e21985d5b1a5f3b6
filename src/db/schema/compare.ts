import { hostModelName, type ModelNames } from './model-names.js';
import { type FieldText, isUniqueColumn, type ModelText } from './schema-text.js';

/** What a host says about its schema. */
export interface HostSchema {
  /** What it calls our models. */
  names?: ModelNames | undefined;
  /** Required columns of its own that every new user is given a value for, such as required fields of `signUp.fields`. */
  filled?: readonly string[];
}

/** What keeps a schema from being used: lines to add, and what contradicts ours. */
export interface SchemaProblems {
  /** Models that are not there at all, by the host's name. */
  models: string[];
  /** Lines to add, by the host's model; each can be pasted as it is. */
  lines: { model: string; line: string }[];
  /** Sentences about what is there and cannot work. */
  conflicts: string[];
}

/**
 * Compares a schema with ours: models, fields, types, optionality, uniqueness and indexes, and columns of the host without which none of our
 * rows could be written. Further models, columns and relations do not matter.
 */
export function compareSchemas(
  theirs: readonly ModelText[],
  ours: readonly ModelText[],
  { names, filled = [] }: HostSchema = {},
): SchemaProblems {
  const problems: SchemaProblems = { models: [], lines: [], conflicts: [] };
  const typeOf = (type: string) =>
    ours.some(({ name }) => name === type) ? hostModelName(names, type) : type;
  for (const model of ours) {
    const name = hostModelName(names, model.name);
    const present = theirs.find((other) => other.name === name);
    if (present === undefined) {
      problems.models.push(name);
      continue;
    }
    for (const field of model.fields.values()) {
      const type = typeOf(field.type);
      const other = present.fields.get(field.name);
      if (other === undefined)
        problems.lines.push({ model: name, line: addable(field).replace(field.type, type) });
      else problems.conflicts.push(...fieldConflicts({ ...field, type }, other, model, present));
    }
    for (const attribute of model.attributes)
      if (!present.attributes.includes(attribute) && !isFieldAttribute(attribute, present))
        problems.lines.push({ model: name, line: attribute.replaceAll(',', ', ') });
    problems.conflicts.push(...foreignConflicts(model, present, theirs, filled));
  }
  return problems;
}

/** A line that existing rows survive: times get a default, which the migration fills in. */
function addable({ line, type, isOptional, isList, isFilled }: FieldText): string {
  return type === 'DateTime' && !isOptional && !isList && !isFilled ? `${line} @default(now())` : line;
}

function fieldConflicts(ours: FieldText, theirs: FieldText, model: ModelText, present: ModelText): string[] {
  const where = `${present.name}.${ours.name}`;
  if (theirs.type !== ours.type || theirs.isList !== ours.isList)
    return [`${where} is ${written(theirs)}, and must be ${written(ours)}`];
  if (theirs.native === 'Uuid')
    return [`${where} is @db.Uuid, and holds other texts: take the native type away`];
  const found: string[] = [];
  if (theirs.isOptional && !ours.isOptional)
    found.push(`${where} is optional, and must be required: ${ours.line}`);
  if (!theirs.isOptional && ours.isOptional && !theirs.isList)
    found.push(`${where} is required, and must be optional: ${ours.line}`);
  const isUnique = isUniqueColumn(present, ours.name);
  if (isUniqueColumn(model, ours.name) && !isUnique)
    found.push(`${where} is not unique, and must be: ${ours.line}`);
  if (!isUniqueColumn(model, ours.name) && isUnique)
    found.push(`${where} is unique, and several rows hold the same value: take @unique away`);
  return found;
}

/** Columns of the host that must have a value, in a row that this library writes. */
function foreignConflicts(
  model: ModelText,
  present: ModelText,
  theirs: readonly ModelText[],
  filled: readonly string[],
): string[] {
  const fields = [...present.fields.values()];
  const isModel = (type: string) => theirs.some(({ name }) => name === type);
  const isUser = model.name === 'User';
  const hostRelation = isUser
    ? fields.filter(({ relationFields, name }) => relationFields.length > 0 && !model.fields.has(name))
    : [];
  const isFilledIn = (name: string) =>
    isUser &&
    (filled.includes(name) || hostRelation.some(({ relationFields }) => relationFields.includes(name)));
  return fields
    .filter(
      (field) =>
        !model.fields.has(field.name) &&
        !field.isOptional &&
        !field.isList &&
        !field.isFilled &&
        !isModel(field.type) &&
        !isFilledIn(field.name),
    )
    .map(
      ({ name }) =>
        `${present.name}.${name} is a required column of yours without a default, so no ${present.name} could be created: make it optional or give it a default${isUser ? ', or ask for it at sign-up (signUp.fields)' : ''}`,
    );
}

function isFieldAttribute(attribute: string, present: ModelText): boolean {
  const column = /^@@unique\(\[(\w+)\]\)$/.exec(attribute)?.[1];
  return column !== undefined && isUniqueColumn(present, column);
}

function written({ type, isOptional, isList }: FieldText): string {
  return `${type}${isList ? '[]' : ''}${isOptional ? '?' : ''}`;
}

/** The problems as lines of a text; none when there are no problems. */
export function describeProblems({ models, lines, conflicts }: SchemaProblems): string[] {
  return [
    ...models.map((model) => `model ${model}`),
    ...lines.map(({ model, line }) => `${model}: ${line}`),
    ...conflicts,
  ];
}
