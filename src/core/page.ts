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

/** The fields of {@link PageQuery}, for `requireKnownFields`. */
export const PAGE_FIELDS = ['cursor', 'limit'] as const;

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

/**
 * For a list whose newest rows come first, by a time and then the id: the condition that a row is the last one of the page before or comes
 * behind it. Unlike the client's own cursor it begins at its place in the index, however deep the page is.
 *
 * @param last undefined for the first page; null where that row is gone, which ends the list
 */
export function notBefore<C extends string>(
  column: C,
  last: ({ id: string } & { readonly [K in C]: Date }) | null | undefined,
): object {
  if (last === undefined) return {};
  if (last === null) return { id: { in: [] } };
  const at = last[column];
  return { [column]: { lte: at }, NOT: { [column]: at, id: { gt: last.id } } };
}
