import { LRUCache } from 'lru-cache';
import { type Actor, isSystem } from '../../actor.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Ledger, Write } from '../changes/ledger.js';
import { Batcher } from '../concurrency/batcher.js';
import { type Page, type PageQuery, pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';
import { type Chain, GLOBAL_CHAIN } from './grants.js';
import { isScope, parseScope } from './scope-name.js';
import { rolesChanged, scopesChanged } from './versions.js';

/** A place in the tree of scopes. */
export interface ScopeNode {
  id: string;
  parent: string | null;
  ownerId: string | null;
  name: string | null;
}

/** Says where a scope hangs that is not a row of ours; null when it knows nothing of it. */
export interface ScopeResolver {
  resolve(scope: string): Promise<{ parent?: string | null; ownerId?: string | null } | null>;
}

/** Decides what an actor may do, as of now; handed in by access, which stands above this. */
export interface ScopeGuard {
  require(actor: Actor, permission: string, scope: string): Promise<void>;
  /** Whether what people hold along `above` may reach down to the scope of `chain`. */
  requireMayLetIn(actor: Actor, chain: Chain, above: Chain): Promise<void>;
}

const MAX_DEPTH = 16;
const MAX_CHAINS = 50_000;
const UNTOLD_MS = 1000; // with `recheckSeconds: 0`, how long it takes until what was written into the table by hand is seen

/**
 * The tree of scopes: where a right given higher up reaches down to.
 *
 * Nodes are rows (`register`) or come from the host's own tables (`resolveScope`). A scope that nobody knows hangs directly below
 * `global`.
 */
export class ScopeManager {
  readonly resolvers: ScopeResolver[] = [];
  /** The writes that remove what features keep about a scope; they go into the batch that removes it. */
  readonly dependents: ((scope: string) => Promise<Write[]>)[] = [];
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #chains = new LRUCache<string, RememberedChain>({ max: MAX_CHAINS });
  readonly #rows: Batcher<ScopeNode>;
  #askedAt = -Infinity;
  /** Counts the invalidations, so that an answer that was under way when one came is not remembered. */
  #changes = 0;
  #guard: ScopeGuard = { require: refuse, requireMayLetIn: refuse };

  constructor(runtime: Runtime, ledger: Ledger) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#rows = new Batcher(async (ids) => {
      const rows = await runtime.db.scopeNode.findMany({ where: { id: { in: ids } } });
      return new Map(
        rows.map((row) => [
          row.id,
          { id: row.id, parent: row.parentId, ownerId: row.ownerId, name: row.name },
        ]),
      );
    });
    const { resolveScope } = runtime.config;
    if (resolveScope !== undefined) this.resolvers.push({ resolve: resolveScope });
    runtime.invalidation.subscribe((topics) => {
      if (topics.some((topic) => topic === 'all' || topic.startsWith('scope:'))) this.#forgetChains();
    });
  }

  /** @internal */
  guardWith(guard: ScopeGuard): void {
    this.#guard = guard;
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
      const node: Node = nodes.get(next) ?? (await this.#nodeOf(next));
      isOurs &&= node.isRow || this.resolvers.length === 0;
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

  async #nodeOf(scope: string): Promise<Node> {
    if (scope === 'global') return { isRow: true };
    const row = await this.#rows.latest(scope);
    if (row !== null) return { ...row, isRow: true };
    return { ...(await this.#resolve(scope)), isRow: false };
  }

  /** What the host's own tables know of a scope, or null. */
  async #resolve(scope: string): Promise<Place | null> {
    for (const resolver of this.resolvers) {
      const node = await ask(resolver, scope);
      if (node === null) continue;
      if (node.parent !== undefined && node.parent !== null && !isScope(node.parent)) {
        throw new AuthTunaError(
          'unavailable',
          { reason: 'resolve_scope_failed' },
          { cause: new Error(`resolveScope gave a parent that is not a scope for ${scope}`) },
        );
      }
      return node;
    }
    return null;
  }

  /**
   * Puts a scope into the tree. An actor other than `SYSTEM` needs `<type>:create` at the parent, can name only itself as the owner, and
   * can name only a scope that nobody has used: hanging one that is in use below one's own would be taking it.
   *
   * @throws AuthTunaError `invalid_input` for a name that is not `type:id`; `conflict` when it is there already or in use; `forbidden`
   */
  async register(
    node: { id: string; parent?: string | null; ownerId?: string | null; name?: string | null },
    actor: Actor,
  ): Promise<ScopeNode> {
    const { type } = requireNode(node.id, 'id');
    const parent = node.parent ?? null;
    if (parent !== null && !isScope(parent)) throw notAScope('parent');
    if (!isSystem(actor)) {
      await this.#guard.require(actor, `${type}:create`, parent ?? 'global');
      if (node.ownerId != null && node.ownerId !== actor.userId) throw new AuthTunaError('forbidden');
      if (await this.#isInUse(node.id))
        throw new AuthTunaError('conflict', { message: `The scope ${node.id} is in use.` });
    }
    await this.#requireNoCircle(node.id, parent);
    const row = {
      id: node.id,
      parentId: parent === 'global' ? null : parent,
      ownerId: node.ownerId ?? null,
      name: node.name ?? null,
    };
    try {
      await this.#ledger.commit({
        writes: [
          this.#runtime.db.scopeNode.create({ data: { ...row, createdAt: this.#runtime.now() } }),
          scopesChanged(this.#runtime.db),
        ],
        facts: [
          {
            type: 'scope.registered',
            actor,
            target: { type: 'scope', id: node.id },
            scope: node.id,
            data: { parent, ownerId: row.ownerId },
          },
        ],
        invalidates: [`scope:${node.id}`],
      });
    } catch (error) {
      if (isUniqueViolation(error))
        throw new AuthTunaError('conflict', { message: `The scope ${node.id} is registered already.` });
      throw error;
    }
    return { id: row.id, parent: row.parentId, ownerId: row.ownerId, name: row.name };
  }

  /**
   * Hangs a scope elsewhere. Needs `<type>:manage` both where it is and where it goes, and, at the scope, everything that people hold above
   * the new place: they will hold it at the scope as well.
   *
   * @throws AuthTunaError `not_found`; `conflict` when it would hang below itself or when another change of the tree came first; `forbidden`
   */
  async move(id: string, parent: string | null, actor: Actor): Promise<void> {
    const { type } = requireNode(id, 'id');
    if (parent !== null && !isScope(parent)) throw notAScope('parent');
    if (!isSystem(actor)) {
      await this.#guard.require(actor, `${type}:manage`, id);
      await this.#guard.require(actor, `${type}:manage`, parent ?? 'global');
    }
    const moves = await this.#moves();
    const before = await this.#rows.latest(id);
    if (before === null) throw new AuthTunaError('not_found');
    await this.#requireNoCircle(id, parent);
    const [chain, above] = await Promise.all(
      [id, parent ?? 'global'].map((scope) => this.chainOf(scope, { fresh: true })),
    );
    if (chain == null || above == null)
      throw new AuthTunaError('conflict', {
        message: `The scopes above ${id} form a circle or are too deep.`,
      });
    await this.#guard.requireMayLetIn(actor, chain, above);
    const parentId = parent === 'global' ? null : parent;
    await this.#ledger
      .commit({
        // Two moves that are each harmless can close a circle together, so moves happen one after the other.
        writes: [
          this.#runtime.db.counter.update({
            where: { name: 'scope_moves', value: moves },
            data: { value: { increment: 1 } },
          }),
          this.#runtime.db.scopeNode.update({ where: { id, parentId: before.parent }, data: { parentId } }),
          scopesChanged(this.#runtime.db),
        ],
        facts: [
          {
            type: 'scope.moved',
            actor,
            target: { type: 'scope', id },
            scope: id,
            data: { from: before.parent, to: parentId },
          },
        ],
        invalidates: [`scope:${id}`],
      })
      .catch((error: unknown) => {
        if (isMissing(error))
          throw new AuthTunaError('conflict', {
            message: 'The tree of scopes changed at the same moment. Try again.',
          });
        throw error;
      });
  }

  /**
   * Takes a scope out of the tree, with every assignment made exactly there and every role it defined for itself. Scopes below it stay,
   * and hang below `global` from then on. Needs `<type>:manage`.
   *
   * @throws AuthTunaError `invalid_input` for a name that is not `type:id`; `not_found`; `forbidden`
   */
  async remove(id: string, actor: Actor): Promise<void> {
    const { type } = requireNode(id, 'id');
    if (!isSystem(actor)) await this.#guard.require(actor, `${type}:manage`, id);
    const affected = await this.#runtime.db.roleAssignment.findMany({
      where: { scope: id },
      select: { userId: true },
    });
    const dependent = (await Promise.all(this.dependents.map((removeAt) => removeAt(id)))).flat();
    try {
      await this.#ledger.commit({
        writes: [
          ...dependent,
          this.#runtime.db.scopeNode.delete({ where: { id } }),
          this.#runtime.db.roleAssignment.deleteMany({ where: { scope: id } }),
          // Or what was given of them below would count again, should the scope ever come back.
          this.#runtime.db.role.deleteMany({ where: { ownedBy: id } }),
          this.#runtime.db.scopeNode.updateMany({ where: { parentId: id }, data: { parentId: null } }),
          // The versions last, here as everywhere: whoever holds one waits for nothing else.
          rolesChanged(this.#runtime.db),
          scopesChanged(this.#runtime.db),
        ],
        facts: [{ type: 'scope.removed', actor, target: { type: 'scope', id }, scope: id }],
        invalidates: [`scope:${id}`, 'roles', ...affected.map(({ userId }) => `user:${userId}`)],
      });
    } catch (error) {
      if (isMissing(error)) throw new AuthTunaError('not_found');
      throw error;
    }
  }

  /** The parent of a scope, or null below `global`. */
  async parentOf(id: string): Promise<string | null> {
    requireNode(id, 'id');
    return (await this.#nodeOf(id)).parent ?? null;
  }

  /** From the parent up to `global`. @throws AuthTunaError `invalid_input` for a name that is not a scope; `conflict` for a circle */
  async ancestorsOf(id: string): Promise<string[]> {
    if (!isScope(id)) throw notAScope('id');
    const chain = await this.chainOf(id, { fresh: true });
    if (chain === null)
      throw new AuthTunaError('conflict', {
        message: `The scopes above ${id} form a circle or are too deep.`,
      });
    return chain.scopes.slice(1);
  }

  /** The registered scopes directly below one; `global` lists those without a parent. */
  async childrenOf(id: string, query: PageQuery = {}): Promise<Page<ScopeNode>> {
    if (!isScope(id)) throw notAScope('id');
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#runtime.db.scopeNode.findMany({
        where: { parentId: id === 'global' ? null : id, ...(after !== null && { id: { gt: after } }) },
        orderBy: { id: 'asc' },
        take,
      });
      return rows.map((row) => ({ id: row.id, parent: row.parentId, ownerId: row.ownerId, name: row.name }));
    });
  }

  /** Tells that the host's own tables changed where a scope hangs or who owns it. */
  changed(id: string): void {
    this.#runtime.invalidation.publish([`scope:${id}`]);
  }

  /** Whether anything was ever said of a scope that is no row: given at it, hung below it, known to the host, or removed. */
  async #isInUse(id: string): Promise<boolean> {
    const { db } = this.#runtime;
    const [assignment, child, role, removal, known] = await Promise.all([
      db.roleAssignment.findFirst({ where: { scope: id }, select: { scope: true } }),
      db.scopeNode.findFirst({ where: { parentId: id }, select: { id: true } }),
      db.role.findFirst({ where: { ownedBy: id }, select: { id: true } }),
      // Names are not given out twice: what the host keeps under the old one would belong to the new one's people.
      db.auditEntry.findFirst({ where: { targetId: id, type: 'scope.removed' }, select: { id: true } }),
      this.#resolve(id),
    ]);
    return [assignment, child, role, removal, known].some((found) => found !== null);
  }

  /** A clock that is put back: what was remembered by the later time would count again when that comes. */
  #noticeTime(now: number): void {
    if (now < this.#askedAt) this.#forgetChains();
    this.#askedAt = now;
  }

  #forgetChains(): void {
    this.#changes += 1;
    this.#chains.clear(); // a moved scope moves all below it; rebuilding is cheap, finding them is not
  }

  async #requireNoCircle(id: string, parent: string | null): Promise<void> {
    if (parent === null) return;
    const chain = await this.chainOf(parent, { fresh: true });
    if (chain === null || chain.scopes.includes(id))
      throw new AuthTunaError('conflict', { message: `${id} cannot hang below itself.` });
    if (chain.scopes.length > MAX_DEPTH)
      throw new AuthTunaError('conflict', {
        message: `The tree of scopes is at most ${MAX_DEPTH} levels deep.`,
      });
  }

  async #moves(): Promise<number> {
    const row = await this.#runtime.db.counter.findUnique({ where: { name: 'scope_moves' } });
    if (row === null) throw new AuthTunaError('unavailable', { reason: 'not_ready' });
    return row.value;
  }
}

async function refuse(): Promise<never> {
  throw new AuthTunaError('forbidden');
}

/** The host's function may throw at once, or give nothing where null is meant. */
async function ask(resolver: ScopeResolver, scope: string): Promise<Place | null> {
  try {
    return (await resolver.resolve(scope)) ?? null;
  } catch (cause) {
    throw new AuthTunaError('unavailable', { reason: 'resolve_scope_failed' }, { cause });
  }
}

type Place = { parent?: string | null; ownerId?: string | null };

type Node = Place & { isRow: boolean };

interface RememberedChain {
  chain: Chain;
  loadedAt: number;
  /** Of the tree, as read before the chain was; undefined where no version was read or none tells of it. */
  version: number | undefined;
}

function requireNode(scope: string, field: string): { type: string; id: string } {
  const parsed = scope === 'global' ? null : parseScope(scope);
  if (parsed === null) throw notAScope(field);
  return parsed;
}

function notAScope(field: string): AuthTunaError {
  return new AuthTunaError('invalid_input', {
    errors: [{ field, message: 'must be a scope such as project:42' }],
  });
}
