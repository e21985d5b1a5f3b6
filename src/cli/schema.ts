/** One model of a Prisma schema: its fields and block attributes by name. */
export interface ModelText {
  name: string;
  text: string;
  fields: Map<string, string>;
  attributes: string[];
}

/** The models of a schema file, read line by line; comments are left out. */
export function parseModels(schema: string): ModelText[] {
  return [...schema.matchAll(/^((?:\s*\/\/\/.*\n)*)model\s+(\w+)\s*\{\n([\s\S]*?)^\}/gm)].map(
    ([text, , name = '', body = '']) => {
      const lines = body
        .split('\n')
        .map((line) => line.replace(/\s*\/\/.*$/, '').trim())
        .filter((line) => line !== '');
      const fields = lines.filter((line) => !line.startsWith('@@'));
      return {
        name,
        text,
        fields: new Map(fields.map((line) => [line.split(/\s+/, 1)[0] ?? '', squeezed(line)])),
        attributes: lines.filter((line) => line.startsWith('@@')).map(squeezed),
      };
    },
  );
}

/** What one schema lacks of ours: whole models, fields and indexes; columns and models of its own do not matter. */
export function missingFrom(theirs: readonly ModelText[], ours: readonly ModelText[]): string[] {
  return ours.flatMap((model) => {
    const present = theirs.find((other) => other.name === model.name);
    if (present === undefined) return [`model ${model.name}`];
    const fields = [...model.fields]
      .filter(([name]) => !present.fields.has(name))
      .map(([, line]) => `${model.name}: ${line}`);
    const attributes = model.attributes
      .filter((attribute) => !present.attributes.includes(attribute))
      .map((attribute) => `${model.name}: ${attribute}`);
    return [...fields, ...attributes];
  });
}

function squeezed(line: string): string {
  return line.replace(/\s+/g, ' ');
}
