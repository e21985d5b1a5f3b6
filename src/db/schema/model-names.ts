/** What the host calls our models: a prefix for all of them (`Auth` makes `AuthUser`), or a name for some. */
export type ModelNames = string | Readonly<Record<string, string>>;

/** The host's name of one of our models. @param model as in authtuna.prisma: `User` */
export function hostModelName(names: ModelNames | undefined, model: string): string {
  if (names === undefined) return model;
  return typeof names === 'string' ? `${names}${model}` : (names[model] ?? model);
}

/** The property of a generated client that holds a model: `AuthUser` is `client.authUser`. */
export function delegateName(model: string): string {
  return model.charAt(0).toLowerCase() + model.slice(1);
}

/** Our models written under the names of the host, fields and all. */
export function renamedSchema(
  schema: string,
  models: readonly string[],
  names: ModelNames | undefined,
): string {
  if (names === undefined) return schema;
  const isOurs = new Set(models);
  return schema
    .split('\n')
    .map((line) =>
      line
        .replace(/^model (\w+)/, (_, model: string) => `model ${hostModelName(names, model)}`)
        .replace(/^(\s+\w+\s+)(\w+)/, (whole, before: string, type: string) =>
          isOurs.has(type) ? `${before}${hostModelName(names, type)}` : whole,
        ),
    )
    .join('\n');
}
