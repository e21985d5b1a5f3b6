import type { Actor } from '../../actor.js';
import { isScope } from '../../core/access/scope-name.js';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { newId } from '../../crypto/random.js';
import { isAllowedUrl } from '../../net/outbound.js';
import { rulesFor } from '../../oauth-client/client-runtime.js';
import type { ProviderMetadata } from '../../oauth-client/metadata.js';
import {
  commitToConnection,
  managedConnection,
  mappingOf,
  requireManage,
  type SsoConnection,
  type SsoConnectionChange,
  type SsoConnectionInput,
  type SsoDomain,
  toConnection,
} from './connection.js';
import type { Discovery, SsoDirectory } from './directory.js';
import { SsoDomains } from './domains.js';
import { MappedRoles } from './mapped-roles.js';
import { sealSecret, toProvider } from './provider.js';

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

  constructor(core: Core, metadata: ProviderMetadata, directory: SsoDirectory) {
    this.#core = core;
    this.#directory = directory;
    this.#metadata = metadata;
    this.#roles = new MappedRoles(core);
    this.#domains = new SsoDomains(core);
  }

  /**
   * Registers a provider for an organization, after its discovery document was read once.
   *
   * @throws AuthTunaError `forbidden` without `org:manage` there or for a role the actor may not assign; `invalid_input`; `unavailable`
   */
  async create(input: SsoConnectionInput, actor: Actor): Promise<SsoConnection> {
    if (!isScope(input.scope) || input.scope === 'global')
      throw invalid('scope', 'invalid_scope', 'must be a scope such as org:acme');
    await requireManage(this.#core, actor, input.scope);
    await this.#roles.requireMayMap(input.roleMapping, input.scope, actor);
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
      roleMapping: JSON.stringify(input.roleMapping ?? {}),
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

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async get(id: string, actor: Actor): Promise<SsoConnection> {
    return toConnection(await managedConnection(this.#core, id, actor));
  }

  /** Those of a scope, the oldest first. @throws AuthTunaError `forbidden` */
  async list(scope: string, actor: Actor): Promise<SsoConnection[]> {
    await requireManage(this.#core, actor, scope);
    const rows = await this.#core.db.ssoConnection.findMany({
      where: { scope },
      include: { domains: true },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    return rows.map(toConnection);
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async update(id: string, change: SsoConnectionChange, actor: Actor): Promise<SsoConnection> {
    const row = await managedConnection(this.#core, id, actor);
    const present = mappingOf(row);
    // Another claim, or another client's claims, give the present roles to other people.
    if (Object.keys(change).some((key) => ['roleMapping', 'rolesClaim', 'clientId'].includes(key)))
      await this.#roles.requireMayMap({ ...(change.roleMapping ?? present) }, row.scope, actor);
    if (change.roleMapping !== undefined) {
      const kept = new Set(Object.values(change.roleMapping));
      await this.#roles.take(
        row,
        Object.values(present).filter((role) => !kept.has(role)),
      );
    }
    const { name, clientId, clientSecret, rolesClaim, roleMapping, linkVerifiedEmails } = change;
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_connection.updated',
      writes: [
        this.#core.db.ssoConnection.update({
          where: { id },
          data: {
            ...(name !== undefined && { name }),
            ...(clientId !== undefined && { clientId }),
            ...(clientSecret !== undefined && { clientSecret: sealSecret(this.#core, id, clientSecret) }),
            ...(rolesClaim !== undefined && { rolesClaim }),
            ...(roleMapping !== undefined && { roleMapping: JSON.stringify(roleMapping) }),
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
   * @throws AuthTunaError `not_found`, `forbidden`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const row = await managedConnection(this.#core, id, actor);
    await this.#roles.take(row, Object.values(mappingOf(row)));
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
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `conflict` when it is claimed here already
   */
  addDomain(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    return this.#domains.add(id, name, actor);
  }

  /**
   * Looks for the record, and makes the domain the organization's when it is there.
   *
   * A domain that another connection has proved stays there as long as that one's record is still published; without it, the domain has
   * changed hands and moves.
   * @throws AuthTunaError `conflict` while the record is not found, and when the domain is another connection's; `not_found`; `forbidden`
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
   * @throws AuthTunaError `conflict` for a domain that is not proved; `not_found`; `forbidden`
   */
  requireSso(id: string, name: string, required: boolean, actor: Actor): Promise<SsoDomain> {
    return this.#domains.requireSso(id, name, required, actor);
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
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
}
