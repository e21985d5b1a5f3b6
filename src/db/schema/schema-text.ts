/** One field of a Prisma model, as its schema file says it. */
export interface FieldText {
  name: string;
  /** `String`, `Int`, … or the name of a model or enum. */
  type: string;
  isOptional: boolean;
  isList: boolean;
  isId: boolean;
  isUnique: boolean;
  /** Whether the database or Prisma fills it: `@default` or `@updatedAt`. */
  isFilled: boolean;
  /** The native type, such as `Uuid` of `@db.Uuid`; null for the usual one. */
  native: string | null;
  /** The columns of a `@relation(fields: […])`; none for other fields. */
  relationFields: readonly string[];
  /** The whole line, with single spaces. */
  line: string;
}

/** One model of a Prisma schema: its fields by name, and its block attributes. */
export interface ModelText {
  name: string;
  text: string;
  fields: ReadonlyMap<string, FieldText>;
  /** Without spaces and without the names of indexes: `@@index([userId,at])`. */
  attributes: readonly string[];
}

/** The models of a schema file, read line by line; comments are left out. */
export function parseModels(schema: string): ModelText[] {
  return [
    ...schema
      .replaceAll('\r\n', '\n')
      .matchAll(/^((?:[ \t]*\/\/\/.*\n)*)[ \t]*model\s+(\w+)\s*\{\n([\s\S]*?)^[ \t]*\}/gm),
  ].map(([text, , name = '', body = '']) => {
    const lines = body
      .split('\n')
      .map((line) => line.replace(/\s*\/\/.*$/, '').trim())
      .filter((line) => line !== '');
    const blocks = lines.filter((line) => line.startsWith('@@'));
    const fields = lines.filter((line) => !line.startsWith('@@')).map(parseField);
    return {
      name,
      text,
      fields: new Map(fields.map((field) => [field.name, field])),
      attributes: blocks.map(normalizedAttribute),
    };
  });
}

function parseField(text: string): FieldText {
  const line = text.replace(/\s+/g, ' ');
  const [name = '', written = ''] = line.split(' ', 2);
  const [, type = written, modifier = ''] = /^(\w+)(\?|\[\])?/.exec(written) ?? [];
  return {
    name,
    type,
    isOptional: modifier === '?',
    isList: modifier === '[]',
    isId: /@id\b/.test(line),
    isUnique: /(?<!@)@unique\b/.test(line),
    isFilled: /@(default\(|updatedAt\b)/.test(line),
    native: /@db\.(\w+)/.exec(line)?.[1] ?? null,
    relationFields: (/@relation\([^)]*fields:\s*\[([^\]]*)\]/.exec(line)?.[1] ?? '')
      .split(',')
      .map((column) => column.trim())
      .filter((column) => column !== ''),
    line,
  };
}

/** An attribute as it can be compared: neither spaces nor the name of an index make a difference. */
function normalizedAttribute(text: string): string {
  return text
    .replace(/\s+/g, '')
    .replace(/,?(?:name|map):"[^"]*"/g, '')
    .replace('(fields:[', '([');
}

/** Whether a column identifies a row by itself. */
export function isUniqueColumn(model: ModelText, column: string): boolean {
  const field = model.fields.get(column);
  return (
    field?.isId === true ||
    field?.isUnique === true ||
    model.attributes.includes(`@@unique([${column}])`) ||
    model.attributes.includes(`@@id([${column}])`)
  );
}
