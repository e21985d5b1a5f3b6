import { type Actor, isSystem } from '../../actor.js';
import { addNode, moveNode, requireChain } from '../../core/access/scope-nodes.js';
import { removeTree } from '../../core/access/scope-removal.js';
import { requireMayMove } from '../../core/access/scope-rights.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Core } from '../../core/core.js';
import { changedFields, requireHostColumns } from '../../core/host-columns.js';
import { PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { requireKnownFields } from '../../core/refusals.js';

import { validate } from '../../core/validate.js';
import { newId } from '../../crypto/random.js';
import { type Db, isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';

import { requireAt } from './guard.js';
import { orgStays, requireOrg, scopeOf } from './organization.js';
import { projectChange, projectInput, projectMove } from './schemas.js';
import { slugOf, slugTaken } from './slugs.js';

/** A project. Its scope is `project:<id>`, below its organization. Columns that the host added are in it as well. */
export interface Project {
  id: string;
  orgId: string;
  slug: string;
  name: string;
  metadata: Record<string, unknown>;
  createdAt: Date;
  updatedAt: Date;
}

export interface ProjectQuery extends PageQuery {
  orgId: string;
  /** Part of a name or slug. */
  search?: string | undefined;
  /** Only projects that this user may read. */
  readableBy?: string | null | undefined;
}

type ProjectRow = Awaited<ReturnType<Db['organizationProject']['findUniqueOrThrow']>>;

const scopeOfProject = (id: string) => `project:${id}`;

/** The columns that a host added to projects. */
type ExtraProjectColumns<J> = Partial<Omit<J, keyof Project>>;

/** The projects of organizations. */
export class ProjectManager<J extends Project = Project> {
  readonly #core: Core;
  readonly #dependents: readonly ScopeDependent[];
  readonly #readable: (userId: string | null, orgId: string) => Promise<object>;

  constructor(
    core: Core,
    dependents: readonly ScopeDependent[],
    readable: (userId: string | null, orgId: string) => Promise<object>,
  ) {
    this.#core = core;
    this.#dependents = dependents;
    this.#readable = readable;
  }

  /**
   * Makes a project in an organization; the actor's user becomes its owner. Needs `project:create` at the organization.
   *
   * @param input.data columns of your own
   * @throws AuthTunaError `invalid_input`; `not_found` for an organization that the actor cannot see; `forbidden`; `conflict` for a slug that
   * another project of the organization has
   */
  async create(
    input: {
      orgId: string;
      name: string;
      slug?: string;
      metadata?: Readonly<Record<string, unknown>>;
      data?: ExtraProjectColumns<J>;
    },
    actor: Actor,
  ): Promise<J> {
    const { orgId, name, slug, metadata, data } = validate(projectInput, input);
    const core = this.#core;
    requireHostColumns('organizationProject', data);
    await requireAt(core, actor, 'project:create', scopeOf(orgId));
    await requireOrg(core, orgId);
    const id = newId(core.config.random);
    const now = core.now();
    const row = {
      ...data,
      id,
      orgId,
      slug: slug ?? (await this.#freeSlug(orgId, name)),
      name,
      metadata: JSON.stringify(metadata ?? {}),
      createdAt: now,
      updatedAt: now,
    };
    const scope = scopeOfProject(id);
    const node = { id: scope, parentId: scopeOf(orgId), ownerId: actor.userId, name, registeredById: null };
    await addNode(core, node, () => ({
      writes: [orgStays(core, orgId), core.db.organizationProject.create({ data: row })],
      facts: [
        {
          type: 'project.created',
          actor,
          target: { type: 'project', id },
          scope,
          data: { orgId, name, slug: row.slug },
        },
      ],
    })).catch((error: unknown) => {
      throw isUniqueViolation(error) ? slugTaken() : error;
    });
    return this.get(id);
  }

  /** @throws AuthTunaError `not_found` */
  async get(id: string): Promise<J> {
    const project = await this.find(id);
    if (project === null) throw new AuthTunaError('not_found');
    return project;
  }

  async find(id: string): Promise<J | null> {
    const row = await this.#core.db.organizationProject.findUnique({ where: { id } });
    return row === null ? null : (toProject(row) as J);
  }

  /** The projects of an organization, by id. @throws AuthTunaError `not_found`; `invalid_input` for a limit outside 1 to 100 */
  async list(query: ProjectQuery): Promise<Page<J>> {
    requireKnownFields(query, ['orgId', 'search', 'readableBy', ...PAGE_FIELDS]);
    const { orgId, search = '', readableBy } = query;
    const text = search.toLowerCase();
    if (/[%\\]/.test(text)) return { items: [], nextCursor: null };
    const readable = readableBy === undefined ? {} : await this.#readable(readableBy, orgId);
    const { items, nextCursor } = await pageOf(query, ({ take, after }) =>
      this.#core.db.organizationProject.findMany({
        where: {
          AND: [
            { orgId },
            readable,
            after === null ? {} : { id: { gt: after } },
            text === '' ? {} : { OR: [{ name: { contains: search } }, { slug: { contains: text } }] },
          ],
        },
        orderBy: { id: 'asc' },
        take,
      }),
    );
    if (items.length === 0) await requireOrg(this.#core, orgId);
    return { items: items.map((row) => toProject(row) as J), nextCursor };
  }

  /** Needs `project:manage` at the project. @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`, `conflict` */
  async update(
    id: string,
    change: {
      name?: string;
      slug?: string;
      metadata?: Readonly<Record<string, unknown>>;
      data?: ExtraProjectColumns<J>;
    },
    actor: Actor,
  ): Promise<J> {
    const { name, slug, metadata, data } = validate(projectChange, change);
    const core = this.#core;
    requireHostColumns('organizationProject', data);
    const scope = scopeOfProject(id);
    await requireAt(core, actor, 'project:manage', scope);
    await this.get(id);
    await core.ledger
      .commit({
        writes: [
          ...(name === undefined ? [] : [core.db.scopeNode.update({ where: { id: scope }, data: { name } })]),
          core.db.organizationProject.update({
            where: { id },
            data: {
              ...data,
              updatedAt: core.now(),
              ...(name !== undefined && { name }),
              ...(slug !== undefined && { slug }),
              ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
            },
          }),
        ],
        facts: [
          {
            type: 'project.updated',
            actor,
            target: { type: 'project', id },
            scope,
            data: { fields: changedFields(change) },
          },
        ],
      })
      .catch(asProjectRefusal);
    return this.get(id);
  }

  /**
   * Moves a project to another organization, with everything below it. Roles that people hold at the project stay theirs; roles that the old
   * organization defined for itself stop counting there. Needs `project:manage` at the project and at the new organization, and what
   * `scopes.move` needs.
   *
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `conflict` for a slug that is taken there
   */
  async move(id: string, to: { orgId: string }, actor: Actor): Promise<J> {
    const { orgId } = validate(projectMove, to);
    const core = this.#core;
    const scope = scopeOfProject(id);
    await requireAt(core, actor, 'project:manage', scope);
    await requireAt(core, actor, 'project:manage', scopeOf(orgId));
    await requireOrg(core, orgId);
    const before = await this.get(id);
    await moveNode(core, scope, scopeOf(orgId), async ({ above }) => {
      if (!isSystem(actor)) await requireMayMove(core, actor, await requireChain(core, scope), above);
      return {
        writes: [
          orgStays(core, orgId),
          core.db.organizationProject.update({ where: { id }, data: { orgId, updatedAt: core.now() } }),
        ],
        facts: [
          {
            type: 'project.moved',
            actor,
            target: { type: 'project', id },
            scope,
            data: { from: before.orgId, to: orgId },
          },
        ],
      };
    }).catch(asProjectRefusal);
    return this.get(id);
  }

  /**
   * Deletes a project with everything registered below it, and every role held there. Needs `project:delete`, and a rank above everybody else
   * who holds something there.
   *
   * @throws AuthTunaError `not_found`, `forbidden`, `conflict`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const scope = scopeOfProject(id);
    await requireAt(this.#core, actor, 'project:delete', scope);
    const { orgId, name } = await this.get(id);
    await removeTree(this.#core, this.#dependents, scope, actor, {
      writes: [],
      facts: [
        { type: 'project.deleted', actor, target: { type: 'project', id }, scope, data: { orgId, name } },
      ],
    });
  }

  async #freeSlug(orgId: string, name: string): Promise<string> {
    const { db, config } = this.#core;
    const plain = slugOf(name, config.random, true);
    const taken = await db.organizationProject.findUnique({
      where: { orgId_slug: { orgId, slug: plain } },
      select: { id: true },
    });
    return taken === null ? plain : slugOf(name, config.random, false);
  }
}

function toProject({ metadata, ...row }: ProjectRow): Project {
  return { ...row, metadata: JSON.parse(metadata) as Record<string, unknown> };
}

function asProjectRefusal(error: unknown): never {
  if (isUniqueViolation(error)) throw slugTaken();
  throw isMissing(error) ? new AuthTunaError('not_found') : error;
}
