import { MODELS } from '../../db/client.js';
import { modelsOfClient } from '../../db/schema/client-schema.js';
import { hostModelName } from '../../db/schema/model-names.js';
import { misconfigured } from '../../errors.js';
import type { Runtime } from '../runtime.js';

/** Turns the id of a scope into what a column of the host holds; undefined for an id that the column can never hold. */
export type IdReader = (id: string) => string | number | bigint | undefined;

/**
 * Gives for each column the reader of its ids: numbers for `Int`, big integers for `BigInt`, texts for all others. The types come from the
 * host's client; without one every column holds texts.
 *
 * @param options.model the model that the filter is for, needed only where models with the same columns differ in their types
 * @throws AuthTunaError `misconfigured` when the types differ and no model is named, or the model lacks a column
 */
export function idReaders(
  { config }: Pick<Runtime, 'config'>,
  columns: readonly string[],
  options: { model?: string },
): ReadonlyMap<string, IdReader> {
  const readers = new Map(columns.map((column) => [column, asText as IdReader]));
  if (config.prisma === undefined) return readers;
  const ours = new Set(MODELS.map(({ name }) => hostModelName(config.models, name)));
  const models = [...modelsOfClient(config.prisma)].filter(([name, fields]) =>
    options.model === undefined
      ? !ours.has(name) && columns.every((column) => fields.some((field) => field.name === column))
      : name.toLowerCase() === options.model.toLowerCase(),
  );
  for (const column of columns) {
    const types = new Set(models.map(([, fields]) => fields.find(({ name }) => name === column)?.type));
    if (options.model !== undefined && (types.size === 0 || types.has(undefined)))
      throw misconfigured(`whereFor: the model ${options.model} of your client has no column ${column}`);
    const found = new Set([...types].map((type) => READERS[type ?? ''] ?? asText));
    if (found.size > 1)
      throw misconfigured(
        `whereFor: ${column} has several types in your models (${models.map(([name]) => name).join(', ')}); name the one: whereFor(userId, permission, columns, { model: '${models[0]?.[0]}' })`,
      );
    const [reader] = found;
    if (reader !== undefined) readers.set(column, reader);
  }
  return readers;
}

const MAX_INT = 2 ** 31 - 1; // what Prisma's Int holds

const asText: IdReader = (id) => id;
const READERS: Readonly<Record<string, IdReader>> = {
  Int: (id) => (/^-?\d{1,10}$/.test(id) && Math.abs(Number(id)) <= MAX_INT ? Number(id) : undefined),
  BigInt: (id) => (/^-?\d{1,18}$/.test(id) ? BigInt(id) : undefined),
};
