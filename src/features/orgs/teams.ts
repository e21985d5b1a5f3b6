import { type Actor, isSystem } from '../../actor.js';
import { isScope, parseScope } from '../../core/access/scope-name.js';
import { addNode, moveNode, requireChain, requireKnown } from '../../core/access/scope-nodes.js';
import { removeTree } from '../../core/access/scope-removal.js';
import { requireMayMove } from '../../core/access/scope-rights.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Core } from '../../core/core.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { invalid, requireKnownFields, whenMissing } from '../../core/refusals.js';
import { validate } from '../../core/validate.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import { requireAt } from './guard.js';
import { parentInput, teamChange, teamInput } from './schemas.js';

/** A team. Its scope is `team:<id>`; people are in it by a role held there. */
export interface Team {
  id: string;
  /** `org:…` or `project:…`; null for a team that a script registered without a parent. */
  parent: string | null;
  ownerId: string | null;
  name: string;
  createdAt: Date;
}

export interface TeamQuery extends PageQuery {
  parent: string;
  /** Part of a name. */
  search?: string | undefined;
  /** Only teams that this user may read. */
  readableBy?: string | null | undefined;
}

const PREFIX = 'team:';
const scopeOfTeam = (id: string) => PREFIX + id;

/** Teams of organizations and projects. A team is a node of the tree and nothing else, so `scopes.register` makes one as well. */
export class TeamManager {
  readonly #core: Core;
  readonly #dependents: readonly ScopeDependent[];
  readonly #readable: (userId: string | null, parent: string) => Promise<{ id?: { in: string[] } }>;

  constructor(
    core: Core,
    dependents: readonly ScopeDependent[],
    readable: (userId: string | null, parent: string) => Promise<{ id?: { in: string[] } }>,
  ) {
    this.#core = core;
    this.#dependents = dependents;
    this.#readable = readable;
  }

  /**
   * Makes a team below an organization or a project; the actor's user becomes its owner. Needs `team:create` at the parent.
   *
   * @throws AuthTunaError `invalid_input`; `not_found` for a parent that the actor cannot see; `forbidden`
   */
  async create(input: { parent: string; name: string }, actor: Actor): Promise<Team> {
    const { parent, name } = validate(teamInput, input);
    const core = this.#core;
    await requireParent(core, parent);
    await requireAt(core, actor, 'team:create', parent);
    const id = newId(core.config.random);
    const scope = scopeOfTeam(id);
    const node = { id: scope, parentId: parent, ownerId: actor.userId, name, registeredById: null };
    await addNode(core, node, async () => {
      await requireParent(core, parent);
      return {
        writes: [],
        facts: [{ type: 'team.created', actor, target: { type: 'team', id }, scope, data: { parent, name } }],
      };
    });
    return this.get(id);
  }

  /** @throws AuthTunaError `not_found` */
  async get(id: string): Promise<Team> {
    const team = await this.find(id);
    if (team === null) throw new AuthTunaError('not_found');
    return team;
  }

  async find(id: string): Promise<Team | null> {
    const row = await this.#core.db.scopeNode.findUnique({ where: { id: scopeOfTeam(id) } });
    return row === null ? null : toTeam(row);
  }

  /** The teams directly below a scope. @throws AuthTunaError `not_found` for an unknown scope; `invalid_input` for a limit outside 1 to 100 */
  async list(query: TeamQuery): Promise<Page<Team>> {
    requireKnownFields(query, ['parent', 'search', 'readableBy', ...PAGE_FIELDS]);
    const { parent, search = '', readableBy } = query;
    if (/[%\\]/.test(search)) return { items: [], nextCursor: null };
    const readable = readableBy === undefined ? {} : await this.#readable(readableBy, parent);
    const { items, nextCursor } = await pageOf(query, ({ take, after }) =>
      this.#core.db.scopeNode.findMany({
        where: {
          AND: [
            { parentId: parent, id: { startsWith: PREFIX } },
            readable.id === undefined ? {} : { id: { in: readable.id.in.map(scopeOfTeam) } },
            after === null ? {} : { id: { gt: after } },
            search === '' ? {} : { name: { contains: search } },
          ],
        },
        orderBy: { id: 'asc' },
        take,
      }),
    );
    if (items.length === 0) await requireKnown(this.#core, parent);
    return { items: items.map(toTeam), nextCursor };
  }

  /** Needs `team:manage` at the team. @throws AuthTunaError `invalid_input`, `not_found`, `forbidden` */
  async update(id: string, change: { name?: string }, actor: Actor): Promise<Team> {
    const { name } = validate(teamChange, change);
    const core = this.#core;
    const scope = scopeOfTeam(id);
    await requireAt(core, actor, 'team:manage', scope);
    const before = await this.get(id);
    await core.ledger
      .commit({
        writes: [core.db.scopeNode.update({ where: { id: scope }, data: { name: name ?? before.name } })],
        facts: [{ type: 'team.updated', actor, target: { type: 'team', id }, scope, data: { name } }],
      })
      .catch(whenMissing(() => new AuthTunaError('not_found')));
    return this.get(id);
  }

  /**
   * Hangs a team elsewhere. Needs `team:manage` at the team and at the new parent, and what `scopes.move` needs.
   *
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`, `conflict`
   */
  async move(id: string, to: { parent: string }, actor: Actor): Promise<Team> {
    const { parent } = validate(parentInput, to);
    const core = this.#core;
    const scope = scopeOfTeam(id);
    await requireParent(core, parent);
    await requireAt(core, actor, 'team:manage', scope);
    await requireAt(core, actor, 'team:manage', parent);
    await moveNode(core, scope, parent, async ({ parent: from, above }) => {
      if (!isSystem(actor)) await requireMayMove(core, actor, await requireChain(core, scope), above);
      return {
        writes: [],
        facts: [
          { type: 'team.moved', actor, target: { type: 'team', id }, scope, data: { from, to: parent } },
        ],
      };
    });
    return this.get(id);
  }

  /**
   * Deletes a team with everything registered below it, every role held there, and every role that the team holds elsewhere. Needs
   * `team:delete`, and a rank above everybody else who loses something by it.
   *
   * @throws AuthTunaError `not_found`, `forbidden`, `conflict`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const scope = scopeOfTeam(id);
    await requireAt(this.#core, actor, 'team:delete', scope);
    const { parent, name } = await this.get(id);
    await removeTree(this.#core, this.#dependents, scope, actor, {
      writes: [],
      facts: [{ type: 'team.deleted', actor, target: { type: 'team', id }, scope, data: { parent, name } }],
    });
  }
}

/** @throws AuthTunaError `invalid_input` for a scope of another type; `not_found` for one that is not registered */
async function requireParent(core: Core, parent: string): Promise<void> {
  const type = isScope(parent) ? parseScope(parent)?.type : undefined;
  if (type !== 'org' && type !== 'project')
    throw invalid('parent', 'invalid_scope', 'must be an organization or a project, such as org:acme');
  if ((await core.scopeTree.rowOf(parent)) === null) throw new AuthTunaError('not_found');
}

function toTeam(row: {
  id: string;
  parentId: string | null;
  ownerId: string | null;
  name: string | null;
  createdAt: Date;
}): Team {
  const id = row.id.slice(PREFIX.length);
  const { parentId, ownerId, name, createdAt } = row;
  return { id, parent: parentId, ownerId, name: name ?? id, createdAt };
}
