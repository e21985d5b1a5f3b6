import type { Actor } from '../../actor.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { domainOf } from '../../core/identifiers.js';
import type { Proof } from '../../core/sessions/session-writes.js';
import type { SecondFactors } from '../../core/sign-in/second-factors.js';
import type { GateVerdict, SignInGate } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';
import type { SocialProvider } from '../../oauth-client/provider.js';
import { findConnection } from './connection.js';
import { type DomainRecords, OWNER_PERMISSION } from './domain-records.js';
import { MappedRoles } from './mapped-roles.js';
import { toProvider } from './provider.js';

/** Where people of a domain sign in. */
export interface Discovery {
  provider: string;
  name: string;
  /** No other way in is open to them. */
  required: boolean;
}

/** Which organization's provider an address belongs to, and where an organization demands its own provider. */
export class SsoDirectory implements SignInGate, ScopeDependent {
  readonly #core: Core;
  readonly #secondFactors: SecondFactors;
  readonly #roles: MappedRoles;
  readonly #records: DomainRecords;

  constructor(core: Core, secondFactors: SecondFactors, records: DomainRecords) {
    this.#core = core;
    this.#records = records;
    this.#secondFactors = secondFactors;
    this.#roles = new MappedRoles(core);
  }

  /**
   * The provider where people of an address's domain sign in, or null: home-realm discovery. Says something of the domain, never of a person.
   */
  async discover(email: string): Promise<Discovery | null> {
    const domain = domainOf(email);
    const row =
      domain === null
        ? null
        : await this.#core.db.ssoDomain.findUnique({
            where: { verifiedDomain: domain },
            include: { connection: { select: { id: true, name: true } } },
          });
    return row === null
      ? null
      : { provider: SSO_PREFIX + row.connection.id, name: row.connection.name, required: row.required };
  }

  /** Whether the sign-in page has to ask people for their organization at all. */
  async hasAny(): Promise<boolean> {
    const { db } = this.#core;
    return (await db.ssoDomain.findFirst({ where: { verifiedDomain: { not: null } } })) !== null;
  }

  /** Names of connections, by their ids as providers. */
  async namesOf(providers: readonly string[]): Promise<Map<string, string>> {
    const ids = providers
      .filter((provider) => provider.startsWith(SSO_PREFIX))
      .map((provider) => provider.slice(SSO_PREFIX.length));
    if (ids.length === 0) return new Map();
    const rows = await this.#core.db.ssoConnection.findMany({
      where: { id: { in: ids } },
      select: { id: true, name: true },
    });
    return new Map(rows.map(({ id, name }) => [SSO_PREFIX + id, name]));
  }

  /** The provider of a connection; null for any other id. */
  async providerOf(provider: string): Promise<SocialProvider | null> {
    const row = await findConnection(this.#core, provider);
    return row === null ? null : toProvider(this.#core, row);
  }

  /** Whether the connection lets a person of a verified domain enter the account that has verified the same address. */
  async mayLink(provider: string): Promise<boolean> {
    return (await findConnection(this.#core, provider))?.linkVerifiedEmails === true;
  }

  /**
   * Lets only people of the connection's proved domains through.
   *
   * @returns what is demanded of the address's domain, or null
   * @throws AuthTunaError `forbidden`
   */
  async requireMember(provider: string, email: string): Promise<Discovery | null> {
    const found = await this.discover(email);
    if (provider.startsWith(SSO_PREFIX) && found?.provider !== provider)
      throw new AuthTunaError('forbidden', {
        message: 'This sign-in is for addresses of the organization only.',
        reason: 'foreign_domain',
      });
    return found;
  }

  /** Looks at the record of an address's domain once more, for somebody who enters by a connection for the first time. */
  async lookAgain(provider: string, email: string): Promise<void> {
    const domain = domainOf(email);
    if (domain === null || !provider.startsWith(SSO_PREFIX)) return;
    const row = await this.#core.db.ssoDomain.findUnique({ where: { verifiedDomain: domain } });
    if (row !== null && SSO_PREFIX + row.connectionId === provider) await this.#records.isStillProved(row);
  }

  /** Gives and takes the mapped roles by the claims of today. Roles that no claim is mapped to are left alone. */
  applyRoles(provider: string, userId: string, claims: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#roles.apply(provider, userId, claims);
  }

  /** Whether a scope has a connection. */
  async isUsing(scope: string): Promise<boolean> {
    return (await this.#core.db.ssoConnection.count({ where: { scope } })) > 0;
  }

  /** The writes that remove what hangs on scopes, when the scopes are removed. */
  async removeAt(scopes: readonly string[]): Promise<Write[]> {
    const { db } = this.#core;
    const rows = await db.ssoConnection.findMany({
      where: { scope: { in: [...scopes] } },
      select: { id: true },
    });
    const providers = rows.map(({ id }) => SSO_PREFIX + id);
    return [
      db.socialAccount.deleteMany({ where: { provider: { in: providers } } }),
      db.ssoConnection.deleteMany({ where: { scope: { in: [...scopes] } } }),
    ];
  }

  /**
   * Refuses ways in other than the organization's own provider, where a domain demands it. Its owners pass with a second factor: they could
   * end the demand, and must be able to on the day the provider is gone.
   */
  async admit(user: UserRow, proof: Proof, actor: Actor): Promise<GateVerdict> {
    if (proof.amr.includes('sso')) return {};
    const demanded = await this.discover(user.email);
    if (demanded?.required !== true) return {};
    const owned = await this.#mayBypass(demanded.provider, user.id);
    if (owned === null) throw this.demand(demanded);
    if (proof.assuranceLevel < 2) {
      if ((await this.#secondFactors.factorsOf(user.id)).length === 0) throw this.demand(demanded);
      return { needsSecondFactor: true };
    }
    return {
      facts: [
        {
          type: 'sso_connection.bypassed',
          actor: { ...actor, userId: user.id },
          scope: owned.scope,
          target: { type: 'sso_connection', id: owned.id },
          data: { amr: proof.amr },
        },
      ],
    };
  }

  /**
   * Keeps people at the address for which single sign-on is demanded: under another one they would enter past their organization, also after
   * it has let them go. A person who may bypass the demand may leave it.
   */
  async requireMayTake(newEmail: string, user: UserRow): Promise<void> {
    const demanded = await this.discover(user.email);
    if (demanded?.required !== true) return;
    const next = await this.discover(newEmail);
    if (next?.required === true && next.provider === demanded.provider) return;
    if ((await this.#mayBypass(demanded.provider, user.id)) !== null) return;
    throw new AuthTunaError('forbidden', {
      message: `Your address is managed by ${demanded.name}. Ask its administrators for another one.`,
    });
  }

  /** The refusal that leads to the organization's own provider. */
  demand({ provider, name }: Discovery): AuthTunaError {
    return new AuthTunaError('forbidden', {
      message: 'Your organization asks you to use its single sign-on.',
      sso: `${this.#core.config.paths.auth}/social/${provider}/login`,
      organization: name,
    });
  }

  /** The connection, if the user could switch its demand off for good, and so may bypass it; null otherwise. */
  async #mayBypass(provider: string, userId: string): Promise<{ id: string; scope: string } | null> {
    const row = await findConnection(this.#core, provider);
    const isOwner = row !== null && (await this.#core.access.can(userId, OWNER_PERMISSION, row.scope));
    return isOwner ? { id: row.id, scope: row.scope } : null;
  }
}
