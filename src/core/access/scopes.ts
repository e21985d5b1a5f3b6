import { type Actor, isSystem } from '../../actor.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Ledger, Write } from '../changes/ledger.js';
import { type Page, type PageQuery, pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';
import type { Access } from './access.js';
import { isScope, parseScope } from './scope-name.js';
import { MAX_DEPTH, type ScopeNode, type ScopeTree, toNode } from './scope-tree.js';
import { rolesChanged, scopesChanged } from './versions.js';

/** A feature that keeps something about a scope. */
export interface ScopeDependent {
  /** The writes that remove all of it, for the batch that removes the scope. */
  removeAt(scope: string): Promise<Write[]>;
}

/** Changes of the tree of scopes: registering, moving and removing nodes. */
export class ScopeManager {
  readonly #core: Runtime & { ledger: Ledger; scopeTree: ScopeTree; access: Access };
  readonly #dependents: readonly ScopeDependent[];

  constructor(
    core: Runtime & { ledger: Ledger; scopeTree: ScopeTree; access: Access },
    dependents: readonly ScopeDependent[],
  ) {
    this.#core = core;
    this.#dependents = dependents;
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
      await this.#core.access.require(actor, `${type}:create`, parent ?? 'global');
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
      await this.#core.ledger.commit({
        writes: [
          this.#core.db.scopeNode.create({ data: { ...row, createdAt: this.#core.now() } }),
          scopesChanged(this.#core.db),
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
    return toNode(row);
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
      await this.#core.access.require(actor, `${type}:manage`, id);
      await this.#core.access.require(actor, `${type}:manage`, parent ?? 'global');
    }
    const moves = await this.#moves();
    const before = await this.#core.scopeTree.rowOf(id);
    if (before === null) throw new AuthTunaError('not_found');
    await this.#requireNoCircle(id, parent);
    const [chain, above] = await Promise.all(
      [id, parent ?? 'global'].map((scope) => this.#core.scopeTree.chainOf(scope, { fresh: true })),
    );
    if (chain == null || above == null)
      throw new AuthTunaError('conflict', {
        message: `The scopes above ${id} form a circle or are too deep.`,
      });
    await this.#core.access.requireMayLetIn(actor, chain, above);
    const parentId = parent === 'global' ? null : parent;
    await this.#core.ledger
      .commit({
        // Two moves that are each harmless can close a circle together, so moves happen one after the other.
        writes: [
          this.#core.db.counter.update({
            where: { name: 'scope_moves', value: moves },
            data: { value: { increment: 1 } },
          }),
          this.#core.db.scopeNode.update({ where: { id, parentId: before.parent }, data: { parentId } }),
          scopesChanged(this.#core.db),
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
    if (!isSystem(actor)) await this.#core.access.require(actor, `${type}:manage`, id);
    const affected = await this.#core.db.roleAssignment.findMany({
      where: { scope: id },
      select: { userId: true },
    });
    const dependent = (await Promise.all(this.#dependents.map((dependent) => dependent.removeAt(id)))).flat();
    try {
      await this.#core.ledger.commit({
        writes: [
          ...dependent,
          this.#core.db.scopeNode.delete({ where: { id } }),
          this.#core.db.roleAssignment.deleteMany({ where: { scope: id } }),
          // Or what was given of them below would count again, should the scope ever come back.
          this.#core.db.role.deleteMany({ where: { ownedBy: id } }),
          this.#core.db.scopeNode.updateMany({ where: { parentId: id }, data: { parentId: null } }),
          // The versions last, here as everywhere: whoever holds one waits for nothing else.
          rolesChanged(this.#core.db),
          scopesChanged(this.#core.db),
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
    return this.#core.scopeTree.parentOf(id);
  }

  /** From the parent up to `global`. @throws AuthTunaError `invalid_input` for a name that is not a scope; `conflict` for a circle */
  async ancestorsOf(id: string): Promise<string[]> {
    if (!isScope(id)) throw notAScope('id');
    const chain = await this.#core.scopeTree.chainOf(id, { fresh: true });
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
      const rows = await this.#core.db.scopeNode.findMany({
        where: { parentId: id === 'global' ? null : id, ...(after !== null && { id: { gt: after } }) },
        orderBy: { id: 'asc' },
        take,
      });
      return rows.map((row) => toNode(row));
    });
  }

  /** Tells that the host's own tables changed where a scope hangs or who owns it. */
  changed(id: string): void {
    this.#core.invalidation.publish([`scope:${id}`]);
  }

  /** Whether anything was ever said of a scope that is no row: given at it, hung below it, known to the host, or removed. */
  async #isInUse(id: string): Promise<boolean> {
    const { db } = this.#core;
    const [assignment, child, role, removal, known] = await Promise.all([
      db.roleAssignment.findFirst({ where: { scope: id }, select: { scope: true } }),
      db.scopeNode.findFirst({ where: { parentId: id }, select: { id: true } }),
      db.role.findFirst({ where: { ownedBy: id }, select: { id: true } }),
      // Names are not given out twice: what the host keeps under the old one would belong to the new one's people.
      db.auditEntry.findFirst({ where: { targetId: id, type: 'scope.removed' }, select: { id: true } }),
      this.#core.scopeTree.resolve(id),
    ]);
    return [assignment, child, role, removal, known].some((found) => found !== null);
  }

  async #requireNoCircle(id: string, parent: string | null): Promise<void> {
    if (parent === null) return;
    const chain = await this.#core.scopeTree.chainOf(parent, { fresh: true });
    if (chain === null || chain.scopes.includes(id))
      throw new AuthTunaError('conflict', { message: `${id} cannot hang below itself.` });
    if (chain.scopes.length > MAX_DEPTH)
      throw new AuthTunaError('conflict', {
        message: `The tree of scopes is at most ${MAX_DEPTH} levels deep.`,
      });
  }

  async #moves(): Promise<number> {
    const row = await this.#core.db.counter.findUnique({ where: { name: 'scope_moves' } });
    if (row === null) throw new AuthTunaError('unavailable', { reason: 'not_ready' });
    return row.value;
  }
}

function requireNode(scope: string, field: string): { type: string; id: string } {
  const parsed = scope === 'global' ? null : parseScope(scope);
  if (parsed === null) throw notAScope(field);
  return parsed;
}

function notAScope(field: string): AuthTunaError {
  return new AuthTunaError('invalid_input', {
    errors: [{ field, rule: 'invalid_scope', message: 'must be a scope such as project:42' }],
  });
}
