import { type Actor, isSystem } from '../../actor.js';
import { Standing } from '../../core/access/delegation.js';
import { freshChain, grantsOfActor } from '../../core/access/role-core.js';
import { isScope } from '../../core/access/scope-name.js';
import { addNode, moveNode, requireChain, requireKnown } from '../../core/access/scope-nodes.js';
import { changeOwner } from '../../core/access/scope-owner.js';
import { removeTree } from '../../core/access/scope-removal.js';
import { requireMayMove } from '../../core/access/scope-rights.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Core } from '../../core/core.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { invalid, noUser, requireKnownFields, whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import { requireAt } from './guard.js';
import { parentInput, resourceChange, resourceInput, transferInput } from './schemas.js';

/** A thing of the host's in the tree: a document, a device, a channel. Its scope is `<type>:<id>`. */
export interface Resource {
  id: string;
  type: string;
  parent: string | null;
  ownerId: string | null;
  name: string | null;
  createdAt: Date;
}

export interface ResourceQuery extends PageQuery {
  parent?: string;
  type?: string;
}

/** Types that have managers of their own. */
const OTHER_TYPES = ['global', 'org', 'project', 'team'];

/** Resources that AuthTuna keeps for the host. Permissions are `resource:create`, `resource:manage` and `resource:delete`, whatever the type. */
export class ResourceManager {
  readonly #core: Core;
  readonly #dependents: readonly ScopeDependent[];

  constructor(core: Core, dependents: readonly ScopeDependent[]) {
    this.#core = core;
    this.#dependents = dependents;
  }

  /**
   * Makes a resource below a registered scope. Needs `resource:create` at the parent.
   *
   * @param input.ownerId default the actor's user; to name somebody else, the actor must hold at the parent what an owner holds
   * @throws AuthTunaError `invalid_input`; `not_found` for a parent that the actor cannot see, and for an unknown owner; `forbidden`
   */
  async create(
    input: { type: string; parent: string; name?: string | null; ownerId?: string | null },
    actor: Actor,
  ): Promise<Resource> {
    const { type, parent, name = null, ownerId = actor.userId } = validate(resourceInput, input);
    const core = this.#core;
    if (OTHER_TYPES.includes(type))
      throw invalid('type', 'invalid_scope', `${type} has a manager of its own`);
    await requireParent(core, parent);
    await requireAt(core, actor, 'resource:create', parent);
    if (ownerId !== null && ownerId !== actor.userId) await this.#requireMayOwn(ownerId, parent, actor);
    const id = newId(core.config.random);
    const scope = `${type}:${id}`;
    const node = { id: scope, parentId: parent, ownerId, name, registeredById: null };
    await addNode(core, node, async () => {
      await requireParent(core, parent);
      return {
        writes: [core.db.organizationResource.create({ data: { id, type, createdAt: core.now() } })],
        facts: [
          {
            type: 'resource.created',
            actor,
            target: { type: 'resource', id },
            scope,
            data: { parent, name, ownerId },
          },
        ],
      };
    });
    return this.get(id);
  }

  /** @throws AuthTunaError `not_found` */
  async get(id: string): Promise<Resource> {
    const resource = await this.find(id);
    if (resource === null) throw new AuthTunaError('not_found');
    return resource;
  }

  async find(id: string): Promise<Resource | null> {
    const row = await this.#core.db.organizationResource.findUnique({ where: { id } });
    return row === null ? null : ((await this.#withNodes([row]))[0] ?? null);
  }

  /** Resources by id, of a type or directly below a parent. @throws AuthTunaError `not_found` for an unknown parent; `invalid_input` for a limit outside 1 to 100 */
  async list(query: ResourceQuery = {}): Promise<Page<Resource>> {
    requireKnownFields(query, ['parent', 'type', ...PAGE_FIELDS]);
    const { parent, type } = query;
    const { db } = this.#core;
    if (parent === undefined) {
      const { items, nextCursor } = await pageOf(query, ({ take, after }) =>
        db.organizationResource.findMany({
          where: { ...(type !== undefined && { type }), ...(after !== null && { id: { gt: after } }) },
          orderBy: { id: 'asc' },
          take,
        }),
      );
      return { items: await this.#withNodes(items), nextCursor };
    }
    const { items, nextCursor } = await pageOf(query, ({ take, after }) =>
      db.scopeNode.findMany({
        where: {
          AND: [
            { parentId: parent },
            type === undefined ? {} : { id: { startsWith: `${type}:` } },
            after === null ? {} : { id: { gt: after } },
            { NOT: OTHER_TYPES.map((other) => ({ id: { startsWith: `${other}:` } })) },
          ],
        },
        orderBy: { id: 'asc' },
        take,
      }),
    );
    if (items.length === 0) await requireKnown(this.#core, parent);
    return {
      items: items.map((node) => ({
        id: node.id.slice(node.id.indexOf(':') + 1),
        type: node.id.slice(0, node.id.indexOf(':')),
        parent: node.parentId,
        ownerId: node.ownerId,
        name: node.name,
        createdAt: node.createdAt,
      })),
      nextCursor,
    };
  }

  /** Needs `resource:manage` at the resource. @throws AuthTunaError `invalid_input`, `not_found`, `forbidden` */
  async update(id: string, change: { name?: string | null }, actor: Actor): Promise<Resource> {
    const { name } = validate(resourceChange, change);
    const core = this.#core;
    const { scope, resource } = await this.#located(id);
    await requireAt(core, actor, 'resource:manage', scope);
    await core.ledger
      .commit({
        writes: [
          core.db.scopeNode.update({
            where: { id: scope },
            data: { name: name === undefined ? resource.name : name },
          }),
        ],
        facts: [{ type: 'resource.updated', actor, target: { type: 'resource', id }, scope, data: { name } }],
      })
      .catch(whenMissing(() => new AuthTunaError('not_found')));
    return this.get(id);
  }

  /** Needs `resource:manage` at the resource and at the new parent, and what `scopes.move` needs. @throws AuthTunaError `not_found`, `forbidden`, `conflict` */
  async move(id: string, to: { parent: string }, actor: Actor): Promise<Resource> {
    const { parent } = validate(parentInput, to);
    const core = this.#core;
    const { scope } = await this.#located(id);
    await requireParent(core, parent);
    await requireAt(core, actor, 'resource:manage', scope);
    await requireAt(core, actor, 'resource:manage', parent);
    await moveNode(core, scope, parent, async ({ parent: from, above }) => {
      if (!isSystem(actor)) await requireMayMove(core, actor, await requireChain(core, scope), above);
      return {
        writes: [],
        facts: [
          {
            type: 'resource.moved',
            actor,
            target: { type: 'resource', id },
            scope,
            data: { from, to: parent },
          },
        ],
      };
    });
    return this.get(id);
  }

  /**
   * Makes somebody else the owner. Needs `resource:manage`, everything that an owner holds, and a rank above the present owner unless it is
   * the actor.
   *
   * @throws AuthTunaError `not_found`, `forbidden`, `conflict`
   */
  async transfer(id: string, to: { toUserId: string }, actor: Actor): Promise<Resource> {
    const { toUserId } = validate(transferInput, to);
    const { scope } = await this.#located(id);
    await requireAt(this.#core, actor, 'resource:manage', scope);
    await changeOwner(this.#core, scope, toUserId, actor);
    return this.get(id);
  }

  /** Needs `resource:delete`, and a rank above everybody else who holds something there. @throws AuthTunaError `not_found`, `forbidden`, `conflict` */
  async delete(id: string, actor: Actor): Promise<void> {
    const { scope, resource } = await this.#located(id);
    await requireAt(this.#core, actor, 'resource:delete', scope);
    await removeTree(this.#core, this.#dependents, scope, actor, {
      writes: [],
      facts: [
        {
          type: 'resource.deleted',
          actor,
          target: { type: 'resource', id },
          scope,
          data: { parent: resource.parent, name: resource.name },
        },
      ],
    });
  }

  async #located(id: string): Promise<{ scope: string; resource: Resource }> {
    const resource = await this.get(id);
    return { scope: `${resource.type}:${id}`, resource };
  }

  /** Naming somebody else as the owner gives them what owners hold. */
  async #requireMayOwn(ownerId: string, parent: string, actor: Actor): Promise<void> {
    const core = this.#core;
    const user = await core.db.user.findUnique({ where: { id: ownerId } });
    if (user === null || user.deletedAt !== null) throw noUser();
    if (isSystem(actor)) return;
    const standing = new Standing(await grantsOfActor(core, actor), await freshChain(core, parent));
    if (!standing.actor.catalog.owner.roles.every((role) => standing.covers(role)))
      throw new AuthTunaError('forbidden');
  }

  async #withNodes(rows: readonly { id: string; type: string; createdAt: Date }[]): Promise<Resource[]> {
    const scopes = rows.map(({ id, type }) => `${type}:${id}`);
    const nodes = await Promise.all(scopes.map((scope) => this.#core.scopeTree.rowOf(scope)));
    return rows.flatMap(({ id, type, createdAt }, index) => {
      const node = nodes[index] ?? null;
      return node === null
        ? []
        : [{ id, type, parent: node.parent, ownerId: node.ownerId, name: node.name, createdAt }];
    });
  }
}

/** @throws AuthTunaError `invalid_input` for what is no scope; `not_found` for one that is not registered */
async function requireParent(core: Core, parent: string): Promise<void> {
  if (!isScope(parent) || parent === 'global')
    throw invalid('parent', 'invalid_scope', 'must be a scope such as project:42');
  if ((await core.scopeTree.rowOf(parent)) === null) throw new AuthTunaError('not_found');
}
