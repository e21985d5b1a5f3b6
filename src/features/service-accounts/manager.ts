import { type Actor, SYSTEM } from '../../actor.js';
import { isScope } from '../../core/access/scope-name.js';
import { requireKnown } from '../../core/access/scope-nodes.js';
import type { Core } from '../../core/core.js';
import { type Page, pageOf } from '../../core/page.js';
import { invalid } from '../../core/refusals.js';
import { requireServiceManager, SERVICE, type ServiceAccount } from '../../core/users/service-account.js';
import { validate } from '../../core/validate.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import { createInput, listQuery } from './schemas.js';

interface Row {
  userId: string;
  scope: string;
  name: string;
  createdById: string | null;
  createdAt: Date;
  user: { suspendedAt: Date | null; deletedAt: Date | null };
}

const WITH_USER = { user: { select: { suspendedAt: true, deletedAt: true } } } as const;

/**
 * Accounts for programs. An organization owns them, so they stay when the person who made them leaves. They cannot sign in, and act
 * by their API keys alone.
 *
 * Everything needs `apikeys:manage` at the organization. `delete` also needs a rank above the account's, wherever it holds something.
 */
export class ServiceAccountManager {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Makes an account that holds no role yet, not even `user`.
   *
   * @throws AuthTunaError `invalid_input`; `unauthenticated`, `forbidden`
   */
  async create(input: { orgId: string; name: string }, actor: Actor): Promise<ServiceAccount> {
    const { orgId, name } = validate(createInput, input);
    const { access, config, db, ledger } = this.#core;
    const scope = scopeOf(orgId);
    await access.require(actor, 'apikeys:manage', scope);
    const id = newId(config.random);
    const now = this.#core.now();
    const row = { userId: id, scope, name, createdById: actor.userId, createdAt: now };
    const user = {
      id,
      kind: SERVICE,
      email: addressOf(id),
      createdAt: now,
      updatedAt: now,
    };
    await ledger.commit({
      writes: [db.user.create({ data: user }), db.serviceAccount.create({ data: row })],
      facts: [
        {
          type: 'service_account.created',
          actor,
          target: { type: 'service_account', id },
          scope,
          data: { name },
        },
      ],
    });
    return toServiceAccount({ ...row, user: { suspendedAt: null, deletedAt: null } });
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async get(id: string, actor: Actor): Promise<ServiceAccount> {
    return toServiceAccount(await this.#managed(id, actor));
  }

  /**
   * The accounts of an organization, the newest first; without `orgId`, those of all organizations, for which the actor needs `apikeys:manage`
   * at `global`.
   *
   * @throws AuthTunaError `invalid_input`, `forbidden`; `not_found` for an unknown organization
   */
  async list(
    query: { orgId?: string; cursor?: string; limit?: number },
    actor: Actor,
  ): Promise<Page<ServiceAccount>> {
    const { orgId, ...window } = validate(listQuery, query);
    const scope = orgId === undefined ? undefined : scopeOf(orgId);
    await this.#core.access.require(actor, 'apikeys:manage', scope);
    const page = await pageOf({ ...query, ...window }, async ({ take, after }) => {
      const rows = await this.#core.db.serviceAccount.findMany({
        where: { ...(scope !== undefined && { scope }), user: { deletedAt: null } },
        include: WITH_USER,
        orderBy: [{ createdAt: 'desc' }, { userId: 'desc' }],
        take,
        ...(after !== null && { cursor: { userId: after } }),
      });
      return rows.map(toServiceAccount);
    });
    if (scope !== undefined && page.items.length === 0) await requireKnown(this.#core, scope);
    return page;
  }

  /**
   * Deletes an account: its keys stop working and its roles are taken away.
   *
   * @throws AuthTunaError `not_found`; `forbidden`, also where the account holds a role that the actor does not outrank
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const row = await this.#managed(id, actor);
    await requireServiceManager(this.#core, row, actor);
    // The right to do so was checked above, by the rule for service accounts and not by the one for people.
    await this.#core.users.delete(id, { ...SYSTEM, ...actor });
  }

  async #managed(id: string, actor: Actor): Promise<Row> {
    const row = await this.#core.db.serviceAccount.findUnique({
      where: { userId: id },
      include: WITH_USER,
    });
    if (row === null || row.user.deletedAt !== null)
      throw new AuthTunaError('not_found', { message: 'There is no such service account.' });
    await this.#core.access.require(actor, 'apikeys:manage', row.scope);
    return row;
  }
}

/** `.invalid` is reserved, so no mail to it leads anywhere (RFC 2606). */
function addressOf(id: string): string {
  return `${id.toLowerCase()}@service.invalid`;
}

function scopeOf(orgId: string): string {
  const scope = `org:${orgId}`;
  if (!isScope(scope)) throw invalid('orgId', 'invalid_scope', 'must be the id of an organization');
  return scope;
}

function toServiceAccount({ userId, scope, user, ...row }: Row): ServiceAccount {
  return {
    id: userId,
    kind: 'service',
    orgId: scope.slice('org:'.length),
    name: row.name,
    createdById: row.createdById,
    createdAt: row.createdAt,
    suspendedAt: user.suspendedAt,
  };
}
