import { OUR_USER_COLUMNS } from '../../db/client.js';
import { invalid } from '../refusals.js';

const NESTED_WRITE = /^(create|connect|update|upsert|delete|set|disconnect)/;

/**
 * Refuses every column that is not the host's own, and values that Prisma would take for writes to other models. A host may pass on as
 * `data` what a browser sent.
 *
 * @throws AuthTunaError `invalid_input`
 */
export function requireHostColumns(data: object | undefined): void {
  for (const [key, value] of Object.entries(data ?? {})) {
    if (OUR_USER_COLUMNS.has(key))
      throw invalid(`data.${key}`, 'unknown_field', 'is not a column of your own');
    const isNested =
      typeof value === 'object' &&
      value !== null &&
      Object.keys(value).some((word) => NESTED_WRITE.test(word));
    if (isNested) throw invalid(`data.${key}`, 'wrong_type', 'must be a value');
  }
}
