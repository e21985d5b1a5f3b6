import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import type { Db } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';

/** What an organization demands of its members. */
export interface OrgPolicy {
  /** Members must have a second factor. */
  requireSecondFactor: boolean;
  /** Sessions of members end after so many seconds; null for no limit of its own. */
  sessionMaxSeconds: number | null;
  /** Domains of the addresses that members may have; empty for any. */
  allowedEmailDomains: string[];
  /** People of a domain that one of its connections has proved may join without an invitation. */
  joinByDomain: boolean;
}

/** An organization. Its scope is `org:<id>`. Columns that the host added are in it as well. */
export interface Organization {
  id: string;
  slug: string;
  name: string;
  metadata: Record<string, unknown>;
  policy: OrgPolicy;
  createdAt: Date;
  updatedAt: Date;
}

/** What an organization is made from. */
export interface NewOrganization<O> {
  name: string;
  slug?: string;
  metadata?: Readonly<Record<string, unknown>>;
  ownerId?: string;
  /** The host's own columns. */
  data?: Partial<Omit<O, keyof Organization>>;
}

/** What of an organization can be changed. */
export interface OrganizationChange<O> {
  name?: string;
  slug?: string;
  metadata?: Readonly<Record<string, unknown>>;
  policy?: Partial<OrgPolicy>;
  /** The host's own columns. */
  data?: Partial<Omit<O, keyof Organization>>;
}

export type OrgRow = Awaited<ReturnType<Db['organization']['findUniqueOrThrow']>>;

/** The scope of an organization. */
export const scopeOf = (orgId: string) => `org:${orgId}`;

/** The public form of a row. */
export function toOrganization(row: OrgRow): Organization {
  const {
    metadata,
    requireSecondFactor,
    sessionMaxSeconds,
    allowedEmailDomains,
    joinByDomain,
    ownerCount: _internal,
    ...rest
  } = row;
  return {
    ...rest,
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    policy: {
      requireSecondFactor,
      sessionMaxSeconds,
      allowedEmailDomains: wordsOf(allowedEmailDomains),
      joinByDomain,
    },
  };
}

/** Words that are stored in one text, separated by spaces. */
export function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}

/** The organization of an id, or null. */
export function findOrg({ db }: Core, id: string): Promise<OrgRow | null> {
  return db.organization.findUnique({ where: { id } });
}

/** The organization of an id or a slug, of a slug that it had before as well; null for none. */
export async function findOrgByName(core: Core, idOrSlug: string): Promise<OrgRow | null> {
  return (await findOrg(core, idOrSlug)) ?? findOrgBySlug(core, idOrSlug);
}

/** The organization of a slug, of one that it had before as well; null for none. */
export async function findOrgBySlug(core: Core, slug: string): Promise<OrgRow | null> {
  const { db } = core;
  const row = await db.organization.findUnique({ where: { slug } });
  if (row !== null) return row;
  const retired = await db.organizationSlug.findUnique({ where: { slug } });
  return retired !== null && retired.expiresAt > core.now() ? findOrg(core, retired.orgId) : null;
}

/** @throws AuthTunaError `not_found` */
export async function requireOrg(core: Core, id: string): Promise<OrgRow> {
  const row = await findOrg(core, id);
  if (row === null) throw new AuthTunaError('not_found');
  return row;
}

/** For a batch that says something of an organization; it misses when the organization was deleted meanwhile. */
export function orgStays({ db }: Core, id: string): Write {
  return db.organization.update({ where: { id }, data: { ownerCount: { increment: 0 } } });
}
