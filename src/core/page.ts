import { AuthTunaError } from '../errors.js';

/** A part of a list. `nextCursor` goes into the next call; null at the end. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface PageQuery {
  cursor?: string;
  /** 1 to 100, default 50. */
  limit?: number;
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

/**
 * Reads one page: `read` is asked for one row more than fits, which tells whether there is another page.
 *
 * `read` begins at the row `after` or just behind it: the row is no help in counting, since it may have left the list meanwhile.
 *
 * @throws AuthTunaError `invalid_input` for a limit outside 1 to 100
 */
export async function pageOf<T extends { id: string }>(
  query: PageQuery,
  read: (window: { take: number; after: string | null }) => Promise<T[]>,
): Promise<Page<T>> {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new AuthTunaError('invalid_input', {
      errors: [
        {
          field: 'limit',
          rule: limit < 1 ? 'too_small' : 'too_large',
          message: `must be between 1 and ${MAX_LIMIT}`,
        },
      ],
    });
  }
  const after = query.cursor ?? null;
  const found = await read({ take: limit + (after === null ? 1 : 2), after });
  const rows = found.filter((row) => row.id !== after);
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
