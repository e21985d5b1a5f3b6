import { z } from 'zod';
import { parseAddress } from '../../net/addresses.js';
import { isScope } from '../access/scope-name.js';
import { canonicalEmail, canonicalUsername } from '../identifiers.js';
import { notBefore, type Page, pageOf } from '../page.js';
import { invalid } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { type AuditEntry, type AuditRow, toEntry } from './audit-entry.js';
import { keptIp } from './audit-ip.js';

/** Which entries; all conditions must hold. */
export interface AuditFilter {
  type?: string;
  /** Any of these types, at most 100. */
  types?: readonly string[];
  outcome?: 'success' | 'failure' | 'denied';
  actorId?: string;
  targetId?: string;
  /** What this user did, and what happened to them. */
  userId?: string;
  /** Exactly at this scope. */
  scope?: string;
  /** At this scope or at a registered scope below it; for an organization's own view. */
  within?: string;
  /** The first moment that counts. */
  from?: Date;
  /** The first moment that no longer counts. */
  to?: Date;
  /** An address, a username, an IP address, or the id of an entry, actor or target; at most 64 characters. */
  q?: string;
}

export interface AuditQuery extends AuditFilter {
  cursor?: string;
  /** 1 to 100, default 50. */
  limit?: number;
}

const MAX_SCOPES = 2000; // of a view: more would make a statement that no index answers
const MAX_TEXT = 512;

const text = z.string().min(1).max(MAX_TEXT);
const filterShape = {
  type: text.optional(),
  types: z.array(text).max(100).readonly().optional(),
  outcome: z.enum(['success', 'failure', 'denied']).optional(),
  actorId: text.optional(),
  targetId: text.optional(),
  userId: text.optional(),
  scope: text.optional(),
  within: text.optional(),
  from: z.date().optional(),
  to: z.date().optional(),
  q: z.string().min(1).max(64).optional(),
};

/** @internal For managers; routes have a schema of their own, whose times are texts. */
export const auditFilter = z.strictObject(filterShape);
/** @internal */
export const auditQuery = z.strictObject({
  ...filterShape,
  cursor: z.string().min(1).max(64).optional(),
  limit: z.number().optional(),
});

type Condition = Readonly<Record<string, unknown>>;

/** What is asked of the database: `base` holds for all, and one of `alternatives`, each of which an index answers. */
export interface Conditions {
  base: Condition;
  alternatives: readonly Condition[];
}

/** Newest first. */
export async function listAudit(runtime: Runtime, query: AuditQuery): Promise<Page<AuditEntry>> {
  const { cursor, limit, ...filter } = query;
  const conditions = await conditionsOf(runtime, filter);
  return pageOf(
    { ...(cursor !== undefined && { cursor }), ...(limit !== undefined && { limit }) },
    (window) => newestFirst(runtime, conditions, window),
  );
}

/** @internal The filter as conditions of the database. */
export async function conditionsOf(runtime: Runtime, filter: AuditFilter): Promise<Conditions> {
  const { q, userId, types, within, from, to, ...equal } = filter;
  const base = {
    ...Object.fromEntries(Object.entries(equal).filter(([, value]) => value !== undefined)),
    ...(types !== undefined && equal.type === undefined && { type: { in: [...types] } }),
    ...(within !== undefined && { scope: { in: await scopesBelow(runtime, within) } }),
    ...((from !== undefined || to !== undefined) && {
      at: { ...(from && { gte: from }), ...(to && { lt: to }) },
    }),
    // Both given: `within` must not widen what `scope` narrows.
    ...(equal.scope !== undefined && within !== undefined && { AND: [{ scope: equal.scope }] }),
  };
  const meanings = q === undefined ? [{}] : await meaningsOf(runtime, q.trim());
  const about = userId === undefined ? [{}] : byUser(userId);
  return {
    base,
    alternatives: meanings.flatMap((meaning) => about.map((each) => ({ AND: [meaning, each] }))),
  };
}

/** What a person may mean who types something into the search field. */
async function meaningsOf({ db, config }: Runtime, q: string): Promise<Condition[]> {
  const address = parseAddress(q);
  if (address !== null) {
    const ip = keptIp(config, address);
    return ip === null ? [] : [{ ip }];
  }
  if (q.includes('@')) {
    const email = canonicalEmail(q);
    const user = email === null ? null : await db.user.findUnique({ where: { email } });
    return user === null ? [] : byUser(user.id);
  }
  const username = canonicalUsername(q)?.username ?? null;
  const named = username === null ? null : await db.user.findUnique({ where: { username } });
  return [...(named === null ? [] : byUser(named.id)), { id: q }, ...byUser(q)];
}

/** What somebody did, and what happened to them. */
function byUser(id: string): Condition[] {
  return [{ actorId: id }, { targetId: id }];
}

/** One index answers each alternative; the newest of each are put in order afterwards, because an OR would read all entries. */
async function newestFirst(
  { db }: Runtime,
  { base, alternatives }: Conditions,
  { take, after }: { take: number; after: string | null },
): Promise<AuditEntry[]> {
  const last = after === null ? undefined : await db.auditEntry.findUnique({ where: { id: after } });
  const window = notBefore('at', last); // one that is gone was removed because of its age, and with it all that is older
  const read = (where: Condition) =>
    db.auditEntry.findMany({ where, orderBy: [{ at: 'desc' }, { id: 'desc' }], take });
  const found = await Promise.all(
    alternatives.map((alternative) => read({ AND: [base, alternative, window] })),
  );
  const rows: AuditRow[] =
    found.length === 1 ? (found[0] ?? []) : await read({ id: { in: found.flat().map(({ id }) => id) } });
  return rows.map(toEntry);
}

/** A scope and the registered scopes below it. @throws AuthTunaError `invalid_input` for no scope, and for more than 2000 */
async function scopesBelow({ db }: Runtime, scope: string): Promise<string[]> {
  if (!isScope(scope) || scope === 'global')
    throw invalid('within', 'invalid_scope', 'must be a scope such as org:acme');
  const found = new Set([scope]);
  for (let level = [scope]; level.length > 0; ) {
    const nodes = await db.scopeNode.findMany({
      where: { parentId: { in: level } },
      select: { id: true },
      take: MAX_SCOPES + 1,
    });
    level = nodes.map(({ id }) => id).filter((id) => !found.has(id));
    for (const id of level) found.add(id);
    if (found.size > MAX_SCOPES)
      throw invalid(
        'within',
        'too_large',
        `has more than ${MAX_SCOPES} scopes below it; ask for one of them`,
      );
  }
  return [...found];
}
