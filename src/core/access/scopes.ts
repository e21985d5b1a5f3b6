import type { Actor } from '../../actor.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../page.js';
import { requireKnownFields } from '../refusals.js';
import type { RoleCore } from './role-core.js';
import type { ScopeDependent } from './scope-dependent.js';
import {
  moveScope,
  notAScope,
  registerScope,
  removeScope,
  requireNode,
  type ScopeInput,
} from './scope-edits.js';
import { isScope } from './scope-name.js';
import { requireChain } from './scope-nodes.js';
import { type ScopeNode, toNode } from './scope-tree.js';

export type { ScopeDependent } from './scope-dependent.js';

/** Changes of the tree of scopes: registering, moving and removing nodes. */
export class ScopeManager {
  readonly #core: RoleCore;
  readonly #dependents: readonly ScopeDependent[];

  constructor(core: RoleCore, dependents: readonly ScopeDependent[]) {
    this.#core = core;
    this.#dependents = dependents;
  }

  /**
   * Puts a scope into the tree. An actor other than `SYSTEM` needs `<type>:create` at the parent, can name only itself as the owner, and
   * can name only a scope that is not in use: hanging one that is in use below one's own would be taking it.
   *
   * @throws AuthTunaError `invalid_input` for a name that is not `type:id`; `conflict` when it is there already or in use, would hang below
   * itself, or deeper than 16 levels; `forbidden`
   */
  register(node: ScopeInput, actor: Actor): Promise<ScopeNode> {
    return registerScope(this.#core, this.#dependents, node, actor);
  }

  /**
   * Hangs a scope elsewhere. Needs `<type>:manage` both where it is and where it goes. Needs the right to assign, at the scope, every role that
   * people hold above the new place: they will hold it at the scope as well. And needs a rank above everybody who loses the scope.
   * `SYSTEM` can take a node out of a circle by moving it to null.
   *
   * @throws AuthTunaError `not_found`; `forbidden`; `conflict` when it would hang below itself or deeper than 16 levels, and when other
   * changes of the tree kept coming first
   */
  move(id: string, parent: string | null, actor: Actor): Promise<void> {
    return moveScope(this.#core, this.#dependents, id, parent, actor);
  }

  /**
   * Takes a scope out of the tree, with every assignment made exactly there and every role it defined for itself. Scopes below it stay, and
   * hang below its parent from then on. Needs `<type>:delete`, and a rank above everybody else who holds something there.
   *
   * @throws AuthTunaError `invalid_input` for a name that is not `type:id`; `not_found`; `forbidden`; `conflict` as for `move`
   */
  remove(id: string, actor: Actor): Promise<void> {
    return removeScope(this.#core, this.#dependents, id, actor);
  }

  /** The parent of a scope, or null below `global`. */
  async parentOf(id: string): Promise<string | null> {
    requireNode(id, 'id');
    return this.#core.scopeTree.parentOf(id);
  }

  /** From the parent up to `global`. @throws AuthTunaError `invalid_input` for a name that is not a scope; `conflict` for a circle */
  async ancestorsOf(id: string): Promise<string[]> {
    if (!isScope(id)) throw notAScope('id');
    const { scopes } = await requireChain(this.#core, id);
    return scopes.slice(1);
  }

  /** The registered scopes directly below one; `global` lists those without a parent. */
  async childrenOf(id: string, query: PageQuery = {}): Promise<Page<ScopeNode>> {
    requireKnownFields(query, PAGE_FIELDS);
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
}
