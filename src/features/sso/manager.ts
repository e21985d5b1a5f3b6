import type { Actor } from '../../actor.js';
import { isScope } from '../../core/access/scope-name.js';
import { requireKnown } from '../../core/access/scope-nodes.js';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { validate } from '../../core/validate.js';
import { newId } from '../../crypto/random.js';
import { isAllowedUrl } from '../../net/outbound.js';
import { rulesFor } from '../../oauth-client/client-runtime.js';
import type { ProviderMetadata } from '../../oauth-client/metadata.js';
import {
  type ConnectionRow,
  commitToConnection,
  managedConnection,
  mappingChanged,
  requireManage,
  roleIdsOf,
  type SsoConnection,
  type SsoConnectionChange,
  type SsoConnectionInput,
  type SsoDomain,
  toConnection,
} from './connection.js';
import type { Discovery, SsoDirectory } from './directory.js';
import type { DomainRecords } from './domain-records.js';
import { SsoDomains } from './domains.js';
import { MappedRoles, makerIdOf, namesIn } from './mapped-roles.js';
import { sealSecret, toProvider } from './provider.js';
import { connectionBody, connectionChangeBody, mappedRoleInput } from './schemas.js';

/**
 * OpenID connections of organizations: who may sign in there is decided by e-mail domains that the organization has proved by DNS.
 *
 * Everything needs `org:manage` at the connection's scope. A connection vouches for addresses of its proved domains and for no others.
 */
export class SsoConnectionManager {
  readonly #core: Core;
  readonly #metadata: ProviderMetadata;
  readonly #directory: SsoDirectory;
  readonly #roles: MappedRoles;
  readonly #domains: SsoDomains;

  constructor(core: Core, metadata: ProviderMetadata, directory: SsoDirectory, records: DomainRecords) {
    this.#core = core;
    this.#directory = directory;
    this.#metadata = metadata;
    this.#roles = new MappedRoles(core);
    this.#domains = new SsoDomains(core, records);
  }

  /**
   * Registers a provider for an organization, after its discovery document was read once.
   *
   * @throws AuthTunaError `forbidden` without `org:manage` there or for a role the actor may not assign; `invalid_input`; `unavailable`
   */
  async create(newConnection: SsoConnectionInput, actor: Actor): Promise<SsoConnection> {
    const input = validate(connectionBody, newConnection);
    if (!isScope(input.scope) || input.scope === 'global')
      throw invalid('scope', 'invalid_scope', 'must be a scope such as org:acme');
    await requireManage(this.#core, actor, input.scope);
    const roleMapping = await this.#roles.resolve(input.roleMapping ?? {}, input.scope, actor);
    const id = newId(this.#core.config.random);
    const now = this.#core.now();
    const row = {
      id,
      scope: input.scope,
      name: input.name,
      issuer: input.issuer,
      clientId: input.clientId,
      clientSecret: sealSecret(this.#core, id, input.clientSecret),
      rolesClaim: input.rolesClaim ?? null,
      roleMapping: JSON.stringify(roleMapping),
      mappedById: makerIdOf(actor),
      linkVerifiedEmails: input.linkVerifiedEmails === true,
      createdAt: now,
      updatedAt: now,
    };
    const provider = toProvider(this.#core, { ...row, domains: [] });
    if (!isAllowedUrl(input.issuer, rulesFor(provider, this.#core)))
      throw invalid('issuer', 'invalid_format', 'must be an https address on the public internet');
    await this.#metadata.endpointsOf(provider);
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_connection.created',
      writes: [this.#core.db.ssoConnection.create({ data: row })],
    });
    return this.get(id, actor);
  }

  /** @throws AuthTunaError `not_found`, also for an actor who may not manage the connection */
  async get(id: string, actor: Actor): Promise<SsoConnection> {
    return this.#describe(await managedConnection(this.#core, id, actor));
  }

  /** Those of a scope, the oldest first. @throws AuthTunaError `forbidden`; `not_found` for an unknown scope */
  async list(scope: string, actor: Actor): Promise<SsoConnection[]> {
    await requireManage(this.#core, actor, scope);
    const rows = await this.#core.db.ssoConnection.findMany({
      where: { scope },
      include: { domains: true },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    if (rows.length === 0) await requireKnown(this.#core, scope);
    return Promise.all(rows.map((row) => this.#describe(row)));
  }

  /** @throws AuthTunaError `not_found`; `conflict` when the mapping changed meanwhile; for a mapping what `create` throws */
  async update(id: string, changes: SsoConnectionChange, actor: Actor): Promise<SsoConnection> {
    const change = validate(connectionChangeBody, changes);
    return this.#update(await managedConnection(this.#core, id, actor), change, actor);
  }

  /**
   * Maps one value of a claim to a role, beside those that are mapped; without a role, takes its mapping away.
   *
   * @param claim the name of the claim, which is one for all values; without it the present one stays
   * @throws AuthTunaError as `update`
   */
  async mapRole(
    id: string,
    mapped: { value: string; role?: string; claim?: string },
    actor: Actor,
  ): Promise<SsoConnection> {
    const { value, role, claim } = validate(mappedRoleInput, mapped);
    const row = await managedConnection(this.#core, id, actor);
    const others = Object.entries(namesIn(roleIdsOf(row), await this.#core.roleStore.current())).filter(
      ([present]) => present !== value,
    );
    const change = validate(connectionChangeBody, {
      roleMapping: Object.fromEntries([...others, ...(role === undefined ? [] : [[value, role]])]),
      ...(claim !== undefined && { rolesClaim: claim }),
    });
    return this.#update(row, change, actor);
  }

  /** Which roles the actor may map values to at the connection's scope. @throws AuthTunaError `not_found` */
  async mappableRoles(id: string, actor: Actor): Promise<string[]> {
    const { scope } = await managedConnection(this.#core, id, actor);
    return this.#core.roles.assignableBy(actor, scope);
  }

  async #update(row: ConnectionRow, change: SsoConnectionChange, actor: Actor): Promise<SsoConnection> {
    const { id } = row;
    const present = roleIdsOf(row);
    // Another claim, or another client's claims, give the present roles to other people.
    const isMappedAnew = Object.keys(change).some((key) =>
      ['roleMapping', 'rolesClaim', 'clientId'].includes(key),
    );
    const names = namesIn(present, await this.#core.roleStore.current());
    const mapping = isMappedAnew
      ? await this.#roles.resolve(change.roleMapping ?? names, row.scope, actor)
      : present;
    const kept = new Set(Object.values(mapping));
    await this.#roles.take(
      row,
      Object.values(present).filter((role) => !kept.has(role)),
      actor,
    );
    const { name, clientId, clientSecret, rolesClaim, linkVerifiedEmails } = change;
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_connection.updated',
      ...(isMappedAnew && { whenMissed: mappingChanged }),
      writes: [
        this.#core.db.ssoConnection.update({
          where: { id, ...(isMappedAnew && { roleMapping: row.roleMapping }) },
          data: {
            ...(name !== undefined && { name }),
            ...(clientId !== undefined && { clientId }),
            ...(clientSecret !== undefined && { clientSecret: sealSecret(this.#core, id, clientSecret) }),
            ...(rolesClaim !== undefined && { rolesClaim }),
            ...(isMappedAnew && { roleMapping: JSON.stringify(mapping), mappedById: makerIdOf(actor) }),
            ...(linkVerifiedEmails !== undefined && { linkVerifiedEmails }),
            updatedAt: this.#core.now(),
          },
        }),
      ],
    });
    return this.get(id, actor);
  }

  /**
   * Removes a connection with its domains, the identities that came by it and the roles that their claims gave; the accounts stay.
   *
   * @throws AuthTunaError `not_found`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const row = await managedConnection(this.#core, id, actor);
    await this.#roles.take(row, Object.values(roleIdsOf(row)), actor);
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_connection.deleted',
      writes: [
        this.#core.db.socialAccount.deleteMany({ where: { provider: SSO_PREFIX + id } }),
        this.#core.db.ssoConnection.delete({ where: { id } }),
      ],
    });
  }

  /**
   * Claims an e-mail domain; nothing comes of it before `verifyDomain`.
   *
   * @returns the TXT record to publish
   * @throws AuthTunaError `invalid_input`, `not_found`; `conflict` when it is claimed here already
   */
  addDomain(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    return this.#domains.add(id, name, actor);
  }

  /**
   * Looks for the record, and makes the domain the organization's when it is there.
   *
   * A domain that another connection has proved stays there as long as that one's record is still published; without it, the domain has
   * changed hands and moves.
   * @throws AuthTunaError `conflict` while the record is not found, and when the domain is another connection's; `not_found`
   */
  verifyDomain(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    return this.#domains.verify(id, name, actor);
  }

  /**
   * Makes the people of a proved domain sign in here and nowhere else, or lets them sign in as they like. Sessions go on.
   *
   * Their accounts, which they can enter no other way from then on, are entered by equal addresses as if `linkVerifiedEmails` were set. Who
   * could delete the organization (`org:delete` at the scope) may still sign in otherwise, with a second factor, so that a provider that is
   * gone does not lock a user out for good; the audit log says when that happened.
   * @throws AuthTunaError `conflict` for a domain that is not proved; `not_found`
   */
  requireSso(id: string, name: string, required: boolean, actor: Actor): Promise<SsoDomain> {
    return this.#domains.requireSso(id, name, required, actor);
  }

  /** @throws AuthTunaError `not_found` */
  removeDomain(id: string, name: string, actor: Actor): Promise<void> {
    return this.#domains.remove(id, name, actor);
  }

  /**
   * The provider where people of an address's domain sign in, or null: home-realm discovery. It says something of the domain, never of a
   * person.
   */
  discover(email: string): Promise<Discovery | null> {
    return this.#directory.discover(email);
  }

  async #describe(row: ConnectionRow): Promise<SsoConnection> {
    return toConnection(row, namesIn(roleIdsOf(row), await this.#core.roleStore.current()));
  }
}
