import { resolveTxt } from 'node:dns/promises';
import { domainToASCII } from 'node:url';
import { type Actor, SYSTEM } from '../../actor.js';
import type { Access } from '../../core/access/access.js';
import type { RoleManager } from '../../core/access/roles.js';
import { isScope } from '../../core/access/scope-name.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Ledger, Write } from '../../core/changes/ledger.js';
import type { Runtime } from '../../core/runtime.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';
import { isAllowedUrl } from '../../net/outbound.js';
import { type ProviderMetadata, rulesFor } from '../../oauth-client/id-token.js';
import { type Profile, type SocialProvider, standardClaims } from '../../oauth-client/provider.js';
import { oidcProvider } from '../../oauth-client/providers.js';

/** An organization's own OpenID provider, as its administrators see it. */
export interface SsoConnection {
  id: string;
  /** Its id as a provider: in `/auth/social/<provider>/login` and in the redirect URI to register, `…/<provider>/callback`. */
  provider: string;
  scope: string;
  name: string;
  issuer: string;
  clientId: string;
  rolesClaim: string | null;
  /** Value of the claim -> role at the scope. */
  roleMapping: Record<string, string>;
  linkVerifiedEmails: boolean;
  createdAt: Date;
  updatedAt: Date;
  domains: SsoDomain[];
}

/** An e-mail domain of an organization. */
export interface SsoDomain {
  domain: string;
  verifiedAt: Date | null;
  /** People of this domain sign in here and nowhere else; see `requireSso` for who may still. */
  required: boolean;
  /** What proves the domain: a TXT record of this name with this value. */
  record: { type: 'TXT'; name: string; value: string };
}

export interface SsoConnectionInput {
  /** `org:<id>` */
  scope: string;
  name: string;
  /** https, on the public internet, with a discovery document. It can never be changed: another issuer's subjects are other people. */
  issuer: string;
  clientId: string;
  /** None for a public client. */
  clientSecret?: string;
  /** The claim that carries groups, for example `groups`. */
  rolesClaim?: string;
  /** Value of the claim -> role at the scope; given and taken at each sign-in. The actor must be allowed to assign each of them. */
  roleMapping?: Readonly<Record<string, string>>;
  /** Whether a person of a verified domain enters the account that has verified the same address. Default false. */
  linkVerifiedEmails?: boolean;
}

export type SsoConnectionChange = Partial<Omit<SsoConnectionInput, 'scope' | 'issuer'>>;

const PERMISSION = 'org:manage';
/** What owners of an organization hold and its administrators do not. */
const BYPASS_PERMISSION = 'org:delete';
const RECORD_PREFIX = '_authtuna-challenge';
const CHALLENGE_BYTES = 20; // 160 bits: nobody has it in their zone by chance
const MAX_ROLES = 100;
const DNS_TIMEOUT_MS = 5000;

/** Where people of a domain sign in. */
export interface Discovery {
  provider: string;
  name: string;
  /** Nowhere else. */
  required: boolean;
}

interface Dependencies {
  runtime: Runtime;
  ledger: Ledger;
  access: Access;
  roles: RoleManager;
}

/**
 * OpenID connections of organizations: who may sign in there is decided by e-mail domains that the organization has proved by DNS.
 *
 * Everything needs `org:manage` at the connection's scope. A connection vouches for addresses of its proved domains and for nobody else.
 */
export class SsoConnectionManager {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #access: Access;
  readonly #roles: RoleManager;
  readonly #metadata: ProviderMetadata;

  constructor({ runtime, ledger, access, roles }: Dependencies, metadata: ProviderMetadata) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#access = access;
    this.#roles = roles;
    this.#metadata = metadata;
  }

  /**
   * Registers a provider for an organization, after its discovery document was read once.
   *
   * @throws AuthTunaError `forbidden` without `org:manage` there or for a role the actor may not assign; `invalid_input`; `unavailable`
   */
  async create(input: SsoConnectionInput, actor: Actor): Promise<SsoConnection> {
    if (!isScope(input.scope) || input.scope === 'global')
      throw invalid('scope', 'must be a scope such as org:acme');
    await this.#access.require(actor, PERMISSION, input.scope);
    await this.#requireMapping(input.roleMapping, input.scope, actor);
    const id = newId(this.#runtime.config.random);
    const now = this.#runtime.now();
    const row = {
      id,
      scope: input.scope,
      name: input.name,
      issuer: input.issuer,
      clientId: input.clientId,
      clientSecret: this.#seal(id, input.clientSecret),
      rolesClaim: input.rolesClaim ?? null,
      roleMapping: JSON.stringify(input.roleMapping ?? {}),
      linkVerifiedEmails: input.linkVerifiedEmails === true,
      createdAt: now,
      updatedAt: now,
    };
    const provider = this.#toProvider({ ...row, domains: [] });
    if (!isAllowedUrl(input.issuer, rulesFor(provider, this.#runtime)))
      throw invalid('issuer', 'must be an https address on the public internet');
    await this.#metadata.endpointsOf(provider);
    await this.#commit(row.scope, id, actor, 'sso_connection.created', [
      this.#runtime.db.ssoConnection.create({ data: row }),
    ]);
    return this.get(id, actor);
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async get(id: string, actor: Actor): Promise<SsoConnection> {
    return toConnection(await this.#managed(id, actor));
  }

  /** Those of a scope, the oldest first. @throws AuthTunaError `forbidden` */
  async list(scope: string, actor: Actor): Promise<SsoConnection[]> {
    await this.#access.require(actor, PERMISSION, scope);
    const rows = await this.#runtime.db.ssoConnection.findMany({
      where: { scope },
      include: { domains: true },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    return rows.map(toConnection);
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async update(id: string, change: SsoConnectionChange, actor: Actor): Promise<SsoConnection> {
    const row = await this.#managed(id, actor);
    const present = mappingOf(row);
    // Another claim, or another client's claims, give the present roles to other people.
    if (Object.keys(change).some((key) => ['roleMapping', 'rolesClaim', 'clientId'].includes(key)))
      await this.#requireMapping({ ...(change.roleMapping ?? present) }, row.scope, actor);
    if (change.roleMapping !== undefined) {
      const kept = new Set(Object.values(change.roleMapping));
      await this.#takeMapped(
        row,
        Object.values(present).filter((role) => !kept.has(role)),
      );
    }
    const { name, clientId, clientSecret, rolesClaim, roleMapping, linkVerifiedEmails } = change;
    await this.#commit(row.scope, id, actor, 'sso_connection.updated', [
      this.#runtime.db.ssoConnection.update({
        where: { id },
        data: {
          ...(name !== undefined && { name }),
          ...(clientId !== undefined && { clientId }),
          ...(clientSecret !== undefined && { clientSecret: this.#seal(id, clientSecret) }),
          ...(rolesClaim !== undefined && { rolesClaim }),
          ...(roleMapping !== undefined && { roleMapping: JSON.stringify(roleMapping) }),
          ...(linkVerifiedEmails !== undefined && { linkVerifiedEmails }),
          updatedAt: this.#runtime.now(),
        },
      }),
    ]);
    return this.get(id, actor);
  }

  /**
   * Removes a connection with its domains, the identities that came by it and the roles that their claims gave; the accounts stay.
   *
   * @throws AuthTunaError `not_found`, `forbidden`
   */
  async delete(id: string, actor: Actor): Promise<void> {
    const row = await this.#managed(id, actor);
    await this.#takeMapped(row, Object.values(mappingOf(row)));
    await this.#commit(row.scope, id, actor, 'sso_connection.deleted', [
      this.#runtime.db.socialAccount.deleteMany({ where: { provider: SSO_PREFIX + id } }),
      this.#runtime.db.ssoConnection.delete({ where: { id } }),
    ]);
  }

  /**
   * Claims an e-mail domain; nothing comes of it before `verifyDomain`.
   *
   * @returns the TXT record to publish
   * @throws AuthTunaError `invalid_input`, `not_found`, `forbidden`; `conflict` when it is claimed here already
   */
  async addDomain(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    const row = await this.#managed(id, actor);
    const domain = canonicalDomain(name);
    if (domain === null) throw invalid('domain', 'must be a domain such as example.com');
    const challenge = this.#runtime.config.random.bytes(CHALLENGE_BYTES).toString('base64url');
    const created = {
      connectionId: id,
      domain,
      challenge,
      verifiedDomain: null,
      verifiedAt: null,
      required: false,
      createdAt: this.#runtime.now(),
    };
    await this.#commit(
      row.scope,
      id,
      actor,
      'sso_domain.added',
      [this.#runtime.db.ssoDomain.create({ data: created })],
      {
        domain,
      },
    );
    return toDomain(created);
  }

  /**
   * Looks for the record, and makes the domain the organization's when it is there.
   *
   * A domain that another connection has proved stays there as long as that one's record is still published; without it, the domain has
   * changed hands and moves.
   * @throws AuthTunaError `conflict` while the record is not found, and when the domain is another connection's; `not_found`; `forbidden`
   */
  async verifyDomain(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    const { row, domain } = await this.#domain(id, name, actor);
    const { record } = toDomain(domain);
    const published = await this.#lookUp(record.name);
    if (!published.includes(record.value))
      throw new AuthTunaError('conflict', {
        message: `The TXT record ${record.name} does not hold ${record.value} yet. A new record can take an hour to be seen.`,
        reason: 'record_not_found',
      });
    const verified = { verifiedDomain: domain.domain, verifiedAt: this.#runtime.now() };
    const holder = await this.#runtime.db.ssoDomain.findUnique({
      where: { verifiedDomain: domain.domain },
      include: { connection: { select: { scope: true } } },
    });
    const former = holder === null || holder.connectionId === id ? null : holder;
    if (former !== null && published.includes(toDomain(former).record.value)) throw taken();
    const { ssoDomain } = this.#runtime.db;
    await this.#commit(
      row.scope,
      id,
      actor,
      'sso_domain.verified',
      [
        ...(former === null
          ? []
          : [
              ssoDomain.update({
                where: { ...keyOf(former), verifiedDomain: former.domain },
                data: { verifiedDomain: null, verifiedAt: null, required: false },
              }),
            ]),
        ssoDomain.update({ where: keyOf(domain), data: verified }),
      ],
      { domain: domain.domain },
      former === null
        ? []
        : [
            {
              type: 'sso_domain.removed',
              actor,
              scope: former.connection.scope,
              target: { type: 'sso_connection', id: former.connectionId },
              reason: 'proved_by_another',
              data: { domain: domain.domain },
            },
          ],
    );
    return toDomain({ ...domain, ...verified });
  }

  /**
   * Makes the people of a proved domain sign in here and nowhere else, or lets them sign in as they like. Sessions go on.
   *
   * Their accounts, which they can enter no other way from then on, are entered by equal addresses as if `linkVerifiedEmails` were set. Who
   * could delete the organization (`org:delete` at the scope) may still sign in otherwise, with a second factor, so that a provider that is
   * gone locks nobody out for good; the audit log says when that happened.
   * @throws AuthTunaError `conflict` for a domain that is not proved; `not_found`; `forbidden`
   */
  async requireSso(id: string, name: string, required: boolean, actor: Actor): Promise<SsoDomain> {
    const { row, domain } = await this.#domain(id, name, actor);
    if (required && domain.verifiedDomain === null)
      throw new AuthTunaError('conflict', { message: 'Prove the domain first.' });
    await this.#commit(
      row.scope,
      id,
      actor,
      'sso_domain.updated',
      [this.#runtime.db.ssoDomain.update({ where: keyOf(domain), data: { required } })],
      { domain: domain.domain, required },
    );
    return toDomain({ ...domain, required });
  }

  /** @throws AuthTunaError `not_found`, `forbidden` */
  async removeDomain(id: string, name: string, actor: Actor): Promise<void> {
    const { row, domain } = await this.#domain(id, name, actor);
    await this.#commit(
      row.scope,
      id,
      actor,
      'sso_domain.removed',
      [this.#runtime.db.ssoDomain.delete({ where: keyOf(domain) })],
      { domain: domain.domain },
    );
  }

  /**
   * The provider where people of an address's domain sign in, or null: home-realm discovery. Says something of the domain, never of a person.
   */
  async discover(email: string): Promise<Discovery | null> {
    const domain = domainOf(email);
    const row =
      domain === null
        ? null
        : await this.#runtime.db.ssoDomain.findUnique({
            where: { verifiedDomain: domain },
            include: { connection: { select: { id: true, name: true } } },
          });
    return row === null
      ? null
      : { provider: SSO_PREFIX + row.connection.id, name: row.connection.name, required: row.required };
  }

  /** @internal Names of connections, by their ids as providers. */
  async namesOf(providers: readonly string[]): Promise<Map<string, string>> {
    const ids = providers
      .filter((provider) => provider.startsWith(SSO_PREFIX))
      .map((provider) => provider.slice(SSO_PREFIX.length));
    if (ids.length === 0) return new Map();
    const rows = await this.#runtime.db.ssoConnection.findMany({
      where: { id: { in: ids } },
      select: { id: true, name: true },
    });
    return new Map(rows.map(({ id, name }) => [SSO_PREFIX + id, name]));
  }

  /** Whether the sign-in page has to ask people for their organization at all. */
  async hasAny(): Promise<boolean> {
    const { db } = this.#runtime;
    return (await db.ssoDomain.findFirst({ where: { verifiedDomain: { not: null } } })) !== null;
  }

  /** @internal Whether a person could switch the demand off for good, and so may pass by it. */
  async mayBypass(provider: string, userId: string): Promise<{ id: string; scope: string } | null> {
    const row = await this.#row(provider);
    const isOwner = row !== null && (await this.#access.can(userId, BYPASS_PERMISSION, row.scope));
    return isOwner ? { id: row.id, scope: row.scope } : null;
  }

  /** @internal The writes that remove what hangs on a scope, when the scope is removed. */
  async removeAt(scope: string): Promise<Write[]> {
    const { db } = this.#runtime;
    const rows = await db.ssoConnection.findMany({ where: { scope }, select: { id: true } });
    const providers = rows.map(({ id }) => SSO_PREFIX + id);
    return [
      db.socialAccount.deleteMany({ where: { provider: { in: providers } } }),
      db.ssoConnection.deleteMany({ where: { scope } }),
    ];
  }

  /** @internal */
  async providerOf(provider: string): Promise<SocialProvider | null> {
    const row = await this.#row(provider);
    return row === null ? null : this.#toProvider(row);
  }

  /** @internal */
  async mayLink(provider: string): Promise<boolean> {
    return (await this.#row(provider))?.linkVerifiedEmails === true;
  }

  /**
   * @internal Lets only people of the connection's proved domains through.
   *
   * @returns what is demanded of the address's domain, or null
   * @throws AuthTunaError `forbidden`
   */
  async admit(provider: string, email: string): Promise<Discovery | null> {
    const found = await this.discover(email);
    if (provider.startsWith(SSO_PREFIX) && found?.provider !== provider)
      throw new AuthTunaError('forbidden', {
        message: 'This sign-in is for addresses of the organization only.',
        reason: 'foreign_domain',
      });
    return found;
  }

  /** @internal Gives and takes the mapped roles by the claims of today. Roles that no claim is mapped to are left alone. */
  async applyRoles(
    provider: string,
    userId: string,
    claims: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const row = await this.#row(provider);
    if (row === null || row.rolesClaim === null) return;
    const mapping = mappingOf(row);
    const claimed = claims[row.rolesClaim];
    const values = (Array.isArray(claimed) ? claimed : [claimed]).filter(
      (value) => typeof value === 'string',
    );
    const wanted = new Set(
      values.flatMap((value) => (Object.hasOwn(mapping, value) ? [mapping[value]!] : [])),
    );
    const held = new Set(
      (await this.#roles.assignmentsOf(userId))
        .filter(({ scope }) => scope === row.scope)
        .map(({ role }) => role),
    );
    for (const role of new Set(Object.values(mapping))) {
      // Who set the mapping up was allowed to assign these roles; SYSTEM acts on their word.
      if (wanted.has(role) && !held.has(role)) await this.#moveRole('assign', userId, role, row.scope);
      if (!wanted.has(role) && held.has(role)) await this.#moveRole('unassign', userId, role, row.scope);
    }
  }

  /** A role that is gone by now, or the last owner's, keeps nobody from signing in. */
  async #moveRole(move: 'assign' | 'unassign', userId: string, role: string, scope: string): Promise<void> {
    await this.#roles[move]({ userId, role, scope }, SYSTEM).catch((error: unknown) => {
      if (!(error instanceof AuthTunaError) || error.code === 'unavailable') throw error;
      this.#runtime.config.logger.warn(`A mapped role could not be ${move}ed.`, {
        role,
        scope,
        reason: error.message,
      });
    });
  }

  /** Takes roles away that claims gave: once nothing maps to them, no sign-in would. Those that a person gave stay. */
  async #takeMapped(row: ConnectionRow, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const given = await this.#runtime.db.roleAssignment.findMany({
      where: {
        scope: row.scope,
        assignedById: null,
        role: { name: { in: [...names] } },
        user: { socialAccounts: { some: { provider: SSO_PREFIX + row.id } } },
      },
      select: { userId: true, role: { select: { name: true } } },
    });
    for (const { userId, role } of given) await this.#moveRole('unassign', userId, role.name, row.scope);
  }

  #toProvider(row: ConnectionRow): SocialProvider {
    const secret =
      row.clientSecret === null ? null : this.#runtime.vault.open(row.clientSecret, placeOf(row.id));
    const verified = new Set(row.domains.flatMap(({ verifiedDomain }) => verifiedDomain ?? []));
    return oidcProvider(
      {
        id: SSO_PREFIX + row.id,
        name: row.name,
        issuer: row.issuer,
        clientId: row.clientId,
        ...(secret !== null && { clientSecret: secret }),
        profile: async ({ claims }) => ofDomains(claims, verified),
      },
      { ofTenant: true },
    );
  }

  async #requireMapping(
    mapping: Readonly<Record<string, string>> | undefined,
    scope: string,
    actor: Actor,
  ): Promise<void> {
    if (mapping === undefined) return;
    const roles = Object.values(mapping);
    if (roles.length > MAX_ROLES) throw invalid('roleMapping', `may name at most ${MAX_ROLES} values`);
    const assignable = new Set(await this.#roles.assignableBy(actor, scope));
    const refused = roles.find((role) => !assignable.has(role));
    if (refused !== undefined)
      throw new AuthTunaError('forbidden', {
        message: `You may not assign the role ${refused} at ${scope}.`,
      });
  }

  #seal(id: string, secret: string | undefined): string | null {
    return secret === undefined ? null : this.#runtime.vault.seal(secret, placeOf(id));
  }

  async #row(provider: string): Promise<ConnectionRow | null> {
    if (!provider.startsWith(SSO_PREFIX)) return null;
    return this.#runtime.db.ssoConnection.findUnique({
      where: { id: provider.slice(SSO_PREFIX.length) },
      include: { domains: true },
    });
  }

  async #managed(id: string, actor: Actor): Promise<ConnectionRow> {
    const row = await this.#row(SSO_PREFIX + id);
    if (row === null) throw new AuthTunaError('not_found', { message: 'There is no such connection.' });
    await this.#access.require(actor, PERMISSION, row.scope);
    return row;
  }

  async #domain(id: string, name: string, actor: Actor): Promise<{ row: ConnectionRow; domain: DomainRow }> {
    const row = await this.#managed(id, actor);
    const domain = row.domains.find((entry) => entry.domain === canonicalDomain(name));
    if (domain === undefined)
      throw new AuthTunaError('not_found', { message: 'The connection has no such domain.' });
    return { row, domain };
  }

  async #lookUp(name: string): Promise<string[]> {
    const ask = this.#runtime.config.social.resolveTxt ?? resolveTxt;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string[][]>((resolve) => {
      timer = setTimeout(resolve, DNS_TIMEOUT_MS, []);
    });
    try {
      // A long value is cut into pieces of 255 bytes.
      return (await Promise.race([ask(name), late])).map((pieces) => pieces.join(''));
    } catch {
      return []; // no such name, or no answer: not proved
    } finally {
      clearTimeout(timer);
    }
  }

  async #commit(
    scope: string,
    id: string,
    actor: Actor,
    type: EventType,
    writes: Write[],
    data?: Readonly<Record<string, unknown>>,
    further: readonly Fact[] = [],
  ): Promise<void> {
    try {
      await this.#ledger.commit({
        writes,
        facts: [
          { type, actor, scope, target: { type: 'sso_connection', id }, ...(data !== undefined && { data }) },
          ...further,
        ],
      });
    } catch (error) {
      if (isUniqueViolation(error)) throw taken();
      throw isMissing(error)
        ? new AuthTunaError('not_found', { message: 'There is no such connection.' })
        : error;
    }
  }
}

type DomainRow = Awaited<ReturnType<Runtime['db']['ssoDomain']['findUniqueOrThrow']>>;
type ConnectionRow = Awaited<ReturnType<Runtime['db']['ssoConnection']['findUniqueOrThrow']>> & {
  domains: DomainRow[];
};

/**
 * The claims, with the address believed only within the proved domains. A provider that says the address is not verified is taken at its word;
 * one that says nothing (Entra) is the organization's own directory.
 */
function ofDomains(claims: Readonly<Record<string, unknown>>, verified: ReadonlySet<string>): Profile {
  const profile = standardClaims(claims);
  const domain = profile.email === null ? null : domainOf(profile.email);
  const isDenied = claims.email_verified !== undefined && claims.email_verified !== true;
  return { ...profile, emailVerified: domain !== null && verified.has(domain) && !isDenied };
}

function domainOf(email: string): string | null {
  const at = email.lastIndexOf('@');
  return at < 1 ? null : canonicalDomain(email.slice(at + 1));
}

/** Lower-case A-labels, at least two of them; null for anything else. */
function canonicalDomain(name: string): string | null {
  const ascii = domainToASCII(name.trim().normalize('NFKC')).replace(/\.$/, '');
  const labels = ascii.split('.');
  const isDomain =
    ascii.length <= 253 &&
    labels.length > 1 &&
    labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '');
  return isDomain ? ascii : null;
}

function keyOf({ connectionId, domain }: DomainRow) {
  return { connectionId_domain: { connectionId, domain } };
}

function mappingOf(row: { roleMapping: string }): Record<string, string> {
  return JSON.parse(row.roleMapping) as Record<string, string>;
}

function toConnection(row: ConnectionRow): SsoConnection {
  const { id, scope, name, issuer, clientId, rolesClaim, linkVerifiedEmails, createdAt, updatedAt } = row;
  return {
    id,
    provider: SSO_PREFIX + id,
    scope,
    name,
    issuer,
    clientId,
    rolesClaim,
    roleMapping: mappingOf(row),
    linkVerifiedEmails,
    createdAt,
    updatedAt,
    domains: row.domains.map(toDomain),
  };
}

function toDomain({ domain, challenge, verifiedAt, required }: DomainRow): SsoDomain {
  return {
    domain,
    verifiedAt,
    required,
    record: { type: 'TXT', name: `${RECORD_PREFIX}.${domain}`, value: `authtuna-domain=${challenge}` },
  };
}

function placeOf(id: string): string[] {
  return ['SsoConnection', 'clientSecret', id];
}

function taken(): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: 'This domain belongs to a connection already, whose record is still published.',
  });
}

function invalid(field: string, message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { errors: [{ field, message }] });
}
