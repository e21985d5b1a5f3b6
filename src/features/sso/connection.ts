import type { Actor } from '../../actor.js';
import type { Fact } from '../../core/changes/audit.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { whenMissing, whenTaken } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { EventType } from '../../events.js';

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
  /** Value of the claim -> role at the scope. A role that was deleted is left out, whatever is called the same by now. */
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
  /**
   * Value of the claim -> role at the scope; given and taken at each sign-in, by what the actor may do then. The actor must be allowed to
   * assign each of them, and answers for a change of `rolesClaim` or `clientId` in the same way.
   */
  roleMapping?: Readonly<Record<string, string>>;
  /** Whether a person of a verified domain enters the account that has verified the same address. Default false. */
  linkVerifiedEmails?: boolean;
}

export type SsoConnectionChange = Partial<Omit<SsoConnectionInput, 'scope' | 'issuer'>>;

const PERMISSION = 'org:manage';
const RECORD_PREFIX = '_authtuna-challenge';

export type DomainRow = Awaited<ReturnType<Db['ssoDomain']['findUniqueOrThrow']>>;
export type ConnectionRow = Awaited<ReturnType<Db['ssoConnection']['findUniqueOrThrow']>> & {
  domains: DomainRow[];
};

/** The stored connection that a provider's id names; null for every other provider. */
export async function findConnection({ db }: Core, provider: string): Promise<ConnectionRow | null> {
  if (!provider.startsWith(SSO_PREFIX)) return null;
  return db.ssoConnection.findUnique({
    where: { id: provider.slice(SSO_PREFIX.length) },
    include: { domains: true },
  });
}

/** A connection that the actor may manage. @throws AuthTunaError `not_found`, also for a connection that is not the actor's to see */
export async function managedConnection(core: Core, id: string, actor: Actor): Promise<ConnectionRow> {
  const row = await findConnection(core, SSO_PREFIX + id);
  if (row === null) throw noConnection();
  await requireManage(core, actor, row.scope).catch((error: unknown) => {
    // Another answer would tell which ids are connections of other organizations.
    throw error instanceof AuthTunaError && error.code === 'forbidden' ? noConnection() : error;
  });
  return row;
}

/** @throws AuthTunaError `forbidden` for an actor who may not manage connections at the scope */
export function requireManage({ access }: Core, actor: Actor, scope: string): Promise<void> {
  return access.require(actor, PERMISSION, scope);
}

/** Stores a change of a connection with its audit entry. @throws AuthTunaError `not_found`; `conflict` for a taken domain */
export function commitToConnection(
  { ledger }: Core,
  connection: { id: string; scope: string },
  actor: Actor,
  change: {
    type: EventType;
    writes: readonly Write[];
    data?: Readonly<Record<string, unknown>>;
    further?: readonly Fact[];
    /** What is said where a write found no row. Default: there is no such connection. */
    whenMissed?: () => AuthTunaError;
  },
): Promise<void> {
  const { type, writes, data, further = [], whenMissed = noConnection } = change;
  return ledger
    .commit({
      writes,
      facts: [
        {
          type,
          actor,
          scope: connection.scope,
          target: { type: 'sso_connection', id: connection.id },
          ...(data !== undefined && { data }),
        },
        ...further,
      ],
    })
    .catch(whenMissing(whenMissed))
    .catch(whenTaken(domainTaken));
}

/** What is said to the second of two who changed the mapping at once. */
export function mappingChanged(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'The mapping changed at the same moment. Look again.' });
}

/** Value of the claim -> id of the role. */
export function roleIdsOf(row: { roleMapping: string }): Record<string, string> {
  return JSON.parse(row.roleMapping) as Record<string, string>;
}

/** The public form of a connection. @param roleMapping with the names of the roles */
export function toConnection(row: ConnectionRow, roleMapping: Record<string, string>): SsoConnection {
  const { id, scope, name, issuer, clientId, rolesClaim, linkVerifiedEmails, createdAt, updatedAt } = row;
  return {
    id,
    provider: SSO_PREFIX + id,
    scope,
    name,
    issuer,
    clientId,
    rolesClaim,
    roleMapping,
    linkVerifiedEmails,
    createdAt,
    updatedAt,
    domains: row.domains.map(toDomain),
  };
}

/** The public form of a domain. */
export function toDomain({ domain, challenge, verifiedAt, required }: DomainRow): SsoDomain {
  return {
    domain,
    verifiedAt,
    required,
    record: { type: 'TXT', name: `${RECORD_PREFIX}.${domain}`, value: `authtuna-domain=${challenge}` },
  };
}

/** The refusal for a domain that another connection holds. */
export function domainTaken(): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: 'This domain belongs to a connection already, whose record is still published.',
    reason: 'domain_taken',
  });
}

function noConnection(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such connection.' });
}
