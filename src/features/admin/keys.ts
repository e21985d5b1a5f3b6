import type { ApiKey } from '../../auth.js';
import type { Page, PageQuery } from '../../core/page.js';
import type { AdminContext } from './admin-pages.js';

/** Whose key it is. */
export interface KeyOwner {
  id: string;
  kind: string;
  email: string;
  /** Of a service account; null for a person. */
  name: string | null;
}

/** An API key and its owner. */
export interface OwnedKey extends ApiKey {
  owner: KeyOwner | null;
}

/** API keys, the newest first: of everybody, or of the user of an id, address or username. */
export async function listKeys(
  { parts, people }: AdminContext,
  { user, ...query }: PageQuery & { user?: string },
): Promise<Page<OwnedKey>> {
  const owner = user === undefined ? undefined : await people.find(user);
  if (owner === null) return { items: [], nextCursor: null };
  const { items, nextCursor } =
    owner === undefined ? await parts.apiKeys.listAll(query) : await parts.apiKeys.list(owner.id, query);
  const rows = await parts.core.db.user.findMany({
    where: { id: { in: items.map(({ userId }) => userId) } },
    select: { id: true, kind: true, email: true, serviceAccount: { select: { name: true } } },
  });
  const owners = new Map(
    rows.map(({ serviceAccount, ...row }) => [row.id, { ...row, name: serviceAccount?.name ?? null }]),
  );
  return { items: items.map((key) => ({ ...key, owner: owners.get(key.userId) ?? null })), nextCursor };
}

/** Whether a key works no more, for a page. */
export function withEnd<K extends ApiKey>(key: K, now: Date): K & { isOver: boolean } {
  return { ...key, isOver: key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt <= now) };
}
