import { type ModelName, ourColumns } from '../db/client.js';
import { invalid } from './refusals.js';

const NESTED_WRITE = /^(create|connect|update|upsert|delete|set|disconnect)/;

/** The models of ours whose further columns hosts write through managers. */
export type ExtendedModel = Extract<ModelName, 'user' | 'organization' | 'organizationProject'>;

/**
 * Refuses every column that is not the host's own, and values that Prisma would take for writes to other models. A host may pass on as
 * `data` what a browser sent.
 *
 * @throws AuthTunaError `invalid_input`
 */
export function requireHostColumns(model: ExtendedModel, data: object | undefined): void {
  for (const [key, value] of Object.entries(data ?? {})) {
    if (ourColumns(model).has(key))
      throw invalid(`data.${key}`, 'unknown_field', 'is not a column of your own');
    const isNested =
      typeof value === 'object' &&
      value !== null &&
      Object.keys(value).some((word) => NESTED_WRITE.test(word));
    if (isNested) throw invalid(`data.${key}`, 'wrong_type', 'must be a value');
  }
}

/** Of a row, the columns of the host that the options let browsers see. */
export function listedColumns(row: object, publicColumns: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([column]) => publicColumns.includes(column)));
}

/** The names of what a change holds, with columns of the host as `data.<column>`, for the audit entry. */
export function changedFields({ data = {}, ...change }: { readonly data?: object | undefined }): string[] {
  return [...Object.keys(change), ...Object.keys(data).map((column) => `data.${column}`)];
}
