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
 * @throws AuthTunaError `invalid_input` for a limit outside 1 to 100
 */
export async function pageOf<T extends { id: string }>(
  query: PageQuery,
  read: (window: { take: number; skip: number; after: string | null }) => Promise<T[]>,
): Promise<Page<T>> {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new AuthTunaError('invalid_input', {
      errors: [{ field: 'limit', message: `must be between 1 and ${MAX_LIMIT}` }],
    });
  }
  const rows = await read({
    take: limit + 1,
    skip: query.cursor === undefined ? 0 : 1,
    after: query.cursor ?? null,
  });
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
