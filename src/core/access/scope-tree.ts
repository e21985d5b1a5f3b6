import type { Config } from '../../config/config.js';
import type { ScopePlace } from '../../config/options.js';
import { AuthTunaError } from '../../errors.js';
import { rememberAtMost } from '../../remember.js';
import { inTime } from '../../time.js';
import { Batcher } from '../concurrency/batcher.js';
import type { Runtime } from '../runtime.js';
import { type Chain, GLOBAL_CHAIN } from './grants.js';
import { isScope, parseScope } from './scope-name.js';

/** A place in the tree of scopes. */
export interface ScopeNode {
  id: string;
  parent: string | null;
  ownerId: string | null;
  name: string | null;
}

/** Says where a scope hangs that is not a row of ours; null when it knows nothing of it. */
type ScopeResolver = (scope: string) => Promise<ScopePlace | null>;

/** Levels from a scope up to, but without, `global`. */
export const MAX_DEPTH = 16;
const MAX_CHAINS = 50_000;
const RESOLVE_MS = 2000; // as for the database: slower than this counts as down
const UNTOLD_MS = 1000; // with `recheckSeconds: 0`, how long it takes until what was written into the table by hand is seen

/**
 * The tree of scopes, for reading: where a right given higher up reaches down to.
 *
 * Nodes are rows or come from the host's own tables (`resolveScope`); a row that a script registered goes before those tables, and they before a row
 * that a user registered. An unknown scope hangs directly below `global`.
 */
export class ScopeTree {
  readonly #runtime: Runtime;
  readonly #resolver: ScopeResolver | null;
  readonly #chains = rememberAtMost<RememberedChain>(MAX_CHAINS);
  readonly #rows: Batcher<NodeRow>;
  #askedAt = -Infinity;
  /** Counts the invalidations, so that an answer that was under way when one came is not remembered. */
  #changes = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#rows = new Batcher(async (ids) => {
      const rows = await runtime.db.scopeNode.findMany({ where: { id: { in: ids } } });
      return new Map(rows.map((row) => [row.id, { ...toNode(row), registeredById: row.registeredById }]));
    });
    this.#resolver = resolverOf(runtime.config);
    runtime.invalidation.subscribe((topics) => {
      if (topics.some((topic) => topic === 'all' || topic.startsWith('scope:'))) this.#forgetChains();
    });
  }

  /** The chain if it is in memory and younger than `recheckSeconds`, without waiting; undefined otherwise. */
  remembered(scope: string, now: number): Chain | undefined {
    if (scope === 'global') return GLOBAL_CHAIN;
    this.#noticeTime(now);
    const entry = this.#chains.get(scope);
    if (entry === undefined) return undefined;
    const age = now - entry.loadedAt;
    return age >= 0 && age < this.#runtime.config.session.recheckSeconds * 1000 ? entry.chain : undefined;
  }

  /**
   * The chain if it is in memory and the tree has not changed since, without waiting; undefined otherwise.
   *
   * @param version of the tree, as read for the decision that this is for
   */
  unchanged(scope: string, version: number | undefined, now: number): Chain | undefined {
    if (scope === 'global') return GLOBAL_CHAIN;
    this.#noticeTime(now);
    const entry = this.#chains.get(scope);
    if (entry === undefined || version === undefined || entry.version !== version) return undefined;
    const age = now - entry.loadedAt;
    const { recheckSeconds } = this.#runtime.config.session;
    return age >= 0 && age < (recheckSeconds * 1000 || UNTOLD_MS) ? entry.chain : undefined;
  }

  /**
   * The scope and its ancestors up to `global`; null for a name that is not a scope, for a circle and beyond 16 levels, all of which deny.
   *
   * @param options.fresh as of now; with a `version` of the tree that was read for this decision, what is remembered of that version counts too
   * @throws AuthTunaError `unavailable` when the database or a resolver fails
   */
  async chainOf(
    scope: string,
    options: { fresh: boolean; version?: number | undefined },
  ): Promise<Chain | null> {
    if (!isScope(scope)) return null;
    const { fresh, version } = options;
    const now = this.#runtime.now().getTime();
    const known = fresh ? this.unchanged(scope, version, now) : this.remembered(scope, now);
    if (known !== undefined) return known;
    const changes = this.#changes;
    const nodes = await this.#likelyNodesOf(scope);
    // Of all levels together: a function of the host that is slow at each of them must not hold the request sixteen times as long.
    const deadline = performance.now() + RESOLVE_MS;
    const scopes: string[] = [];
    const owners: (string | null)[] = [];
    let isOurs = true; // what a resolver says, or may say later, no version tells of
    for (let next: string | null = scope; next !== null && next !== 'global'; ) {
      if (scopes.length >= MAX_DEPTH || scopes.includes(next)) {
        this.#runtime.config.logger.error(
          'A circle or more than 16 levels in the tree of scopes; access is denied.',
          { scope, at: next },
        );
        return null;
      }
      const node: Node = nodes.get(next) ?? (await this.#nodeOf(next, deadline));
      isOurs &&= node.isRow || this.#resolver === null;
      scopes.push(next);
      owners.push(node.ownerId ?? null);
      next = node.parent ?? null;
    }
    const chain: Chain = { scopes: [...scopes, 'global'], owners: [...owners, null] };
    if (changes === this.#changes)
      this.#chains.set(scope, { chain, loadedAt: now, version: isOurs ? version : undefined });
    return chain;
  }

  /** Asks in one query about the whole chain as it last was; it rarely changes, and a walk would ask level by level. */
  async #likelyNodesOf(scope: string): Promise<Map<string, Node>> {
    const chain = this.#chains.get(scope)?.chain.scopes ?? [];
    return new Map(await Promise.all(chain.map(async (each) => [each, await this.#nodeOf(each)] as const)));
  }

  async #nodeOf(scope: string, deadline?: number): Promise<Node> {
    if (scope === 'global') return { isRow: true };
    const row = await this.rowOf(scope);
    if (row !== null && (row.registeredById === null || this.#resolver === null))
      return { ...row, isRow: true };
    // A user who registers the next id of the host's table must not keep its real owner out.
    const told = await this.resolve(scope, deadline);
    return told === null && row !== null ? { ...row, isRow: true } : { ...told, isRow: false };
  }

  /** The registered node of a scope as of now; null where there is none. */
  rowOf(scope: string): Promise<NodeRow | null> {
    return this.#rows.latest(scope);
  }

  /** The parent of a scope as of now; null below `global`. */
  async parentOf(scope: string): Promise<string | null> {
    return (await this.#nodeOf(scope)).parent ?? null;
  }

  /** What the host's own tables know of a scope, or null. @param deadline of `performance.now()`; default: 2 s from now */
  async resolve(scope: string, deadline = performance.now() + RESOLVE_MS): Promise<ScopePlace | null> {
    if (this.#resolver === null) return null;
    const place = await this.#ask(this.#resolver, scope, deadline);
    if (place?.parent != null && !isScope(place.parent))
      throw new AuthTunaError(
        'unavailable',
        { reason: 'resolve_scope_failed' },
        { cause: new Error(`resolveScope gave a parent that is not a scope for ${scope}`) },
      );
    return place;
  }

  /** The host's function may throw at once, never answer, or give nothing where null is meant. */
  async #ask(resolver: ScopeResolver, scope: string, deadline: number): Promise<ScopePlace | null> {
    const limitMs = Math.max(1, Math.ceil(deadline - performance.now()));
    try {
      return (await inTime('resolveScope', limitMs, async () => resolver(scope))) ?? null;
    } catch (cause) {
      this.#runtime.config.logger.error(
        'resolveScope did not answer for a scope, so access to it is denied.',
        {
          type: parseScope(scope)?.type,
          error: cause,
        },
      );
      throw new AuthTunaError(
        'unavailable',
        { reason: 'resolve_scope_failed', retryAfterSeconds: 1 },
        { cause },
      );
    }
  }

  /** Clears the cache after the clock was put back: entries from the later time would become valid again. */
  #noticeTime(now: number): void {
    if (now < this.#askedAt) this.#forgetChains();
    this.#askedAt = now;
  }

  #forgetChains(): void {
    this.#changes += 1;
    this.#chains.clear(); // a moved scope moves all below it; rebuilding is cheap, finding them is not
  }
}

/** The host's function, or null. With `resolveScopes`, all scopes that are asked about in one turn of the event loop are one call. */
function resolverOf({ resolveScope, resolveScopes }: Config): ScopeResolver | null {
  if (resolveScopes === undefined) return resolveScope ?? null;
  const places = new Batcher<ScopePlace>(async (scopes) => {
    const answer = await resolveScopes(scopes);
    const entries = answer instanceof Map ? answer : Object.entries(answer);
    return new Map([...entries].filter((entry): entry is [string, ScopePlace] => entry[1] != null));
  });
  return (scope) => places.latest(scope);
}

/** The public form of a row. */
export function toNode(row: {
  id: string;
  parentId: string | null;
  ownerId: string | null;
  name: string | null;
}): ScopeNode {
  return { id: row.id, parent: row.parentId, ownerId: row.ownerId, name: row.name };
}

interface NodeRow extends ScopeNode {
  /** Null for a script. */
  registeredById: string | null;
}

type Node = ScopePlace & { isRow: boolean };

interface RememberedChain {
  chain: Chain;
  loadedAt: number;
  /** Of the tree, as read before the chain was; undefined where no version was read or none tells of it. */
  version: number | undefined;
}
